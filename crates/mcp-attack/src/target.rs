use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use jsonwebtoken::{Algorithm as Jwa, EncodingKey, crypto};
use mcp_auth::keys::{Algorithm, KeyError, PublicKey};
use serde_json::{Value, json};
use url::{Host, Url};

use crate::{attack::NotBuilt, attacker::Attacker, der};

/// Why there is nothing to attack, or nothing to attack with.
#[derive(Debug, thiserror::Error)]
pub enum AttackError {
    /// Not a URL that requests can be sent to.
    #[error("{0} is no http or https URL with a host")]
    Url(Url),
    /// Not a URL at all.
    #[error("{0:?} is no http or https URL")]
    NoUrl(String),
    /// The attacker's server cannot listen.
    #[error("cannot listen on a loopback port: {0}")]
    Listen(io::Error),
    /// A key file cannot be read.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// A key is none.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A private key is none.
    #[error("a private key cannot be used: {0}")]
    PrivateKey(jsonwebtoken::errors::Error),
}

/// A private key that the server trusts the signatures of, with its public half.
#[derive(Clone, Debug)]
pub struct Key {
    private: EncodingKey,
    public: PublicKey,
}

impl Key {
    /// A key from its PKCS #8 PEM and its public half.
    ///
    /// # Errors
    /// When the PEM holds no private key for the public one's algorithm.
    pub fn new(private_pem: &str, public: PublicKey) -> Result<Self, AttackError> {
        let pem = private_pem.as_bytes();
        let private = match public.algorithm() {
            Algorithm::RS256 | Algorithm::PS256 => EncodingKey::from_rsa_pem(pem),
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem),
        };
        Ok(Self { private: private.map_err(AttackError::PrivateKey)?, public })
    }

    /// Every pair `NAME.jwk.json` and `NAME.private.pem` of a directory, the newest first.
    ///
    /// # Errors
    /// When the directory or a pair in it cannot be read.
    pub fn in_directory(directory: &Path) -> Result<Vec<Self>, AttackError> {
        let file = |path: &Path, error| AttackError::File(path.to_owned(), error);
        let mut found: Vec<(SystemTime, PathBuf, Self)> = Vec::new();
        for entry in fs::read_dir(directory).map_err(|error| file(directory, error))? {
            let path = entry.map_err(|error| file(directory, error))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some(name) = name.strip_suffix(".jwk.json") else { continue };
            let private = path.with_file_name(format!("{name}.private.pem"));
            if !private.exists() {
                continue;
            }
            let read = |path: &Path| fs::read_to_string(path).map_err(|error| file(path, error));
            let key = Self::new(&read(&private)?, PublicKey::from_jwk(&read(&path)?)?)?;
            let modified = fs::metadata(&path).and_then(|metadata| metadata.modified());
            found.push((modified.map_err(|error| file(&path, error))?, path, key));
        }
        found.sort_by(|(a, a_path, _), (b, b_path, _)| b.cmp(a).then_with(|| a_path.cmp(b_path)));
        Ok(found.into_iter().map(|(_, _, key)| key).collect())
    }

    /// The public half.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The public half as `openssl` writes it, which is what people configure their servers with.
    pub fn public_pem(&self) -> String {
        der::public_pem(self.public.jwk())
    }

    /// The signature over `message`, in base64url, by any algorithm that the key is capable of.
    pub(crate) fn sign(&self, message: &str, algorithm: Jwa) -> Result<String, NotBuilt> {
        crypto::sign(message.as_bytes(), &self.private, algorithm).map_err(|error| NotBuilt::Signing(error.to_string()))
    }

    /// The signature over any bytes, by the key's own algorithm.
    pub(crate) fn sign_bytes(&self, message: &[u8]) -> Result<Vec<u8>, NotBuilt> {
        let signature = crypto::sign(message, &self.private, self.algorithm());
        let signature = signature.map_err(|error| NotBuilt::Signing(error.to_string()))?;
        BASE64URL.decode(signature).map_err(|error| NotBuilt::Signing(error.to_string()))
    }

    /// Its own algorithm, as `jsonwebtoken` calls it.
    pub(crate) fn algorithm(&self) -> Jwa {
        match self.public.algorithm() {
            Algorithm::RS256 => Jwa::RS256,
            Algorithm::PS256 => Jwa::PS256,
            Algorithm::ES256 => Jwa::ES256,
            Algorithm::EdDSA => Jwa::EdDSA,
        }
    }
}

