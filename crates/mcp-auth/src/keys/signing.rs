//! Making key pairs and signing tokens: for test tokens and for authorization servers.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use jsonwebtoken::{EncodingKey, Header, jwk::Jwk};
use rsa::{RsaPrivateKey, pkcs8::EncodePrivateKey, rand_core::OsRng};
use serde::Serialize;

use super::{Algorithm, KeyError, PublicKey, directory::entries};

const RSA_BITS: usize = 2048;

/// A private key bound to one algorithm.
#[derive(Debug)]
pub struct SigningKey {
    key: EncodingKey,
    public: PublicKey,
}

/// Makes a key pair: the PKCS #8 PEM of the private half, and the public half. Nothing is written.
///
/// # Errors
/// When the system has no randomness.
pub fn make_pair(algorithm: Algorithm) -> Result<(String, PublicKey), KeyError> {
    make(algorithm).map(|(private, key)| (private, key.public))
}

fn make(algorithm: Algorithm) -> Result<(String, SigningKey), KeyError> {
    let unusable = |why: String| KeyError::Unusable(why);
    let random = SystemRandom::new();
    let pkcs8: Vec<u8> = match algorithm {
        Algorithm::RS256 | Algorithm::PS256 => RsaPrivateKey::new(&mut OsRng, RSA_BITS)
            .map_err(|error| unusable(error.to_string()))?
            .to_pkcs8_der()
            .map_err(|error| unusable(error.to_string()))?
            .as_bytes()
            .to_vec(),
        Algorithm::ES256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map_err(|error| unusable(error.to_string()))?
            .as_ref()
            .to_vec(),
        Algorithm::EdDSA => {
            Ed25519KeyPair::generate_pkcs8v1(&random).map_err(|error| unusable(error.to_string()))?.as_ref().to_vec()
        }
    };
    let private = pem::encode(&pem::Pem::new("PRIVATE KEY", pkcs8));
    let key = SigningKey::from_pem(&private, algorithm)?;
    Ok((private, key))
}

