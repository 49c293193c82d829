//! Why a client that is a URL cannot be accepted.

use std::time::Duration;

use oauth_as::{CimdError, MAX_CLIENT_ID_DOCUMENT_BYTES};

/// Why there is no client at the URL, in a sentence for whoever publishes the document.
///
/// Nothing in it tells what only this server can see. That a name has a private address, and that it has none, are one
/// refusal: two would map a network for whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DocumentError {
    #[error("client_id is not the URL of a client metadata document: {0}")]
    Url(CimdError),
    #[error("client_id is not written as it would be fetched: lower-case host, no default port, no dot segments")]
    NotNormal,
    #[error("client_id names a port; documents are fetched from port 443 alone")]
    Port,
    #[error("the host of client_id does not resolve to public addresses alone")]
    Host,
    #[error("the client metadata document cannot be fetched: no connection, no valid certificate, or it broke off")]
    Connection,
    #[error("the client metadata document took longer than {} seconds", .0.as_secs_f32())]
    Deadline(Duration),
    #[error("the client metadata document was answered with status {0}; it has to be 200, and no redirect is followed")]
    Status(u16),
    #[error("the client metadata document is not served as application/json, or another type that ends in +json")]
    ContentType,
    #[error("the client metadata document is served compressed, which was not asked for")]
    Compressed,
    #[error("the client metadata document is larger than {MAX_CLIENT_ID_DOCUMENT_BYTES} bytes")]
    TooLarge,
    #[error("the client metadata document is not a JSON object")]
    NotAnObject,
    #[error("the client metadata document is not JSON (line {line}, column {column})")]
    NotJson { line: usize, column: usize },
    #[error(
        "a member of the client metadata document has the wrong type, or stands twice (line {line}, column {column})"
    )]
    Member { line: usize, column: usize },
    #[error("the client metadata document has no client_name that can be shown: 1 to 100 characters, printable")]
    Name,
    #[error(
        "the client metadata document has no grant_types that can be used: authorization_code has to be among them"
    )]
    Grant,
    #[error(
        "the client metadata document has no redirect_uris that can be used: https, or http on localhost, 127.0.0.1 or [::1]"
    )]
    RedirectUris,
    #[error("the client metadata document is refused: {0}")]
    Refused(CimdError),
    #[error("too many client metadata documents are asked for; try again in {} seconds", .retry_after.as_secs())]
    TooMany { retry_after: Duration },
}

impl DocumentError {
    /// Whether it is a fault of the moment, and not of the document.
    pub(crate) const fn is_passing(&self) -> bool {
        matches!(self, Self::Connection | Self::Deadline(_) | Self::Status(500..=599))
    }
}
