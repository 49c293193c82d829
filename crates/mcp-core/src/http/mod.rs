//! The MCP endpoint over Streamable HTTP, for any axum router.
//!
//! A request passes, in this order: method → media types → body, read once and bounded → one parser → era → the
//! era's checks of headers and version → the server. What each refusal looks like in HTTP is decided here and nowhere
//! else.
//!
//! ```no_run
//! use axum::Router;
//! use mcp_core::{McpServer, http::{DnsRebindingLayer, Endpoint}, tools};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let server = McpServer::builder("demo", "1.0.0").tool(tools::Echo).build()?;
//! let app = Router::new()
//!     .route("/mcp", Endpoint::new(server).into_route())
//!     .layer(DnsRebindingLayer::loopback());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:9000").await?;
//! axum::serve(listener, app).await?;
//! # Ok(())
//! # }
//! ```

mod access_log;
mod body;
mod dns_rebinding;
mod headers;
mod media;
mod session;
mod sse;

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
    routing::{MethodRouter, any_service},
};
use futures_util::FutureExt;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
    request::Parts,
};
use tokio::sync::mpsc;
use tower_service::Service;

pub use self::dns_rebinding::{DnsRebinding, DnsRebindingLayer};
use self::{
    access_log::AccessLog,
    media::Accepts,
    session::{Owner, Sessions},
    sse::Stream,
};
use crate::{
    Caller, McpServer,
    authorize::RefusalParts,
    call::ProgressSink,
    jsonrpc::{ErrorObject, Id, Message, Params, ParseError, code},
    protocol::{self, Era, ProgressToken, Revision},
    server::{Call, Envelope, Failure},
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// How many progress reports wait for a slow client before the tool has to.
const QUEUED_PROGRESS: usize = 32;

/// An [`McpServer`] at one path.
#[derive(Debug)]
pub struct Endpoint {
    server: McpServer,
    body_limit: usize,
    body_timeout: Duration,
    call_timeout: Duration,
    sessions: Option<Sessions>,
}

impl Endpoint {
    /// The endpoint with its defaults: bodies up to 1 MiB, sent within 30 seconds; calls of up to 5 minutes; legacy
    /// revisions without sessions.
    pub const fn new(server: McpServer) -> Self {
        Self {
            server,
            body_limit: 1024 * 1024,
            body_timeout: Duration::from_secs(30),
            call_timeout: Duration::from_secs(5 * 60),
            sessions: None,
        }
    }

    /// The largest body accepted, in bytes; a larger one is 413.
    #[must_use]
    pub const fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// How long a client may take to send a body; a slower one is 408.
    #[must_use]
    pub const fn body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// How long a tool or prompt may run. A client that hangs up ends its call at once, as far as its hanging up is
    /// seen: hyper does not look for it behind bytes that the client has already sent after its request.
    #[must_use]
    pub const fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// Gives legacy clients an `Mcp-Session-Id` and insists on it (MCP 2025-11-25, *Transports*, "Session Management").
    /// Modern requests have none.
    #[must_use]
    pub fn legacy_sessions(mut self) -> Self {
        self.sessions = Some(Sessions::new());
        self
    }

    /// The endpoint as a route. It answers every HTTP method, so that a layer around it sees them all.
    pub fn into_route<S: Clone + Send + Sync + 'static>(self) -> MethodRouter<S> {
        any_service(self.into_service())
    }

    /// The endpoint as a service, to put layers around it.
    pub fn into_service(self) -> EndpointService {
        EndpointService(Arc::new(self))
    }
}

/// An [`Endpoint`] at work.
#[derive(Clone, Debug)]
pub struct EndpointService(Arc<Endpoint>);

impl Service<Request> for EndpointService {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let endpoint = Arc::clone(&self.0);
        Box::pin(async move { Ok(serve(endpoint, request).await) })
    }
}

/// What goes back: all at once, or as it happens.
enum Reply {
    Whole(Whole),
    Stream(Stream),
}

