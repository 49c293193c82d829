//! Redirect URIs: which can be used, and which are the same.

use url::Url;

/// Whether codes may be sent there: over https, or to this machine (RFC 8252 §7.3). No fragment (RFC 6749 §3.1.2), no
/// user: `https://bank.example@evil.example/` is not at the bank. No scheme of an app's own: any app can claim it
/// (RFC 8252 §8.1), and `javascript:` is one.
pub(crate) fn is_usable(uri: &str) -> bool {
    // As written, what a parser drops or turns round cannot make it mean something else to the next one.
    let plain = uri.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\'));
    let authority = uri.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?']).next().unwrap_or_default());
    plain
        && !authority.is_empty()
        && !authority.contains('@')
        && (is_loopback(uri) || uri.starts_with("https://") && Url::parse(uri).is_ok_and(|url| url.has_host()))
}

/// Whether it leads to the machine of whoever follows it, over http: the page has to say so, since any program there can
/// be behind it (MCP 2026-07-28, *Client Registration*, "Localhost Redirect URI Risks").
pub(crate) fn is_loopback(uri: &str) -> bool {
    loopback(uri).is_some()
}

/// Whether a code may be sent to `requested` if `registered` was registered: if they are the same, or the same on this
/// machine but for the port, which a native client is given when it asks (RFC 8252 §7.3).
///
/// The RFC has this for IP addresses; clients that are in wide use register `http://localhost/callback` and come with a
/// port too.
pub(crate) fn matches(registered: &str, requested: &str) -> bool {
    let same_but_for_port = || Some(loopback(registered)? == loopback(requested)?);
    registered == requested || same_but_for_port().unwrap_or(false)
}

/// The host, and all behind the port.
fn loopback(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let host = ["localhost", "127.0.0.1", "[::1]"].into_iter().find(|host| rest.starts_with(host))?;
    let rest = &rest[host.len()..];
    let (port, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    let usable = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    (usable && !rest.contains('#')).then_some((host, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_used() {
        for uri in [
            "https://client.example/callback",
            "https://client.example",
            "https://client.example:8443/callback?tenant=1",
            "http://localhost/callback",
            "http://localhost:33418",
            "http://127.0.0.1:33418/",
            "http://127.0.0.1?x",
            "http://[::1]:1/callback",
            "https://localhost:9000/",
        ] {
            assert!(is_usable(uri), "{uri}");
        }
    }

    #[test]
    fn what_cannot() {
        for uri in [
            "",
            "callback",
            "/callback",
            "//client.example/callback",
            "http://client.example/callback",
            "http://localhost.evil.example/",
            "http://localhostevil/",
            "http://127.0.0.1.evil.example/",
            "http://127.0.0.10/",
            "http://127.1/",
            "http://10.0.0.1/",
            "http://0.0.0.0/",
            "http://LOCALHOST/",
            "http://localhost:/callback",
            "http://localhost:0/callback",
            "http://localhost:+80/callback",
            "http://localhost:65536/callback",
            "http://localhost:80@evil.example/",
            "http://localhost@evil.example/",
            "http://user@localhost/",
            "http://localhost\\@evil.example/",
            "http://localhost/callback#fragment",
            "https://client.example/callback#",
            "https://user@client.example/",
            "https://@client.example/",
            "https://client.example\\@evil.example/",
            "https://client.example/call back",
            "https://client.example/\ncallback",
            "https://client.example/cällback",
            "https://",
            "https:///callback",
            "https:client.example/callback",
            "HTTPS://client.example/",
            "javascript:alert(1)",
            "javascript://client.example/%0aalert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "com.example.app:/callback",
            "urn:ietf:wg:oauth:2.0:oob",
        ] {
            assert!(!is_usable(uri), "{uri}");
        }
    }

    #[test]
    fn on_this_machine_any_port_will_do() {
        for (registered, requested) in [
            ("http://localhost/callback", "http://localhost:52163/callback"),
            ("http://127.0.0.1/callback", "http://127.0.0.1:52163/callback"),
            ("http://127.0.0.1:33418/", "http://127.0.0.1:60005/"),
            ("http://127.0.0.1:33418/", "http://127.0.0.1/"),
            ("http://[::1]/cb?x=1", "http://[::1]:9/cb?x=1"),
            ("https://client.example/cb", "https://client.example/cb"),
        ] {
            assert!(matches(registered, requested), "{registered} {requested}");
        }
    }

    #[test]
    fn nothing_else_is_the_same() {
        for (registered, requested) in [
            ("http://localhost/callback", "http://127.0.0.1:1/callback"),
            ("http://127.0.0.1/callback", "http://[::1]:1/callback"),
            ("http://127.0.0.1/callback", "http://127.0.0.1:1/callback/"),
            ("http://127.0.0.1/callback", "http://127.0.0.1:1/other"),
            ("http://127.0.0.1/callback", "http://127.0.0.1:1/callback?x"),
            ("http://127.0.0.1/callback", "http://127.0.0.1:1/callback#x"),
            ("http://127.0.0.1/callback", "http://127.0.0.1:1"),
            ("http://127.0.0.1/callback", "https://127.0.0.1:1/callback"),
            ("http://localhost/callback", "http://localhost:1@evil.example/callback"),
            ("http://localhost/callback", "http://localhost.evil.example/callback"),
            ("http://localhost/callback", "http://localhost:evil/callback"),
            ("http://localhost/callback", "HTTP://localhost:1/callback"),
            ("https://client.example/cb", "https://client.example:444/cb"),
            ("https://client.example/cb", "https://client.example/cb/"),
            ("https://localhost/cb", "https://localhost:444/cb"),
        ] {
            assert!(!matches(registered, requested), "{registered} {requested}");
        }
    }
}
