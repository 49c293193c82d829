//! The session as rmcp's transport: rmcp speaks MCP in both eras, and every request of it goes through the session.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use reqwest::Response;
use rmcp::{
    RoleClient,
    model::{
        ClientJsonRpcMessage, ClientRequest, ErrorData, PaginatedRequestParams, ProtocolVersion, ServerJsonRpcMessage,
        Tool,
    },
    service::{ClientInitializeError, ClientLifecycleMode, ClientServiceExt, RunningService, ServiceError},
    transport::{
        StreamableHttpClientTransport,
        streamable_http_client::{
            SseError, StreamableHttpClient, StreamableHttpClientTransportConfig, StreamableHttpError,
            StreamableHttpPostResponse,
        },
    },
};
use serde_json::Value;
use sse_stream::{Sse, SseStream};

use crate::{
    Session,
    error::{Error, Fault},
    observer::{Step, shown},
    web::{Body, Request},
};

/// No answer is larger, in bytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// No list is longer.
const PAGES: usize = 50;
const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

type Failure = StreamableHttpError<Error>;

impl Session {
    /// Connects, in the era that the server speaks (MCP 2026-07-28, *Versioning*).
    ///
    /// # Errors
    /// Of rmcp; [`error_of`] finds ours in it.
    pub async fn connect(&self) -> Result<RunningService<RoleClient, ()>, ClientInitializeError> {
        let config = StreamableHttpClientTransportConfig::with_uri(self.server().as_str());
        let transport = StreamableHttpClientTransport::with_client(self.clone(), config);
        let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
        let legacy_version = Some(ProtocolVersion::V_2025_11_25);
        ().serve_with_lifecycle(transport, ClientLifecycleMode::Auto { preferred_versions, legacy_version }).await
    }

    /// All tools: rmcp would turn pages for as long as the server has more of them.
    ///
    /// # Errors
    /// Of rmcp; [`error_of`] finds ours in it.
    pub async fn tools(&self, client: &RunningService<RoleClient, ()>) -> Result<Vec<Tool>, ServiceError> {
        let (mut tools, mut seen) = (Vec::new(), HashSet::new());
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES {
            let page = client.list_tools(Some(PaginatedRequestParams::default().with_cursor(cursor))).await?;
            tools.extend(page.tools);
            cursor = page.next_cursor;
            match &cursor {
                None => return Ok(tools),
                Some(next) if !seen.insert(next.clone()) => break,
                Some(_) => {}
            }
        }
        self.observer().notice(&format!("The list of tools has no end; these are the first {}.", tools.len()));
        Ok(tools)
    }
}

/// What this crate's part of an error of rmcp's says.
pub fn error_of<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(Failure::Client(ours)) = error.downcast_ref() {
            return Some(ours);
        }
        // This one does not tell its source.
        next = match error.downcast_ref() {
            Some(ServiceError::TransportSend(sent)) => Some(sent.error.as_ref()),
            _ => error.source(),
        };
    }
    None
}

impl StreamableHttpClient for Session {
    type Error = Error;

