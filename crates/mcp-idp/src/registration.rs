//! Clients that register themselves (RFC 7591).

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::State,
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
};
use oauth_as::{
    Client, ClientId, ClientMetadata, ErrorCode, RegistrationAttempt, RegistrationDecision, RegistrationFailure,
    RegistrationPolicy, RevocationWindow, ScopeSet, Storage,
};
use serde::Deserialize;
use tokio::time::Instant;

use crate::{
    oauth_error::{NO_STORE, OAuthError, refused},
    peer::Peer,
    redirect_uri,
    server::Idp,
    throttle::asker,
};

/// No registration is larger, in bytes.
const MAX_BODY: usize = 16 * 1024;
/// No name is longer, in characters.
const MAX_NAME: usize = 200;
/// A client that nobody has used after this long is forgotten.
const UNUSED: Duration = Duration::from_secs(60 * 60);
/// So many may wait for their first use.
const MOST_UNUSED: usize = 10_000;

/// What is read of a registration beyond what the state machine reads.
#[derive(Deserialize)]
struct Registration {
    application_type: Option<String>,
    #[serde(flatten)]
    metadata: ClientMetadata,
}

/// `POST` to the registration endpoint.
pub(crate) async fn register(
    State(idp): State<Arc<Idp>>,
    Peer(from): Peer,
    request: Request<Body>,
) -> Result<Response, OAuthError> {
    idp.registrations.limit(from)?;
    let body = to_bytes(request.into_body(), MAX_BODY).await;
    let body = body.map_err(|_| invalid("the body is too large or broke off"))?;
    let Registration { application_type, mut metadata } =
        serde_json::from_slice(&body).map_err(|_| invalid("the body is no JSON object of client metadata"))?;

    if let Some(bad) = metadata.redirect_uris.iter().find(|uri| redirect_uri::check(uri).is_err()) {
        let description = format!("{}: {}", crate::shown(bad), redirect_uri::RedirectUriError);
        return Err(OAuthError::Registration { error: "invalid_redirect_uri", description });
    }
    if metadata.client_name.as_ref().is_some_and(|name| name.chars().count() > MAX_NAME) {
        return Err(invalid("client_name is too long"));
    }
    // RFC 7591 §2 makes Basic the default; but a native client has nowhere to keep a secret (RFC 8252 §8.4), and those
    // that say nothing mean none.
    let local =
        !metadata.redirect_uris.is_empty() && metadata.redirect_uris.iter().all(|uri| redirect_uri::is_local(uri));
    if metadata.token_endpoint_auth_method.is_none() && (local || application_type.as_deref() == Some("native")) {
        metadata.token_endpoint_auth_method = Some("none".to_owned());
    }
    // What it asks for is what it gets when a request names no scope. Another time it may ask for any other: a client
    // that could never ask for more than at first could not step up.
    let asked = metadata.scope.take();
    let default = idp.scopes_of_registration(asked.as_deref()).map_err(|why| invalid(&why))?;

    let engine = Arc::clone(&idp);
    // Spawned, as every call that writes: a client that goes away leaves nothing half done.
    let registered = tokio::spawn(async move {
        let mut information = engine.engine.register_dynamic_client(&metadata, None).await?;
        let id = ClientId::new(information.client_id.clone());
        let storage = RegistrationFailure::Storage;
        if let Some(client) = engine.engine.store().get_client(&id).await.map_err(storage)? {
            let allowed_scopes = engine.catalogue.clone();
            let client = Client { allowed_scopes, default_scopes: default.clone(), ..(*client).clone() };
            engine.engine.register_client(client).await.map_err(storage)?;
        }
        // Here, where it happens whether the client waits for its answer or not.
        engine.registrations.added(engine.engine.store(), id, from).await;
        information.metadata.scope = Some(default.to_string()).filter(|scope| !scope.is_empty());
        Ok(information)
    });
    match registered.await.map_err(|_| refused(ErrorCode::ServerError, "the server failed"))? {
        Ok(information) => Ok((StatusCode::CREATED, NO_STORE, Json(information)).into_response()),
        Err(RegistrationFailure::Invalid(error)) => Err(OAuthError::Registration {
            error: error.error.as_str(),
            description: error.error_description.unwrap_or_default().into_owned(),
        }),
        Err(failure) => {
            tracing::error!(%failure, "registration");
            Err(refused(ErrorCode::ServerError, "the server failed").into())
        }
    }
}

fn invalid(description: &str) -> OAuthError {
    OAuthError::Registration { error: "invalid_client_metadata", description: description.to_owned() }
}

/// Whatever reaches the state machine was let through here.
pub(crate) struct Decided;

impl RegistrationPolicy for Decided {
    fn authorize(&self, _: &RegistrationAttempt<'_>) -> RegistrationDecision {
        RegistrationDecision::Allow
    }
}

/// A client that no person has let in yet.
struct Unused {
    since: Instant,
    from: IpAddr,
    id: ClientId,
}

/// How many may register, and who of them was never used.
pub(crate) struct Registrations {
    limit: crate::throttle::PerAddress,
    unused: Mutex<VecDeque<Unused>>,
}

impl Registrations {
    pub(crate) fn new(limit: crate::throttle::PerAddress) -> Self {
        Self { limit, unused: Mutex::default() }
    }

