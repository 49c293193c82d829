//! Becoming a client of an authorization server: being known there, being the document at a URL, or registering.

use http::StatusCode;
use mcp_auth::AuthorizationServerMetadata;
use oauth2::ClientSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    discovery,
    error::{Error, Fault},
    observer::Step,
    web::{Body, Request, Web},
};

const STEP: Step = Step::Registration;

/// How a client says who it is at the token endpoint (RFC 6749 §2.3, RFC 7591 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum AuthMethod {
    #[serde(rename = "none")]
    None,
    #[serde(rename = "client_secret_basic")]
    Basic,
    #[serde(rename = "client_secret_post")]
    Post,
}

impl AuthMethod {
    const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::None, Self::Basic, Self::Post].into_iter().find(|method| method.name() == name)
    }

    /// For a client with a secret: the header where it is taken, since bodies are logged more often.
    fn for_secret(metadata: &AuthorizationServerMetadata) -> Result<Self, Error> {
        // RFC 8414 §2: left out, it is client_secret_basic.
        let Some(supported) = &metadata.token_endpoint_auth_methods_supported else { return Ok(Self::Basic) };
        let takes = |method: &Self| supported.iter().any(|name| name == method.name());
        [Self::Basic, Self::Post].into_iter().find(takes).ok_or_else(|| {
            let why = format!(
                "the authorization server takes a client's secret in no way that this client knows; it takes {}",
                supported.join(", ")
            );
            Error::new(STEP, Fault::Secret(crate::observer::shown(&why)))
        })
    }
}

/// A client of one authorization server. It is never shown to another (SEP-2352).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: Option<ClientSecret>,
    pub(crate) auth: AuthMethod,
    /// The port that it registered with: servers that compare it to the letter exist, whatever RFC 8252 §7.3 says.
    pub(crate) port: Option<u16>,
    /// When the secret ends, in seconds since 1970.
    pub(crate) secret_expires_at: Option<u64>,
}

/// How to become one.
#[derive(Clone, Default)]
pub struct ClientChoice {
    /// A client that is known there, with its secret if it has one; a secret needs an issuer.
    pub given: Option<(String, Option<String>)>,
    /// The only authorization server that the client that was given is shown to, to the letter.
    pub issuer: Option<String>,
    /// The URL of a document that says who this client is, for servers that read one.
    pub metadata_url: Option<String>,
    /// The name that a person reads when asked.
    pub name: String,
}

/// What a client says of itself when it registers, and in the document at its URL.
///
/// No `scope`: an authorization server that freezes what was registered (Keycloak) would refuse every step-up.
pub fn client_metadata(name: &str, redirect_uri: &str, auth_method: &str) -> Value {
    json!({
        "client_name": name,
        "redirect_uris": [redirect_uri],
        // SEP-837. A native client listens on this machine, and may do so on another port each time.
        "application_type": "native",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": auth_method,
    })
}

impl ClientChoice {
    /// A client that needs no exchange: one that was given, or a document that this server reads.
    pub(crate) fn known(&self, metadata: &AuthorizationServerMetadata) -> Result<Option<Client>, Error> {
        let client = |id: &str, secret: Option<&String>, auth| Client {
            id: id.to_owned(),
            secret: secret.cloned().map(ClientSecret::new),
            auth,
            port: None,
            secret_expires_at: None,
        };
        Ok(match (&self.given, &self.metadata_url) {
            (Some((id, Some(secret))), _) => Some(client(id, Some(secret), AuthMethod::for_secret(metadata)?)),
            (Some((id, None)), _) => Some(client(id, None, AuthMethod::None)),
            (None, Some(url)) if metadata.client_id_metadata_document_supported => {
                Some(client(url, None, AuthMethod::None))
            }
            (None, _) => None,
        })
    }

    /// Registers (RFC 7591).
    pub(crate) async fn register(
        &self,
        web: &Web,
        metadata: &AuthorizationServerMetadata,
        redirect_uri: &str,
        port: u16,
    ) -> Result<Client, Error> {
        if metadata.registration_endpoint.is_none() {
            return Err(Error::new(STEP, Fault::NoRegistration));
        }
        let endpoint = discovery::endpoint(web, "registration_endpoint", metadata.registration_endpoint.as_ref())?;
        // A native client keeps no secret (RFC 8252 §8.5): it has one only where nothing else is taken.
        let supported = metadata.token_endpoint_auth_methods_supported.as_deref().unwrap_or_default();
        let auth = if supported.is_empty() || supported.iter().any(|name| name == AuthMethod::None.name()) {
            AuthMethod::None
        } else {
            // Keycloak does not list what it takes from public clients.
            AuthMethod::for_secret(metadata).unwrap_or(AuthMethod::None)
        };
        let body = client_metadata(&self.name, redirect_uri, auth.name());
        let answer = web.exchange(STEP, Request::post(endpoint, Body::Json(body))).await?;
        // 201, says RFC 7591 §3.2.1; not everybody has read it.
        if !matches!(answer.status, StatusCode::CREATED | StatusCode::OK) {
            return Err(Error::new(STEP, answer.fault()));
        }
        let registered: Registered = answer.json(STEP)?;
        // What the server says, and else what it was asked for.
        let said = registered.token_endpoint_auth_method.as_deref().and_then(AuthMethod::named);
        let auth = match (&registered.client_secret, said) {
            (_, Some(said)) => said,
            (None, None) => AuthMethod::None,
            (Some(_), None) => auth,
        };
        Ok(Client {
            id: registered.client_id,
            secret: registered.client_secret,
            auth,
            port: Some(port),
            secret_expires_at: registered.client_secret_expires_at.filter(|at| *at != 0),
        })
    }
}

#[derive(Deserialize)]
struct Registered {
    client_id: String,
    client_secret: Option<ClientSecret>,
    client_secret_expires_at: Option<u64>,
    token_endpoint_auth_method: Option<String>,
}
