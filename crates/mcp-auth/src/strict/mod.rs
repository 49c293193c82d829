//! One parser decides: what a policy reads of a request is what the service behind it executes.
//!
//! A policy in front of a service that is not ours has no say in how that service reads. Of two members with one name
//! the policy may take the first and the service the last (RFC 8259 §4), a gateway may believe `Mcp-Name` and the
//! server `params.name`, a compressed body is opaque to one and plain to the other, and in a batch the second message
//! is easily overlooked. [`StrictJsonRpcLayer`] leaves one reading only: it parses the body, refuses whatever has two
//! readings, puts the [`Message`] it understood into the request's extensions and hands on that message, serialised
//! anew. No byte that the client wrote as a body reaches the service.
//!
//! ```
//! # use std::convert::Infallible;
//! # use bytes::Bytes;
//! # use http::{Method, Request, Response, StatusCode};
//! # use http_body_util::{BodyExt, Full};
//! # use tower::{Layer, ServiceExt, service_fn};
//! use mcp_auth::strict::{Message, StrictJsonRpcLayer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! // Stands for any MCP service, such as rmcp's `StreamableHttpService`; it says which tool it was asked for.
//! let mcp = service_fn(async |request: Request<Full<Bytes>>| {
//!     let tool = request.extensions().get::<Message>().and_then(|message| message.name().map(str::to_owned));
//!     Ok::<_, Infallible>(Response::new(Full::from(tool.unwrap_or_default())))
//! });
//! let service = StrictJsonRpcLayer::new().layer(mcp);
//!
//! let post = |name: &'static str, body: &'static str| {
//!     Request::post("/mcp")
//!         .header("content-type", "application/json")
//!         .header("mcp-name", name)
//!         .body(Full::<Bytes>::from(body))
//! };
//!
//! let echo = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#;
//! let response = service.clone().oneshot(post("echo", echo)?).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//! assert_eq!(response.into_body().collect().await?.to_bytes(), "echo");
//!
//! // A gateway that looks at the header sees `echo`.
//! let wipe = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wipe"}}"#;
//! let response = service.clone().oneshot(post("echo", wipe)?).await?;
//! assert_eq!(response.status(), StatusCode::BAD_REQUEST);
//!
//! // A policy that takes the first of two sees `echo` as well.
//! let both = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","name":"wipe"}}"#;
//! let response = service.oneshot(post("echo", both)?).await?;
//! assert_eq!(response.status(), StatusCode::BAD_REQUEST);
//! # Ok(())
//! # }
//! ```
//!
//! # What is refused
//! - 415: a `Content-Type` other than one `application/json` (at most with `charset=utf-8`); any `Content-Encoding`;
//! - 413 and 408: a body too large or too slow;
//! - 400 / -32700: what is not JSON in UTF-8, nests deeper than 128 levels, or holds a number beyond a double;
//! - 400 / -32600: the same member twice at any depth, a batch, an envelope that is not JSON-RPC 2.0 as MCP narrows it,
//!   any other member in the envelope, and the members of `params` that name what is meant (`name`, `uri`, `taskId`,
//!   `arguments`, `_meta`) in another case: parsers such as Go's `encoding/json` read `Name` as `name`; also members
//!   called `$serde_json::private::…`, whose text serde_json's `Value` can be built to take for JSON;
//! - 400 / -32020: an `Mcp-…` header given twice, or one that contradicts the body.
//!
//! A header that is missing, a version that is not served, a tool that does not exist: those stay the service's to
//! refuse.
//!
//! # What is handed on
//! Members, their order, strings and integers from -2⁶³ to 2⁶⁴-1 arrive as they were sent; whitespace and escapes do
//! not. Every other number is read as a double and written in its shortest form: `1e2` arrives as `100.0`, `-0` as
//! `-0.0`, and an integer beyond 64 bits is rounded, as it would be in any JavaScript server. Trailers are dropped.
//! `Content-Type` and `Content-Length` are written anew; digests and signatures of the old body no longer fit.
//! A request by any other method than POST goes on with an empty body, whatever it brought.

mod body;
mod headers;
mod layer;
mod message;
mod refusal;
mod service;

pub use self::{
    layer::StrictJsonRpcLayer,
    message::{Kind, Message},
    service::StrictJsonRpc,
};
