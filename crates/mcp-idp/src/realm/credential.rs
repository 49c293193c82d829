//! Passwords: as Keycloak keeps them, and how they are checked.

use std::{
    fmt,
    num::NonZeroU32,
    sync::{Mutex, OnceLock, PoisonError},
};

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
    pbkdf2, rand,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{RealmError, json::Object};

/// What a file may ask for, so that a login cannot take the machine. Keycloak's own are 7 MiB, five times, and 210,000
/// to 600,000 iterations.
const MAX_ARGON2_MEMORY: u32 = 256 * 1024;
const MAX_ARGON2_WORK: u64 = 1024 * 1024;
const MAX_PBKDF2_ITERATIONS: u32 = 2_000_000;

/// A shorter one could be met by chance.
const MIN_HASH: usize = 16;
const MAX_HASH: usize = 128;
const MIN_SALT: usize = argon2::MIN_SALT_LEN;
const SALT: usize = argon2::RECOMMENDED_SALT_LEN;

/// A password that can be checked.
pub(super) enum Password {
    Hashed(Hash),
    /// As the file has it, until it is hashed at its first check.
    Plain {
        text: Mutex<Option<String>>,
        hash: OnceLock<Hash>,
    },
}

/// Why there is nothing to check a password with.
pub(super) enum Unusable {
    /// The file is wrong.
    Malformed(RealmError),
    /// The file is right, and asks for what is not here.
    Unsupported(String),
}

impl From<RealmError> for Unusable {
    fn from(error: RealmError) -> Self {
        Self::Malformed(error)
    }
}

impl Password {
    /// Reads a member of `credentials` of the type `password`.
    pub(super) fn read(credential: &Object) -> Result<Self, Unusable> {
        match (credential.text("value")?, credential.text("credentialData")?, credential.text("secretData")?) {
            (Some(""), ..) => Err(Unusable::Unsupported("its password is empty".to_owned())),
            (Some(plain), ..) => Ok(Self::plain(plain)),
            (None, Some(data), Some(secret)) => Hash::read(credential, data, secret).map(Self::Hashed),
            _ => Err(Unusable::Unsupported("its password is not in the file".to_owned())),
        }
    }

    fn plain(text: &str) -> Self {
        Self::Plain { text: Mutex::new(Some(text.to_owned())), hash: OnceLock::new() }
    }

    /// Whether this is the password. As much work the first time as later, so that a first login stands out by nothing.
    pub(super) fn verify(&self, candidate: &str) -> bool {
        match self {
            Self::Hashed(hash) => hash.verify(candidate),
            Self::Plain { text, hash } => match hash.get() {
                Some(hash) => hash.verify(candidate),
                None => verify_first(text, hash, candidate),
            },
        }
    }

    /// A hash that takes as much work to check as this one.
    pub(super) fn decoy(&self) -> Hash {
        match self {
            Self::Hashed(hash) => hash.clone(),
            Self::Plain { .. } => Hash::blank(),
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash")
    }
}

/// Who comes first hashes the password and forgets it; who comes at the same time waits for that.
fn verify_first(text: &Mutex<Option<String>>, hash: &OnceLock<Hash>, candidate: &str) -> bool {
    let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(plain) = text.as_deref() else {
        drop(text);
        return hash.get().is_some_and(|hash| hash.verify(candidate));
    };
    let Some(made) = Hash::of(plain) else { return false };
    let same = same_text(plain, candidate);
    if hash.set(made).is_ok() {
        *text = None;
    }
    same
}

/// Compares in a time that tells nothing, not even where or by how much they differ.
fn same_text(a: &str, b: &str) -> bool {
    let [a, b] = [a, b].map(|text| digest(&SHA256, text.as_bytes()));
    verify_slices_are_equal(a.as_ref(), b.as_ref()).is_ok()
}

/// A salted hash, and how it was made.
#[derive(Clone)]
pub(super) struct Hash {
    method: Method,
    salt: Vec<u8>,
    value: Vec<u8>,
}

#[derive(Clone)]
enum Method {
    Argon2(Argon2<'static>),
    Pbkdf2(pbkdf2::Algorithm, NonZeroU32),
}

impl Hash {
    /// Hashes a password with argon2id. `None` without memory or randomness for it.
    fn of(password: &str) -> Option<Self> {
        let Self { mut salt, mut value, .. } = Self::blank();
        let argon2 = Argon2::default();
        rand::fill(&mut salt).ok()?;
        argon2.hash_password_into(password.as_bytes(), &salt, &mut value).ok()?;
        Some(Self { method: Method::Argon2(argon2), salt, value })
    }

