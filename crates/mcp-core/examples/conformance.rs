//! The fixtures that the official conformance suite asks for: its scenarios call tools and prompts by these names and
//! look for these contents. They show that what this library sends is what the suite expects.
//!
//! Left out are the fixtures for what this library does not offer: logging, sampling, elicitation, resources,
//! completion and input-required results; `scripts/conformance/fixture-*.yml` lists the checks that fail for it.
//!
//! `scripts/conformance.sh` runs it; by hand:
//! ```sh
//! cargo run -p mcp-core --example conformance -- 9000
//! npx @modelcontextprotocol/conformance server --url http://127.0.0.1:9000/mcp --requirements 2026-07-28
//! ```

use std::{env, error::Error, time::Duration};

use axum::Router;
use mcp_core::{
    CallContext, Content, McpServer, Prompt, PromptMessage, Tool, ToolAnnotations, ToolError,
    http::{DnsRebindingLayer, Endpoint},
    logging::{self, LogFormat},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, time::sleep};

/// One red pixel, `image/png`.
const RED_PIXEL: &[u8] = b"\x89PNG\r\n\x1a\n\
    \x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde\
    \x00\x00\x00\x0cIDATx\xdac\xf8\xcf\xc0\x00\x00\x03\x01\x01\x00\xf7\x03AC\
    \x00\x00\x00\x00IEND\xaeB`\x82";
/// A millisecond of silence, `audio/wav`: 8 kHz, mono, 8 bits.
const SILENCE: &[u8] = b"RIFF,\x00\x00\x00WAVE\
    fmt \x10\x00\x00\x00\x01\x00\x01\x00@\x1f\x00\x00@\x1f\x00\x00\x01\x00\x08\x00\
    data\x08\x00\x00\x00\x80\x80\x80\x80\x80\x80\x80\x80";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let _log = logging::init(LogFormat::Text);
    let port: u16 = env::args().nth(1).ok_or("usage: conformance PORT")?.parse()?;

    let mcp = McpServer::builder("conformance", env!("CARGO_PKG_VERSION"))
        .tool(SimpleText)
        .tool(Image)
        .tool(Audio)
        .tool(EmbeddedResource)
        .tool(MultipleContentTypes)
        .tool(ErrorHandling)
        .tool(WithProgress)
        .tool(JsonSchema2020)
        .prompt(SimplePrompt)
        .prompt(PromptWithArguments)
        .prompt(PromptWithEmbeddedResource)
        .prompt(PromptWithImage)
        .build()?;
    // With sessions, because the steps are without: the scenarios then see a legacy server both ways.
    let endpoint = Endpoint::new(mcp).legacy_sessions();
    let app = Router::new().route("/mcp", endpoint.into_route()).layer(DnsRebindingLayer::loopback());

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    tracing::info!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

/// For the tools and prompts that take no arguments.
#[derive(Deserialize, JsonSchema)]
struct Nothing {}

/// A tool without arguments whose answer is always the same.
macro_rules! constant_tool {
    ($tool:ident, $name:literal, $title:literal, $content:expr) => {
        struct $tool;

        impl Tool for $tool {
            const NAME: &'static str = $name;
            const TITLE: &'static str = $title;
            const DESCRIPTION: &'static str = concat!($title, ", always the same.");
            const ANNOTATIONS: ToolAnnotations = ToolAnnotations::PURE;

            type Input = Nothing;
            type Output = Vec<Content>;

            async fn call(&self, _: &CallContext, _: Nothing) -> Result<Vec<Content>, ToolError> {
                Ok(Vec::from($content))
            }
        }
    };
}

