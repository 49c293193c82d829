//! Where an answer may go: to the client's registered address, letter by letter (RFC 9700 §4.1).

use super::{
    found::{Finding, Found, Stop},
    metadata::STRANGER,
    rows::{Area, Needs, Probe, Rows},
    server::Server,
};
use crate::run::shown;

const EXACT: &str = "RFC 9700 §4.1.3; MCP authorization: exact redirect URIs";
const SPELLING: &str = "RFC 9700 §4.1.3; RFC 3986 §6.2.1";
const PARSERS: &str = "RFC 9700 §4.1; CWE-1023";

/// What a bent address can be told by.
const MARK: &str = "mcp-attack-more";

pub(super) fn rows() -> Vec<Probe> {
    let client = Needs::Client;
    Rows::of(Area::RedirectUri)
        .breach(("redirect-unregistered", "an address of somebody else", EXACT), client, |s| {
            Box::pin(bent(s, |_| Some(format!("https://{STRANGER}/callback"))))
        })
        .breach(("redirect-javascript", "javascript: instead of an address", "RFC 9700 §4.1; CWE-79"), client, |s| {
            Box::pin(bent(s, |_| Some("javascript:alert(document.domain)//".to_owned())))
        })
        .breach(("redirect-host-suffix", "the host as the beginning of another name", PARSERS), client, |s| {
            Box::pin(bent(s, |at| Some(format!("{}://{}.{STRANGER}{}{}", at.scheme, at.host, at.port, at.path))))
        })
        .breach(("redirect-userinfo", "the host as the user of another one", PARSERS), client, |s| {
            Box::pin(bent(s, |at| Some(format!("{}://{}{}@{STRANGER}{}", at.scheme, at.host, at.port, at.path))))
        })
        .breach(("redirect-user", "a user before the host", EXACT), client, |s| {
            Box::pin(bent(s, |at| Some(format!("{}://{MARK}@{}{}{}", at.scheme, at.host, at.port, at.path))))
        })
        .breach(("redirect-backslash", "another host before a backslash", PARSERS), client, |s| {
            Box::pin(bent(s, |at| Some(format!("{}://{STRANGER}\\@{}{}{}", at.scheme, at.host, at.port, at.path))))
        })
        .breach(("redirect-fragment-host", "another host before a #", PARSERS), client, |s| {
            Box::pin(bent(s, |at| Some(format!("https://{STRANGER}#{}", at.whole))))
        })
        .breach(("redirect-scheme", "http for https, or https for http", EXACT), client, |s| {
            Box::pin(bent(s, |at| {
                let other = if at.scheme == "https" { "http" } else { "https" };
                Some(format!("{other}://{}{}{}", at.host, at.port, at.path))
            }))
        })
        .breach(("redirect-port", "another port", EXACT), client, |s| {
            // On this machine a native client has whatever port it gets (RFC 8252 §7.3).
            Box::pin(bent(s, |at| (at.scheme == "https").then(|| format!("https://{}:8443{}", at.host, at.path))))
        })
        .breach(("redirect-longer", "the address and one letter more", EXACT), client, |s| {
            Box::pin(bent(s, |at| Some(format!("{}x", at.whole))))
        })
        .breach(("redirect-shorter", "the address and one letter less", EXACT), client, |s| {
            Box::pin(bent(s, |at| at.whole.get(..at.whole.len() - 1).map(str::to_owned)))
        })
        .breach(("redirect-deeper", "a path below it", EXACT), client, |s| {
            Box::pin(bent(s, |at| Some(format!("{}/{MARK}", at.whole))))
        })
        .breach(("redirect-dot-segments", "a path beside it, by way of `..`", PARSERS), client, |s| {
            Box::pin(bent(s, |at| Some(format!("{}/../{MARK}", at.whole))))
        })
        .breach(("redirect-encoded-dots", "a path beside it, by way of `%2e%2e`", PARSERS), client, |s| {
            Box::pin(bent(s, |at| Some(format!("{}/%2e%2e/{MARK}", at.whole))))
        })
        .breach(("redirect-query", "a query more", EXACT), client, |s| {
            Box::pin(bent(s, |at| {
                let join = if at.whole.contains('?') { '&' } else { '?' };
                Some(format!("{}{join}{MARK}=1", at.whole))
            }))
        })
        .breach(("redirect-fragment", "a fragment", "RFC 6749 §3.1.2"), client, |s| {
            Box::pin(bent(s, |at| Some(format!("{}#{MARK}", at.whole))))
        })
        .breach(("redirect-crlf", "a line break and a header", "RFC 9700 §4.1; CWE-113"), client, |s| {
            Box::pin(bent(s, |at| Some(format!("{}\r\nX-Mcp-Attack: 1", at.whole))))
        })
        .breach(
            ("redirect-encoded-crlf", "a line break and a header, percent-encoded", "RFC 9700 §4.1; CWE-113"),
            client,
            |s| Box::pin(bent(s, |at| Some(format!("{}%0d%0aX-Mcp-Attack:%201", at.whole)))),
        )
        .lax(("redirect-slash", "a slash more at the end", SPELLING), client, |s| {
            Box::pin(bent(s, |at| Some(format!("{}/", at.whole))))
        })
        .lax(("redirect-space", "a space in front", SPELLING), client, |s| {
            Box::pin(bent(s, |at| Some(format!(" {}", at.whole))))
        })
        .lax(("redirect-host-case", "the host in capitals", SPELLING), client, |s| {
            Box::pin(bent(s, |at| {
                let loud = at.host.to_uppercase();
                (loud != at.host).then(|| format!("{}://{loud}{}{}", at.scheme, at.port, at.path))
            }))
        })
        .breach(("redirect-path-case", "the path in capitals", SPELLING), client, |s| {
            Box::pin(bent(s, |at| {
                let loud = at.path.to_uppercase();
                (loud != at.path).then(|| format!("{}://{}{}{loud}", at.scheme, at.host, at.port))
            }))
        })
        .breach(("redirect-native-path", "another path on this machine", EXACT), Needs::NativeClient, |s| {
            Box::pin(native(s, |at| format!("{}://{}{}/{MARK}", at.scheme, at.host, at.port)))
        })
        .breach(("redirect-native-host", "this machine as the user of another", PARSERS), Needs::NativeClient, |s| {
            Box::pin(native(s, |at| format!("{}://{}{}@{STRANGER}{}", at.scheme, at.host, at.port, at.path)))
        })
        .lax(
            ("redirect-native-name", "this machine by another of its names", "RFC 8252 §7.3, §8.3"),
            Needs::NativeClient,
            |s| {
                Box::pin(other_name(s, |at| {
                    let other = if at.host == "localhost" { "127.0.0.1" } else { "localhost" };
                    format!("{}://{other}{}{}", at.scheme, at.port, at.path)
                }))
            },
        )
        .lax(
            (
                "redirect-unasked",
                "an error to an address that only the client vouches for",
                "RFC 9700 §4.11.2; MCP authorization: untrusted URIs",
            ),
            client,
            |s| Box::pin(unasked(s)),
        )
        .done()
}

