//! The token endpoint: each grant, and the JWT in place of what the state machine issues.

use std::{sync::Arc, time::SystemTime};

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use oauth_as::{
    Client, ClientCredential, ErrorCode, ErrorResponse, GrantType, IssuedToken, ScopeSet, Storage, TokenRequest,
    TokenRequestContext, TokenResponse,
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    client_auth::ClientCredentials,
    form::Parameters,
    oauth_error::{NO_STORE, OAuthError, refused},
    peer::Peer,
    scopes,
    server::Idp,
};

/// `POST` to the token endpoint.
pub(crate) async fn token(
    State(idp): State<Arc<Idp>>,
    peer: Peer,
    headers: HeaderMap,
    form: Parameters,
) -> Result<Response, OAuthError> {
    let who = ClientCredentials::of(&headers, &form)?;
    let client_id = who.id.clone();
    idp.know_document(client_id.as_str(), peer.0).await?;
    let resources = form.all("resource");
    let scope = scopes::asked(form.get("scope"))?;
    let grant = form.required("grant_type")?;
    if grant == "password" {
        return password(idp, peer, who, form, scope).await;
    }
    // The secret goes with the context, where each grant looks for it.
    let secret = who.secret;
    let (request, resources) = match grant {
        "authorization_code" => {
            let request = TokenRequest::AuthorizationCode {
                client_id,
                client_secret: None,
                code: form.required("code")?.to_owned(),
                redirect_uri: form.get("redirect_uri").map(str::to_owned),
                code_verifier: form.get("code_verifier").map(str::to_owned),
            };
            // Compared with those of the authorization request.
            (request, idp.resources.permit(&resources)?)
        }
        "refresh_token" => {
            let refresh_token = form.required("refresh_token")?.to_owned();
            // Each leaves a record until the grant ends, so that its reuse is noticed.
            idp.refreshes.check(peer.0).map_err(OAuthError::TooMany)?;
            let request = TokenRequest::RefreshToken { client_id, client_secret: None, refresh_token, scope };
            (request, idp.resources.permit(&resources)?)
        }
        "client_credentials" => {
            let scope = idp.scopes_of_service(client_id.as_str(), scope).map(something).transpose()?;
            let resources = idp.audience(&resources, scope.as_ref())?;
            (TokenRequest::ClientCredentials { client_id, client_secret: None, scope }, resources)
        }
        _ => return Err(refused(ErrorCode::UnsupportedGrantType, "this grant is not served here").into()),
    };
    let refreshed = matches!(request, TokenRequest::RefreshToken { .. });

    // Spawned: a client that goes away must not stop the state machine between two of its writes.
    let issued = tokio::spawn(async move {
        let context = TokenRequestContext::new(ClientCredential::secret(secret.as_deref())).with_resources(&resources);
        let mut response = idp.engine.token_with_context(request, context).await?;
        let store = idp.engine.store();
        let record = store.get_token(&response.access_token).await?;
        // A second use of the code may have come in between, and has ended this one.
        let record = record.ok_or_else(|| refused(ErrorCode::InvalidGrant, "the grant has been revoked"))?;
        if !refreshed && !record.scope.contains("offline_access") {
            // A client that holds a refresh token never asks for more (TypeScript SDK 1.32), and nobody has agreed that
            // it stays.
            if let Some(unwanted) = response.refresh_token.take() {
                store.take_refresh_token(&unwanted).await?;
            }
        }
        response.access_token = idp.mint(&record)?;
        Ok::<_, OAuthError>(response)
    });
    let response: TokenResponse = issued.await.map_err(|_| ErrorResponse::new(ErrorCode::ServerError))??;
    Ok((NO_STORE, Json(response)).into_response())
}

