//! Who asks: a client that registers itself, or one that is given; and what it asks for.

use serde_json::{Value, json};
use url::Url;

use super::{
    found::{Stop, good, judged, said},
    server::Server,
    visit::Visit,
};
use crate::wire::{Answer, RawRequest};

/// The address of our client on the web. Nobody is there (RFC 6761 §6.5).
pub(super) const WEB: &str = "https://mcp-attack.example/callback";
/// The address of our client on this machine. Nobody is there either, and nobody is sent there.
pub(super) const NATIVE: &str = "http://127.0.0.1:33418/callback";
/// RFC 7636 appendix B.
pub(super) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A client of the server.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) secret: Option<String>,
    pub(super) redirect_uri: String,
    /// Nobody but itself vouches for it.
    pub(super) registered_itself: bool,
}

impl Client {
    /// From a registration's answer.
    fn of(registered: &Value, redirect_uri: &str) -> Option<Self> {
        Some(Self {
            id: registered["client_id"].as_str()?.to_owned(),
            secret: registered["client_secret"].as_str().map(str::to_owned),
            redirect_uri: redirect_uri.to_owned(),
            registered_itself: true,
        })
    }

    /// Who it is, as fields of a form (RFC 6749 §2.3.1).
    pub(super) fn fields(&self) -> Vec<(&str, &str)> {
        let secret = self.secret.as_deref().map(|secret| ("client_secret", secret));
        [("client_id", self.id.as_str())].into_iter().chain(secret).collect()
    }

    /// Whether its address is on this machine, over http.
    pub(super) fn is_native(&self) -> bool {
        self.redirect_uri.starts_with("http://")
    }
}

/// The parameters of an authorization request.
#[derive(Clone, Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// With another value.
    pub(super) fn with(self, name: &str, value: &str) -> Self {
        self.without(name).and(name, value)
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.0.retain(|(other, _)| other != name);
        self
    }

    /// With one more parameter, even if there is one of that name.
    pub(super) fn and(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With one more in front.
    pub(super) fn after(mut self, name: &str, value: &str) -> Self {
        self.0.insert(0, (name.to_owned(), value.to_owned()));
        self
    }
}

/// What a native client registers, as the official SDKs do.
pub(super) fn native_metadata() -> Value {
    json!({
        "client_name": "mcp-attack", "redirect_uris": [NATIVE], "application_type": "native",
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    })
}

/// The same for a client on the web.
pub(super) fn web_metadata(redirect_uri: &str) -> Value {
    let mut metadata = native_metadata();
    metadata["redirect_uris"] = json!([redirect_uri]);
    metadata["application_type"] = json!("web");
    metadata
}

impl Server {
    /// The two clients that ask: registered for the purpose, unless one is given.
    pub(super) async fn introduce(&self) -> (Result<Client, String>, Result<Client, String>) {
        if let Some((id, redirect_uri)) = &self.issuer.client {
            let given =
                Client { id: id.clone(), secret: None, redirect_uri: redirect_uri.clone(), registered_itself: false };
            return (Ok(given.clone()), Ok(given));
        }
        let why = |stop: Stop| format!("there is no client: {}", stop.why());
        (self.new_client(&native_metadata()).await.map_err(why), self.new_client(&web_metadata(WEB)).await.map_err(why))
    }

    /// Registers, and takes what it gets.
    pub(super) async fn register(&self, metadata: &Value) -> Result<Answer, Stop> {
        let answer = self.register_text(metadata.to_string()).await?;
        if good(answer.status) {
            self.remember(&answer.json());
        }
        Ok(answer)
    }

    pub(super) async fn register_text(&self, body: String) -> Result<Answer, Stop> {
        let url = self.endpoint("registration_endpoint")?;
        let request = RawRequest::to("POST", &url).header("Content-Type", "application/json").body(body);
        self.send(&url, &request).await
    }

    /// A client with this metadata.
    pub(super) async fn new_client(&self, metadata: &Value) -> Result<Client, Stop> {
        let answer = judged(self.register(metadata).await?)?;
        let registered = answer.json();
        let client = Client::of(&registered, metadata["redirect_uris"][0].as_str().unwrap_or_default());
        client.filter(|_| good(answer.status)).ok_or_else(|| {
            Stop::NotRun(format!("registration of {} is answered {}", metadata["redirect_uris"], said(&answer)))
        })
    }

    /// The client whose address has to be matched letter by letter: the one on the web, if there is one.
    pub(super) fn exact(&self) -> Result<&Client, Stop> {
        self.web.as_ref().or(self.native.as_ref()).map_err(|why| Stop::NotRun(why.clone()))
    }

    /// The client on this machine, or the given one.
    pub(super) fn native(&self) -> Result<&Client, Stop> {
        self.native.as_ref().map_err(|why| Stop::NotRun(why.clone()))
    }

    /// A request that nothing is wrong with.
    pub(super) fn query(&self, client: &Client) -> Query {
        let query = Query(Vec::new())
            .and("response_type", "code")
            .and("client_id", &client.id)
            .and("redirect_uri", &client.redirect_uri)
            .and("state", "mcp-attack-state")
            .and("code_challenge", CHALLENGE)
            .and("code_challenge_method", "S256");
        let query = match self.scope() {
            Some(scope) => query.and("scope", scope),
            None => query,
        };
        match &self.issuer.resource {
            Some(resource) => query.and("resource", &resource.text),
            None => query,
        }
    }

    /// Something to ask for: the first scope that is no promise to stay.
    pub(super) fn scope(&self) -> Option<&str> {
        self.list("scopes_supported")?.into_iter().find(|scope| *scope != "offline_access")
    }

    /// Sends a browser there.
    pub(super) async fn ask(&self, query: &Query) -> Result<Visit, Stop> {
        self.browse(self.authorization_url(query)?).await
    }

    pub(super) fn authorization_url(&self, query: &Query) -> Result<Url, Stop> {
        let mut url = self.endpoint("authorization_endpoint")?;
        url.query_pairs_mut().extend_pairs(&query.0);
        Ok(url)
    }
}
