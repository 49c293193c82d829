//! The way from a refusal to a token, and what is done with it: one state, whoever calls.

use std::{sync::Arc, time::Duration};

use futures_util::future::{Either, select};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::ACCEPT};
use mcp_auth::AuthorizationServerMetadata;
use oauth2::AccessToken;
use reqwest::Response;
use serde_json::json;
use tokio::sync::Mutex;
use url::Url;

use crate::{
    Cache, Challenge, ClientChoice, Scopes,
    approval::Approval,
    authorization::{Asked, Pending},
    cache::{Entry, Kept},
    callback::Callback,
    discovery,
    error::{Error, Fault},
    observer::{self, Exchange, Observer, Step},
    protected_resource::{self, ProtectedResource},
    registration::Client,
    token::{self, Grant, Token, now},
    web::{Body, Request, Web},
};

/// A server may ask for more scopes, and then for more again; a person is not asked for ever (MCP 2026-07-28,
/// *Authorization*, "Step-Up Authorization Flow").
const STEP_UPS: usize = 3;
/// Nor to log in, by a server that forgets them each time.
const LOGINS: usize = 5;

/// What a session is made of.
pub struct Settings {
    /// The MCP server, as the person wrote it.
    pub server: Url,
    /// Who the client is.
    pub client: ClientChoice,
    /// Who decides.
    pub approval: Approval,
    /// The client asks in its own name, with its secret, and nobody is asked.
    pub client_credentials: bool,
    /// The loopback port for the answer; 0 takes a free one.
    pub callback_port: u16,
    /// Where tokens are kept; none keeps them in memory.
    pub cache: Option<Cache>,
    /// Follow a server that is elsewhere to addresses of a private network.
    pub private_network: bool,
    /// How long somebody has to decide.
    pub deadline: Duration,
    /// How long the server has for the head of an answer, and once more for the rest: its tools may take their time.
    pub call_deadline: Duration,
    /// Who is told of each exchange.
    pub observer: Arc<dyn Observer>,
}

/// An authenticated way to one MCP server. Clones share their token.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    settings: Settings,
    web: Web,
    state: Mutex<State>,
}

struct State {
    kept: Kept,
    held: Option<Held>,
    /// What was found last, for which challenge.
    found: Option<(Option<String>, Found)>,
    /// What was asked for in this run: asking for the same again would end the same.
    asked: Scopes,
    step_ups: usize,
    logins: usize,
}

/// The token of the next call.
struct Held {
    token: Token,
    /// Whether the server has taken it. One that was just issued and is refused is not replaced by another such.
    proven: bool,
}

/// Where a token comes from.
#[derive(Clone)]
struct Found {
    resource: ProtectedResource,
    metadata: AuthorizationServerMetadata,
}

