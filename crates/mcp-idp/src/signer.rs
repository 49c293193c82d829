//! The key that signs access tokens, out of a directory whose public halves are published.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use mcp_auth::keys::{Algorithm, KeyDirectory, KeyError, SigningKey};
use serde::Serialize;
use serde_json::{Map, Value};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

/// How often the directory is looked at for a key that has been published long enough.
const EVERY: Duration = Duration::from_secs(5);

/// Signs with the newest key that whoever keeps a copy of the JWK Set must have seen, and checks what it has signed.
pub(crate) struct Signer {
    published: Arc<KeyDirectory>,
    algorithm: Algorithm,
    announce: Duration,
    current: ArcSwap<SigningKey>,
}

impl Signer {
    /// Makes a first key if there is none. A later one signs when it has been published for `announce`.
    pub(crate) async fn new(
        published: Arc<KeyDirectory>,
        algorithm: Algorithm,
        announce: Duration,
    ) -> Result<Arc<Self>, KeyError> {
        let path = published.path().to_owned();
        // Making an RSA key takes a second, and files block.
        let key = tokio::task::spawn_blocking(move || match SigningKey::published(&path, algorithm, announce)? {
            Some(key) => Ok(key),
            None => SigningKey::newest_or_new(&path, algorithm),
        });
        let key = key.await.map_err(|error| KeyError::Unusable(error.to_string()))??;
        published.refresh();
        let signer = Arc::new(Self { published, algorithm, announce, current: ArcSwap::from_pointee(key) });
        let watched = Arc::downgrade(&signer);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                let Some(signer) = watched.upgrade() else { break };
                let _ = tokio::task::spawn_blocking(move || signer.choose()).await;
            }
        });
        Ok(signer)
    }

    /// Looks which key is to sign.
    fn choose(&self) {
        match SigningKey::published(self.published.path(), self.algorithm, self.announce) {
            Ok(Some(key)) if key.public().kid() != self.current.load().public().kid() => {
                tracing::info!(kid = key.public().kid(), "this key signs from here on");
                self.current.store(Arc::new(key));
            }
            Ok(Some(_)) => {}
            // The key in hand may be published elsewhere still; without any, tokens could be refused but not made.
            Ok(None) => {
                tracing::warn!(path = %self.published.path().display(), "the signing key is gone from its directory")
            }
            Err(error) => tracing::warn!(%error, "the signing keys cannot be read"),
        }
    }

    /// A JWT with `typ: at+jwt` (RFC 9068 §2.1).
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Result<String, KeyError> {
        self.current.load().sign(claims)
    }

    /// The claims of a JWT that one of the published keys has signed; whether they are still good is another question.
    pub(crate) fn claims(&self, token: &str) -> Option<Map<String, Value>> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
        let header: Map<String, Value> = serde_json::from_slice(&decode(header)?).ok()?;
        let keys = self.published.public_keys();
        let key = keys.keys().iter().find(|key| header.get("kid").is_some_and(|kid| kid == key.kid()))?;
        let ours = header.get("alg").is_some_and(|alg| alg == key.algorithm().as_str())
            && key.verify(signed.as_bytes(), &decode(signature)?);
        ours.then(|| serde_json::from_slice(&decode(claims)?).ok()).flatten()
    }

    pub(crate) fn jwks(&self) -> bytes::Bytes {
        self.published.public_keys().jwks()
    }
}
