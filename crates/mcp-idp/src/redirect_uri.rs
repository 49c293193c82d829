//! Where an answer may be sent (RFC 9700 §2.1, §4.1; RFC 8252 §7.3).

use url::{Host, Url};

/// No registered URI is longer, in bytes.
const MAX: usize = 2048;

/// Why a redirect URI cannot be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a redirect URI is https, or http on localhost, 127.0.0.1 or [::1]; without user and fragment")]
pub(crate) struct RedirectUriError;

/// Checks a URI that a client wants to register. Custom schemes are refused: any program on a device may claim one.
pub(crate) fn check(uri: &str) -> Result<(), RedirectUriError> {
    // Two readers of a URL differ over white space, backslashes and users; what a code is sent to leaves no room.
    if uri.len() > MAX || !uri.bytes().all(|b| b.is_ascii_graphic()) || uri.contains(['\\', '#', '<', '>', '"']) {
        return Err(RedirectUriError);
    }
    let url = Url::parse(uri).map_err(|_| RedirectUriError)?;
    let authority = uri.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?']).next().unwrap_or(""));
    if authority.is_empty() || authority.contains('@') {
        return Err(RedirectUriError);
    }
    match url.scheme() {
        // As it is compared: in lower case.
        "https" if uri.starts_with("https:") => Ok(()),
        "http" if loopback(uri).is_some() => Ok(()),
        _ => Err(RedirectUriError),
    }
}

/// Whether a client that has registered `registered` may have its answer at `requested`: letter by letter the same,
/// or, for a public client, with another port on this machine, which a native client only learns when it listens
/// (RFC 8252 §7.3).
pub(crate) fn matches(registered: &str, requested: &str, public: bool) -> bool {
    registered == requested
        || public && matches!((loopback(registered), loopback(requested)), (Some(one), Some(other)) if one == other)
}

/// Whether the answer stays on this machine.
pub(crate) fn is_local(uri: &str) -> bool {
    loopback(uri).is_some()
}

/// Host and port for a person to read.
pub(crate) fn host(uri: &str) -> String {
    let Ok(url) = Url::parse(uri) else { return uri.to_owned() };
    let host = match url.host() {
        Some(Host::Ipv6(address)) => format!("[{address}]"),
        Some(host) => host.to_string(),
        None => return uri.to_owned(),
    };
    url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
}

/// The host and what follows the port, for http on this machine. Read off the text: what is compared is what is sent.
fn loopback(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let host = ["localhost", "127.0.0.1", "[::1]"].into_iter().find(|host| rest.starts_with(host))?;
    let rest = &rest[host.len()..];
    let rest = match rest.strip_prefix(':') {
        None => rest,
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (port, rest) = rest.split_at(digits);
            port.parse::<u16>().ok().filter(|port| *port != 0)?;
            rest
        }
    };
    let plain = rest.bytes().all(|b| b.is_ascii_graphic()) && !rest.contains(['\\', '#', '<', '>', '"']);
    (plain && (rest.is_empty() || rest.starts_with(['/', '?']))).then_some((host, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_are_https_and_this_machine() {
        for uri in [
            "https://client.example/callback",
            "https://client.example:8443/callback?x=1",
            "http://localhost/callback",
            "http://localhost:3000",
            "http://127.0.0.1:33418/",
            "http://[::1]:1/cb",
        ] {
            assert_eq!(check(uri), Ok(()), "{uri}");
        }
        for uri in [
            "",
            "/callback",
            "javascript:alert(1)",
            "javascript://localhost/%0aalert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "cursor://anysphere/callback",
            "http://client.example/callback",
            "http://localhost.evil.example/",
            "http://localhost@evil.example/",
            "http://127.0.0.1@evil.example/",
            "http://127.0.0.2/",
            "http://2130706433/",
            "http://localhost:0/",
            "http://localhost:70000/",
            "http://localhost:+80/",
            "http://127.1/",
            "http://0.0.0.0/",
            "HTTPS://client.example/",
            "urn:ietf:wg:oauth:2.0:oob",
            "https://user@client.example/",
            "https://@client.example/",
            "https:client.example",
            "https:///x",
            "https://client.example/#",
            "https://client.example/#x",
            "https://client.example\\@evil.example/",
            "https://client.example/ x",
            "https://client.example/\n",
            "https://client.example/é",
            "https://client.example/\"><script>",
            " https://client.example/",
        ] {
            assert_eq!(check(uri), Err(RedirectUriError), "{uri}");
        }
        assert!(check(&format!("https://client.example/{}", "x".repeat(MAX))).is_err());
    }

    #[test]
    fn matched_letter_by_letter_but_for_the_port_of_this_machine() {
        for (registered, requested) in [
            ("https://client.example/cb", "https://client.example/cb"),
            ("http://localhost/cb", "http://localhost:51234/cb"),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1:2/cb"),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1/cb"),
            ("http://[::1]/cb?x=1", "http://[::1]:9/cb?x=1"),
        ] {
            assert!(matches(registered, requested, true), "{registered} {requested}");
        }
        for (registered, requested) in [
            ("https://client.example/cb", "https://client.example/cb/"),
            ("https://client.example/cb", "https://client.example/cbx"),
            ("https://client.example/cb", "https://client.example/cb/../evil"),
            ("https://client.example/cb", "https://client.example/cb?x"),
            ("https://client.example/cb", "https://client.example/cb#x"),
            ("https://client.example/cb", "https://client.example:8443/cb"),
            ("https://client.example/cb", "https://CLIENT.example/cb"),
            ("https://client.example/cb", "https://x@client.example/cb"),
            ("https://client.example/cb", "https://client.example.evil.example/cb"),
            ("http://localhost/cb", "http://127.0.0.1/cb"),
            ("http://localhost/cb", "https://localhost/cb"),
            ("http://localhost/cb", "http://localhost:1@evil.example/cb"),
            ("http://localhost/cb", "http://localhost:1/cb/x"),
            ("http://localhost/cb", "http://localhost:/cb"),
            ("http://localhost/cb", "http://localhost:0/cb"),
            ("http://localhost/cb", "http://localhostx/cb"),
            ("http://localhost/cb", "http://localhost:1/cb#"),
            ("http://localhost", "http://localhost.evil.example"),
        ] {
            assert!(!matches(registered, requested, true), "{registered} {requested}");
        }
        assert!(!matches("http://localhost/cb", "http://localhost:1/cb", false), "a server with a secret has its port");
    }

    #[test]
    fn shown_in_full() {
        assert_eq!(host("https://client.example/cb"), "client.example");
        assert_eq!(host("https://client.example:8443/cb"), "client.example:8443");
        assert_eq!(host("http://[::1]:9/cb"), "[::1]:9");
    }
}
