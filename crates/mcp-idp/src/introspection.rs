//! What a token is worth (RFC 7662), and making it worth nothing (RFC 7009).

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use oauth_as::{ClientCredential, ErrorCode, ErrorResponse, Storage};
use serde_json::json;

use crate::{
    client_auth::ClientCredentials,
    form::Parameters,
    oauth_error::{NO_STORE, OAuthError},
    server::Idp,
};

/// `POST` to the introspection endpoint. A confidential client learns about its own tokens and about those that are for
/// a resource of its own; of any other only that it is not active.
pub(crate) async fn introspect(
    State(idp): State<Arc<Idp>>,
    headers: HeaderMap,
    form: Parameters,
) -> Result<Response, OAuthError> {
    let who = ClientCredentials::of(&headers, &form)?;
    let token = idp.live(form.required("token")?).await?;
    // The client is authenticated whatever it asks about; no token has an empty name.
    let id = token.as_ref().map_or("", |token| token.access_token.as_str());
    let credential = ClientCredential::secret(who.secret.as_deref());
    let answer = idp.engine.introspection_response_with_credential(&who.id, &credential, id).await?;
    let body = match token.filter(|_| answer.active) {
        Some(token) => {
            let mut claims = idp.claims(&token)?;
            claims.insert("active".to_owned(), json!(true));
            claims.insert("token_type".to_owned(), json!("Bearer"));
            if let Some(username) = claims.get("preferred_username").cloned() {
                claims.insert("username".to_owned(), username);
            }
            json!(claims)
        }
        None => json!({ "active": false }),
    };
    Ok((NO_STORE, Json(body)).into_response())
}

/// `POST` to the revocation endpoint: an access token, or a refresh token with everything that came of its grant.
pub(crate) async fn revoke(
    State(idp): State<Arc<Idp>>,
    headers: HeaderMap,
    form: Parameters,
) -> Result<Response, OAuthError> {
    let who = ClientCredentials::of(&headers, &form)?;
    let sent = form.required("token")?;
    let token = match idp.live(sent).await? {
        Some(token) => token.access_token.clone(),
        // The name of a token is not the token: whoever was shown one must not be able to say its name here.
        None if idp.engine.store().get_token(sent).await?.is_some() => String::new(),
        None => sent.to_owned(),
    };
    let revoked = tokio::spawn(async move { idp.engine.revoke(&who.id, who.secret.as_deref(), &token, None).await });
    revoked.await.map_err(|_| ErrorResponse::new(ErrorCode::ServerError))??;
    // RFC 7009 §2.2: also for a token that there is not.
    Ok((StatusCode::OK, NO_STORE).into_response())
}