impl Session {
    /// Reads the cache; asks nobody.
    ///
    /// # Errors
    /// When the server's URL is not one that a token may be sent to, or a secret belongs to nobody in particular.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        // The server names the authorization server: without a pin, whoever is called gets the secret (SEP-2352).
        if let ClientChoice { given: Some((_, Some(_))), issuer: None, .. } = settings.client {
            return Err(Error::new(Step::ProtectedResource, Fault::SecretForAnybody));
        }
        let observer = Arc::clone(&settings.observer);
        let (server, private) = (settings.server.clone(), settings.private_network);
        let web = Web::new(server, private, settings.call_deadline, observer)?;
        let (server, given) = (settings.server.as_str(), settings.client.given.as_ref().map(|(id, _)| id.as_str()));
        // A client's own tokens are not a person's.
        let cache = settings.cache.as_ref().filter(|_| !settings.client_credentials);
        let kept =
            cache.map_or_else(|| Kept::new(server, given), |cache| cache.load(server, given, web.observer.as_ref()));
        let mut state = State { held: None, kept, found: None, asked: Scopes::default(), step_ups: 0, logins: 0 };
        let last = state.kept.last.as_ref().and_then(|issuer| state.kept.issuers.get(issuer));
        if let Some(Entry { token: Some(token), .. }) = last {
            state.held = Some(Held { token: token.clone(), proven: true });
        }
        Ok(Self(Arc::new(Inner { settings, web, state: Mutex::new(state) })))
    }

    /// The first call: with the token that was kept, or without one, to be told where to get it. Afterwards there is a
    /// token, if the server wants one.
    ///
    /// It is `server/discover` (MCP 2026-07-28), which changes nothing; a server that does not know it asks for a token
    /// all the same.
    ///
    /// # Errors
    /// When there is no way to a token, or no server.
    pub async fn open(&self) -> Result<(), Error> {
        let version = "2026-07-28";
        let body = json!({
            "jsonrpc": "2.0", "id": "first", "method": "server/discover",
            "params": { "_meta": {
                "io.modelcontextprotocol/protocolVersion": version,
                "io.modelcontextprotocol/clientCapabilities": {},
            } },
        });
        let headers = HeaderMap::from_iter([
            (HeaderName::from_static("mcp-protocol-version"), HeaderValue::from_static(version)),
            (HeaderName::from_static("mcp-method"), HeaderValue::from_static("server/discover")),
        ]);
        let answer = self.send(Step::FirstCall, |url| {
            let mut request = Request::post(url, Body::Json(body.clone()));
            request.headers = headers.clone();
            request
        });
        // Nobody reads it, so nobody waits for its end, which may never come.
        answer.await.map(drop)
    }

    /// The scopes of the token that is held.
    pub async fn granted(&self) -> Option<Scopes> {
        self.0.state.lock().await.held.as_ref().map(|held| held.token.granted.clone())
    }

    /// The URL of the server.
    pub fn server(&self) -> &Url {
        &self.0.settings.server
    }

    /// How long an answer's body may take.
    pub(crate) fn call_deadline(&self) -> Duration {
        self.0.settings.call_deadline
    }

    /// Who is told.
    pub(crate) fn observer(&self) -> &dyn Observer {
        self.0.web.observer.as_ref()
    }

    /// The last call of all, with the token that is held: nobody logs in to say goodbye.
    pub(crate) async fn farewell(&self, mut request: Request) -> Result<Response, Error> {
        const PATIENCE: Duration = Duration::from_secs(2);
        if let Some(held) = &self.0.state.lock().await.held {
            request.authorize(Step::Call, &held.token.access_token)?;
        }
        let answer = tokio::time::timeout(PATIENCE, self.0.web.call(Step::Call, request)).await;
        answer.unwrap_or_else(|_| Err(Error::new(Step::Call, Fault::NoAnswer(PATIENCE))))
    }

    /// A call with the token that is held, made again after a 401 that another token, or a 403 that more scopes would
    /// turn into an answer.
    pub(crate) async fn send(&self, step: Step, request: impl Fn(&Url) -> Request) -> Result<Response, Error> {
        let mut token = self.0.token().await?;
        let mut step = step;
        loop {
            let mut request = request(&self.0.settings.server);
            let accept = HeaderValue::from_static("application/json, text/event-stream");
            request.headers.entry(ACCEPT).or_insert(accept);
            if let Some(token) = &token {
                request.authorize(step, token)?;
            }
            let answer = self.0.web.call(step, request).await?;
            let challenge = Challenge::of(answer.headers());
            let status = answer.status();
            // A refusal's body says to people what its header says to clients.
            token = match status {
                StatusCode::UNAUTHORIZED => Some(self.0.renew(token.as_ref(), &challenge).await?),
                StatusCode::FORBIDDEN if challenge.is_insufficient_scope() => {
                    Some(self.0.step_up(token.as_ref(), &challenge).await?)
                }
                _ => {
                    self.0.accepted(token.as_ref()).await;
                    return Ok(answer);
                }
            };
            step = Step::Call;
        }
    }
}

impl Inner {
    /// What the next call is made with: another one for one that is about to end, where nobody has to be asked for it.
    ///
    /// In a run that has not yet been told where tokens come from, the old one is sent, and the refusal tells.
    async fn token(&self) -> Result<Option<AccessToken>, Error> {
        let mut state = self.state.lock().await;
        let Some(held) = &state.held else { return Ok(None) };
        let (old, fresh) = (held.token.access_token.clone(), held.token.is_fresh());
        let found = state.found.as_ref().filter(|_| !fresh).map(|(_, found)| found.clone());
        let new = match found {
            Some(found) => self.refresh(&mut state, &found).await?,
            None => None,
        };
        Ok(Some(new.unwrap_or(old)))
    }

    async fn accepted(&self, token: Option<&AccessToken>) {
        if let Some(held) = &mut self.state.lock().await.held
            && token.is_some_and(|token| token.secret() == held.token.access_token.secret())
        {
            held.proven = true;
        }
    }

