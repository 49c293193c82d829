//! HTTP/1.1, byte by byte: what a client library would correct or refuse to send is what has to be sent.

use std::{io, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use url::{Host, Url, form_urlencoded};

use crate::target::Target;

/// No more of an answer is read.
const MAX_ANSWER: usize = 256 * 1024;
/// How long a stream may say nothing before its head alone is the answer.
const STREAM: Duration = Duration::from_millis(500);
/// No server has to read a header value longer than this; one that hangs up instead has refused it.
pub(crate) const MAX_PLAIN_VALUE: usize = 8 * 1024;

/// A request as it goes over the wire.
#[derive(Clone, Debug)]
pub struct RawRequest {
    /// The method.
    pub method: &'static str,
    /// The request target, as it stands in the first line.
    pub path: String,
    /// Names and values in their order, each as often as it stands here.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether a server that hangs up without a word has refused it.
    pub may_close: bool,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The beginning of the body.
    pub body: String,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nobody listens there.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// The connection was closed before an answer.
    #[error("the connection was closed without an answer")]
    Closed,
    /// There was no answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The answer is no HTTP.
    #[error("the answer is not HTTP")]
    NotHttp,
    /// These bytes do not go through a TLS client.
    #[error("cannot be sent over https: {0}")]
    OverTls(String),
}

impl RawRequest {
    /// The target's JSON-RPC message in a POST, as a client sends it, without any credential.
    pub fn probe(target: &Target) -> Self {
        Self::to("POST", target.url())
            .header("Accept", "application/json, text/event-stream")
            .header("Content-Type", "application/json")
            .body(target.message().to_string())
    }

    /// A request for a URL, with nothing but its host.
    pub(crate) fn to(method: &'static str, url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        Self { method, path, headers: Vec::new(), body: Vec::new(), may_close: false }.header("Host", host)
    }

    /// A form in a POST, as the token endpoint takes it (RFC 6749 §3.2); a name may stand in it twice.
    pub(crate) fn form(url: &Url, fields: &[(&str, &str)]) -> Self {
        let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        Self::to("POST", url)
            .header("Accept", "application/json")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(encoded)
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Without the headers of that name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self
    }

    /// With a token, presented the way tokens are (RFC 6750 §2.1).
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    /// With another method and no body.
    #[must_use]
    pub fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self.body.clear();
        self.without("Content-Type")
    }

    /// To another path.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// With another body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// So bent that a server which hangs up has refused it.
    #[must_use]
    pub const fn may_close(mut self) -> Self {
        self.may_close = true;
        self
    }

    /// The values of the headers of that name.
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        let of_that_name = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        of_that_name.map(|(_, value)| value.as_slice()).collect()
    }

    pub(crate) fn longest_value(&self) -> usize {
        self.headers.iter().map(|(_, value)| value.len()).max().unwrap_or(0)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.path).into_bytes();
        let mut line = |name: &str, value: &[u8]| {
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        };
        for (name, value) in &self.headers {
            line(name, value);
        }
        if !self.body.is_empty() {
            line("Content-Length", self.body.len().to_string().as_bytes());
        }
        line("Connection", b"close");
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

impl Answer {
    /// The first header of that name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Every header of that name, which is given in lower case.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The body, if it is JSON; otherwise null.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// What the challenge, or an OAuth error in JSON (RFC 6749 §5.2), calls the reason.
    pub(crate) fn error(&self) -> Option<String> {
        let in_body = || self.json()["error"].as_str().map(str::to_owned);
        self.challenge("error").map(str::to_owned).or_else(in_body)
    }