/// A response whose status is known.
struct Whole {
    status: StatusCode,
    /// Few responses have any; those that do are rare enough to pay for it.
    headers: Option<Box<HeaderMap>>,
    /// JSON, or empty.
    body: Vec<u8>,
    /// The code of the JSON-RPC error inside, for the log.
    code: Option<i64>,
}

impl Whole {
    fn empty(status: StatusCode) -> Self {
        Self { status, headers: None, body: Vec::new(), code: None }
    }

    fn result(body: Vec<u8>) -> Self {
        Self { status: StatusCode::OK, headers: None, body, code: None }
    }

    fn error(status: StatusCode, error: &ErrorObject, id: Option<&Id>) -> Self {
        Self { status, headers: None, body: error.to_response(id), code: Some(error.code) }
    }

    /// A refusal by the HTTP layer itself: the request is wrong before any JSON-RPC rule applies.
    fn refusal(status: StatusCode, message: impl Into<String>) -> Self {
        Self::error(status, &ErrorObject::new(code::INVALID_REQUEST, message), None)
    }

    fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.get_or_insert_default().insert(name, value);
        self
    }
}

impl IntoResponse for Whole {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        if let Some(headers) = self.headers {
            *response.headers_mut() = *headers;
        }
        if !self.body.is_empty() {
            response.headers_mut().insert(CONTENT_TYPE, JSON);
            *response.body_mut() = Body::from(self.body);
        }
        response
    }
}

async fn serve(endpoint: Arc<Endpoint>, request: Request) -> Response {
    let mut log = AccessLog::start();
    match reply(endpoint, request, &mut log).await {
        Ok(Reply::Whole(whole)) | Err(whole) => {
            log.finish(whole.status, whole.code);
            whole.into_response()
        }
        Ok(Reply::Stream(stream)) => stream.into_response(log),
    }
}

/// The way of a request. The decisions are in functions that do not wait, so that this future, which is made anew for
/// each request, stays small.
async fn reply(endpoint: Arc<Endpoint>, request: Request, log: &mut AccessLog) -> Result<Reply, Whole> {
    let (parts, body) = request.into_parts();
    let accepts = endpoint.admit(&parts)?;
    let Some(accepts) = accepts else { return endpoint.close_session(&parts).map(Reply::Whole) };
    let body = body::read(body, endpoint.body_limit, endpoint.body_timeout).await?;
    let Some(admitted) = endpoint.understand(parts, &body, accepts, log)? else {
        return Ok(Reply::Whole(Whole::empty(StatusCode::ACCEPTED)));
    };
    let Admitted { mut call, id, token, session } = admitted;
    drop(body);

    let Some(token) = token else {
        let mut whole = endpoint.run(call, &id).await;
        if let Some(owner) = session.filter(|_| whole.code.is_none()) {
            whole = endpoint.open_session(whole, owner);
        }
        return Ok(accepts.deliver(whole));
    };
    let (notifications, mut reports) = mpsc::channel(QUEUED_PROGRESS);
    call.progress = Some(ProgressSink { token, notifications });
    let mut running: sse::Running = Box::pin(async move { endpoint.run(call, &id).await });
    // JSON unless something is reported before the answer is there: only then does the client need a stream.
    tokio::select! {
        biased;
        whole = &mut running => Ok(match reports.try_recv() {
            Err(_) => accepts.deliver(whole),
            Ok(first) => Reply::Stream(Stream::finished(first, reports, whole)),
        }),
        Some(first) = reports.recv() => Ok(Reply::Stream(Stream::running(first, reports, running))),
    }
}

impl Accepts {
    /// An answer that is there at once: JSON, unless the client takes only streams.
    fn deliver(self, whole: Whole) -> Reply {
        if self.json || whole.status != StatusCode::OK {
            Reply::Whole(whole)
        } else {
            Reply::Stream(Stream::of_one(whole))
        }
    }
}