    fn limit(&self, from: IpAddr) -> Result<(), OAuthError> {
        self.limit.check(from).map_err(OAuthError::TooMany)
    }

    /// Takes down a client, and who has brought it. If there are too many then, one of the address that has brought the
    /// most is to be forgotten: whoever floods pays for it.
    pub(crate) async fn added(&self, store: &impl Storage, id: ClientId, from: IpAddr) {
        if let Some(oldest) = self.take_down(id, from) {
            self.forget(store, &oldest).await;
        }
    }

    fn take_down(&self, id: ClientId, from: IpAddr) -> Option<ClientId> {
        let mut unused = self.unused.lock().unwrap_or_else(PoisonError::into_inner);
        unused.push_back(Unused { since: Instant::now(), from: asker(from), id });
        if unused.len() <= MOST_UNUSED {
            return None;
        }
        let mut brought: HashMap<IpAddr, usize> = HashMap::new();
        for client in &*unused {
            *brought.entry(client.from).or_default() += 1;
        }
        let most = brought.into_iter().max_by_key(|(_, number)| *number).map(|(from, _)| from);
        let oldest = unused.iter().position(|client| Some(client.from) == most)?;
        unused.remove(oldest).map(|client| client.id)
    }

    /// A person has let this client in: it stays.
    pub(crate) fn used(&self, id: &ClientId) {
        self.unused.lock().unwrap_or_else(PoisonError::into_inner).retain(|client| client.id != *id);
    }

    /// Forgets the clients that nobody has used in time.
    pub(crate) async fn sweep(&self, store: &impl Storage) {
        let old = {
            let mut unused = self.unused.lock().unwrap_or_else(PoisonError::into_inner);
            let young = unused.partition_point(|client| client.since.elapsed() >= UNUSED);
            unused.drain(..young).collect::<Vec<_>>()
        };
        for client in old {
            self.forget(store, &client.id).await;
        }
    }

    async fn forget(&self, store: &impl Storage, id: &ClientId) {
        let now = SystemTime::now();
        // No token was ever issued to it.
        if let Err(error) = store.delete_client(id, RevocationWindow { recorded_at: now, until: now }).await {
            tracing::warn!(%error, "an unused client stays");
        }
    }
}

impl Idp {
    /// The scopes that a client registers for, of those that there are; all of them if it does not say.
    fn scopes_of_registration(&self, asked: Option<&str>) -> Result<ScopeSet, String> {
        let Some(asked) = asked.filter(|asked| !asked.trim().is_empty()) else {
            return Ok(self.default_scopes.clone());
        };
        let asked = ScopeSet::parse(asked).map_err(|_| "scope is not a list of scopes".to_owned())?;
        // RFC 7591 §3.2.1: what is not served is left out, and the answer says what is left.
        let served = crate::scopes::intersection(&asked, |scope| self.catalogue.contains(scope));
        Ok(if served.is_empty() { self.default_scopes.clone() } else { served })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use oauth_as::{ClientAuth, MemoryStorage};

    use super::*;
    use crate::throttle::PerAddress;

    const ALICE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn registrations() -> Registrations {
        Registrations::new(PerAddress::new(NonZeroU32::MIN, Duration::from_secs(1)))
    }

    fn client(id: &str) -> Client {
        Client {
            client_id: ClientId::new(id),
            auth: ClientAuth::Public,
            grant_types: Vec::new(),
            redirect_uris: Vec::new(),
            allowed_scopes: ScopeSet::empty(),
            default_scopes: ScopeSet::empty(),
            name: None,
            registration: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_never_let_in_is_forgotten() {
        let (registrations, store) = (registrations(), MemoryStorage::new());
        for id in ["used", "unused", "late"] {
            store.put_client(client(id)).await.unwrap();
            if id != "late" {
                registrations.take_down(ClientId::new(id), ALICE);
            }
        }
        registrations.used(&ClientId::new("used"));
        tokio::time::advance(UNUSED / 2).await;
        registrations.take_down(ClientId::new("late"), ALICE);
        tokio::time::advance(UNUSED / 2).await;
        registrations.sweep(&store).await;
        let known = async |id: &str| store.get_client(&ClientId::new(id)).await.unwrap().is_some();
        assert_eq!((known("used").await, known("unused").await, known("late").await), (true, false, true));
    }

    #[tokio::test]
    async fn whoever_floods_pays_for_it() {
        let registrations = registrations();
        let mallory: IpAddr = "203.0.113.7".parse().unwrap();
        assert_eq!(registrations.take_down(ClientId::new("alice's"), ALICE), None);
        for n in 1..MOST_UNUSED {
            assert_eq!(registrations.take_down(ClientId::new(n.to_string()), mallory), None, "{n}");
        }
        assert_eq!(registrations.take_down(ClientId::new("another"), ALICE), Some(ClientId::new("1")));
        registrations.used(&ClientId::new("2"));
        assert_eq!(registrations.take_down(ClientId::new("one more"), mallory), None);
        assert_eq!(registrations.take_down(ClientId::new("too many"), mallory), Some(ClientId::new("3")));
        let store = MemoryStorage::new();
        store.put_client(client("4")).await.unwrap();
        registrations.added(&store, ClientId::new("still more"), mallory).await;
        assert!(store.get_client(&ClientId::new("4")).await.unwrap().is_none(), "it goes from the store too");
    }
}