/// A registered address and its parts, as they are written.
struct Address<'a> {
    whole: &'a str,
    scheme: &'a str,
    host: &'a str,
    /// With its colon.
    port: &'a str,
    path: &'a str,
}

impl<'a> Address<'a> {
    fn of(whole: &'a str) -> Option<Self> {
        let (scheme, rest) = whole.split_once("://")?;
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let colon = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
        let (host, port) = authority.split_at(colon.unwrap_or(authority.len()));
        Some(Self { whole, scheme, host, port, path })
    }
}

async fn bent(server: &Server, bend: fn(&Address<'_>) -> Option<String>) -> Finding {
    let client = server.exact()?;
    let address = Address::of(&client.redirect_uri);
    let uri = address.as_ref().and_then(bend);
    let uri = uri.ok_or_else(|| Stop::not_run(format!("{} cannot be bent that way", client.redirect_uri)))?;
    sent_to(server, client, &uri).await
}

async fn native(server: &Server, bend: fn(&Address<'_>) -> String) -> Finding {
    let client = server.native()?;
    let address = Address::of(&client.redirect_uri).filter(|_| client.is_native());
    let uri = address.as_ref().map(bend);
    let uri = uri.ok_or_else(|| Stop::not_run(format!("{} is not on this machine", client.redirect_uri)))?;
    sent_to(server, client, &uri).await
}

/// A client that is given may have registered each name.
async fn other_name(server: &Server, bend: fn(&Address<'_>) -> String) -> Finding {
    if !server.native()?.registered_itself {
        return Err(Stop::not_run("the given client may have registered both"));
    }
    native(server, bend).await
}

/// Neither the person's answer nor an error may go to `uri`.
async fn sent_to(server: &Server, client: &super::client::Client, uri: &str) -> Finding {
    let visit = server.ask(&server.query(client).with("redirect_uri", uri)).await?;
    let last = visit.last().clone();
    if last.header("x-mcp-attack").is_some() {
        return Ok(Found::let_in("it wrote the header").with(last));
    }
    if let Some(location) = visit.location().filter(|_| visit.parameter("error").is_some()) {
        let home = server.is_told(client, &visit) && !location.contains(MARK);
        return Ok(Found::let_in_if(!home, format!("{} to {}", last.status, shown(location))).with(last));
    }
    server.not_on(&visit)
}

/// A link to the server that takes a person straight to a stranger, who has registered for it.
async fn unasked(server: &Server) -> Finding {
    let client = server.exact()?;
    if !client.registered_itself || client.is_native() {
        return Err(Stop::not_run("needs a client on the web that has registered itself"));
    }
    let visit = server.ask(&server.query(client).with("response_type", "mcp-attack")).await?;
    Ok(Found::let_in_if(server.is_told(client, &visit), visit.said()).with(visit.last().clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_an_address() {
        for (whole, parts) in [
            ("https://client.example/cb?x", ["https", "client.example", "", "/cb?x"]),
            ("http://127.0.0.1:33418/callback", ["http", "127.0.0.1", ":33418", "/callback"]),
            ("http://[::1]:1", ["http", "[::1]", ":1", ""]),
            ("http://[::1]/", ["http", "[::1]", "", "/"]),
            ("https://client.example?x", ["https", "client.example", "", "?x"]),
        ] {
            let at = Address::of(whole).unwrap();
            assert_eq!([at.scheme, at.host, at.port, at.path], parts, "{whole}");
        }
    }
}