    /// After a 401: a token where there was none, or another one.
    async fn renew(&self, stale: Option<&AccessToken>, challenge: &Challenge) -> Result<AccessToken, Error> {
        let mut state = self.state.lock().await;
        if let Some(held) = &state.held {
            if stale.is_none_or(|stale| stale.secret() != held.token.access_token.secret()) {
                // Somebody else was here first.
                return Ok(held.token.access_token.clone());
            }
            if !held.proven {
                return Err(Error::new(Step::Call, Fault::StillRefused));
            }
        }
        // Anew each time: the resource may have moved to another authorization server (SEP-2352).
        let found = self.find(&mut state, challenge, false).await?;
        if let Some(token) = self.refresh(&mut state, &found).await? {
            return Ok(token);
        }
        let named = challenge.scope.clone().filter(|scopes| !scopes.is_empty());
        let scopes = named.or_else(|| found.resource.scopes_supported.clone()).unwrap_or_default();
        // What a person has agreed to once is not lost with a token.
        let before = state.kept.issuers.get(&found.metadata.issuer).and_then(|entry| entry.token.as_ref());
        let all = before.map_or_else(|| scopes.clone(), |token| scopes.union(&token.requested));
        self.obtain_most(&mut state, &found, all, scopes).await
    }

    /// After a 403: a token with more scopes, if asking for them can help.
    async fn step_up(&self, token: Option<&AccessToken>, challenge: &Challenge) -> Result<AccessToken, Error> {
        let mut state = self.state.lock().await;
        let Some(held) = &mut state.held else {
            // RFC 6750 §3.1 has a 401 for who brings none.
            let said = "it wants a token with more scopes, and was sent none".to_owned();
            return Err(Error::new(Step::Call, Fault::Status { status: 403, said }));
        };
        if token.is_none_or(|token| token.secret() != held.token.access_token.secret()) {
            return Ok(held.token.access_token.clone());
        }
        // It was good, though not for this.
        held.proven = true;
        let wanted = challenge.scope.clone().unwrap_or_default();
        let (granted, requested) = (held.token.granted.clone(), held.token.requested.clone());
        if wanted.is_subset(&state.asked) || state.step_ups == STEP_UPS {
            return Err(Error::new(Step::Call, Fault::StillInsufficient { wanted, granted }));
        }
        state.step_ups += 1;
        let found = self.find(&mut state, challenge, true).await?;
        // Both, or what was granted before is lost with the old token (SEP-2350); unasked for, it may not be to be had.
        let least = requested.union(&wanted);
        self.obtain_most(&mut state, &found, least.union(&granted), least).await
    }

    async fn find(&self, state: &mut State, challenge: &Challenge, known_will_do: bool) -> Result<Found, Error> {
        if let Some((of, found)) = &state.found
            && known_will_do
            && *of == challenge.resource_metadata
        {
            return Ok(found.clone());
        }
        let resource = protected_resource::find(&self.web, &self.settings.server, challenge).await?;
        let issuer = self.issuer(&state.kept, &resource.issuers)?;
        let metadata = discovery::find(&self.web, issuer).await?;
        let found = Found { resource, metadata };
        state.found = Some((challenge.resource_metadata.clone(), found.clone()));
        Ok(found)
    }

