//! What a document has to say, and what of it counts.

use oauth_as::{CimdPolicy, ClientIdUrl, GrantType, MAX_CLIENT_ID_DOCUMENT_BYTES, ValidatedClientIdDocument};
use serde::{Deserialize, Serialize};
use serde_json::{Value, error::Category};
use url::{Host, Url};

use super::{Document, DocumentError, address};
use crate::redirect_uri;

/// No client's name is longer, in characters.
const NAME: usize = 100;

/// What oauth-as checks: everything in its own default way, but for where clients are sent back to. Native ones list
/// this machine, and §8.1 leaves it open; a page that shows both hosts is what stands in for same-origin.
pub(super) fn policy(loopback: bool) -> CimdPolicy {
    let mut policy = CimdPolicy::new();
    policy.allow_loopback = loopback;
    policy.redirect_uris_same_origin = false;
    // Measured as it was sent. What is handed on was written anew, and may be a little longer.
    policy.max_document_bytes = 2 * MAX_CLIENT_ID_DOCUMENT_BYTES;
    policy
}

/// Where a document is: one URL, in two readings that are known to agree.
pub(super) struct Location {
    id: ClientIdUrl,
    pub(super) url: Url,
}

impl Location {
    /// # Errors
    /// When nothing is fetched from there (§3, §8.6).
    pub(super) fn parse(client_id: &str, policy: &CimdPolicy) -> Result<Self, DocumentError> {
        let id = ClientIdUrl::parse(client_id, policy).map_err(DocumentError::Url)?;
        // As it is requested is as it was written. It is compared byte by byte (§3), so every spelling that a parser
        // smooths out would be one more client at the same place.
        let url = Url::parse(client_id).ok().filter(|url| url.as_str() == client_id).ok_or(DocumentError::NotNormal)?;
        // §3 allows a port. No client that is known uses one, and this machine is nobody's port scanner.
        if url.port().is_some() && !policy.allow_loopback {
            return Err(DocumentError::Port);
        }
        // An address is not resolved, so nobody else checks it.
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            _ => None,
        };
        match address {
            Some(address) if !address::is_allowed(address, policy.allow_loopback) => Err(DocumentError::Host),
            _ => Ok(Self { id, url }),
        }
    }
}

/// The members that are read (RFC 7591 §2), each once: of two with one name, none is believed. Others are nobody's.
///
/// `scope` is not among them. What a client may ask for is decided here, not where it comes from.
#[derive(Deserialize, Serialize)]
struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_name: Option<String>,
    #[serde(default)]
    redirect_uris: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant_types: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_types: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_endpoint_auth_method: Option<String>,
    // Secrets and keys: oauth-as refuses whoever has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret_expires_at: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    software_statement: Option<String>,
}

/// The client that `body`, fetched from `location`, describes.
///
/// # Errors
/// When it describes none that could log in here.
pub(super) fn read(location: &Location, body: &[u8], policy: &CimdPolicy) -> Result<Document, DocumentError> {
    let mut metadata = parse(body)?;

    // RFC 7591 §2: what this server does not offer is the client's business with others.
    if let Some(grants) = &mut metadata.grant_types {
        let offered = [GrantType::AuthorizationCode, GrantType::RefreshToken].map(GrantType::as_str);
        grants.retain(|grant| offered.contains(&grant.as_str()));
        if !grants.iter().any(|grant| grant == GrantType::AuthorizationCode.as_str()) {
            return Err(DocumentError::Grant);
        }
    }
    // The same place on this machine at several ports is one (RFC 8252 §7.3): some list every port that they might get.
    let mut usable: Vec<String> = Vec::new();
    for uri in metadata.redirect_uris {
        if redirect_uri::check(&uri).is_ok() && !usable.iter().any(|other| redirect_uri::matches(other, &uri, true)) {
            usable.push(uri);
        }
    }
    if usable.is_empty() {
        return Err(DocumentError::RedirectUris);
    }
    metadata.redirect_uris = usable;

    let written = serde_json::to_vec(&metadata).map_err(|_| DocumentError::NotAnObject)?;
    let validated =
        ValidatedClientIdDocument::validate(&location.id, &written, policy).map_err(DocumentError::Refused)?;
    let mut client = validated.to_client();
    client.name = Some(name(metadata.client_name).ok_or(DocumentError::Name)?);

    let host = location.url.host_str().unwrap_or_default().to_owned();
    Ok(Document { client, host })
}

fn parse(body: &[u8]) -> Result<Metadata, DocumentError> {
    // serde takes an array for an object whose members come in their order.
    let is_object = body.trim_ascii_start().starts_with(b"{");
    match serde_json::from_slice(body) {
        Ok(metadata) if is_object => Ok(metadata),
        Err(error) if error.classify() != Category::Data => {
            Err(DocumentError::NotJson { line: error.line(), column: error.column() })
        }
        // serde's words quote the document.
        Err(error) if is_object => Err(DocumentError::Member { line: error.line(), column: error.column() }),
        _ => Err(DocumentError::NotAnObject),
    }
}

/// The name as it may stand on a page: one line that nobody has to guess at.
fn name(name: Option<String>) -> Option<String> {
    let name = name?.trim().to_owned();
    let can_be_shown = name.chars().count() <= NAME
        && name.chars().any(char::is_alphanumeric)
        && !name.chars().any(|char| char.is_control() || is_hidden(char));
    can_be_shown.then_some(name)
}

/// Characters that turn the text around them round, or are not there to be seen (Unicode TR 36). Joiners are left: some
/// scripts need them.
const fn is_hidden(char: char) -> bool {
    matches!(
        char,
        '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
    )
}
