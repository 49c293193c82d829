//! A real server on a real socket, and what stands before it: a client, and a browser with a person.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use mcp_auth::keys::{Algorithm, KeyDirectory};
use mcp_idp::{AuthorizationServer, Builder, Realm};
use reqwest::{Client, Response, StatusCode, header::LOCATION, redirect::Policy};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use url::Url;

pub const REALM: &str = include_str!("../../../../keycloak/mcp-realm-realm.json");
/// RFC 7636 appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub const CALLBACK: &str = "http://127.0.0.1:53211/callback";

pub struct Server {
    pub base: String,
    pub issuer: String,
    pub resource: String,
    pub keys: TempDir,
    pub http: Client,
    pub metadata: Value,
}

impl Server {
    /// Embedded, plain paths.
    pub async fn start() -> Self {
        Self::start_with(|builder| builder).await
    }

    pub async fn start_with(set: impl FnOnce(Builder) -> Builder) -> Self {
        Self::start_as("", REALM, set).await
    }

    /// With Keycloak's URLs, as the binary serves it.
    pub async fn standalone(set: impl FnOnce(Builder) -> Builder) -> Self {
        Self::start_as("/realms/mcp-realm", REALM, |builder| set(builder.keycloak_urls())).await
    }

    pub async fn start_as(path: &str, realm: &str, set: impl FnOnce(Builder) -> Builder) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let issuer = format!("{base}{path}");
        let keys = tempfile::tempdir().unwrap();
        let directory = Arc::new(KeyDirectory::open(keys.path()));
        directory.watch();
        let resource = format!("{base}/mcp");
        let builder = AuthorizationServer::builder(&issuer, Realm::from_json(realm).unwrap(), directory)
            .resource(&resource)
            // Made in no time, unlike an RSA key.
            .algorithm(Algorithm::ES256);
        let server = set(builder).build().await.unwrap();
        let app: Router = server.into_router();
        tokio::spawn(async move {
            axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await.unwrap();
        });
        let http = client(Client::builder());
        let metadata = http.get(format!("{base}/.well-known/oauth-authorization-server{path}")).send().await.unwrap();
        let metadata = metadata.json().await.unwrap();
        Self { base, issuer, resource, keys, http, metadata }
    }

    pub fn endpoint(&self, name: &str) -> &str {
        self.metadata[format!("{name}_endpoint")].as_str().unwrap()
    }

    pub async fn register(&self, metadata: Value) -> Response {
        self.http.post(self.endpoint("registration")).json(&metadata).send().await.unwrap()
    }

    /// A native client, as the official SDKs register.
    pub async fn native_client(&self) -> String {
        let metadata = json!({
            "client_name": "Test client", "redirect_uris": [CALLBACK], "application_type": "native",
            "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
            "token_endpoint_auth_method": "none", "scope": "mcp:read",
        });
        let registered = self.register(metadata).await;
        assert_eq!(registered.status(), StatusCode::CREATED);
        let registered: Value = registered.json().await.unwrap();
        registered["client_id"].as_str().unwrap().to_owned()
    }

    /// The URL of an authorization request; `change` has what is different from a good one, with "" for left out.
    pub fn ask(&self, client: &str, change: &[(&str, &str)]) -> Url {
        let mut parameters: Vec<(&str, &str)> = vec![
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", CALLBACK),
            ("scope", "mcp:read mcp:tools"),
            ("state", "xyz"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("resource", &self.resource),
        ];
        for (name, _) in change {
            parameters.retain(|(other, _)| other != name);
        }
        parameters.extend(change.iter().filter(|(_, value)| !value.is_empty()));
        Url::parse_with_params(self.endpoint("authorization"), parameters).unwrap()
    }

    pub async fn token(&self, form: &[(&str, &str)]) -> Answer {
        Answer::of(self.http.post(self.endpoint("token")).form(form).send().await.unwrap()).await
    }

    pub async fn redeem(&self, client: &str, code: &str, change: &[(&str, &str)]) -> Answer {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
            ("resource", &self.resource),
        ];
        for (name, _) in change {
            form.retain(|(other, _)| other != name);
        }
        form.extend(change.iter().filter(|(_, value)| !value.is_empty()));
        self.token(&form).await
    }

    /// Everything, from registration to tokens, for one person.
    pub async fn tokens(&self, username: &str, scope: &str) -> (String, Answer) {
        let client = self.native_client().await;
        let mut browser = Browser::new();
        let code = browser.code(&self.ask(&client, &[("scope", scope)]), username).await;
        let answer = self.redeem(&client, &code, &[]).await;
        (client, answer)
    }

    pub async fn introspect(&self, token: &str) -> Value {
        let form = [("token", token)];
        let request = self.http.post(self.endpoint("introspection")).form(&form);
        let response = request.basic_auth("echo-mcp-server", Some("echo-mcp-server-secret")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.json().await.unwrap()
    }
}