constant_tool!(
    SimpleText,
    "test_simple_text",
    "A text",
    [Content::text("This is a simple text response for testing.")]
);
constant_tool!(Image, "test_image_content", "An image", [Content::image(RED_PIXEL, "image/png")]);
constant_tool!(Audio, "test_audio_content", "A sound", [Content::audio(SILENCE, "audio/wav")]);
constant_tool!(
    EmbeddedResource,
    "test_embedded_resource",
    "An embedded resource",
    [Content::resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")]
);
constant_tool!(
    MultipleContentTypes,
    "test_multiple_content_types",
    "A text, an image and a resource",
    [
        Content::text("Multiple content types test:"),
        Content::image(RED_PIXEL, "image/png"),
        Content::resource("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
    ]
);

struct ErrorHandling;

impl Tool for ErrorHandling {
    const NAME: &'static str = "test_error_handling";
    const TITLE: &'static str = "An error";
    const DESCRIPTION: &'static str = "Fails, always.";
    const ANNOTATIONS: ToolAnnotations = ToolAnnotations::PURE;

    type Input = Nothing;
    type Output = String;

    async fn call(&self, _: &CallContext, _: Nothing) -> Result<String, ToolError> {
        Err(ToolError::new("This tool intentionally returns an error for testing"))
    }
}

struct WithProgress;

impl Tool for WithProgress {
    const NAME: &'static str = "test_tool_with_progress";
    const TITLE: &'static str = "Progress";
    const DESCRIPTION: &'static str = "Takes a tenth of a second and reports 0, 50 and 100 of 100.";
    const ANNOTATIONS: ToolAnnotations = ToolAnnotations::PURE;

    type Input = Nothing;
    type Output = String;

    async fn call(&self, ctx: &CallContext, _: Nothing) -> Result<String, ToolError> {
        ctx.progress(0.0, Some(100.0), None).await;
        for done in [50.0, 100.0] {
            sleep(Duration::from_millis(50)).await;
            ctx.progress(done, Some(100.0), None).await;
        }
        Ok("Done, with progress.".to_owned())
    }
}

/// Its schema is written by hand: it has what no derive would make, and all of it must reach the client.
struct JsonSchema2020;

impl Tool for JsonSchema2020 {
    const NAME: &'static str = "json_schema_2020_12_tool";
    const TITLE: &'static str = "JSON Schema 2020-12";
    const DESCRIPTION: &'static str = "Takes an address and a way to reach you, checked with JSON Schema 2020-12.";
    const ANNOTATIONS: ToolAnnotations = ToolAnnotations::PURE;

    type Input = Map<String, Value>;
    type Output = String;

    fn input_schema() -> Value {
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {
                "address": {
                    "$anchor": "addressDef",
                    "type": "object",
                    "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
                },
            },
            "properties": {
                "name": { "type": "string" },
                "address": { "$ref": "#/$defs/address" },
                "contactMethod": { "type": "string", "enum": ["phone", "email"] },
                "phone": { "type": "string" },
                "email": { "type": "string" },
            },
            "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
            "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
            "then": { "required": ["phone"] },
            "else": { "required": ["email"] },
            "additionalProperties": false,
        })
    }

    async fn call(&self, _: &CallContext, input: Map<String, Value>) -> Result<String, ToolError> {
        Ok(Value::Object(input).to_string())
    }
}

struct SimplePrompt;

impl Prompt for SimplePrompt {
    const NAME: &'static str = "test_simple_prompt";
    const TITLE: &'static str = "A prompt";
    const DESCRIPTION: &'static str = "One text, always the same.";

    type Arguments = Nothing;

    async fn get(&self, _: &CallContext, _: Nothing) -> Vec<PromptMessage> {
        vec![PromptMessage::user(Content::text("This is a simple prompt for testing."))]
    }
}

struct PromptWithArguments;

#[derive(Deserialize, JsonSchema)]
struct TwoArguments {
    /// First test argument.
    arg1: String,
    /// Second test argument.
    arg2: String,
}

impl Prompt for PromptWithArguments {
    const NAME: &'static str = "test_prompt_with_arguments";
    const TITLE: &'static str = "A prompt with arguments";
    const DESCRIPTION: &'static str = "One text that names both arguments.";

    type Arguments = TwoArguments;

    async fn get(&self, _: &CallContext, TwoArguments { arg1, arg2 }: TwoArguments) -> Vec<PromptMessage> {
        vec![PromptMessage::user(Content::text(format!("Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")))]
    }
}

struct PromptWithEmbeddedResource;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ResourceArgument {
    /// URI of the resource to embed.
    resource_uri: String,
}

impl Prompt for PromptWithEmbeddedResource {
    const NAME: &'static str = "test_prompt_with_embedded_resource";
    const TITLE: &'static str = "A prompt with a resource";
    const DESCRIPTION: &'static str = "A resource under the given URI, and a text about it.";

    type Arguments = ResourceArgument;

    async fn get(&self, _: &CallContext, ResourceArgument { resource_uri }: ResourceArgument) -> Vec<PromptMessage> {
        vec![
            PromptMessage::user(Content::resource(
                resource_uri,
                "text/plain",
                "Embedded resource content for testing.",
            )),
            PromptMessage::user(Content::text("Please process the embedded resource above.")),
        ]
    }
}

struct PromptWithImage;

impl Prompt for PromptWithImage {
    const NAME: &'static str = "test_prompt_with_image";
    const TITLE: &'static str = "A prompt with an image";
    const DESCRIPTION: &'static str = "An image, and a text about it.";

    type Arguments = Nothing;

    async fn get(&self, _: &CallContext, _: Nothing) -> Vec<PromptMessage> {
        vec![
            PromptMessage::user(Content::image(RED_PIXEL, "image/png")),
            PromptMessage::user(Content::text("Please analyze the image above.")),
        ]
    }
}
