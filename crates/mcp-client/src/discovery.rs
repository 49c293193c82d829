//! What the authorization server says of itself (RFC 8414, OpenID Connect Discovery).

use http::StatusCode;
use mcp_auth::{AuthorizationServerMetadata, MetadataError, well_known_urls};
use url::Url;

use crate::{
    error::{Error, Fault},
    observer::{Step, shown},
    web::{Request, Web},
};

const STEP: Step = Step::AuthorizationServer;

/// Looks in each place where it may stand, in the specification's order. A document that is found and is another
/// issuer's ends the search: whoever put it there would have put the next one, too. A page is none.
pub(crate) async fn find(web: &Web, issuer: &str) -> Result<AuthorizationServerMetadata, Error> {
    web.checked(STEP, issuer)?;
    let urls = well_known_urls(issuer).map_err(|why| Error::new(STEP, Fault::Unreadable(shown(&why.to_string()))))?;
    for url in &urls {
        let answer = web.exchange(STEP, Request::get(url)).await?;
        if answer.status == StatusCode::OK && answer.is_object() {
            return AuthorizationServerMetadata::from_json(issuer, &answer.body).map_err(|why| {
                Error::new(
                    STEP,
                    match why {
                        MetadataError::OtherIssuer { asked, found } => {
                            Fault::Issuer { named: shown(&found), wanted: shown(&asked) }
                        }
                        why => Fault::Unreadable(shown(&why.to_string())),
                    },
                )
            });
        }
    }
    Err(Error::new(STEP, Fault::Nowhere(urls.iter().map(Url::to_string).collect())))
}

/// An endpoint that this exchange cannot do without, at an address where this client goes.
pub(crate) fn endpoint<'a>(web: &Web, name: &str, endpoint: Option<&'a Url>) -> Result<&'a Url, Error> {
    let missing = || Error::new(STEP, Fault::Unreadable(format!("the metadata has no {name}")));
    let url = endpoint.ok_or_else(missing)?;
    web.check(STEP, url)?;
    Ok(url)
}

/// Without S256 in the metadata a client must not go on (MCP 2026-07-28, *Authorization*, "Authorization Code
/// Protection"): the server would take the code from whoever brings it.
pub(crate) fn require_s256(metadata: &AuthorizationServerMetadata) -> Result<(), Error> {
    let methods = metadata.code_challenge_methods_supported.as_deref().unwrap_or_default();
    if methods.iter().any(|method| method == "S256") { Ok(()) } else { Err(Error::new(STEP, Fault::NoPkce)) }
}
