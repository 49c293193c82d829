use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Json, Router,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use mcp_auth::keys::{Algorithm, make_pair};
use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::OnceCell,
    task::{JoinHandle, spawn_blocking},
};

use crate::{
    der,
    target::{AttackError, Key},
};

/// The attacker: two key pairs that nobody should trust, and a live server that publishes them. Whoever asks it for
/// anything has followed a URL out of a token that was not verified yet.
#[derive(Debug)]
pub struct Attacker {
    origin: String,
    rsa: Key,
    ec: Key,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Published {
    origin: String,
    jwks: serde_json::Value,
    certificate: String,
    asked: Arc<Mutex<Vec<String>>>,
}

/// Nobody asks more often than this; what is asked is kept in memory.
const MAX_ASKED: usize = 10_000;

/// Made once in a process: an RSA key takes its time.
static KEYS: OnceCell<(Key, Key)> = OnceCell::const_new();

async fn keys() -> Result<(Key, Key), AttackError> {
    let pair = |algorithm| {
        let (private, public) = make_pair(algorithm)?;
        Key::new(&private, public)
    };
    let made = spawn_blocking(move || Ok((pair(Algorithm::RS256)?, pair(Algorithm::ES256)?)));
    made.await.map_err(|error| AttackError::Listen(error.into()))?
}

impl Attacker {
    /// Makes the keys, and listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When there is no port, or no randomness.
    pub async fn start() -> Result<Self, AttackError> {
        let (rsa, ec) = KEYS.get_or_try_init(keys).await?.clone();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(AttackError::Listen)?;
        let origin = format!("http://{}", listener.local_addr().map_err(AttackError::Listen)?);
        let asked = Arc::default();
        let published = Published {
            origin: origin.clone(),
            jwks: json!({ "keys": [rsa.public().jwk(), ec.public().jwk()] }),
            certificate: der::certificate(&rsa, "attacker")
                .map_or_else(|_| String::new(), |der| der::pem("CERTIFICATE", &der)),
            asked: Arc::clone(&asked),
        };
        let app = Router::new().fallback(answer).with_state(published);
        let task = tokio::spawn(async move {
            // It never ends by itself.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { origin, rsa, ec, asked, task })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Its RSA key, for RS256.
    pub const fn rsa(&self) -> &Key {
        &self.rsa
    }

    /// Its P-256 key, for ES256.
    pub const fn ec(&self) -> &Key {
        &self.ec
    }

    /// The paths it was asked for so far. A forged token names its row in every URL that it holds.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether anybody followed a URL out of that row's token.
    pub fn was_asked_by(&self, id: &str) -> bool {
        self.asked().iter().any(|path| path.split('/').any(|segment| segment == id))
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whatever is asked for, the answer is the attacker's keys, in the form that the path suggests.
async fn answer(State(published): State<Published>, uri: Uri) -> Response {
    let path = uri.path();
    {
        let mut asked = published.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() < MAX_ASKED {
            asked.push(path.to_owned());
        }
    }
    if path.contains("/.well-known/") {
        // RFC 8414 §3.1 puts the issuer's path behind, OpenID Connect Discovery §4 in front.
        let (before, after) = path.split_once("/.well-known/").unwrap_or_default();
        let tenant = after.split_once('/').map_or(before.trim_start_matches('/'), |(_, tenant)| tenant);
        let issuer = format!("{}/{tenant}", published.origin);
        return Json(json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/jwks.json") })).into_response();
    }
    if path.ends_with(".pem") { published.certificate.into_response() } else { Json(published.jwks).into_response() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_publishes_its_keys_and_notices_who_asks() {
        let attacker = Attacker::start().await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let get = async |path: &str| {
            let url = format!("{}{path}", attacker.origin());
            client.get(url).send().await.unwrap().text().await.unwrap()
        };
        assert!(attacker.asked().is_empty() && !attacker.was_asked_by("x"));
        assert!(get("/x/jwks.json").await.contains(attacker.rsa().public().kid()));
        assert!(get("/x/chain.pem").await.starts_with("-----BEGIN CERTIFICATE-----\n"));
        let jwks_uri = format!("{}/y/jwks.json", attacker.origin());
        for path in ["/y/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/y"] {
            assert!(get(path).await.contains(&jwks_uri), "{path}");
        }
        assert!(attacker.was_asked_by("x") && attacker.was_asked_by("y") && !attacker.was_asked_by("jwks"));
    }
}