    /// Of those that the resource names: the one that was given, or where a client is known, or the first.
    fn issuer<'a>(&self, kept: &Kept, named: &'a [String]) -> Result<&'a String, Error> {
        // A client belongs to one authorization server; a resource that names another would have its secret (SEP-2352).
        if let Some(pinned) = &self.settings.client.issuer {
            return named.iter().find(|issuer| *issuer == pinned).ok_or_else(|| {
                let fault = Fault::OtherIssuer { named: observer::shown(&named.join(", ")), pinned: pinned.clone() };
                Error::new(Step::ProtectedResource, fault)
            });
        }
        let last = named.iter().find(|issuer| Some(*issuer) == kept.last.as_ref());
        let known = || named.iter().find(|issuer| kept.issuers.contains_key(*issuer));
        let none = || Error::new(Step::ProtectedResource, Fault::Unreadable("no authorization server".to_owned()));
        last.or_else(known).or(named.first()).ok_or_else(none)
    }

    /// A new token for the old refresh token, where there is one, of this issuer. None if the server does not want it.
    async fn refresh(&self, state: &mut State, found: &Found) -> Result<Option<AccessToken>, Error> {
        let issuer = &found.metadata.issuer;
        if let Some(token) = self.renewed(state, issuer) {
            return Ok(Some(token));
        }
        let Some(entry) = state.kept.issuers.get(issuer) else { return Ok(None) };
        let Some((old, refresh_token)) = entry.token.as_ref().and_then(|old| Some((old, old.refresh_token.as_ref()?)))
        else {
            return Ok(None);
        };
        // A secret that was given is not kept.
        let client = self.settings.client.known(&found.metadata)?.filter(|known| known.id == entry.client.id);
        let client = client.unwrap_or_else(|| entry.client.clone());
        let endpoint = discovery::endpoint(&self.web, "token_endpoint", found.metadata.token_endpoint.as_ref())?;
        let grant = Grant::Refresh { old, refresh_token };
        match token::ask(&self.web, endpoint, &client, &found.resource.resource, &grant).await {
            Ok(token) => Ok(Some(self.hold(state, found, client, token))),
            // The token is still good then, and a person need not know.
            Err(error) if error.is_passing() => Err(error),
            Err(Error { fault, .. }) => {
                // It ended, or was used twice, or the client is forgotten: a person is asked once more.
                let forgotten = match fault {
                    Fault::OAuth { error, .. } => matches!(error.as_str(), "invalid_client" | "unauthorized_client"),
                    Fault::Status { status, .. } => status == 401,
                    _ => false,
                };
                if forgotten {
                    state.kept.issuers.remove(issuer);
                } else if let Some(token) = state.kept.issuers.get_mut(issuer).and_then(|entry| entry.token.as_mut()) {
                    token.refresh_token = None;
                }
                Ok(None)
            }
        }
    }

    /// What another process has got since with the same refresh token, which is good once (RFC 9700 §4.14.2).
    fn renewed(&self, state: &mut State, issuer: &String) -> Option<AccessToken> {
        let cache = self.settings.cache.as_ref().filter(|_| !self.settings.client_credentials)?;
        let ours = state.kept.issuers.get(issuer)?.token.as_ref()?.access_token.secret();
        let kept = cache.load(&state.kept.resource, state.kept.given.as_deref(), self.web.observer.as_ref());
        let theirs = kept.issuers.get(issuer)?.token.clone().filter(|theirs| theirs.access_token.secret() != ours)?;
        state.kept = kept;
        let fresh = theirs.is_fresh().then(|| theirs.access_token.clone());
        // If it is refused, it is renewed in turn.
        state.held = Some(Held { token: theirs, proven: true });
        fresh
    }

    /// A token for all of these scopes; for the least of them, where the authorization server does not know the others.
    async fn obtain_most(
        &self,
        state: &mut State,
        found: &Found,
        all: Scopes,
        least: Scopes,
    ) -> Result<AccessToken, Error> {
        let (asked, both_are_one) = (state.asked.clone(), all == least);
        match self.obtain(state, found, all).await {
            Err(Error { fault: Fault::OAuth { error, .. }, .. }) if error == "invalid_scope" && !both_are_one => {
                state.asked = asked;
                self.obtain(state, found, least).await
            }
            done => done,
        }
    }

    /// A token for these scopes, by the grant that the settings name.
    async fn obtain(&self, state: &mut State, found: &Found, scopes: Scopes) -> Result<AccessToken, Error> {
        let token_endpoint = discovery::endpoint(&self.web, "token_endpoint", found.metadata.token_endpoint.as_ref())?;
        let resource = &found.resource.resource;
        if self.settings.client_credentials {
            let scopes = scopes.with_offline_access(None);
            state.asked = state.asked.union(&scopes);
            let client = self.settings.client.known(&found.metadata)?.filter(|client| client.secret.is_some());
            let client = client.ok_or_else(|| {
                let why = "a client that asks in its own name needs its id and its secret".to_owned();
                Error::new(Step::ClientCredentials, Fault::Secret(why))
            })?;
            let grant = Grant::ClientCredentials { scopes: &scopes };
            let token = token::ask(&self.web, token_endpoint, &client, resource, &grant).await?;
            return Ok(self.hold(state, found, client, token));
        }
        if state.logins == LOGINS {
            return Err(Error::new(Step::Authorization, Fault::StillRefused));
        }
        state.logins += 1;
        discovery::require_s256(&found.metadata)?;
        let scopes = scopes.with_offline_access(found.metadata.scopes_supported.as_deref());
        state.asked = state.asked.union(&scopes);
        let (client, callback) = self.client(state, found).await?;
        let pending = Arc::new(Pending::new(Asked {
            endpoint: discovery::endpoint(
                &self.web,
                "authorization_endpoint",
                found.metadata.authorization_endpoint.as_ref(),
            )?,
            issuer: &found.metadata.issuer,
            iss_is_promised: found.metadata.authorization_response_iss_parameter_supported,
            client_id: &client.id,
            redirect_uri: callback.redirect_uri()?,
            resource,
            scopes: &scopes,
        }));
        let query = self.approved(callback, &pending).await?;
        let code = pending.code(&query)?;
        let (verifier, redirect_uri) = (&pending.verifier, &pending.redirect_uri);
        let grant = Grant::Code { code: &code, verifier, redirect_uri, scopes: &scopes };
        let token = token::ask(&self.web, token_endpoint, &client, resource, &grant).await?;
        Ok(self.hold(state, found, client, token))
    }

    /// Who this client is there, and the port where its answer comes to.
    async fn client(&self, state: &State, found: &Found) -> Result<(Client, Callback), Error> {
        let bind = async |port: u16| {
            Callback::bind(port).await.map_err(|why| {
                Error::new(
                    Step::Authorization,
                    Fault::Here(format!("port {port} of this machine cannot be taken: {why}")),
                )
            })
        };
        if let Some(client) = self.settings.client.known(&found.metadata)? {
            return Ok((client, bind(self.settings.callback_port).await?));
        }
        let kept = state.kept.issuers.get(&found.metadata.issuer).map(|entry| &entry.client);
        let kept = kept.filter(|client| client.secret_expires_at.is_none_or(|at| now() < at));
        // A port that was named is the one, though another was registered.
        let named = self.settings.callback_port;
        let kept = kept.filter(|client| named == 0 || client.port == Some(named));
        if let Some((client, port)) = kept.and_then(|client| Some((client, client.port?)))
            && let Ok(callback) = Callback::bind(port).await
        {
            return Ok((client.clone(), callback));
        }
        let callback = bind(self.settings.callback_port).await?;
        let redirect_uri = callback.redirect_uri()?;
        let client =
            self.settings.client.register(&self.web, &found.metadata, redirect_uri.as_str(), callback.port).await?;
        Ok((client, callback))
    }

    /// The query of the answer, however it comes.
    async fn approved(&self, callback: Callback, pending: &Arc<Pending>) -> Result<String, Error> {
        let told = |step, url: &Url, query: &str| {
            let sent = observer::pairs(url::form_urlencoded::parse(query.as_bytes()));
            let request = format!("GET {}", observer::plain(url));
            self.web.observer.exchange(&Exchange { step, request, sent, status: None, received: Vec::new() });
        };
        told(Step::Authorization, &pending.url, pending.url.query().unwrap_or_default());
        let decide = async {
            let visit = self.settings.approval.visit(&self.web, pending);
            let answer = Box::pin(callback.answer(Arc::clone(pending)));
            match select(visit, answer).await {
                Either::Left((visited, answer)) => match visited? {
                    Some(url) => Ok(url.query().unwrap_or_default().to_owned()),
                    None => answer.await,
                },
                Either::Right((answer, _)) => answer,
            }
        };
        let query = tokio::time::timeout(self.settings.deadline, decide).await;
        let query = query.map_err(|_| Error::new(Step::Authorization, Fault::Deadline))??;
        told(Step::Callback, &pending.redirect_uri, &query);
        Ok(query)
    }

    /// Keeps what was given, under the name of who gave it.
    fn hold(&self, state: &mut State, found: &Found, mut client: Client, token: Token) -> AccessToken {
        let access_token = token.access_token.clone();
        let issuer = found.metadata.issuer.clone();
        state.held = Some(Held { token: token.clone(), proven: false });
        if !self.settings.client_credentials {
            if self.settings.client.given.is_some() {
                client.secret = None;
            }
            state.kept.issuers.insert(issuer.clone(), Entry { client, token: Some(token) });
            state.kept.last = Some(issuer);
            if let Some(cache) = &self.settings.cache {
                cache.save(&state.kept, self.web.observer.as_ref());
            }
        }
        access_token
    }
}
