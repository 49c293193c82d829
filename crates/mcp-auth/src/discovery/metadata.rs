use serde_json::{Map, Value};
use url::Url;

use crate::{provider::permitted, shown::shown_up_to, strict_json};

/// No more of what a provider wrote is shown, in bytes.
const SHOWN: usize = 200;

/// What an authorization server says of itself, after every check: the members that somebody here asks for, and all of
/// them as they came.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AuthorizationServerMetadata {
    /// Its name, character for character the one that was asked for.
    pub issuer: String,
    /// Where a person is sent to log in.
    pub authorization_endpoint: Option<Url>,
    /// Where a code, or a secret, becomes a token.
    pub token_endpoint: Option<Url>,
    /// Where the keys are that sign its tokens.
    pub jwks_uri: Option<Url>,
    /// Where a client registers itself (RFC 7591).
    pub registration_endpoint: Option<Url>,
    /// Where a resource server asks what a token is (RFC 7662).
    pub introspection_endpoint: Option<Url>,
    /// Where a token is given back (RFC 7009).
    pub revocation_endpoint: Option<Url>,
    /// The scopes that it admits to have. Lists are `None` where the document has none, which is not to be empty.
    pub scopes_supported: Option<Vec<String>>,
    /// Such as `code`.
    pub response_types_supported: Option<Vec<String>>,
    /// Such as `authorization_code`.
    pub grant_types_supported: Option<Vec<String>>,
    /// Without `S256` in it no MCP client may go on (MCP 2026-07-28, *Authorization*, "Authorization Code Protection").
    pub code_challenge_methods_supported: Option<Vec<String>>,
    /// Such as `client_secret_basic`.
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// The same at the introspection endpoint.
    pub introspection_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Whether every authorization response says who it is from (RFC 9207).
    pub authorization_response_iss_parameter_supported: bool,
    /// Whether a client may be known by the URL of a document about it.
    pub client_id_metadata_document_supported: bool,
    /// The whole document.
    pub document: Map<String, Value>,
}

/// Why a document is not this issuer's metadata.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// Most often a page.
    #[error("it is not one JSON object without repetition")]
    NotJson,
    /// 512 KB.
    #[error("it is larger than any metadata")]
    TooLarge,
    /// RFC 8414 §3.3: such a document must not be used.
    #[error("it is of the issuer {}, and the one asked for is {}{}", shown_up_to(.found, SHOWN), shown_up_to(.asked, SHOWN), hint(.asked, .found))]
    OtherIssuer {
        /// The issuer that was asked for.
        asked: String,
        /// The one in the document.
        found: String,
    },
    /// A member is missing, or not what it has to be.
    #[error("its member {member} {why}")]
    Member {
        /// Which.
        member: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// What it is nearly always.
fn hint(asked: &str, found: &str) -> &'static str {
    if asked.trim_end_matches('/') == found.trim_end_matches('/') {
        " (a slash at the end counts: write it as the provider does)"
    } else {
        ""
    }
}

impl AuthorizationServerMetadata {
    /// Reads the document that was found for `issuer`, and checks it: one JSON object, of this issuer character for
    /// character, each endpoint with https (or, if the issuer is http too, http on a loopback host).
    ///
    /// # Errors
    /// When it is not that.
    pub fn from_json(issuer: &str, bytes: &[u8]) -> Result<Self, MetadataError> {
        let document = strict_json::object(bytes).map_err(|_| MetadataError::NotJson)?;
        let missing = MetadataError::Member { member: "issuer", why: "is missing, or no string" };
        let found = document.get("issuer").and_then(Value::as_str).ok_or(missing)?;
        if found != issuer {
            return Err(MetadataError::OtherIssuer { asked: issuer.to_owned(), found: found.to_owned() });
        }
        // Otherwise whoever listens on this machine would get the secret and the tokens for a provider elsewhere.
        let plain = Url::parse(issuer).is_ok_and(|issuer| issuer.scheme() == "http");
        let read = Members { document: &document, plain };
        Ok(Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: read.url("authorization_endpoint")?,
            token_endpoint: read.url("token_endpoint")?,
            jwks_uri: read.url("jwks_uri")?,
            registration_endpoint: read.url("registration_endpoint")?,
            introspection_endpoint: read.url("introspection_endpoint")?,
            revocation_endpoint: read.url("revocation_endpoint")?,
            scopes_supported: read.names("scopes_supported")?,
            response_types_supported: read.names("response_types_supported")?,
            grant_types_supported: read.names("grant_types_supported")?,
            code_challenge_methods_supported: read.names("code_challenge_methods_supported")?,
            token_endpoint_auth_methods_supported: read.names("token_endpoint_auth_methods_supported")?,
            introspection_endpoint_auth_methods_supported: read
                .names("introspection_endpoint_auth_methods_supported")?,
            authorization_response_iss_parameter_supported: read
                .flag("authorization_response_iss_parameter_supported")?,
            client_id_metadata_document_supported: read.flag("client_id_metadata_document_supported")?,
            document,
        })
    }
}

struct Members<'a> {
    document: &'a Map<String, Value>,
    /// The issuer itself is an http URL.
    plain: bool,
}

