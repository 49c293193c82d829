//! Content blocks: what tools return and prompts say (MCP 2026-07-28, *Tools*, "Tool Result").

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Serialize;

/// One block of content.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// An image.
    #[serde(rename_all = "camelCase")]
    Image {
        /// The bytes, base64-encoded.
        data: String,
        /// Such as `image/png`.
        mime_type: String,
    },
    /// A sound.
    #[serde(rename_all = "camelCase")]
    Audio {
        /// The bytes, base64-encoded.
        data: String,
        /// Such as `audio/wav`.
        mime_type: String,
    },
    /// A resource, embedded whole.
    Resource {
        /// The resource.
        resource: EmbeddedResource,
    },
}

impl Content {
    /// A text block.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// An image block from its bytes.
    pub fn image(bytes: impl AsRef<[u8]>, mime_type: impl Into<String>) -> Self {
        Self::Image { data: BASE64_STANDARD.encode(bytes), mime_type: mime_type.into() }
    }

    /// An audio block from its bytes.
    pub fn audio(bytes: impl AsRef<[u8]>, mime_type: impl Into<String>) -> Self {
        Self::Audio { data: BASE64_STANDARD.encode(bytes), mime_type: mime_type.into() }
    }

    /// An embedded text resource.
    pub fn resource(uri: impl Into<String>, mime_type: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Resource {
            resource: EmbeddedResource { uri: uri.into(), mime_type: mime_type.into(), text: text.into() },
        }
    }
}

/// A text resource inside a result.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EmbeddedResource {
    /// Its URI.
    pub uri: String,
    /// Such as `text/plain`.
    pub mime_type: String,
    /// Its text.
    pub text: String,
}
