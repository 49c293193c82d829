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
