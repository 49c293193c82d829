//! Which token a request presents, and where no token belongs.

use http::{HeaderMap, HeaderName, header::AUTHORIZATION, request::Parts};
use url::form_urlencoded;

use crate::TokenError;

/// The raw token, for agents that cannot set `Authorization`.
pub(super) const AGENT_SESSION: HeaderName = HeaderName::from_static("agent-session");

/// A request that presents its credential in a way that is no way (RFC 6750 §3.1: `invalid_request`, 400).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InvalidRequest(pub(super) &'static str);

/// What a request presents.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Presented<'a> {
    /// No token.
    Nothing,
    /// One token.
    Token(&'a str),
    /// Something where the token belongs that cannot be one.
    Unreadable(TokenError),
}

/// `Authorization: Bearer` is looked at first, and what it says is final: a bad token there is never excused by a good
/// one elsewhere.
pub(super) fn presented(parts: &Parts, agent_session: bool) -> Result<Presented<'_>, InvalidRequest> {
    // OAuth 2.1 §5.1.2: not in the query, where logs, histories and Referer keep it. However it is spelled.
    let query = parts.uri.query().unwrap_or_default();
    if form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token") {
        return Err(InvalidRequest("send the token in the Authorization header, never in the URL"));
    }
    let authorization = single(&parts.headers, &AUTHORIZATION, "send one Authorization header")?;
    if let Some(token) = authorization.and_then(bearer) {
        return Ok(readable(token));
    }
    if !agent_session {
        return Ok(Presented::Nothing);
    }
    let session = single(&parts.headers, &AGENT_SESSION, "send one agent-session header")?;
    Ok(session.map_or(Presented::Nothing, readable))
}

fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    otherwise: &'static str,
) -> Result<Option<&'a [u8]>, InvalidRequest> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value.map(|value| value.as_bytes())),
        // Whichever of the two is taken, somebody on the way may have taken the other.
        _ => Err(InvalidRequest(otherwise)),
    }
}

/// What follows `Bearer`, in any case (RFC 9110 §11.1). Another scheme is no token of ours.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at(value.iter().position(|b| *b == b' ').unwrap_or(value.len()));
    scheme.eq_ignore_ascii_case(b"bearer").then(|| token.trim_ascii())
}

fn readable(token: &[u8]) -> Presented<'_> {
    match str::from_utf8(token) {
        Ok("") => Presented::Unreadable(TokenError::Malformed("the token is empty")),
        Ok(token) => Presented::Token(token),
        Err(_) => Presented::Unreadable(TokenError::Malformed("the token has characters outside base64url")),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(uri: &str, headers: &[(&str, &[u8])]) -> Parts {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn one_token_in_its_place() {
        for (headers, expected) in [
            (&[][..], Presented::Nothing),
            (&[("authorization", &b"Bearer a.b.c"[..])][..], Presented::Token("a.b.c")),
            (&[("authorization", b"bEARER  a.b.c ")], Presented::Token("a.b.c")),
            (&[("authorization", b"Basic YTpi")], Presented::Nothing),
            (&[("authorization", b"Bearerer a.b.c")], Presented::Nothing),
            (&[("authorization", b"Bearer a.b.c"), ("agent-session", b"d.e.f")], Presented::Token("a.b.c")),
            (&[("authorization", b"Bearer bad"), ("agent-session", b"d.e.f")], Presented::Token("bad")),
            (&[("authorization", b"Basic YTpi"), ("agent-session", b"d.e.f")], Presented::Token("d.e.f")),
            (&[("agent-session", b"d.e.f")], Presented::Token("d.e.f")),
        ] {
            assert_eq!(presented(&parts("/mcp", headers), true), Ok(expected), "{headers:?}");
        }
        let only_session = parts("/mcp", &[("agent-session", b"d.e.f")]);
        assert_eq!(presented(&only_session, false), Ok(Presented::Nothing), "off unless it is turned on");
        for empty in [&b"Bearer"[..], b"Bearer ", b"Bearer \xff"] {
            let parts = parts("/mcp", &[("authorization", empty), ("agent-session", b"d.e.f")]);
            assert!(matches!(presented(&parts, true), Ok(Presented::Unreadable(_))), "{empty:?}");
        }
    }

    #[test]
    fn no_token_where_none_belongs() {
        let good = ("authorization", &b"Bearer a.b.c"[..]);
        for (uri, headers) in [
            ("/mcp?access_token=a.b.c", &[][..]),
            ("/mcp?access_token=a.b.c", &[good][..]),
            ("/mcp?x=1&access%5ftoken=", &[good]),
            ("/mcp", &[good, good]),
            ("/mcp", &[good, ("authorization", b"Basic YTpi")]),
            ("/mcp", &[("agent-session", b"a"), ("agent-session", b"b")]),
        ] {
            assert!(presented(&parts(uri, headers), true).is_err(), "{uri} {headers:?}");
        }
        assert_eq!(presented(&parts("/mcp?q=access_token", &[good]), true), Ok(Presented::Token("a.b.c")));
    }
}
