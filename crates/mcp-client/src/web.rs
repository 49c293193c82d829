//! Every request of this crate: where it may go, how long it may take, how much may come back, and who is told.

use std::{error::Error as _, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE},
};
use oauth2::AccessToken;
use reqwest::{Client, Response, redirect, retry};
use serde::de::DeserializeOwned;
use serde_json::{Value, error::Category};
use url::{Url, form_urlencoded};

use crate::{
    error::{Error, Fault},
    observer::{self, Exchange, Observer, Step, shown},
    reach::{self, Reach},
};

/// No document, page or answer of an authorization server is larger, in bytes.
const MAX_BODY: usize = 512 * 1024;
/// For a whole exchange with an authorization server or about metadata.
const DEADLINE: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Web {
    server: Url,
    reach: Reach,
    /// For the origin that the person named.
    own: Client,
    /// For what it names in turn.
    others: Client,
    /// Until the head of the MCP server's answer.
    call_deadline: Duration,
    pub(crate) observer: Arc<dyn Observer>,
}

/// A request, but for what [`Web`] adds.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    None,
    Form(Vec<(String, String)>),
    Json(Value),
}

/// An answer that was read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn get(url: &Url) -> Self {
        Self { method: Method::GET, url: url.clone(), headers: HeaderMap::new(), body: Body::None }
    }

    pub(crate) fn post(url: &Url, body: Body) -> Self {
        Self { method: Method::POST, url: url.clone(), headers: HeaderMap::new(), body }
    }

    /// With a token, in the one place for it (RFC 6750 §2.1).
    pub(crate) fn authorize(&mut self, step: Step, token: &AccessToken) -> Result<(), Error> {
        let value = HeaderValue::from_str(&format!("Bearer {}", token.secret()));
        let mut value = value.map_err(|_| Error::new(step, Fault::Here("the token fits in no header".to_owned())))?;
        value.set_sensitive(true);
        self.headers.insert(AUTHORIZATION, value);
        Ok(())
    }

    /// What is told of it.
    fn exchange(&self, step: Step) -> Exchange {
        let mut sent = observer::pairs(
            self.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).map(|value| ("authorization", value)),
        );
        sent.extend(observer::pairs(self.url.query_pairs()));
        sent.extend(match &self.body {
            Body::None => Vec::new(),
            Body::Form(pairs) => observer::pairs(pairs.iter().map(|(name, value)| (name, value))),
            Body::Json(value) => observer::members(value.to_string().as_bytes()),
        });
        let request = format!("{} {}", self.method, observer::plain(&self.url));
        Exchange { step, request, sent, status: None, received: Vec::new() }
    }
}

impl Web {
    pub(crate) fn new(
        server: Url,
        private_network: bool,
        call_deadline: Duration,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, Error> {
        let reach = Reach::of(&server, private_network);
        // The person named it, so its address is theirs to know; what it is called is checked all the same.
        if let Err(refused) = Reach::of(&server, true).check(&server) {
            return Err(Error::new(Step::FirstCall, Fault::Forbidden(refused)));
        }
        let build = |client: reqwest::ClientBuilder| {
            client.build().map_err(|error| Error::new(Step::FirstCall, Fault::Here(chain(&error))))
        };
        let own = builder().dns_resolver(Reach::ANYWHERE.resolver());
        let own = if reach::is_loopback(&server) { own.no_proxy() } else { own };
        // A proxy would resolve the name itself, and the check would be of nothing.
        let others = builder().no_proxy().dns_resolver(reach.resolver());
        Ok(Self { server, reach, own: build(own)?, others: build(others)?, call_deadline, observer })
    }

    /// A URL that somebody else has named.
    pub(crate) fn checked(&self, step: Step, text: &str) -> Result<Url, Error> {
        let url = Url::parse(text)
            .map_err(|_| Error::new(step, Fault::Unreadable(format!("{:?} is no URL", shown(text)))))?;
        self.check(step, &url)?;
        Ok(url)
    }

    pub(crate) fn check(&self, step: Step, url: &Url) -> Result<(), Error> {
        if url.origin() == self.server.origin() {
            return Ok(());
        }
        self.reach.check(url).map_err(|refused| Error::new(step, Fault::Forbidden(refused)))
    }

    /// One exchange, told to the observer.
    pub(crate) async fn exchange(&self, step: Step, request: Request) -> Result<Answer, Error> {
        let mut exchange = request.exchange(step);
        let answer = self.quietly(step, request).await;
        exchange.status = Some(match &answer {
            Ok(answer) => Ok(answer.status.as_u16()),
            Err(error) => Err(error.fault.to_string()),
        });
        if let Ok(answer) = &answer {
            exchange.received = told(&answer.headers);
            exchange.received.extend(observer::members(&answer.body));
        }
        self.observer.exchange(&exchange);
        answer
    }

    /// One exchange that is told by somebody else.
    pub(crate) async fn quietly(&self, step: Step, request: Request) -> Result<Answer, Error> {
        match tokio::time::timeout(DEADLINE, self.read(step, request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::new(step, Fault::NoAnswer(DEADLINE))),
        }
    }

    async fn read(&self, step: Step, request: Request) -> Result<Answer, Error> {
        let mut answer = self.send(step, request).await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(step, error))? {
            if body.len() + chunk.len() > MAX_BODY {
                let fault = Fault::Unreadable(format!("the answer is larger than {MAX_BODY} bytes"));
                return Err(Error::new(step, fault));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: body.into() })
    }