/// A request that may be run.
struct Admitted {
    call: Call,
    id: Id,
    /// Where progress goes, if the client asked for it and takes a stream.
    token: Option<ProgressToken>,
    /// Whether its success opens a session, and whose.
    session: Option<Owner>,
}

impl Endpoint {
    /// What can be said before the body is read. `None`: this is no message but the end of a session.
    fn admit(&self, parts: &Parts) -> Result<Option<Accepts>, Whole> {
        match parts.method {
            Method::POST => {
                media::check_content(&parts.headers)?;
                Accepts::of(&parts.headers).map(Some)
            }
            Method::DELETE if self.sessions.is_some() => Ok(None),
            _ => {
                let allow = if self.sessions.is_some() { "POST, DELETE" } else { "POST" };
                let message = "send each message as an HTTP POST; there is no GET stream here";
                Err(Whole::refusal(StatusCode::METHOD_NOT_ALLOWED, message)
                    .with_header(ALLOW, HeaderValue::from_static(allow)))
            }
        }
    }

    /// Parses the body and makes the checks of its era. `None`: a notification, which is accepted and over.
    fn understand(
        &self,
        parts: Parts,
        body: &[u8],
        accepts: Accepts,
        log: &mut AccessLog,
    ) -> Result<Option<Admitted>, Whole> {
        log.caller(parts.extensions.get::<Caller>());
        let message = Message::parse(body)
            .map_err(|ParseError { id, error }| Whole::error(StatusCode::BAD_REQUEST, &error, id.as_ref()))?;
        let (id, method, params) = match message {
            Message::Request { id, method, params } => (id, method, params),
            Message::Notification { method, params } => {
                log.message(&method, None, None);
                return self.notification(&parts, &method, &params, log.request).map(|()| None);
            }
        };
        log.message(&method, Some(&id), params.name());

        let version_header = headers::single(&parts.headers, &headers::PROTOCOL_VERSION)
            .map_err(|error| Whole::error(StatusCode::BAD_REQUEST, &error, Some(&id)))?;
        let era = Era::of(&method, &params, version_header);
        let refuse = |failure| status_of(failure, era, Some(&id));
        let mut session = None;
        match era {
            Era::Modern => modern_checks(&parts.headers, &method, &params, version_header),
            Era::Legacy => headers::check_mirrored(&parts.headers, &method, &params, false)
                .and_then(|()| version_header.map_or(Ok(()), legacy_version)),
        }
        .map_err(|error| refuse(Failure::Protocol(error)))?;
        if let (Era::Legacy, Some(sessions)) = (era, &self.sessions) {
            if method == "initialize" {
                session = Some(session::owner_of(&parts));
            } else {
                sessions.check(&parts, Some(&id))?;
            }
        }
        let token = match method.as_str() {
            "tools/call" | "prompts/get" if accepts.sse => {
                ProgressToken::from_params(&params).map_err(|error| refuse(Failure::Method(error)))?
            }
            // Nothing else runs long enough to report anything.
            _ => None,
        };
        let call = Call { era, method, params, extensions: parts.extensions, progress: None, request: log.request };
        Ok(Some(Admitted { call, id, token, session }))
    }

    async fn run(&self, call: Call, id: &Id) -> Whole {
        let era = call.era;
        let mut answering = pin!(self.server.answer(call));
        // Nearly every call is answered before it waits for anything, and needs no timer.
        let answer = match answering.as_mut().now_or_never() {
            Some(answer) => answer,
            None => Box::pin(tokio::time::timeout(self.call_timeout, answering)).await.unwrap_or_else(|_| {
                let message = format!("the call was stopped after {} seconds", self.call_timeout.as_secs_f32());
                Err(Failure::Method(ErrorObject::new(code::INTERNAL_ERROR, message)))
            }),
        };
        match answer {
            Ok(answer) => {
                Whole::result(answer.to_response(Envelope { id, era, server_info: self.server.server_info() }))
            }
            Err(failure) => status_of(failure, era, Some(id)),
        }
    }