pub fn client(builder: reqwest::ClientBuilder) -> Client {
    builder.redirect(Policy::none()).no_proxy().timeout(Duration::from_secs(30)).build().unwrap()
}

/// Status and JSON of an answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, body: response.json().await.unwrap_or_default() }
    }

    pub fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_else(|| panic!("no {name} in {:?}", self.body))
    }

    pub fn error(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["error"].as_str().unwrap_or("none"))
    }
}

/// What a JWT says, unverified.
pub fn claims(token: &str) -> Value {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

/// A browser without scripts: it keeps cookies, and follows nothing by itself.
pub struct Browser {
    http: Client,
}

/// A page that it shows.
pub struct Page {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub html: String,
    url: Url,
}

impl Browser {
    pub fn new() -> Self {
        Self { http: client(Client::builder().cookie_store(true)) }
    }

    pub async fn get(&self, url: &Url) -> Page {
        Page::of(self.http.get(url.clone()).send().await.unwrap()).await
    }

    pub async fn submit(&self, page: &Page, change: &[(&str, &str)]) -> Page {
        let (action, mut fields) = page.form();
        for (name, value) in change {
            fields.insert((*name).to_owned(), (*value).to_owned());
        }
        Page::of(self.http.post(action).form(&fields).send().await.unwrap()).await
    }

    /// Logs in and shows the page that follows.
    pub async fn log_in(&self, page: &Page, username: &str, password: &str) -> Page {
        let page = self.submit(page, &[("username", username), ("password", password)]).await;
        match page.location() {
            Some(next) => self.get(&next).await,
            None => page,
        }
    }

    /// Asks, logs in, allows.
    pub async fn allow(&mut self, url: &Url, username: &str) -> Page {
        let login = self.get(url).await;
        let consent = self.log_in(&login, username, &format!("{}123", username.trim_start_matches("mcp-"))).await;
        self.submit(&consent, &[("decision", "allow")]).await
    }

    pub async fn code(&mut self, url: &Url, username: &str) -> String {
        let page = self.allow(url, username).await;
        page.answer().get("code").cloned().unwrap_or_else(|| panic!("no code: {} {}", page.status, page.html))
    }
}

impl Page {
    async fn of(response: Response) -> Self {
        let (status, headers, url) = (response.status(), response.headers().clone(), response.url().clone());
        Self { status, headers, html: response.text().await.unwrap(), url }
    }

    pub fn location(&self) -> Option<Url> {
        self.headers.get(LOCATION).map(|to| self.url.join(to.to_str().unwrap()).unwrap())
    }

    /// The parameters that the client is sent.
    pub fn answer(&self) -> HashMap<String, String> {
        self.location().map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default()
    }

    /// Where its form goes, and with which hidden fields.
    pub fn form(&self) -> (Url, HashMap<String, String>) {
        let form = self.html.split("<form").nth(1).unwrap_or_else(|| panic!("no form: {} {}", self.status, self.html));
        let action = attribute(form.split('>').next().unwrap(), "action").unwrap();
        let inputs = form.split("</form>").next().unwrap().split("<input").skip(1);
        let fields = inputs.filter_map(|input| {
            let tag = input.split('>').next()?;
            Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default()))
        });
        (self.url.join(&action).unwrap(), fields.collect())
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let value = tag.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?;
    let plain = [
        ("&#38;", "&"),
        ("&amp;", "&"),
        ("&#34;", "\""),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&lt;", "<"),
        ("&#62;", ">"),
        ("&gt;", ">"),
    ];
    Some(plain.iter().fold(value.to_owned(), |text, (from, to)| text.replace(from, to)))
}