    async fn post_message(
        &self,
        _: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let body = serde_json::to_value(&message)?;
        let headers = with_session(custom_headers, session_id.as_deref());
        let answer = self.send(Step::Call, |url| {
            let mut request = Request::post(url, Body::Json(body.clone()));
            request.headers = headers.clone();
            request
        });
        let answer = answer.await.map_err(Failure::Client)?;
        let status = answer.status();
        if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        if status == StatusCode::NOT_FOUND && session_id.is_some() {
            return Err(Failure::SessionExpired);
        }
        let given = answer.headers().get(SESSION_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
        let content_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if status.is_success() && content_type.starts_with("text/event-stream") {
            return Ok(StreamableHttpPostResponse::Sse(events(answer, self.call_deadline()), given));
        }
        let deadline = self.call_deadline();
        let late = |_| Failure::Client(Error::new(Step::Call, Fault::NoAnswer(deadline)));
        let body = tokio::time::timeout(deadline, read(answer)).await.map_err(late)??;
        let read = serde_json::from_slice::<ServerJsonRpcMessage>(&body);
        match (read, message) {
            (Ok(message), _) if status.is_success() => Ok(StreamableHttpPostResponse::Json(message, given)),
            // A server of last year refuses what it does not know in many ways; each of them means that it is one.
            (read, ClientJsonRpcMessage::Request(request))
                if status.is_client_error() && matches!(request.request, ClientRequest::DiscoverRequest(_)) =>
            {
                let error = match read {
                    Ok(ServerJsonRpcMessage::Error(error)) => error.error,
                    _ => ErrorData::invalid_request(format!("HTTP {status}"), None),
                };
                let error = ServerJsonRpcMessage::error(error, Some(request.id));
                Ok(StreamableHttpPostResponse::Json(error, None))
            }
            (Ok(message @ ServerJsonRpcMessage::Error(_)), _) => Ok(StreamableHttpPostResponse::Json(message, given)),
            (
                _,
                ClientJsonRpcMessage::Notification(_)
                | ClientJsonRpcMessage::Response(_)
                | ClientJsonRpcMessage::Error(_),
            ) if status.is_success() => Ok(StreamableHttpPostResponse::Accepted),
            _ => {
                let said =
                    serde_json::from_slice::<Value>(&body).map(|body| shown(&body.to_string())).unwrap_or_default();
                let fault = if status.is_success() {
                    Fault::Unreadable("the answer is no JSON-RPC message".to_owned())
                } else {
                    Fault::Status { status: status.as_u16(), said }
                };
                Err(Failure::Client(Error::new(Step::Call, fault)))
            }
        }
    }

    async fn delete_session(
        &self,
        _: Arc<str>,
        session_id: Arc<str>,
        _: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failure> {
        let headers = with_session(custom_headers, Some(&session_id));
        let url = self.server().clone();
        let answer = self.farewell(Request { method: Method::DELETE, url, headers, body: Body::None });
        // Whether the server ends it or not, this client is gone.
        answer.await.map(|_| ()).map_err(Failure::Client)
    }

    /// Nothing is expected from a server that was not asked for.
    async fn get_stream(
        &self,
        _: Arc<str>,
        _: Option<Arc<str>>,
        _: Option<String>,
        _: Option<String>,
        _: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failure> {
        Err(Failure::ServerDoesNotSupportSse)
    }
}

fn with_session(headers: HashMap<HeaderName, HeaderValue>, session_id: Option<&str>) -> HeaderMap {
    let mut headers: HeaderMap = headers.into_iter().collect();
    if let Some(value) = session_id.and_then(|id| HeaderValue::from_str(id).ok()) {
        headers.insert(SESSION_ID, value);
    }
    headers
}

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Http(reqwest::Error),
    #[error("the answer is larger than {MAX_ANSWER} bytes")]
    TooLarge,
}

fn events(answer: Response, deadline: Duration) -> BoxStream<'static, Result<Sse, SseError>> {
    let seen = AtomicUsize::new(0);
    let bytes = answer.bytes_stream().map_err(Broken::Http).and_then(move |chunk| {
        let so_far = seen.fetch_add(chunk.len(), Ordering::Relaxed) + chunk.len();
        std::future::ready(if so_far > MAX_ANSWER { Err(Broken::TooLarge) } else { Ok(chunk) })
    });
    // To rmcp a stream that ends is one that failed, unless the answer was in it.
    let events = SseStream::from_bytes_stream(bytes).take_until(tokio::time::sleep(deadline));
    // Nothing is resumed, and a server that names a time to come back at would have the call wait for it.
    events.map_ok(|event| Sse { id: None, retry: None, ..event }).boxed()
}

async fn read(mut answer: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let broken = |why: Broken| Failure::Client(Error::new(Step::Call, Fault::Unreadable(why.to_string())));
    while let Some(chunk) = answer.chunk().await.map_err(|error| broken(Broken::Http(error.without_url())))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(broken(Broken::TooLarge));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
