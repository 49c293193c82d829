//! The access token: a JWT (RFC 9068) about a token that the state machine keeps. Its `jti` is what the state machine
//! calls the token.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use oauth_as::{ErrorCode, ErrorResponse, IssuedToken, Storage, StorageError};
use serde_json::{Map, Value, json};

use crate::{oauth_error::refused, realm::User, scopes, server::Idp};

impl Idp {
    /// The JWT of an issued token.
    pub(crate) fn mint(&self, token: &IssuedToken) -> Result<String, ErrorResponse> {
        self.signer.sign(&self.claims(token)?).map_err(|error| {
            tracing::error!(%error, "a token cannot be signed");
            ErrorResponse::new(ErrorCode::ServerError)
        })
    }

    /// RFC 9068 §2.2, and what the realm's mappers add.
    pub(crate) fn claims(&self, token: &IssuedToken) -> Result<Map<String, Value>, ErrorResponse> {
        let user = self.whom(token).ok_or_else(|| refused(ErrorCode::InvalidGrant, "this account is gone"))?;
        let mut claims = self.realm.claims(&user, &scopes::names(&token.scope));
        claims.extend([
            ("iss".to_owned(), json!(self.endpoints.issuer)),
            ("sub".to_owned(), json!(user.subject())),
            ("client_id".to_owned(), json!(token.client_id)),
            ("iat".to_owned(), json!(seconds(token.issued_at))),
            ("exp".to_owned(), json!(seconds(token.expires_at))),
            ("jti".to_owned(), json!(token.access_token)),
            ("scope".to_owned(), json!(token.scope.to_string())),
        ]);
        // One without any scope of a resource is for nobody; each resource server refuses it.
        let audience = match token.resource.as_slice() {
            [] => return Ok(claims),
            [one] => json!(one),
            several => json!(several),
        };
        claims.insert("aud".to_owned(), audience);
        Ok(claims)
    }

    /// Whom a token speaks for: a person, or the client itself. An account that is closed speaks no more.
    fn whom(&self, token: &IssuedToken) -> Option<Arc<User>> {
        let user = match &token.subject {
            Some(subject) => self.realm.user_by_subject(subject).cloned(),
            None => self.realm.service_account(token.client_id.as_str()),
        };
        user.filter(|user| user.is_enabled())
    }

    /// The live token that a JWT of ours is about. A JWT of gen-token's is signed with the same keys, and is about none.
    pub(crate) async fn live(&self, jwt: &str) -> Result<Option<Arc<IssuedToken>>, StorageError> {
        let Some(claims) = self.signer.claims(jwt) else { return Ok(None) };
        let ours = claims.get("iss").is_some_and(|iss| *iss == self.endpoints.issuer);
        match claims.get("jti").and_then(Value::as_str).filter(|_| ours) {
            Some(jti) => {
                let token = self.engine.store().get_token(jti).await?;
                Ok(token.filter(|token| SystemTime::now() < token.expires_at))
            }
            None => Ok(None),
        }
    }
}

pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