impl Members<'_> {
    /// Some servers write null for what they do not have.
    fn get(&self, member: &str) -> Option<&Value> {
        self.document.get(member).filter(|value| !value.is_null())
    }

    fn url(&self, member: &'static str) -> Result<Option<Url>, MetadataError> {
        let Some(value) = self.get(member) else { return Ok(None) };
        let url = value.as_str().ok_or("is no string").and_then(|text| {
            permitted(text).map_err(|_| "is no URL that can be used: https, or http on a loopback host")
        });
        let url = url.and_then(|url| {
            if url.scheme() == "https" || self.plain { Ok(url) } else { Err("is http, and the issuer is https") }
        });
        url.map(Some).map_err(|why| MetadataError::Member { member, why })
    }

    fn names(&self, member: &'static str) -> Result<Option<Vec<String>>, MetadataError> {
        let Some(value) = self.get(member) else { return Ok(None) };
        let names =
            value.as_array().and_then(|list| list.iter().map(|name| name.as_str().map(str::to_owned)).collect());
        names.map(Some).ok_or(MetadataError::Member { member, why: "is no list of strings" })
    }

    fn flag(&self, member: &'static str) -> Result<bool, MetadataError> {
        let flag = self.get(member).map_or(Some(false), Value::as_bool);
        flag.ok_or(MetadataError::Member { member, why: "is neither true nor false" })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://idp.example/realms/mcp";

    fn read(document: &Value) -> Result<AuthorizationServerMetadata, MetadataError> {
        AuthorizationServerMetadata::from_json(ISSUER, document.to_string().as_bytes())
    }

    #[test]
    fn what_is_there_and_what_is_not() {
        let metadata = read(&json!({
            "issuer": ISSUER, "jwks_uri": "https://keys.example/certs", "token_endpoint": "https://idp.example/token",
            "scopes_supported": ["mcp:read"], "code_challenge_methods_supported": [], "registration_endpoint": null,
            "authorization_response_iss_parameter_supported": true, "mtls_endpoint_aliases": {"x": 1},
        }))
        .unwrap();
        assert_eq!(metadata.jwks_uri.unwrap().as_str(), "https://keys.example/certs");
        assert_eq!(metadata.token_endpoint.unwrap().as_str(), "https://idp.example/token");
        assert_eq!((metadata.registration_endpoint, metadata.introspection_endpoint), (None, None));
        assert_eq!(metadata.scopes_supported.unwrap(), ["mcp:read"]);
        assert_eq!(metadata.code_challenge_methods_supported, Some(Vec::new()));
        assert_eq!(metadata.token_endpoint_auth_methods_supported, None);
        assert!(metadata.authorization_response_iss_parameter_supported);
        assert!(!metadata.client_id_metadata_document_supported);
        assert_eq!(metadata.document["mtls_endpoint_aliases"]["x"], 1);
    }

    #[test]
    fn another_issuer_is_another() {
        for found in [
            "https://idp.example/realms/mcp/",
            "https://idp.example/realms/MCP",
            "https://IDP.example/realms/mcp",
            "https://idp.example:443/realms/mcp",
            "http://idp.example/realms/mcp",
            "https://idp.example/realms/mcp ",
            "https://evil.example/realms/mcp",
            "",
        ] {
            let error = read(&json!({ "issuer": found })).unwrap_err();
            assert!(matches!(&error, MetadataError::OtherIssuer { .. }), "{found}: {error}");
            assert_eq!(error.to_string().contains("slash"), found == "https://idp.example/realms/mcp/", "{error}");
        }
        let long = format!("https://{}\u{1b}[2J", "x".repeat(100_000));
        let told = read(&json!({ "issuer": long })).unwrap_err().to_string();
        assert!(told.len() < 500 && !told.contains('\u{1b}'), "{told}");
    }

    #[test]
    fn what_is_no_metadata() {
        for text in [
            "",
            "<!doctype html>",
            "[]",
            "null",
            &format!(r#"{{"issuer":"{ISSUER}","issuer":"{ISSUER}"}}"#),
            &format!(r#"{{"issuer":"{ISSUER}"}} {{}}"#),
        ] {
            let read = AuthorizationServerMetadata::from_json(ISSUER, text.as_bytes());
            assert_eq!(read, Err(MetadataError::NotJson), "{text}");
        }
        for (member, value) in [
            ("issuer", json!(1)),
            ("issuer", json!([ISSUER])),
            ("jwks_uri", json!("http://idp.example/certs")),
            ("jwks_uri", json!("http://localhost:8080/certs")),
            ("introspection_endpoint", json!("http://127.0.0.1:1/introspect")),
            ("jwks_uri", json!("/certs")),
            ("jwks_uri", json!("file:///etc/passwd")),
            ("token_endpoint", json!("http://localhost.evil.example/token")),
            ("introspection_endpoint", json!("https://user:secret@idp.example/")),
            ("introspection_endpoint", json!(1)),
            ("registration_endpoint", json!(["https://idp.example/"])),
            ("authorization_endpoint", json!("javascript:alert(1)")),
            ("revocation_endpoint", json!("")),
            ("scopes_supported", json!("mcp:read")),
            ("scopes_supported", json!(["mcp:read", 1])),
            ("code_challenge_methods_supported", json!({})),
            ("client_id_metadata_document_supported", json!("true")),
        ] {
            let mut document = json!({ "issuer": ISSUER });
            document[member] = value;
            let error = read(&document).unwrap_err();
            assert!(matches!(error, MetadataError::Member { member: told, .. } if told == member), "{document}");
        }
        let near = "http://localhost:8080/realms/mcp";
        let document = json!({ "issuer": near, "jwks_uri": "http://localhost:8080/certs" }).to_string();
        assert!(AuthorizationServerMetadata::from_json(near, document.as_bytes()).is_ok());
        assert!(read(&json!({})).unwrap_err().to_string().contains("issuer"));
    }
}