    /// The hash of nothing, for work to be done where there is no password.
    pub(super) fn blank() -> Self {
        let (salt, value) = (vec![0; SALT], vec![0; Params::DEFAULT_OUTPUT_LEN]);
        Self { method: Method::Argon2(Argon2::default()), salt, value }
    }

    pub(super) fn verify(&self, candidate: &str) -> bool {
        match &self.method {
            Method::Argon2(argon2) => {
                let mut made = vec![0; self.value.len()];
                argon2.hash_password_into(candidate.as_bytes(), &self.salt, &mut made).is_ok()
                    && verify_slices_are_equal(&made, &self.value).is_ok()
            }
            Method::Pbkdf2(algorithm, iterations) => {
                pbkdf2::verify(*algorithm, *iterations, &self.salt, candidate.as_bytes(), &self.value).is_ok()
            }
        }
    }

    /// Reads `credentialData` and `secretData`, which are JSON inside of JSON strings.
    fn read(credential: &Object, data: &str, secret: &str) -> Result<Self, Unusable> {
        let data_value = inner(credential, "credentialData", data)?;
        let data = Object::within(credential.path("credentialData"), &data_value)?;
        let secret_value = inner(credential, "secretData", secret)?;
        let secret = Object::within(credential.path("secretData"), &secret_value)?;

        let value = bytes(&secret, "value", MIN_HASH..=MAX_HASH)?;
        let salt = bytes(&secret, "salt", MIN_SALT..=MAX_HASH)?;
        let iterations = data.count("hashIterations")?.and_then(NonZeroU32::new);
        let iterations = iterations.ok_or_else(|| data.error("hashIterations", "is missing"))?;
        let method = match data.name("algorithm")? {
            "pbkdf2-sha256" => pbkdf2_method(pbkdf2::PBKDF2_HMAC_SHA256, iterations)?,
            "pbkdf2-sha512" => pbkdf2_method(pbkdf2::PBKDF2_HMAC_SHA512, iterations)?,
            "argon2" => argon2_method(&data, iterations, value.len())?,
            other => return Err(Unusable::Unsupported(format!("its password is hashed with {other}"))),
        };
        Ok(Self { method, salt, value })
    }
}

fn inner(credential: &Object, name: &str, text: &str) -> Result<Value, RealmError> {
    serde_json::from_str(text).map_err(|error| credential.error(name, format!("is not JSON: {error}")))
}

fn bytes(object: &Object, name: &str, lengths: std::ops::RangeInclusive<usize>) -> Result<Vec<u8>, RealmError> {
    let bytes = STANDARD.decode(object.name(name)?).map_err(|_| object.error(name, "is not base64"))?;
    if lengths.contains(&bytes.len()) {
        Ok(bytes)
    } else {
        let (least, most) = (lengths.start(), lengths.end());
        Err(object.error(name, format!("is {} bytes long, not {least} to {most}", bytes.len())))
    }
}

fn pbkdf2_method(algorithm: pbkdf2::Algorithm, iterations: NonZeroU32) -> Result<Method, Unusable> {
    if iterations.get() > MAX_PBKDF2_ITERATIONS {
        let problem = format!("its password takes {iterations} iterations to check, more than {MAX_PBKDF2_ITERATIONS}");
        return Err(Unusable::Unsupported(problem));
    }
    Ok(Method::Pbkdf2(algorithm, iterations))
}

fn argon2_method(data: &Object, iterations: NonZeroU32, length: usize) -> Result<Method, Unusable> {
    const WHERE: &str = "additionalParameters";
    let parameters = data.text_members(WHERE)?;
    let parameter = |name: &str| {
        let texts = parameters.iter().find(|(key, _)| *key == name).map(|(_, texts)| texts.as_slice());
        match texts {
            Some([text]) => Ok(text.as_str()),
            _ => Err(data.error(WHERE, format!("has no {name}, or several"))),
        }
    };
    let number = |name: &str| {
        let text = parameter(name)?;
        text.parse::<u32>().map_err(|_| data.error(WHERE, format!("{name} is no number: {text}")))
    };
    let algorithm = match parameter("type")? {
        "id" => Algorithm::Argon2id,
        "i" => Algorithm::Argon2i,
        "d" => Algorithm::Argon2d,
        other => return Err(data.error(WHERE, format!("there is no argon2 of type {other}")).into()),
    };
    let version = match parameter("version")? {
        "1.3" => Version::V0x13,
        "1.0" => Version::V0x10,
        other => return Err(data.error(WHERE, format!("there is no argon2 of version {other}")).into()),
    };
    let (memory, parallelism) = (number("memory")?, number("parallelism")?);
    if number("hashLength")? as usize != length {
        return Err(data.error(WHERE, format!("hashLength is not the length of the hash, {length}")).into());
    }
    if memory > MAX_ARGON2_MEMORY || u64::from(memory) * u64::from(iterations.get()) > MAX_ARGON2_WORK {
        let problem = format!("its password takes {memory} KiB, {iterations} times, to check: too much");
        return Err(Unusable::Unsupported(problem));
    }
    let params = Params::new(memory, iterations.get(), parallelism, Some(length));
    let params = params.map_err(|error| data.error(WHERE, error.to_string()))?;
    Ok(Method::Argon2(Argon2::new(algorithm, version, params)))
}

#[cfg(test)]
mod tests {
    use std::{
        thread,
        time::{Duration, Instant},
    };