impl SigningKey {
    /// A signing key from a PKCS #8 PEM.
    ///
    /// # Errors
    /// When it is no private key for that algorithm.
    pub fn from_pem(private: &str, algorithm: Algorithm) -> Result<Self, KeyError> {
        let unusable = |error: jsonwebtoken::errors::Error| KeyError::Unusable(error.to_string());
        let pem = private.as_bytes();
        let key = match algorithm {
            Algorithm::RS256 | Algorithm::PS256 => EncodingKey::from_rsa_pem(pem),
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem),
        }
        .map_err(unusable)?;
        let jwk = Jwk::from_encoding_key(&key, algorithm.for_jsonwebtoken()).map_err(unusable)?;
        Ok(Self { key, public: PublicKey::of(jwk)? })
    }

    /// The newest key for `algorithm` in `directory`; without one, a new pair is made and written there.
    ///
    /// # Errors
    /// When a file cannot be read or written, or holds no such key.
    pub fn newest_or_new(directory: &Path, algorithm: Algorithm) -> Result<Self, KeyError> {
        match Self::newest(directory, algorithm)? {
            Some(key) => Ok(key),
            None => Self::create(directory, algorithm),
        }
    }

    /// The key that an authorization server signs with: the newest for `algorithm` in `directory` that has been there
    /// for `published`, so that whoever keeps a copy of the JWK Set has seen it; while none has, the oldest.
    ///
    /// # Errors
    /// When a file cannot be read, or holds no such key.
    pub fn published(directory: &Path, algorithm: Algorithm, published: Duration) -> Result<Option<Self>, KeyError> {
        let mut pairs = pairs(directory, algorithm)?;
        pairs.sort_by_key(|(_, modified)| *modified);
        let now = SystemTime::now();
        let long_enough = |(_, modified): &&Pair| now.duration_since(*modified).is_ok_and(|age| age >= published);
        pairs.iter().rev().find(long_enough).or(pairs.first()).map(|(jwk, _)| Self::beside(jwk, algorithm)).transpose()
    }

    /// Makes a new pair in `directory` and leaves the others there: what is published from now on are all of them, and
    /// what signs is the new one. The private half is readable by its owner alone.
    ///
    /// # Errors
    /// When the files cannot be written. One that is there already is never overwritten.
    pub fn create(directory: &Path, algorithm: Algorithm) -> Result<Self, KeyError> {
        let (private, key) = make(algorithm)?;
        let public = key.public();
        fs::create_dir_all(directory).map_err(|error| KeyError::File(directory.to_owned(), error))?;
        let name = format!("{}-{}", algorithm.as_str().to_lowercase(), &public.kid()[..8]);
        // The public half last: a key is in use from the moment that it is seen.
        write_new(&directory.join(format!("{name}.private.pem")), private.as_bytes(), 0o600)?;
        let jwk = serde_json::to_vec_pretty(public.jwk()).map_err(|error| KeyError::Unusable(error.to_string()))?;
        write_new(&directory.join(format!("{name}.jwk.json")), &jwk, 0o644)?;
        Ok(key)
    }

    /// Removes every key pair for `algorithm` from `directory`. Tokens that they signed are refused from then on.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove_all(directory: &Path, algorithm: Algorithm) -> Result<(), KeyError> {
        for (jwk, _) in pairs(directory, algorithm)? {
            for path in [jwk.clone(), private_beside(&jwk)] {
                fs::remove_file(&path).map_err(|error| KeyError::File(path, error))?;
            }
        }
        Ok(())
    }

    fn newest(directory: &Path, algorithm: Algorithm) -> Result<Option<Self>, KeyError> {
        let newest = pairs(directory, algorithm)?.into_iter().max_by_key(|(_, modified)| *modified);
        newest.map(|(jwk, _)| Self::beside(&jwk, algorithm)).transpose()
    }

    fn beside(jwk: &Path, algorithm: Algorithm) -> Result<Self, KeyError> {
        let path = private_beside(jwk);
        let private = fs::read_to_string(&path).map_err(|error| KeyError::File(path, error))?;
        Self::from_pem(&private, algorithm)
    }

    /// The public half.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs claims as an access token: `typ: at+jwt` (RFC 9068 §2.1), `kid` the key's.
    ///
    /// # Errors
    /// When the claims are not JSON.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, KeyError> {
        let mut header = Header::new(self.public.algorithm().for_jsonwebtoken());
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(self.public.kid().to_owned());
        jsonwebtoken::encode(&header, claims, &self.key).map_err(|error| KeyError::Unusable(error.to_string()))
    }
}

type Pair = (PathBuf, SystemTime);

/// The public files in `directory` that are for `algorithm` and have their private half beside them.
fn pairs(directory: &Path, algorithm: Algorithm) -> Result<Vec<Pair>, KeyError> {
    let mut found = Vec::new();
    for path in entries(directory).map_err(|error| KeyError::File(directory.to_owned(), error))? {
        if !path.to_string_lossy().ends_with(".jwk.json") || !private_beside(&path).exists() {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(|error| KeyError::File(path.clone(), error))?;
        if PublicKey::from_jwk(&text).is_ok_and(|key| key.algorithm() == algorithm) {
            let modified = fs::metadata(&path).and_then(|metadata| metadata.modified());
            found.push((path.clone(), modified.map_err(|error| KeyError::File(path, error))?));
        }
    }
    Ok(found)
}

fn private_beside(jwk: &Path) -> PathBuf {
    let name = jwk.file_name().unwrap_or_default().to_string_lossy();
    jwk.with_file_name(format!("{}.private.pem", name.trim_end_matches(".jwk.json")))
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), KeyError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let written = options.open(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| KeyError::File(path.to_owned(), error))
}
