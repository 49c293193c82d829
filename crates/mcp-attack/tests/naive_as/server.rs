//! A small authorization server and a resource, as good as a stranger can tell; and with any one mistake that is named.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, RawQuery, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as BASE64URL},
};
use serde_json::{Map, Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use url::{Host, Url, form_urlencoded};

/// So many may register; the list needs a third of them before it tries to flood.
const MOST_CLIENTS: usize = 60;
const FREE_GUESSES: usize = 5;

type Fields = Vec<(String, String)>;

pub struct Naive {
    mistake: &'static str,
    pub issuer: String,
    state: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    clients: HashMap<String, Value>,
    guesses: usize,
}

/// Starts a server with that mistake; with "", the good one.
pub async fn start(mistake: &'static str) -> Arc<Naive> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let issuer = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let naive = Arc::new(Naive { mistake, issuer, state: Mutex::default() });
    let app = Router::new()
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/jwks", get(jwks))
        .route("/register", post(register))
        .route("/authorize", get(authorize))
        .route("/token", any(token))
        .route("/introspect", any(introspect))
        .route("/revoke", post(revoke))
        .route("/mcp", any(resource))
        .route("/.well-known/oauth-protected-resource/mcp", get(resource_metadata))
        .layer(DefaultBodyLimit::max(if mistake == "any body" { usize::MAX } else { 256 * 1024 }))
        .with_state(Arc::clone(&naive));
    tokio::spawn(async move { axum::serve(listener, app).await });
    naive
}

impl Naive {
    fn makes(&self, mistake: &str) -> bool {
        self.mistake == mistake
    }

    /// `right`, unless that is the mistake.
    fn unless<T>(&self, mistake: &str, right: T, wrong: T) -> T {
        if self.makes(mistake) { wrong } else { right }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn with(mut response: Response, name: &'static str, value: &str) -> Response {
    response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    response
}

// What it says of itself.

async fn metadata(State(naive): State<Arc<Naive>>, uri: Uri, headers: HeaderMap) -> Response {
    let mut base = naive.issuer.clone();
    if naive.makes("the issuer is where the request went") {
        base = format!("http://{}", text(&headers, "host").unwrap());
    }
    if let Some(host) = text(&headers, "x-forwarded-host").filter(|_| naive.makes("believes any proxy")) {
        base = format!("https://{host}");
    }
    let at = |path: &str| format!("{base}{path}");
    let mut metadata = json!({
        "issuer": naive.unless("the issuer ends with a slash", at(""), at("/")),
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "registration_endpoint": at("/register"),
        "introspection_endpoint": at("/introspect"),
        "revocation_endpoint": naive.unless("one endpoint over http", at("/revoke"), "http://idp.example/revoke".into()),
        "jwks_uri": at("/jwks"),
        "scopes_supported": ["mcp:read", "offline_access"],
        "response_types_supported": naive.unless("says token", json!(["code"]), json!(["code", "code token"])),
        "grant_types_supported": naive.unless("says password", json!(["authorization_code"]), json!(["password"])),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": !naive.makes("does not say iss"),
        "client_id_metadata_document_supported": true,
    });
    if naive.makes("does not say S256") {
        metadata["code_challenge_methods_supported"] = json!([]);
    }
    if naive.makes("says plain") {
        metadata["code_challenge_methods_supported"] = json!(["S256", "plain"]);
    }
    if naive.makes("says nothing of grants") {
        metadata.as_object_mut().unwrap().remove("grant_types_supported");
    }
    if naive.makes("says implicit") {
        metadata["grant_types_supported"] = json!(["authorization_code", "implicit"]);
    }
    if naive.makes("two opinions") && uri.path().ends_with("openid-configuration") {
        metadata["token_endpoint"] = json!(at("/oidc/token"));
    }
    let response = Json(metadata).into_response();
    let response = with(response, "content-type", naive.unless("metadata as text", "application/json", "text/plain"));
    if naive.makes("no CORS") { response } else { with(response, "access-control-allow-origin", "*") }
}

async fn jwks(State(naive): State<Arc<Naive>>) -> Json<Value> {
    let mut key =
        json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "1", "use": "sig", "x": "AA", "y": "AA" });
    match naive.mistake {
        "publishes the private key" => key["d"] = json!("AA"),
        "publishes the secret" => key = json!({ "kty": "oct", "alg": "HS256", "kid": "1", "k": "AA" }),
        "keys for any algorithm" => drop(key.as_object_mut().unwrap().remove("alg")),
        _ => {}
    }
    Json(json!({ "keys": [key] }))
}

// Registration.

async fn register(State(naive): State<Arc<Naive>>, body: Bytes) -> Response {
    let refuse = |error: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response();
    let full = naive.state.lock().unwrap().clients.len() >= MOST_CLIENTS;
    if full && !naive.makes("anybody, any number") {
        let later =
            (StatusCode::TOO_MANY_REQUESTS, Json(json!({ "error": "temporarily_unavailable" }))).into_response();
        return if naive.makes("some time later") { later } else { with(later, "retry-after", "60") };
    }
    let mut client: Value = match serde_json::from_slice(&body) {
        Ok(client) => client,
        Err(_) if naive.makes("any JSON") => json!({}),
        Err(_) => return refuse("invalid_client_metadata"),
    };
    if client["client_name"].as_str().is_some_and(|name| name.len() > 200) && !naive.makes("any body") {
        return refuse("invalid_client_metadata");
    }
    let uris: Vec<&str> = client["redirect_uris"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !uris.iter().all(|uri| naive.may_register(uri)) {
        return refuse("invalid_redirect_uri");
    }
    let grants: Vec<&str> = client["grant_types"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let bad_grant = grants.iter().any(|grant| !matches!(*grant, "authorization_code" | "refresh_token"));
    if bad_grant && !["any grant", "a form for passwords", "tokens in URLs"].contains(&naive.mistake) {
        return refuse("invalid_client_metadata");
    }
    if let Some(logo) = client["logo_uri"].as_str().filter(|_| naive.makes("looks at the logo")) {
        call(logo).await;
    }
    let id = format!("client-{}", naive.state.lock().unwrap().clients.len());
    client["client_id"] = json!(id);
    if client["token_endpoint_auth_method"] != "none" {
        client["client_secret"] = json!("a-secret-that-nobody-guesses");
    }
    naive.state.lock().unwrap().clients.insert(id, client.clone());
    (StatusCode::CREATED, Json(client)).into_response()
}

impl Naive {
    fn may_register(&self, uri: &str) -> bool {
        let url = Url::parse(uri);
        match self.mistake {
            "any address" => return true,
            "begins with localhost" if uri.starts_with("http://localhost") => return true,
            "contains 127.0.0.1" if uri.contains("//127.0.0.1") => return true,
            "loopback once parsed" => {
                let local = |url: Url| matches!(url.host(), Some(Host::Ipv4(address)) if address.is_loopback());
                if url.clone().is_ok_and(local) {
                    return true;
                }
            }
            "apps have schemes"
                if url.clone().is_ok_and(|url| !["http", "https", "javascript", "data"].contains(&url.scheme())) =>
            {
                return true;
            }
            _ => {}
        }
        if !uri.bytes().all(|b| b.is_ascii_graphic()) || uri.contains(['\\', '@', '#', '"', '<', '>']) {
            return false;
        }
        let Ok(url) = url else { return false };
        url.scheme() == "https" || url.scheme() == "http" && authority(uri) == "127.0.0.1"
    }
}

/// The host as it is written.
fn authority(uri: &str) -> &str {
    let rest = uri.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

/// Follows a URL, as somebody does who wants to know what is there.
async fn call(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    if url.host_str() == Some("169.254.169.254") {
        // Nobody answers outside of a cloud; here the network may say so at once.
        sleep(Duration::from_millis(2500)).await;
        return false;
    }
    let port = url.port_or_known_default().unwrap_or(443);
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    timeout(Duration::from_secs(3), TcpStream::connect((host, port))).await.is_ok_and(|connected| connected.is_ok())
}

// Authorization.

/// Each once, and none that is empty.
fn parse(encoded: &[u8], twice: Option<bool>) -> Result<Fields, String> {
    let mut fields: Fields = Vec::new();
    for (name, value) in form_urlencoded::parse(encoded).into_owned() {
        match (fields.iter().position(|(other, _)| *other == name), twice) {
            (Some(_), None) => return Err(format!("{name} is repeated")),
            (Some(_), Some(true)) => {}
            (Some(at), Some(false)) => fields[at].1 = value,
            (None, _) => fields.push((name, value)),
        }
    }
    Ok(fields)
}

fn field<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

async fn authorize(State(naive): State<Arc<Naive>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let response = naive.answer(query.unwrap_or_default().as_bytes()).await;
    let origin = text(&headers, "origin").unwrap_or("null");
    match naive.mistake {
        "CORS everywhere" => with(response, "access-control-allow-origin", "*"),
        "CORS with cookies" => {
            with(with(response, "access-control-allow-origin", origin), "access-control-allow-credentials", "true")
        }
        _ => response,
    }
}

impl Naive {
    async fn answer(&self, query: &[u8]) -> Response {
        let twice = match self.mistake {
            "the first counts" => Some(true),
            "the last counts" => Some(false),
            _ => None,
        };
        let fields = match parse(query, twice) {
            Ok(fields) => fields,
            Err(why) => return self.error_page(&self.unless("echoes parameters", escaped(&why), why)),
        };
        let get = |name| field(&fields, name);
        let id = get("client_id");
        let client = match self.known(id).await {
            Ok(client) => client,
            Err(why) => {
                let mut page = why;
                for (name, mistake) in [
                    ("client_id", "echoes client_id"),
                    ("scope", "echoes scope"),
                    ("state", "echoes state"),
                    ("resource", "echoes resource"),
                ] {
                    let value = get(name);
                    page += &format!("<p>{}", self.unless(mistake, escaped(value), value.to_owned()));
                }
                return self.error_page(&page);
            }
        };
        let asked = get("redirect_uri");
        let registered: Vec<&str> =
            client["redirect_uris"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if !registered.iter().any(|registered| self.matches(registered, asked)) {
            if self.makes("tells whoever asks") {
                return self.redirect(asked, &[("error", "invalid_request")]);
            }
            return self.error_page(&self.unless("echoes redirect_uri", escaped(asked), asked.to_owned()));
        }
        if let Some(elsewhere) = self.follows(&fields).await {
            return self.redirect(&elsewhere, &[("error", "unsupported_response_type")]);
        }
        if let Some(error) = self.wrong(&fields) {
            let local = asked.starts_with("http://127.0.0.1") || self.makes("tells whoever registered");
            if !local {
                let kind = get("response_type");
                return self.error_page(&self.unless("echoes response_type", escaped(kind), kind.to_owned()));
            }
            return self.redirect(asked, &[("error", error), ("state", get("state"))]);
        }
        self.login_page(&client)
    }

    /// The client, registered or described by a document.
    async fn known(&self, id: &str) -> Result<Value, String> {
        if id.starts_with("http") {
            let blocked = match self.mistake {
                "fetches any document" => false,
                "knows two bad names" => id.contains("127.0.0.1") || id.contains("localhost"),
                "goes on without the document" => {
                    return Ok(json!({ "client_name": id, "redirect_uris": ["http://127.0.0.1:33418/callback"] }));
                }
                _ => true,
            };
            if !blocked {
                call(id).await;
            }
            return Err("the document cannot be fetched".to_owned());
        }
        let client = self.state.lock().unwrap().clients.get(id).cloned();
        if self.makes("any client") && client.is_none() {
            return Ok(json!({ "client_name": id, "redirect_uris": ["http://127.0.0.1:33418/callback"] }));
        }
        client.ok_or_else(|| "unknown client".to_owned())
    }

    fn matches(&self, registered: &str, asked: &str) -> bool {
        let url = |text: &str| Url::parse(text).ok();
        let host = |text: &str| url(text).and_then(|url| url.host_str().map(str::to_owned));
        let local = "http://127.0.0.1";
        let naively = match self.mistake {
            "any redirect" => true,
            "begins with it" => asked.starts_with(registered),
            "same host" => host(asked).is_some() && host(asked) == host(registered),
            "contains the host" => host(registered).is_some_and(|host| asked.contains(&host)),
            "parsed and compared" => url(asked).is_some() && url(asked) == url(registered),
            "without case" => asked.eq_ignore_ascii_case(registered),
            "without the last slash" => asked.strip_suffix('/') == Some(registered),
            "without the fragment" => asked.split('#').next() == Some(registered),
            "without the query" => asked.split('?').next() == Some(registered),
            "half of it" => registered.starts_with(asked) && host(asked).is_some(),
            "any port" => {
                let url = |text| url(text).map(|mut url| (url.set_port(None), url.to_string()));
                asked.starts_with("https:") && url(asked) == url(registered)
            }
            "any path here" => asked.starts_with(local) && authority(asked) == authority(registered),
            "names of this machine" => asked.replace("//localhost", "//127.0.0.1") == registered,
            "stars" => registered.split_once('*').is_some_and(|(before, after)| {
                asked.starts_with(before) && asked.ends_with(after) && asked.len() >= before.len() + after.len()
            }),
            _ => false,
        };
        naively || registered == asked
    }

    /// What is wrong with a request of a known client, as OAuth calls it.
    fn wrong(&self, fields: &Fields) -> Option<&'static str> {
        let get = |name| field(fields, name);
        let kind = get("response_type");
        let kind_is_good = match self.mistake {
            "whatever response_type" => true,
            "implicit flow" | "tokens in URLs" => ["code", "token", "code token"].contains(&kind),
            "an OpenID provider" => ["code", "id_token"].contains(&kind),
            _ => kind == "code",
        };
        if !kind_is_good {
            return Some("unsupported_response_type");
        }
        let (challenge, method) = (get("code_challenge"), get("code_challenge_method"));
        let optional = self.makes("PKCE for those who want it") && challenge.is_empty();
        let any_method = match self.mistake {
            "plain PKCE" => ["", "plain"].contains(&method),
            "whatever method" => true,
            _ => false,
        };
        let length = challenge.len() == 43 || self.makes("a challenge of any length") && !challenge.is_empty();
        if !(optional || length && (method == "S256" || any_method)) {
            return Some("invalid_request");
        }
        let scopes = get("scope").split(' ').all(|scope| ["", "mcp:read", "offline_access"].contains(&scope));
        if !scopes && !self.makes("whatever scope") {
            return Some("invalid_scope");
        }
        let resource = get("resource");
        let ours = resource.is_empty() || resource == format!("{}/mcp", self.issuer);
        (!ours && !self.makes("whatever resource")).then_some("invalid_target")
    }

    /// What a request object, or the URL of one, makes it do; perhaps another address.
    async fn follows(&self, fields: &Fields) -> Option<String> {
        let get = |name| field(fields, name);
        let part = |n: usize| {
            let bytes = BASE64URL.decode(get("request").split('.').nth(n)?).ok()?;
            serde_json::from_slice::<Value>(&bytes).ok()
        };
        match self.mistake {
            "fetches request_uri" => drop(call(get("request_uri")).await),
            "fetches jku" => drop(call(part(0)?["jku"].as_str()?).await),
            "reads unsigned requests" => return part(1)?["redirect_uri"].as_str().map(str::to_owned),
            _ => {}
        }
        None
    }

    fn redirect(&self, to: &str, parameters: &[(&str, &str)]) -> Response {
        let state = parameters.iter().find(|(name, _)| *name == "state").map_or("", |(_, value)| value);
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in parameters {
            if !(self.makes("state as it is") && *name == "state") {
                query.append_pair(name, value);
            }
        }
        if !self.makes("forgets iss") {
            query.append_pair("iss", &self.issuer);
        }
        let mut location = format!("{to}{}{}", if to.contains('?') { '&' } else { '?' }, query.finish());
        if self.makes("state as it is") {
            location += &format!("&state={state}");
        }
        if self.makes("state is where to go") && state.starts_with("https://") {
            state.clone_into(&mut location);
        }
        location.retain(|c| c.is_ascii_graphic());
        let response = with(StatusCode::SEE_OTHER.into_response(), "location", &location);
        // What hyper does not let anybody write: the rest of the value as a header.
        let split = self.makes("writes line breaks") && state.contains("\r\nX-Mcp-Attack: 1");
        if split { with(response, "x-mcp-attack", "1") } else { response }
    }

    fn page(&self, status: StatusCode, body: String) -> Response {
        let response = (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], body).into_response();
        let mut response = with(response, "cache-control", self.unless("keeps pages", "no-store", "max-age=60"));
        if !self.makes("guess the type") {
            response = with(response, "x-content-type-options", "nosniff");
        }
        let referrer = self.unless("tells the referrer", "same-origin", "no-referrer-when-downgrade");
        with(response, "referrer-policy", referrer)
    }

    fn login_page(&self, client: &Value) -> Response {
        let name = client["client_name"].as_str().unwrap_or_default();
        let name = self.unless("believes names", escaped(name), name.to_owned());
        let page = client["client_uri"].as_str().unwrap_or("about:blank");
        let page = if page.starts_with("https:") || self.makes("links to the client") { page } else { "about:blank" };
        let form = "<form method=post><input name=username><input type=\"password\" name=password></form>";
        let body = format!("<!doctype html><a href=\"{}\">{name}</a>{form}", escaped(page));
        let response = self.page(StatusCode::OK, body);
        let policy = match self.mistake {
            "anybody frames it" => "default-src 'none'",
            "scripts from anywhere" => "frame-ancestors 'none'",
            _ => "default-src 'none'; frame-ancestors 'none'",
        };
        let cookie = match self.mistake {
            "scripts read cookies" => "session=1; Path=/; SameSite=Lax",
            "cookies from anywhere" => "session=1; Path=/; HttpOnly; SameSite=None",
            _ => "session=1; Path=/; HttpOnly; SameSite=Lax",
        };
        with(with(response, "content-security-policy", policy), "set-cookie", cookie)
    }

    fn error_page(&self, html: &str) -> Response {
        let response = self.page(StatusCode::BAD_REQUEST, format!("<!doctype html><h1>No</h1>{html}"));
        if self.makes("anybody frames errors") { response } else { with(response, "x-frame-options", "DENY") }
    }
}

// Tokens.

impl Naive {
    fn error(&self, status: u16, error: &str) -> Response {
        let status = StatusCode::from_u16(status).unwrap();
        let body = json!({ "error": error });
        if self.makes("errors in words") {
            return with((status, error.to_owned()).into_response(), "cache-control", "no-store");
        }
        if self.makes("errors are fine") {
            return with(Json(body).into_response(), "cache-control", "no-store");
        }
        let mut response = (status, Json(body)).into_response();
        if !self.makes("keeps errors") {
            response = with(response, "cache-control", "no-store");
        }
        if status == StatusCode::UNAUTHORIZED && !self.makes("401 and no more") {
            response = with(response, "www-authenticate", "Basic realm=\"token\"");
        }
        response
    }

    fn token(&self) -> Response {
        let body = json!({ "access_token": "t", "token_type": "Bearer", "expires_in": 60 });
        with(Json(body).into_response(), "cache-control", "no-store")
    }
}

async fn token(State(naive): State<Arc<Naive>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let query = uri.query().unwrap_or_default().as_bytes().to_vec();
    let body = match naive.mistake {
        "GET is fine" if method == Method::GET => query,
        "query or body" if method == Method::POST && !query.is_empty() => query,
        _ if method != Method::POST => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
        "JSON is fine" if text(&headers, "content-type") == Some("application/json") => {
            let fields: Map<String, Value> = serde_json::from_slice(&body).unwrap();
            let pairs = fields.iter().map(|(name, value)| (name, value.as_str().unwrap()));
            form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into_bytes()
        }
        _ if text(&headers, "content-type") != Some("application/x-www-form-urlencoded") => {
            return naive.error(400, "invalid_request");
        }
        _ if !query.is_empty() => return naive.error(400, "invalid_request"),
        _ => body.to_vec(),
    };
    let twice = naive.makes("the first counts for tokens").then_some(true);
    let Ok(fields) = parse(&body, twice) else { return naive.error(400, "invalid_request") };
    let get = |name| field(&fields, name);
    if get("client_id").starts_with("http") && naive.makes("fetches a document for a token") {
        call(get("client_id")).await;
    }
    let client = naive.state.lock().unwrap().clients.get(get("client_id")).cloned();
    let code_first = naive.makes("the code first") && get("grant_type") == "authorization_code";
    let Some(client) = client else {
        return if code_first { naive.error(400, "invalid_grant") } else { naive.error(401, "invalid_client") };
    };
    let secret = client["client_secret"].as_str().unwrap_or_default();
    if get("client_secret") != secret && !naive.makes("secrets do not matter") {
        return naive.error(401, "invalid_client");
    }
    let unsigned = |name| get(name).ends_with('.') && !get(name).is_empty();
    let grant = get("grant_type").rsplit(':').next().unwrap_or_default();
    let takes = match (naive.mistake, grant) {
        ("any code", "authorization_code") | ("any refresh token", "refresh_token") => true,
        ("any grant", "client_credentials") => secret == "a-secret-that-nobody-guesses",
        ("a token for everybody", "client_credentials") => true,
        ("believes assertions", "client_credentials") => unsigned("client_assertion"),
        ("implicit at the token endpoint", "implicit") => true,
        ("any device", "device_code") => true,
        ("unsigned is signed", "jwt-bearer") => unsigned("assertion"),
        ("assertions are not verified", "jwt-bearer") => true,
        ("exchanges anything", "token-exchange") => true,
        _ => false,
    };
    match grant {
        _ if takes => naive.token(),
        "" if naive.makes("a code needs no grant") => naive.error(400, "invalid_grant"),
        "" => naive.error(400, "invalid_request"),
        "authorization_code" | "refresh_token" => naive.error(400, "invalid_grant"),
        "password" if naive.makes("a form for passwords") && client["grant_types"].to_string().contains("password") => {
            naive.error(400, "invalid_grant")
        }
        "password" if ["passwords for ever", "passwords for a while"].contains(&naive.mistake) => {
            let mut state = naive.state.lock().unwrap();
            state.guesses += 1;
            if naive.makes("passwords for a while") && state.guesses > FREE_GUESSES {
                return with(naive.error(429, "slow_down"), "retry-after", "60");
            }
            naive.error(400, "invalid_grant")
        }
        _ => naive.error(400, "unsupported_grant_type"),
    }
}

/// Who says he is whom, with which secret.
fn client_of(headers: &HeaderMap, fields: &Fields) -> (String, String) {
    let basic = text(headers, "authorization").and_then(|value| value.strip_prefix("Basic "));
    let basic = basic.and_then(|encoded| String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok());
    match basic.as_ref().and_then(|basic| basic.split_once(':')) {
        Some((id, secret)) => (id.to_owned(), secret.to_owned()),
        None => (field(fields, "client_id").to_owned(), field(fields, "client_secret").to_owned()),
    }
}

async fn introspect(State(naive): State<Arc<Naive>>, method: Method, headers: HeaderMap, body: Bytes) -> Response {
    let inactive = Json(json!({ "active": false })).into_response();
    if method != Method::POST {
        return if naive.makes("GET asks too") { inactive } else { StatusCode::METHOD_NOT_ALLOWED.into_response() };
    }
    let Ok(fields) = parse(&body, None) else { return naive.error(400, "invalid_request") };
    let (id, secret) = client_of(&headers, &fields);
    let known = naive.state.lock().unwrap().clients.contains_key(&id);
    let bearer = text(&headers, "authorization").is_some_and(|value| value.starts_with("Bearer "));
    match naive.mistake {
        "everybody asks" => inactive,
        "whoever has a name asks" if !id.is_empty() => inactive,
        "whoever is known asks" if known => inactive,
        "the secret is not looked at" if !secret.is_empty() => inactive,
        "any bearer asks" if bearer => inactive,
        "who asks is a bad request" if id.is_empty() => naive.error(400, "invalid_request"),
        _ => naive.error(401, "invalid_client"),
    }
}

async fn revoke(State(naive): State<Arc<Naive>>, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(fields) = parse(&body, None) else { return naive.error(400, "invalid_request") };
    let (id, _) = client_of(&headers, &fields);
    let known = naive.state.lock().unwrap().clients.contains_key(&id);
    match naive.mistake {
        "everybody revokes" => StatusCode::OK.into_response(),
        "whoever has a name revokes" if !id.is_empty() => StatusCode::OK.into_response(),
        "says there is none" if known => naive.error(400, "invalid_token"),
        _ if known => StatusCode::OK.into_response(),
        _ => naive.error(401, "invalid_client"),
    }
}

// The resource.

async fn resource(State(naive): State<Arc<Naive>>, headers: HeaderMap) -> Response {
    let base = match naive.mistake {
        "the challenge is where the request went" => format!("http://{}", text(&headers, "host").unwrap()),
        _ => naive.issuer.clone(),
    };
    let scope = naive.unless("the challenge wants offline_access", "mcp:read", "mcp:read offline_access");
    let metadata = format!("{base}/.well-known/oauth-protected-resource/mcp");
    match naive.mistake {
        "anybody is served" => Json(json!({ "jsonrpc": "2.0", "id": 1, "result": {} })).into_response(),
        "401 and no way" => with(StatusCode::UNAUTHORIZED.into_response(), "www-authenticate", "Bearer"),
        _ => {
            let challenge = format!("Bearer resource_metadata=\"{metadata}\", scope=\"{scope}\"");
            with(StatusCode::UNAUTHORIZED.into_response(), "www-authenticate", &challenge)
        }
    }
}

async fn resource_metadata(State(naive): State<Arc<Naive>>, headers: HeaderMap) -> Response {
    if naive.makes("no metadata") {
        return StatusCode::NOT_FOUND.into_response();
    }
    let base = match naive.mistake {
        "the resource is where the request went" => format!("http://{}", text(&headers, "host").unwrap()),
        _ => naive.issuer.clone(),
    };
    let issuers = match naive.mistake {
        "no server" => json!([]),
        "a server by another name" => json!([format!("{}/other", naive.issuer)]),
        _ => json!([naive.issuer]),
    };
    let metadata = json!({
        "resource": naive.unless("a resource with a slash", format!("{base}/mcp"), format!("{base}/mcp/")),
        "authorization_servers": issuers,
        "scopes_supported": naive.unless("offline_access is a scope", json!(["mcp:read"]), json!(["offline_access"])),
    });
    let kind = naive.unless("resource metadata as text", "application/json", "text/html");
    let response = with(Json(metadata).into_response(), "content-type", kind);
    if naive.makes("resource without CORS") { response } else { with(response, "access-control-allow-origin", "*") }
}