    use serde_json::json;

    use super::*;

    /// Users of Keycloak 26.7.4, under a different password policy each, as it exports them.
    const EXPORTED: &str = include_str!("testdata/keycloak_passwords.json");

    fn exported(username: &str) -> Value {
        let file: Value = serde_json::from_str(EXPORTED).unwrap();
        let users = file["users"].as_array().unwrap();
        let user = users.iter().find(|user| user["username"] == username).unwrap();
        user["credentials"][0].clone()
    }

    fn read(credential: &Value) -> Result<Password, Unusable> {
        Password::read(&Object::root(credential).unwrap())
    }

    fn usable(credential: &Value) -> Password {
        read(credential).unwrap_or_else(|_| panic!("unusable"))
    }

    /// The credential of the user `argon2`, with one of its two texts changed.
    fn bent(member: &str, from: &str, to: &str) -> Value {
        bent_credential(exported("argon2"), member, from, to)
    }

    fn bent_credential(mut credential: Value, member: &str, from: &str, to: &str) -> Value {
        let text = credential[member].as_str().unwrap();
        assert!(text.contains(from), "{text}");
        credential[member] = text.replace(from, to).into();
        credential
    }

    fn malformed(credential: &Value) -> String {
        match read(credential) {
            Err(Unusable::Malformed(error)) => error.to_string().trim_start_matches("the realm file, ").to_owned(),
            Err(Unusable::Unsupported(why)) => panic!("unsupported: {why}"),
            Ok(_) => panic!("usable"),
        }
    }

    fn unsupported(credential: &Value) -> String {
        match read(credential) {
            Err(Unusable::Unsupported(why)) => why,
            Err(Unusable::Malformed(error)) => panic!("{error}"),
            Ok(_) => panic!("usable"),
        }
    }

    #[test]
    fn what_keycloak_has_hashed() {
        for name in ["argon2", "pbkdf2-sha256", "pbkdf2-sha512", "few"] {
            let password = usable(&exported(name));
            assert!(password.verify(&format!("pässwörd-{name}")), "{name}");
            for wrong in ["", &format!("passwörd-{name}")] {
                assert!(!password.verify(wrong), "{name}: {wrong}");
            }
        }
        assert!(usable(&exported("history")).verify("p3"));
        assert_eq!(unsupported(&exported("pbkdf2")), "its password is hashed with pbkdf2");
    }

    #[test]
    fn a_plain_password_is_hashed_once_and_forgotten() {
        let plain = usable(&json!({"value": "secret"}));
        let Password::Plain { text, hash } = &plain else { panic!("hashed already") };
        let verify = |candidate: &'static str| thread::scope(|scope| scope.spawn(|| plain.verify(candidate)).join());
        assert!(!verify("wrong").unwrap(), "the first check");
        assert!(hash.get().is_some() && text.lock().unwrap().is_none());
        assert!(verify("secret").unwrap());

        for _ in 0..4 {
            let plain = usable(&json!({"value": "secret"}));
            let checks = thread::scope(|scope| {
                let start = |candidate| {
                    scope.spawn({
                        let plain = &plain;
                        move || plain.verify(candidate)
                    })
                };
                let started = ["secret", "wrong", "secret", "secreT"].map(start);
                started.map(|check| check.join().unwrap())
            });
            assert_eq!(checks, [true, false, true, false]);
        }
    }

