//! What a verified access token says, why one is refused, and who decides.

use std::{future::Future, sync::Arc};

use serde_json::{Map, Value};

/// No token is parsed beyond this, in bytes.
pub(crate) const MAX_TOKEN: usize = 16 * 1024;

/// An access token after every check.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessToken {
    /// Who issued it (`iss`).
    pub issuer: Arc<str>,
    /// Whom it speaks for (`sub`), unique within the issuer.
    pub subject: Arc<str>,
    /// The client it was given to (`client_id`, or Keycloak's `azp`).
    pub client_id: Option<String>,
    /// A name to show a person (`preferred_username`).
    pub username: Option<Arc<str>>,
    /// What it allows the client: `scope` and `scopes` together, each once.
    pub scopes: Vec<String>,
    /// What the person may do at all: `roles` and Keycloak's `realm_access.roles` together, each once.
    pub roles: Vec<String>,
    /// The tools that it is narrowed to, by their exact names (`tools`); `None` without the claim.
    pub tools: Option<Vec<String>>,
    /// When it ends, in seconds since 1970 (`exp`).
    pub expires_at: u64,
    /// The id of the key that signed it, if it is a signed one.
    pub kid: Option<String>,
    /// Every claim, as it was signed.
    pub claims: Map<String, Value>,
}

/// Why a token is refused. [`TokenError::description`] may be told to its bearer; it holds nothing of the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Not a signed JWT in compact form, or one with extensions that are not spoken here.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// The algorithm is not allowed, or not the key's.
    #[error("algorithm")]
    Algorithm,
    /// No published key is meant.
    #[error("unknown key")]
    UnknownKey,
    /// The signature is not the key's.
    #[error("signature")]
    Signature,
    /// `exp` has passed.
    #[error("expired")]
    Expired,
    /// `nbf` or `iat` is yet to come.
    #[error("not yet valid")]
    NotYetValid,
    /// Issued by somebody else.
    #[error("issuer")]
    Issuer,
    /// Meant for somebody else.
    #[error("audience")]
    Audience,
    /// An ID token, a refresh token, or another kind of JWT.
    #[error("not an access token")]
    NotAnAccessToken,
    /// A claim is missing or has the wrong type.
    #[error("claim {0}")]
    Claim(&'static str),
    /// Its issuer says that it is no good: it has expired, was revoked, or was never issued (RFC 7662 §2.2).
    #[error("inactive")]
    Inactive,
    /// There is no key to verify with, so nothing can be said about the token.
    #[error("no keys")]
    NoKeys,
    /// The issuer could not be asked (or not again so soon), so nothing can be said about the token.
    #[error("unavailable")]
    Unavailable,
}

impl TokenError {
    /// Nothing was decided, and the token may be good: its bearer should keep it and come back.
    pub const fn is_undecided(&self) -> bool {
        matches!(self, Self::NoKeys | Self::Unavailable)
    }

    /// A sentence for `error_description` (RFC 6750 §3).
    pub const fn description(&self) -> &'static str {
        match self {
            Self::Malformed(why) => why,
            Self::Algorithm => "the token's algorithm is not accepted for its key",
            Self::UnknownKey => "the token is signed with an unknown key",
            Self::Signature => "the token's signature is not valid",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::Issuer => "the token is from another issuer",
            Self::Audience => "the token is for another audience",
            Self::NotAnAccessToken => "this is not an access token",
            Self::Claim(_) => "a required claim of the token is missing or malformed",
            Self::Inactive => "the token has expired, was revoked, or was never issued",
            Self::Unavailable => "the server cannot ask about tokens at the moment",
            Self::NoKeys => "the server has no keys to verify tokens with yet",
        }
    }
}

/// Decides about a credential.
pub trait TokenVerifier: Send + Sync + 'static {
    /// # Errors
    /// Why the token is refused.
    fn verify(&self, token: &str) -> impl Future<Output = Result<Arc<AccessToken>, TokenError>> + Send;

    /// A token that was verified before and is still good, if that can be said at once. A guard asks this first, and
    /// [`Self::verify`] only without an answer.
    fn remembered(&self, _token: &str) -> Option<Arc<AccessToken>> {
        None
    }

    /// How the identity provider is that vouches for tokens, for a health endpoint; `None` where nobody is asked.
    #[cfg(feature = "remote")]
    fn provider(&self) -> Option<crate::ProviderStatus> {
        None
    }

    /// Grows whenever something that vouched for tokens no longer does, such as a key that was removed: what was
    /// verified before has to be verified again. Asked for each request, so it must be cheap.
    fn epoch(&self) -> u64 {
        0
    }
}

/// One verifier for a guard and for whoever reports how it is.
impl<V: TokenVerifier> TokenVerifier for Arc<V> {
    async fn verify(&self, token: &str) -> Result<Arc<AccessToken>, TokenError> {
        V::verify(self, token).await
    }

    fn remembered(&self, token: &str) -> Option<Arc<AccessToken>> {
        V::remembered(self, token)
    }

    #[cfg(feature = "remote")]
    fn provider(&self) -> Option<crate::ProviderStatus> {
        V::provider(self)
    }

    fn epoch(&self) -> u64 {
        V::epoch(self)
    }
}
