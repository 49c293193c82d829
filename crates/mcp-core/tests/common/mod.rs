//! The real router on a real socket, and a client that sends exactly the bytes it is told to.

#![allow(dead_code, reason = "each test file uses its part")]

use std::net::SocketAddr;

use axum::Router;
use mcp_core::{
    Builder, McpServer,
    http::{DnsRebindingLayer, Endpoint},
    prompts::{Greeting, Help},
    tools::{Add, Echo, GetTime, Multiply},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What step 4 serves.
pub fn builder() -> Builder {
    McpServer::builder("test", "1.2.3").tool(Echo).tool(GetTime).tool(Add).tool(Multiply).prompt(Greeting).prompt(Help)
}

pub fn endpoint() -> Endpoint {
    Endpoint::new(builder().build().unwrap())
}

/// Serves an endpoint at `/mcp` on a free port.
pub async fn spawn(endpoint: Endpoint) -> SocketAddr {
    spawn_router(Router::new().route("/mcp", endpoint.into_route()).layer(DnsRebindingLayer::loopback())).await
}

pub async fn spawn_router(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

/// A response taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// The one response in `bytes`, whose connection has been closed.
    pub fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response in {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Self { status, headers, body: body.to_owned() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// The JSON of each `data:` line.
    pub fn events(&self) -> Vec<Value> {
        // Chunk sizes stand on lines of their own.
        self.body
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }
}

/// Sends `bytes` as they are and reads until the server closes.
pub async fn send(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut connection = TcpStream::connect(address).await.unwrap();
    // A server that refuses early may have closed before all is written.
    let _ = connection.write_all(bytes).await;
    read(&mut connection).await
}

pub async fn read(connection: &mut TcpStream) -> Answer {
    let mut received = Vec::new();
    let _ = connection.read_to_end(&mut received).await;
    Answer::parse(&received)
}

/// A request in the making: `POST /mcp` with sound headers, until a test spoils one.
#[derive(Clone)]
pub struct Post {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Post {
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let headers = [
            ("Host", "localhost"),
            ("Content-Type", "application/json"),
            ("Content-Length", &body.len().to_string()),
            ("Connection", "close"),
        ];
        Self {
            line: "POST /mcp HTTP/1.1".to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            body,
        }
    }

    /// A legacy request.
    pub fn legacy(method: &str, params: Value) -> Self {
        Self::new(json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string())
    }

    /// A modern request with every header it needs.
    pub fn modern(method: &str, mut params: Value) -> Self {
        let name = params.get("name").and_then(Value::as_str).map(ToOwned::to_owned);
        if params["_meta"].is_null() {
            params["_meta"] = json!({});
        }
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        let post =
            Self::legacy(method, params).header("MCP-Protocol-Version", "2026-07-28").header("Mcp-Method", method);
        match name {
            Some(name) => post.header("Mcp-Name", &name),
            None => post,
        }
    }

    pub fn line(mut self, line: &str) -> Self {
        line.clone_into(&mut self.line);
        self
    }

    /// Replaces a header.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.without(name).also(name, value)
    }

    /// Adds a header, even a second time.
    pub fn also(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{}\r\n", self.line).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }

    pub async fn send(&self, address: SocketAddr) -> Answer {
        send(address, &self.bytes()).await
    }
}