    /// Somebody who asks often must not learn who has an account, nor that nobody has logged in with it yet.
    #[test]
    fn each_check_is_one_hash() {
        fn least_of_five(check: impl Fn() -> Duration) -> Duration {
            (0..5).map(|_| check()).min().unwrap()
        }
        let attempt = || {
            let nobody = least_of_five(|| {
                let start = Instant::now();
                assert!(!Hash::blank().verify("wrong"));
                start.elapsed()
            });
            let first = least_of_five(|| {
                let plain = usable(&json!({"value": "secret"}));
                let start = Instant::now();
                assert!(!plain.verify("wrong"));
                start.elapsed()
            });
            first.as_secs_f64() / nobody.as_secs_f64()
        };
        // Two hashes would take twice the time; a machine that does other things beside may need several attempts.
        let ratios: Vec<f64> = (0..5).map(|_| attempt()).collect();
        assert!(ratios.iter().any(|ratio| (0.7..1.4).contains(ratio)), "{ratios:?}");
    }

    #[test]
    fn a_decoy_costs_what_the_password_costs() {
        let hashed = usable(&exported("few"));
        assert!(matches!(hashed.decoy().method, Method::Pbkdf2(_, iterations) if iterations.get() == 5));
        assert!(matches!(usable(&json!({"value": "secret"})).decoy().method, Method::Argon2(_)));
    }

    #[test]
    fn what_would_take_the_machine_is_refused() {
        let memory = |kib: u32| bent("credentialData", "7168", &kib.to_string());
        assert_eq!(
            unsupported(&memory(MAX_ARGON2_MEMORY + 1)),
            "its password takes 262145 KiB, 5 times, to check: too much"
        );
        assert!(read(&memory(u32::MAX)).is_err());
        let times = |times: u32| bent("credentialData", "\"hashIterations\":5", &format!("\"hashIterations\":{times}"));
        assert!(read(&times(146)).is_ok());
        assert_eq!(unsupported(&times(147)), "its password takes 7168 KiB, 147 times, to check: too much");
        assert!(read(&times(u32::MAX)).is_err());
        let iterations = |text: &str| bent_credential(exported("few"), "credentialData", ":5,", &format!(":{text},"));
        assert!(read(&iterations("2000000")).is_ok());
        assert_eq!(
            unsupported(&iterations("2000001")),
            "its password takes 2000001 iterations to check, more than 2000000"
        );
        let number = "credentialData.hashIterations: expected a whole number above 0, found a number";
        assert_eq!(malformed(&iterations("0")), number);
        assert_eq!(malformed(&iterations("4294967296")), number);
    }

    #[test]
    fn a_hash_that_is_none() {
        for (value, expected) in [
            ("", "secretData.value: is empty"),
            ("!", "secretData.value: is not base64"),
            ("AAAA", "secretData.value: is 3 bytes long, not 16 to 128"),
        ] {
            let bent = bent("secretData", "+oy+u9bLzRn9o8R1EnV0B7bB5dlqzexF+QAA+HmeunY=", value);
            assert_eq!(malformed(&bent), expected);
        }
        let salt = bent("secretData", "Btj02j6m/jpoQMmUmDbfbw==", "AAAA");
        assert_eq!(malformed(&salt), "secretData.salt: is 3 bytes long, not 8 to 128");
        for (from, to, expected) in [
            ("\"7168\"", "\"much\"", ": memory is no number: much"),
            ("\"7168\"", "\"1\"", ": memory cost is too small"),
            ("[\"1\"]", "[\"0\"]", ": not enough threads"),
            ("[\"1\"]", "[\"1\",\"2\"]", ": has no parallelism, or several"),
            ("\"memory\"", "\"money\"", ": has no memory, or several"),
            ("[\"32\"]", "[\"64\"]", ": hashLength is not the length of the hash, 32"),
            ("[\"id\"]", "[\"ie\"]", ": there is no argon2 of type ie"),
            ("[\"1.3\"]", "[\"2\"]", ": there is no argon2 of version 2"),
        ] {
            let error = malformed(&bent("credentialData", from, to));
            assert_eq!(error, format!("credentialData.additionalParameters{expected}"));
        }
        let mut none = exported("argon2");
        none["secretData"] = json!("{");
        assert!(malformed(&none).starts_with("secretData: is not JSON: EOF"));
        none["secretData"] = json!("[]");
        assert_eq!(malformed(&none), "secretData: expected an object, found a list");
        none["secretData"] = json!({});
        assert_eq!(malformed(&none), "secretData: expected a string, found an object");
    }
}