    /// The media type, without parameters, in lower case.
    pub(crate) fn media_type(&self) -> String {
        let value = self.header("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// A parameter of the challenge, such as `error` (RFC 6750 §3).
    pub fn challenge(&self, parameter: &str) -> Option<&str> {
        let challenge = self.header("www-authenticate")?;
        let start = format!("{parameter}=\"");
        let (before, rest) = challenge.split_once(&start)?;
        // Not the end of a longer name.
        (before.is_empty() || before.ends_with([' ', ','])).then(|| rest.split('"').next().unwrap_or(rest))
    }
}

/// Sends one request, within ten seconds. Redirects are not followed.
///
/// # Errors
/// When there is no answer.
pub async fn send(url: &Url, request: &RawRequest) -> Result<Answer, SendError> {
    send_within(url, request, Duration::from_secs(10)).await
}

/// Sends one request, within some time. Redirects are not followed.
///
/// # Errors
/// When there is no answer.
pub async fn send_within(url: &Url, request: &RawRequest, limit: Duration) -> Result<Answer, SendError> {
    let answer =
        async { if url.scheme() == "https" { over_tls(url, request).await } else { over_tcp(url, request).await } };
    timeout(limit, answer).await.unwrap_or(Err(SendError::TimedOut))
}

async fn over_tcp(url: &Url, request: &RawRequest) -> Result<Answer, SendError> {
    let port = url.port_or_known_default().unwrap_or(80);
    let stream = match url.host() {
        Some(Host::Ipv4(address)) => TcpStream::connect((address, port)).await,
        Some(Host::Ipv6(address)) => TcpStream::connect((address, port)).await,
        Some(Host::Domain(name)) => TcpStream::connect((name, port)).await,
        None => return Err(SendError::NotHttp),
    };
    let (mut from, mut to) = stream.map_err(SendError::Connect)?.into_split();
    let bytes = request.bytes();
    // A server may answer and close before it has read everything; what it said still counts.
    let writing = async {
        let _ = to.write_all(&bytes).await;
        // Kept open: a half-closed connection reads as a client that has gone away.
        to
    };
    let (_open, answer) = tokio::join!(writing, read(&mut from, request.method == "HEAD"));
    answer
}

async fn read(from: &mut (impl AsyncReadExt + Unpin), head_alone: bool) -> Result<Answer, SendError> {
    let mut bytes = Vec::new();
    let (mut answer, start) = loop {
        if let Some(head) = parse_head(&bytes)? {
            // 1xx is not the answer yet (RFC 9110 §15.2).
            if (100..200).contains(&head.0.status) {
                bytes.drain(..head.1);
                continue;
            }
            break head;
        }
        if !more(from, &mut bytes).await {
            return Err(if bytes.is_empty() { SendError::Closed } else { SendError::NotHttp });
        }
    };
    let length = answer.header("content-length").and_then(|length| length.parse::<usize>().ok());
    let stream = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
    let no_body = head_alone || answer.status == 204 || answer.status == 304;
    loop {
        let body = &bytes[start..];
        // Of a stream one event is enough; some stay open for ever.
        let done = no_body
            || length.is_some_and(|length| body.len() >= length)
            || body.ends_with(b"0\r\n\r\n")
            || stream && find(body, b"data:").is_some_and(|at| find(&body[at..], b"\n").is_some());
        if done || !timeout(STREAM, more(from, &mut bytes)).await.unwrap_or(false) {
            break;
        }
    }
    let chunked = answer.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    let body = if chunked { dechunked(&bytes[start..]) } else { bytes[start..].to_vec() };
    answer.body = String::from_utf8_lossy(&body).into_owned();
    Ok(answer)
}

/// The chunks' data (RFC 9112 §7.1), as far as it is there.
fn dechunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    while let Some(end) = find(bytes, b"\r\n") {
        let line = String::from_utf8_lossy(&bytes[..end]);
        let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16).unwrap_or(0);
        let rest = &bytes[end + 2..];
        data.extend_from_slice(&rest[..size.min(rest.len())]);
        match rest.get(size.saturating_add(2)..) {
            Some(next) if size > 0 => bytes = next,
            _ => break,
        }
    }
    data
}

/// Whether there was more to read.
async fn more(from: &mut (impl AsyncReadExt + Unpin), bytes: &mut Vec<u8>) -> bool {
    bytes.len() < MAX_ANSWER && from.read_buf(bytes).await.is_ok_and(|count| count > 0)
}