    /// A call of the MCP server, whose answer is read by somebody else, told to the observer by its head.
    pub(crate) async fn call(&self, step: Step, request: Request) -> Result<Response, Error> {
        let mut exchange = request.exchange(step);
        let answer = match tokio::time::timeout(self.call_deadline, self.send(step, request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::new(step, Fault::NoAnswer(self.call_deadline))),
        };
        exchange.status = Some(match &answer {
            Ok(answer) => Ok(answer.status().as_u16()),
            Err(error) => Err(error.fault.to_string()),
        });
        if let Ok(answer) = &answer {
            exchange.received = told(answer.headers());
        }
        self.observer.exchange(&exchange);
        answer
    }

    async fn send(&self, step: Step, request: Request) -> Result<Response, Error> {
        self.check(step, &request.url)?;
        let client = if request.url.origin() == self.server.origin() { &self.own } else { &self.others };
        let mut builder = client.request(request.method, request.url).headers(request.headers);
        builder = match request.body {
            Body::None => builder,
            Body::Form(pairs) => {
                let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
                builder.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form)
            }
            Body::Json(value) => builder.header(CONTENT_TYPE, "application/json").body(value.to_string()),
        };
        builder.send().await.map_err(|error| unreachable(step, error))
    }
}

fn builder() -> reqwest::ClientBuilder {
    Client::builder()
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .default_headers(HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]))
        .connect_timeout(CONNECT_TIMEOUT)
        // A redirect would take a token, a code or a secret to where nobody has looked.
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(retry::never())
        // Whatever other crates turn on: what is counted is what was sent, and nothing unfolds.
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd()
}

impl Answer {
    /// Its JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, step: Step) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| {
            // Its own words repeat what stands there, which may be a token.
            let what = match error.classify() {
                Category::Data => "is not what it should be",
                Category::Eof => "breaks off",
                Category::Syntax | Category::Io => "is no JSON",
            };
            let (line, column) = (error.line(), error.column());
            let why = format!("the answer {what}, at line {line}, column {column}");
            Error::new(step, Fault::Unreadable(why))
        })
    }

    /// Whether it is a JSON object, of whatever kind.
    pub(crate) fn is_object(&self) -> bool {
        matches!(serde_json::from_slice(&self.body), Ok(Value::Object(_)))
    }

    /// What went wrong, of an answer with another status than it should have: with an OAuth error, if there is one
    /// (RFC 6749 §5.2, RFC 7591 §3.2.2).
    pub(crate) fn fault(&self) -> Fault {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let member = |name: &str| body[name].as_str().map(shown);
        // A server in trouble says nothing of the request, whatever it says.
        if self.status.is_server_error() {
            let said = member("error_description").or(member("error")).unwrap_or_default();
            return Fault::Status { status: self.status.as_u16(), said };
        }
        match member("error") {
            Some(error) => Fault::OAuth { error, said: member("error_description") },
            None => {
                let said = self.headers.get(LOCATION).and_then(|location| location.to_str().ok());
                let said =
                    said.map_or_else(String::new, |to| format!("a redirect to {}, which is not followed", shown(to)));
                Fault::Status { status: self.status.as_u16(), said }
            }
        }
    }
}

/// The headers of an answer that matter to its reader.
fn told(headers: &HeaderMap) -> Vec<(String, String)> {
    let value = |name: http::HeaderName| {
        headers
            .get_all(&name)
            .iter()
            .map(move |value| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect::<Vec<_>>()
    };
    observer::pairs(value(WWW_AUTHENTICATE))
}

fn unreachable(step: Step, error: reqwest::Error) -> Error {
    // Its query may have something in it that opens something.
    let error = error.without_url();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(reach::NotAllowed(refused)) = error.downcast_ref() {
            return Error::new(step, Fault::Forbidden(refused.clone()));
        }
        cause = error.source();
    }
    Error::new(step, Fault::Unreachable(chain(&error)))
}

/// An error with its causes: what a person needs (connection refused, unknown certificate) stands last.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    shown(&text)
}