/// A server, what is known of its issuer, and the attacker's own server.
#[derive(Debug)]
pub struct Target {
    url: Url,
    pub(crate) issuer: String,
    pub(crate) audience: String,
    pub(crate) subject: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) leeway: Duration,
    pub(crate) token: Option<String>,
    pub(crate) keys: Vec<Key>,
    pub(crate) public: Option<PublicKey>,
    pub(crate) session: Option<String>,
    body: Value,
    attacker: Attacker,
}

impl Target {
    /// A server by the URL of its MCP endpoint. What its tokens say is guessed as `gen-token` has it: the issuer is the
    /// URL's origin, the audience the URL itself. Starts the attacker's server.
    ///
    /// # Errors
    /// When the URL is not http or https, or no loopback port can be listened on.
    pub async fn new(url: Url) -> Result<Self, AttackError> {
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(AttackError::Url(url));
        }
        Ok(Self {
            issuer: url.origin().ascii_serialization(),
            audience: url.to_string(),
            subject: "alice".to_owned(),
            scopes: ["mcp:read", "mcp:tools"].map(str::to_owned).to_vec(),
            leeway: Duration::from_secs(60),
            token: None,
            keys: Vec::new(),
            public: None,
            session: None,
            body: initialize(),
            attacker: Attacker::start().await?,
            url,
        })
    }

    /// Who issues tokens for the server (`iss`).
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = issuer.into();
        self
    }

    /// What its tokens are for (`aud`).
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = audience.into();
        self
    }

    /// What they allow (`scope`).
    #[must_use]
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// How far the server lets clocks differ; a minute unless told otherwise, which few servers exceed.
    #[must_use]
    pub const fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// A token that the server accepts.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Private keys that the server trusts; the first one signs.
    #[must_use]
    pub fn keys(mut self, keys: Vec<Key>) -> Self {
        self.keys = keys;
        self
    }

    /// The public key that the server verifies with, for when the private one is not at hand.
    #[must_use]
    pub fn public_key(mut self, key: PublicKey) -> Self {
        self.public = Some(key);
        self
    }

    /// A session that the server has opened for the valid token. [`run`](crate::run) opens one by itself.
    #[must_use]
    pub fn session(mut self, id: impl Into<String>) -> Self {
        self.session = Some(id.into());
        self
    }

    /// The JSON-RPC message that every request carries; `initialize` of 2025-06-18 unless told otherwise, since servers
    /// with sessions take nothing else first.
    #[must_use]
    pub fn body(mut self, message: Value) -> Self {
        self.body = message;
        self
    }

    /// The MCP endpoint.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The attacker's server.
    pub const fn attacker(&self) -> &Attacker {
        &self.attacker
    }

    pub(crate) const fn message(&self) -> &Value {
        &self.body
    }

    /// Whether it is on this machine, judged by the URL's host alone.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.url)
    }
}

/// Whether a URL leads to this machine, judged by its host alone.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn initialize() -> Value {
    let client = json!({ "name": "mcp-attack", "version": env!("CARGO_PKG_VERSION") });
    let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params })
}

#[cfg(test)]
mod tests {
    use mcp_auth::keys::SigningKey;

    use super::*;

    #[tokio::test]
    async fn loopback_is_judged_by_the_host() {
        for (url, expected) in [
            ("http://localhost:9000/mcp", true),
            ("http://LOCALHOST:9000/mcp", true),
            ("http://127.0.0.1/mcp", true),
            ("http://127.9.9.9/mcp", true),
            ("http://[::1]:9000/mcp", true),
            ("http://localhost.evil.example/mcp", false),
            ("http://localhost@evil.example/mcp", false),
            ("http://127.0.0.1.evil.example/mcp", false),
            ("http://0.0.0.0/mcp", false),
            ("http://10.0.0.1/mcp", false),
            ("https://mcp.example.com/mcp", false),
        ] {
            assert_eq!(Target::new(url.parse().unwrap()).await.unwrap().is_loopback(), expected, "{url}");
        }
        assert!(Target::new("ftp://localhost/mcp".parse().unwrap()).await.is_err());
    }

    #[test]
    fn keys_of_a_directory_the_newest_first() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Key::in_directory(&directory.path().join("none")).is_err());
        assert!(Key::in_directory(directory.path()).unwrap().is_empty());
        let mut kids = Vec::new();
        for algorithm in [Algorithm::ES256, Algorithm::EdDSA] {
            kids.insert(0, SigningKey::create(directory.path(), algorithm).unwrap().public().kid().to_owned());
            // Time stamps of files are coarse on some systems.
            std::thread::sleep(Duration::from_millis(20));
        }
        std::fs::write(directory.path().join("public-only.jwk.json"), "{}").unwrap();
        let found = Key::in_directory(directory.path()).unwrap();
        assert_eq!(found.iter().map(|key| key.public().kid()).collect::<Vec<_>>(), kids);
    }
}
