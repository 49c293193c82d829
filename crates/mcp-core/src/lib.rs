//! What an MCP server is, without a word about who may use it.
//!
//! Layout, in the order a request meets it:
//! - [`http`]: the endpoint for axum, and the layer against DNS rebinding;
//! - [`jsonrpc`]: the one parser, messages, errors;
//! - [`protocol`]: revisions, and the two eras;
//! - [`authorize`]: the hook that is asked about each operation; [`Caller`], who is calling;
//! - [`McpServer`]: what is registered, and the method table;
//! - [`Tool`], [`Prompt`], [`Content`]: what you write; [`tools`], [`prompts`]: what is here already;
//! - [`schema`]: JSON Schema from Rust types;
//! - [`logging`]: the log of a binary.

pub mod authorize;
mod call;
mod caller;
mod content;
pub mod http;
pub mod jsonrpc;
pub mod logging;
mod prompt;
pub mod prompts;
pub mod protocol;
pub mod schema;
mod server;
mod shown;
mod tool;
pub mod tools;

pub use self::{
    call::CallContext,
    caller::Caller,
    content::{Content, EmbeddedResource},
    prompt::{Prompt, PromptMessage, Role},
    server::{BuildError, Builder, McpServer},
    tool::{CallResult, Structured, Tool, ToolAnnotations, ToolError, ToolOutput},
};