/// The password grant: what OAuth 2.1 has dropped and tutorials still use. Behind a flag, and for clients of the realm
/// file whose file allows it.
async fn password(
    idp: Arc<Idp>,
    Peer(from): Peer,
    who: ClientCredentials,
    form: Parameters,
    scope: Option<ScopeSet>,
) -> Result<Response, OAuthError> {
    if !idp.settings.password_grant {
        return Err(
            refused(ErrorCode::UnsupportedGrantType, "the password grant is off; --allow-password-grant").into()
        );
    }
    let client = idp.engine.store().get_client(&who.id).await?;
    let client = client.filter(|client| client.auth.verify(who.secret.as_deref()));
    let client = client.ok_or_else(|| refused(ErrorCode::InvalidClient, "there is no such client"))?;
    if !idp.realm.client(who.id.as_str()).is_some_and(|client| client.direct_access_grants()) {
        return Err(refused(ErrorCode::UnauthorizedClient, "this client may not use the password grant").into());
    }
    let (username, password) = (form.required("username")?.to_owned(), form.required("password")?.to_owned());
    let user = idp.check_password(username, password, from).await.map_err(|refusal| match refusal {
        crate::login::NotLoggedIn::Wrong => {
            refused(ErrorCode::InvalidGrant, "the username or the password is wrong").into()
        }
        crate::login::NotLoggedIn::Slow(after) => OAuthError::TooMany(after),
    })?;
    let asked = scope.unwrap_or_else(|| client.default_scopes.clone());
    if !asked.is_subset(&client.allowed_scopes) {
        return Err(refused(ErrorCode::InvalidScope, "this client may not ask for that scope").into());
    }
    // No refresh token: the client that has the password can come back with it.
    let asked = scopes::intersection(&asked, |scope| scope != "offline_access");
    let granted = scopes::entitled(&idp.realm, &user, &asked);
    let granted = something(granted)?;
    let resources = idp.audience(&form.all("resource"), Some(&granted))?;
    let record = idp.record(&client, user.subject(), granted, resources);
    let issued = tokio::spawn(async move {
        if !idp.engine.store().put_token(record.clone()).await?.is_applied() {
            return Err(ErrorResponse::new(ErrorCode::InvalidGrant).into());
        }
        let lifetime = idp.engine.config().access_token_ttl.as_secs();
        let jwt = idp.mint(&record)?;
        let scope = record.scope.to_string();
        Ok::<_, OAuthError>(
            json!({ "access_token": jwt, "token_type": "Bearer", "expires_in": lifetime, "scope": scope }),
        )
    });
    let response = issued.await.map_err(|_| ErrorResponse::new(ErrorCode::ServerError))??;
    Ok((NO_STORE, Json(response)).into_response())
}

/// A token without any scope would still be one for its resource, which may not ask for scopes (step 7 does not).
fn something(granted: ScopeSet) -> Result<ScopeSet, ErrorResponse> {
    if granted.is_empty() {
        Err(refused(ErrorCode::InvalidScope, "this account may have none of it"))
    } else {
        Ok(granted)
    }
}

impl Idp {
    fn record(&self, client: &Client, subject: &str, scope: ScopeSet, resource: Vec<String>) -> IssuedToken {
        let now = SystemTime::now();
        let id = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let ends = now + self.engine.config().access_token_ttl;
        let mut record = IssuedToken::new(id, client.client_id.clone(), Some(subject.to_owned()), scope, now, ends);
        record.resource = resource;
        record.grant_established_at = now;
        record
    }

    /// What a client gets for itself: of its assigned scopes those that it asks for, or all, as far as its service
    /// account may.
    fn scopes_of_service(&self, client: &str, asked: Option<ScopeSet>) -> Option<ScopeSet> {
        let known = self.realm.client(client)?;
        let account = self.realm.service_account(client)?;
        let assigned = known.scopes().iter().map(String::as_str).filter(|scope| *scope != "offline_access");
        let assigned = ScopeSet::from_tokens(assigned).ok()?;
        let asked = match asked {
            // Not ours to narrow: the state machine refuses a scope that is not the client's.
            Some(asked) if !asked.is_subset(&self.catalogue) => return Some(asked),
            Some(asked) => scopes::intersection(&asked, |scope| assigned.contains(scope)),
            None => assigned,
        };
        Some(scopes::entitled(&self.realm, &account, &asked))
    }

    /// What a token is for: the resources that were asked for, or those of the granted scopes.
    pub(crate) fn audience(&self, asked: &[&str], granted: Option<&ScopeSet>) -> Result<Vec<String>, ErrorResponse> {
        if !asked.is_empty() {
            return self.resources.permit(asked);
        }
        let mut audiences = Vec::new();
        for scope in granted.iter().flat_map(|granted| granted.iter()) {
            for audience in self.audiences_of(scope.as_str()) {
                if !audiences.contains(&audience) {
                    audiences.push(audience);
                }
            }
        }
        Ok(audiences)
    }
}

/// The grants that are served, for the metadata.
pub(crate) fn grants(password: bool) -> Vec<&'static str> {
    let mut grants = vec![
        GrantType::AuthorizationCode.as_str(),
        GrantType::RefreshToken.as_str(),
        GrantType::ClientCredentials.as_str(),
    ];
    if password {
        grants.push("password");
    }
    grants
}