/// The status and headers, and where the body begins; none while there is more to come.
fn parse_head(bytes: &[u8]) -> Result<Option<(Answer, usize)>, SendError> {
    let Some(end) = find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| {
        let (version, rest) = line.split_once(' ')?;
        version.starts_with("HTTP/1.").then(|| rest.get(..3)?.parse().ok())?
    });
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let answer = Answer { status: status.ok_or(SendError::NotHttp)?, headers, body: String::new() };
    Ok(Some((answer, end + 4)))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Over TLS a client library has to do, and what it would correct is not sent at all.
async fn over_tls(url: &Url, request: &RawRequest) -> Result<Answer, SendError> {
    let refused = |why: &str| SendError::OverTls(why.to_owned());
    let destination = url.join(&request.path).map_err(|_| refused("its path is no URL"))?;
    if destination[url::Position::BeforePath..url::Position::AfterQuery] != request.path {
        return Err(refused("the client would write its path differently"));
    }
    let method = request.method.parse::<http::Method>().map_err(|_| refused("its method is none"))?;
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).http1_only();
    let client = client.build().map_err(|error| SendError::OverTls(error.to_string()))?;
    let mut built = client.request(method, destination).body(request.body.clone());
    for (name, value) in &request.headers {
        let value = http::HeaderValue::from_bytes(value);
        built = built.header(name, value.map_err(|_| refused("a client sends no such header value"))?);
    }
    let mut response = built.send().await.map_err(|error| {
        if error.is_connect() { SendError::Connect(io::Error::other(error)) } else { SendError::Closed }
    })?;
    let mut body = Vec::new();
    while let Ok(Ok(Some(chunk))) = timeout(STREAM, response.chunk()).await {
        body.extend_from_slice(&chunk);
        if body.len() >= MAX_ANSWER {
            break;
        }
    }
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(Answer {
        status: response.status().as_u16(),
        headers: response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn reading(bytes: &[u8]) -> Result<Answer, SendError> {
        read(&mut &bytes[..], false).await
    }

    #[tokio::test]
    async fn answers() {
        let answer = reading(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer scope=\"a\", error=\"invalid_token\", error_description=\"it expired\"\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (401, "hi"));
        assert_eq!(answer.challenge("error"), Some("invalid_token"));
        assert_eq!(answer.challenge("error_description"), Some("it expired"));
        assert_eq!((answer.challenge("description"), answer.challenge("realm")), (None, None));
        assert!(matches!(reading(b"").await, Err(SendError::Closed)));
        assert!(matches!(reading(b"SSH-2.0-x\r\n\r\n").await, Err(SendError::NotHttp)));
        assert!(matches!(reading(b"HTTP/1.1 200 OK\r\n").await, Err(SendError::NotHttp)));
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n4;x=y\r\n\": 1\r\n1\r\n}\r\n0\r\n\r\n";
        assert_eq!(reading(chunked).await.unwrap().body, "{\"a\": 1}");
        let endless = vec![b'x'; 2 * MAX_ANSWER];
        let answer = reading(&[b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &endless].concat()).await.unwrap();
        assert!(answer.body.len() <= 2 * MAX_ANSWER);
    }

    #[tokio::test]
    async fn a_server_that_says_nothing() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url: Url = format!("http://{}/mcp", listener.local_addr().unwrap()).parse().unwrap();
        let target = Target::new(url.clone()).await.unwrap();
        let answer = send_within(&url, &RawRequest::probe(&target), Duration::from_millis(50)).await;
        assert!(matches!(answer, Err(SendError::TimedOut)));
        drop(listener);
        assert!(matches!(send(&url, &RawRequest::probe(&target)).await, Err(SendError::Connect(_))));
    }

    #[tokio::test]
    async fn bytes_as_they_are_given() {
        let target = Target::new("http://localhost:9000/mcp?x=1".parse().unwrap()).await.unwrap();
        let request = RawRequest::probe(&target).header("A", b"\xff\0".as_slice()).header("a", "2").body("b");
        let bytes = request.bytes();
        assert!(bytes.starts_with(b"POST /mcp?x=1 HTTP/1.1\r\nHost: localhost:9000\r\n"));
        assert!(bytes.ends_with(b"A: \xff\0\r\na: 2\r\nContent-Length: 1\r\nConnection: close\r\n\r\nb"));
        assert_eq!(request.values("A").len(), 2);
    }
}
