//! Protocol revisions and the two eras, decided per request.
//!
//! *Legacy* revisions open with an `initialize` handshake. *Modern* ones carry version, identity and capabilities in
//! the `_meta` of every request (MCP 2026-07-28, *Versioning and Compatibility*).

use std::fmt;

use serde_json::{Map, Value, json};

use crate::{
    jsonrpc::{ErrorObject, Params, code},
    shown::shown,
};

/// A revision of the protocol that this server speaks, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// 2024-11-05, over Streamable HTTP (its own HTTP+SSE transport is not served).
    V2024_11_05,
    /// 2025-03-26.
    V2025_03_26,
    /// 2025-06-18.
    V2025_06_18,
    /// 2025-11-25, the last one with a handshake.
    V2025_11_25,
    /// 2026-07-28, the first one without.
    V2026_07_28,
}

impl Revision {
    /// Every revision served, oldest first.
    pub const ALL: [Self; 5] =
        [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25, Self::V2026_07_28];
    /// What `initialize` answers to a version it does not know.
    pub const LATEST_LEGACY: Self = Self::V2025_11_25;

    /// The revision of that name, if it is served.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.as_str() == name)
    }

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Whether requests of this revision carry their metadata in `_meta`.
    pub const fn is_modern(self) -> bool {
        matches!(self, Self::V2026_07_28)
    }

    /// The names to give as `supported`. Modern ones only: the official dual-era servers do the same, and a client that
    /// finds a legacy name there would retry with it as if it were modern.
    pub fn modern_names() -> Vec<&'static str> {
        Self::ALL.into_iter().filter(|revision| revision.is_modern()).map(Self::as_str).collect()
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The two ways of saying which revision a request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// By a handshake earlier on, repeated in the header `MCP-Protocol-Version`.
    Legacy,
    /// In `_meta` of each request.
    Modern,
}

impl Era {
    /// Which era a request belongs to. `version_header` is the value of `MCP-Protocol-Version`, if there is one.
    pub fn of(method: &str, params: &Params, version_header: Option<&str>) -> Self {
        let named_in_meta = meta(params).is_some_and(|meta| meta.contains_key(PROTOCOL_VERSION));
        let named_in_header =
            version_header.is_some_and(|name| is_date(name) && name >= Revision::V2026_07_28.as_str());
        if named_in_meta || named_in_header || method == "server/discover" { Self::Modern } else { Self::Legacy }
    }
}

/// Revisions are ISO dates, so they compare as strings; anything else (`v999`) is no revision of any era.
fn is_date(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() == 10
        && bytes.iter().enumerate().all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() })
}

const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// Key of the server's name and version in the `_meta` of a modern result.
pub(crate) const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

fn meta(params: &Params) -> Option<&Map<String, Value>> {
    params.meta.as_ref().and_then(Value::as_object)
}

/// The `protocolVersion` in `_meta`, if there is one.
pub fn named_version(params: &Params) -> Option<&str> {
    meta(params)?.get(PROTOCOL_VERSION)?.as_str()
}

/// The `protocolVersion` of a modern request, once both required `_meta` fields are there (MCP 2026-07-28, *Overview*,
/// `_meta`).
///
/// # Errors
/// [`code::INVALID_PARAMS`], naming the field.
pub fn requested_version(params: &Params) -> Result<&str, ErrorObject> {
    let missing = |field: &str, kind: &str| {
        ErrorObject::new(code::INVALID_PARAMS, format!("params._meta[{field:?}] is required and must be {kind}"))
    };
    let field = |name: &str| meta(params).and_then(|meta| meta.get(name));
    let version =
        field(PROTOCOL_VERSION).and_then(Value::as_str).ok_or_else(|| missing(PROTOCOL_VERSION, "a string"))?;
    if !field(CLIENT_CAPABILITIES).is_some_and(Value::is_object) {
        return Err(missing(CLIENT_CAPABILITIES, "an object"));
    }
    Ok(version)
}

/// The error for a version that is not served; both members of `data` are required by the schema.
pub fn unsupported_version(requested: &str) -> ErrorObject {
    let served = Revision::ALL.map(Revision::as_str).join(", ");
    ErrorObject::new(
        code::UNSUPPORTED_PROTOCOL_VERSION,
        format!("protocol version {:?} is not supported; this server speaks {served}", shown(requested)),
    )
    .with_data(json!({ "supported": Revision::modern_names(), "requested": shown(requested) }))
}

/// Ties progress notifications to the request that asked for them: a string or an integer, sent back as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgressToken(Value);

impl ProgressToken {
    /// The token in `params._meta.progressToken`, if the request has one.
    ///
    /// # Errors
    /// [`code::INVALID_PARAMS`] when it is neither a string nor an integer.
    pub fn from_params(params: &Params) -> Result<Option<Self>, ErrorObject> {
        match meta(params).and_then(|meta| meta.get("progressToken")) {
            None => Ok(None),
            Some(token) if token.is_string() || token.is_i64() || token.is_u64() => Ok(Some(Self(token.clone()))),
            Some(_) => {
                Err(ErrorObject::new(code::INVALID_PARAMS, "params._meta.progressToken must be a string or an integer"))
            }
        }
    }

    /// The token as JSON.
    pub fn as_value(&self) -> &Value {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(mut value: Value) -> Params {
        Params { meta: value.get_mut("_meta").map(Value::take), ..Params::default() }
    }

    #[test]
    fn the_era_is_read_off_the_request() {
        let modern = params(json!({ "_meta": { PROTOCOL_VERSION: "v999" } }));
        let plain = Params::default();
        for (method, params, header, era) in [
            ("tools/list", &modern, None, Era::Modern),
            ("tools/list", &plain, Some("2026-07-28"), Era::Modern),
            ("tools/list", &plain, Some("2030-01-01"), Era::Modern),
            ("server/discover", &plain, Some("2025-11-25"), Era::Modern),
            ("initialize", &plain, None, Era::Legacy),
            ("tools/list", &plain, Some("2025-11-25"), Era::Legacy),
            ("tools/list", &plain, Some("v999"), Era::Legacy),
        ] {
            assert_eq!(Era::of(method, params, header), era, "{method} {header:?}");
        }
    }

    #[test]
    fn both_meta_fields_are_required() {
        for (value, field) in [
            (json!({}), PROTOCOL_VERSION),
            (json!({ "_meta": 1 }), PROTOCOL_VERSION),
            (json!({ "_meta": { PROTOCOL_VERSION: 1 } }), PROTOCOL_VERSION),
            (json!({ "_meta": { PROTOCOL_VERSION: "2026-07-28" } }), CLIENT_CAPABILITIES),
            (json!({ "_meta": { PROTOCOL_VERSION: "2026-07-28", CLIENT_CAPABILITIES: [] } }), CLIENT_CAPABILITIES),
        ] {
            let error = requested_version(&params(value)).unwrap_err();
            assert_eq!(error.code, code::INVALID_PARAMS);
            assert!(error.message.contains(field), "{}", error.message);
        }
    }

    #[test]
    fn every_revision_finds_itself() {
        for revision in Revision::ALL {
            assert_eq!(Revision::parse(revision.as_str()), Some(revision));
        }
        assert_eq!(Revision::parse("2024-10-07"), None);
    }
}
