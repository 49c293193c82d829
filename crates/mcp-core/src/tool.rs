//! What a tool is: one type in one file, see [`crate::tools`].
//!
//! ```
//! use mcp_core::{CallContext, Tool, ToolError};
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//!
//! struct Shout;
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Input {
//!     /// What to shout.
//!     #[schemars(length(min = 1))]
//!     text: String,
//! }
//!
//! impl Tool for Shout {
//!     const NAME: &'static str = "shout";
//!     const TITLE: &'static str = "Shout";
//!     const DESCRIPTION: &'static str = "Says it louder.";
//!     type Input = Input;
//!     type Output = String;
//!
//!     async fn call(&self, _: &CallContext, input: Input) -> Result<String, ToolError> {
//!         Ok(input.text.to_uppercase())
//!     }
//! }
//!
//! let server = mcp_core::McpServer::builder("demo", "1.0.0").tool(Shout).build().unwrap();
//! # let _ = server;
//! ```

use std::{fmt, future::Future, pin::Pin};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{CallContext, Content, schema};

/// A function that a model may call.
pub trait Tool: Send + Sync + 'static {
    /// 1–128 of `A-Z a-z 0-9 _ - .` (MCP 2026-07-28, *Tools*, "Tool Names").
    const NAME: &'static str;
    /// A name for people.
    const TITLE: &'static str;
    /// What it does, for the model that chooses.
    const DESCRIPTION: &'static str;
    /// What it may do to the world; the default claims nothing.
    const ANNOTATIONS: ToolAnnotations = ToolAnnotations::UNKNOWN;

    /// The arguments. They are checked against [`Tool::input_schema`] before [`Tool::call`] sees them.
    type Input: DeserializeOwned + JsonSchema + Send;
    /// The result: text, content blocks, or [`Structured`].
    type Output: ToolOutput;

    /// The JSON Schema of the arguments; made from `Input` unless overridden.
    fn input_schema() -> Value {
        schema::of_input::<Self::Input>()
    }

    /// Answers one call.
    ///
    /// # Errors
    /// A [`ToolError`] reaches the model as a result with `isError: true`, so that it can try again.
    fn call(
        &self,
        ctx: &CallContext,
        input: Self::Input,
    ) -> impl Future<Output = Result<Self::Output, ToolError>> + Send;
}

/// Hints to the client (MCP 2026-07-28, *Tools*, "annotations"). Clients must not trust them; people read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolAnnotations {
    /// Changes nothing.
    pub read_only_hint: bool,
    /// What it changes may be lost.
    pub destructive_hint: bool,
    /// A second call with the same arguments changes nothing more.
    pub idempotent_hint: bool,
    /// Reaches beyond this server.
    pub open_world_hint: bool,
}

impl ToolAnnotations {
    /// The specification's own defaults: assume the worst.
    pub const UNKNOWN: Self =
        Self { read_only_hint: false, destructive_hint: true, idempotent_hint: false, open_world_hint: true };
    /// A computation: reads its arguments, changes nothing, reaches nowhere.
    pub const PURE: Self =
        Self { read_only_hint: true, destructive_hint: false, idempotent_hint: true, open_world_hint: false };
}

/// What went wrong, in a sentence for the model and the person behind it. Nothing internal belongs here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolError(String);

impl ToolError {
    /// An error with that sentence.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ToolError {}

/// The result of `tools/call`.
#[derive(Clone, Debug, PartialEq)]
pub struct CallResult {
    /// For people and models.
    pub content: Vec<Content>,
    /// For programs.
    pub structured: Option<Value>,
    /// The tool ran and failed, or its arguments were wrong.
    pub is_error: bool,
}

impl CallResult {
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self { content: vec![Content::text(message)], structured: None, is_error: true }
    }
}

/// What [`Tool::call`] may return.
pub trait ToolOutput: Send {
    /// The `outputSchema`, if the result is structured.
    fn schema() -> Option<Value> {
        None
    }
    /// The result as it is sent.
    fn into_result(self) -> CallResult;
}

impl ToolOutput for String {
    fn into_result(self) -> CallResult {
        vec![Content::Text { text: self }].into_result()
    }
}

impl ToolOutput for Content {
    fn into_result(self) -> CallResult {
        vec![self].into_result()
    }
}

impl ToolOutput for Vec<Content> {
    fn into_result(self) -> CallResult {
        CallResult { content: self, structured: None, is_error: false }
    }
}

/// A result with a schema: `structuredContent`, and the same JSON as text for clients that know no better.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structured<T>(pub T);

impl<T: Serialize + JsonSchema + Send> ToolOutput for Structured<T> {
    fn schema() -> Option<Value> {
        Some(schema::of_output::<T>())
    }

    fn into_result(self) -> CallResult {
        match serde_json::to_value(self.0) {
            Ok(value) => {
                CallResult { content: vec![Content::text(value.to_string())], structured: Some(value), is_error: false }
            }
            Err(error) => {
                tracing::error!(%error, "a structured result is not JSON");
                CallResult::error("the tool's result could not be written as JSON")
            }
        }
    }
}

/// The entry in `tools/list`.
pub(crate) fn descriptor<T: Tool>(input_schema: &Value) -> Value {
    let mut entry = json!({
        "name": T::NAME,
        "title": T::TITLE,
        "description": T::DESCRIPTION,
        "inputSchema": input_schema,
    });
    if let Some(schema) = T::Output::schema() {
        entry["outputSchema"] = schema;
    }
    entry["annotations"] = json!(T::ANNOTATIONS);
    entry
}

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// [`Tool`] without its types, for the registry.
pub(crate) trait AnyTool: Send + Sync {
    fn call<'a>(&'a self, ctx: &'a CallContext, arguments: Value) -> BoxFuture<'a, CallResult>;
}

impl<T: Tool> AnyTool for T {
    fn call<'a>(&'a self, ctx: &'a CallContext, arguments: Value) -> BoxFuture<'a, CallResult> {
        Box::pin(async move {
            let input = match serde_json::from_value(arguments) {
                Ok(input) => input,
                Err(error) => {
                    // The schema let through what the type refuses: the schema is wrong, and serde's words name types.
                    tracing::warn!(tool = T::NAME, %error, "input schema and input type disagree");
                    return CallResult::error(format!("the arguments are not what {} takes", T::NAME));
                }
            };
            match Tool::call(self, ctx, input).await {
                Ok(output) => output.into_result(),
                Err(error) => CallResult::error(error.0),
            }
        })
    }
}