    fn notification(&self, parts: &Parts, method: &str, params: &Params, request: u64) -> Result<(), Whole> {
        let refuse = |error| Whole::error(StatusCode::BAD_REQUEST, &error, None);
        let version_header = headers::single(&parts.headers, &headers::PROTOCOL_VERSION).map_err(refuse)?;
        let era = Era::of(method, params, version_header);
        // The specification leaves the headers of a notification open; those that are there must be true.
        headers::check_mirrored(&parts.headers, method, params, false).map_err(refuse)?;
        match (era, version_header) {
            (Era::Modern, Some(name)) => protocol::named_version(params)
                .map_or(Ok(()), |in_meta| headers::check_version(Some(name), in_meta))
                .and_then(|()| supported_modern(name)),
            (Era::Modern, None) => protocol::named_version(params).map_or(Ok(()), supported_modern),
            (Era::Legacy, name) => name.map_or(Ok(()), legacy_version),
        }
        .map_err(refuse)?;
        if let (Era::Legacy, Some(sessions)) = (era, &self.sessions) {
            sessions.check(parts, None)?;
        }
        self.server.notify(&parts.extensions, method, request).map_err(|failure| status_of(failure, era, None))
    }

    fn open_session(&self, whole: Whole, owner: Owner) -> Whole {
        match &self.sessions {
            Some(sessions) => whole.with_header(session::HEADER, sessions.open(owner)),
            None => whole,
        }
    }

    fn close_session(&self, parts: &Parts) -> Result<Whole, Whole> {
        let refuse = |error| Whole::error(StatusCode::BAD_REQUEST, &error, None);
        let version_header = headers::single(&parts.headers, &headers::PROTOCOL_VERSION).map_err(refuse)?;
        version_header.map_or(Ok(()), legacy_version).map_err(refuse)?;
        if let Some(sessions) = &self.sessions {
            sessions.close(parts)?;
        }
        Ok(Whole::empty(StatusCode::NO_CONTENT))
    }
}

/// The checks of a modern request in the order of MCP 2026-07-28: its `_meta`, the headers that mirror the body, the
/// version.
fn modern_checks(
    headers: &HeaderMap,
    method: &str,
    params: &Params,
    version_header: Option<&str>,
) -> Result<(), ErrorObject> {
    let version = protocol::requested_version(params)?;
    headers::check_version(version_header, version)?;
    headers::check_mirrored(headers, method, params, true)?;
    supported_modern(version)
}

fn supported_modern(name: &str) -> Result<(), ErrorObject> {
    match Revision::parse(name) {
        Some(revision) if revision.is_modern() => Ok(()),
        _ => Err(protocol::unsupported_version(name)),
    }
}

/// A version header of a legacy request must name a revision that is served (MCP 2025-11-25, *Transports*).
fn legacy_version(name: &str) -> Result<(), ErrorObject> {
    Revision::parse(name).map(|_| ()).ok_or_else(|| protocol::unsupported_version(name))
}

/// JSON-RPC errors as HTTP. Modern clients read the status of protocol errors; legacy ones want 200 with a body for
/// anything that is an answer to their request.
fn status_of(failure: Failure, era: Era, id: Option<&Id>) -> Whole {
    match failure {
        Failure::Protocol(error) => Whole::error(StatusCode::BAD_REQUEST, &error, id),
        Failure::UnknownMethod(error) => {
            let status = if era == Era::Modern { StatusCode::NOT_FOUND } else { StatusCode::OK };
            Whole::error(status, &error, id)
        }
        Failure::Method(error) => Whole::error(StatusCode::OK, &error, id),
        Failure::Refused(refusal) => {
            let RefusalParts { status, headers, error } = refusal.into_parts();
            Whole { headers: Some(Box::new(headers)), ..Whole::error(status, &error, id) }
        }
    }
}
