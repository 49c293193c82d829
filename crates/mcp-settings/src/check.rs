//! What a value has to be, whether or not it wins: a mistake that sleeps until a flag is left out is found too late.

use std::net::IpAddr;

use url::{Host, Url};

use crate::{Key, SettingsError, given::Given, public_key};

/// In characters: how much of a wrong value a message shows.
const SHOWN: usize = 80;

/// Whether `given` is a value that its key can have.
pub(crate) fn value(given: &Given) -> Result<(), SettingsError> {
    let text = given.value.as_str();
    let checked = match given.key {
        Key::Host => host(text, Key::Port).map(drop),
        Key::AuthHost => auth_host(text),
        Key::Port => port(text).map(drop),
        Key::AuthPort => match port(text) {
            Ok(0) => Err("0 is no port that a server can be reached at".to_owned()),
            other => other.map(drop),
        },
        Key::McpPath => path(text),
        Key::McpServerUrl | Key::JwksUrl => url(text).map(drop),
        Key::JwtIssuer | Key::AuthIssuer => url_without_query(text).map(drop),
        Key::KeycloakUrl => keycloak_url(text),
        Key::KeycloakRealm | Key::AuthRealm => realm(text),
        Key::JwtAudience | Key::AuthAudience => audience(text),
        Key::OauthClientId | Key::AuthClientId => printable(text, true),
        Key::OauthClientSecret | Key::AuthClientSecret => printable(text, false),
        Key::JwtPublicKey => public_key::inline(text).map(drop),
        Key::McpScope => scope(text),
        Key::OauthStrict => boolean(text).map(drop),
        Key::Transport => transport(text),
        Key::JwtSecret => {
            Err("tokens are not checked with a shared secret (HMAC): who can check such a token can also \
                               make one. Set JWKS_URL or JWT_PUBLIC_KEY, or neither, and the issuer's keys are found"
                .to_owned())
        }
    };
    checked.map_err(|reason| given.error(reason))
}

/// The beginning of `text`, quoted.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// What a reader of the value does not see, or takes for its end.
fn is_unseen(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// An absolute URL that may carry tokens and keys: https, or http on this machine.
pub(crate) fn url(text: &str) -> Result<Url, String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        // Without //, a @ can still come after a password.
        let what = if text.contains('@') { "it".to_owned() } else { shown(text) };
        return Err(format!("{what} is not an absolute URL such as https://id.example.com"));
    };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or("");
    if authority.contains('@') {
        return Err("it has a user or password in it (before the @), which no URL here has".to_owned());
    }
    let what = shown(text);
    // The URL parser drops white space and turns backslashes; a URL with either is not what it seems.
    if text.contains(|c: char| is_unseen(c) || c == '\\') {
        return Err(format!("{what} has a space, a backslash or a control character in it"));
    }
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return Err(format!("{what} is neither http nor https"));
    }
    let url = Url::parse(text).map_err(|error| format!("{what} is not a URL: {error}"))?;
    if authority.is_empty() {
        return Err(format!("{what} has no host"));
    }
    if text.contains('#') {
        return Err(format!("{what} has a fragment (from the # on), which no URL here has"));
    }
    if url.scheme() == "http" && !url.host().as_ref().is_some_and(is_loopback) {
        return Err(format!("{what} is http and not on this machine, so tokens and keys would travel open; use https"));
    }
    Ok(url)
}

fn url_without_query(text: &str) -> Result<Url, String> {
    let url = url(text)?;
    // RFC 8414 §2: an issuer has neither query nor fragment.
    if text.contains('?') { Err(format!("{} has a query (from the ? on); leave it out", shown(text))) } else { Ok(url) }
}

fn keycloak_url(text: &str) -> Result<(), String> {
    let url = url_without_query(text)?;
    match (text.split_once("/realms"), url.path().split('/').any(|part| part == "realms")) {
        (Some((base, rest)), true) => {
            let realm = rest.trim_matches('/').split('/').next().unwrap_or("");
            let realm = if realm.is_empty() { "the realm".to_owned() } else { shown(realm) };
            Err(format!("{} names a realm; set {} here, and {realm} in KEYCLOAK_REALM", shown(text), shown(base)))
        }
        _ => Ok(()),
    }
}

fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Domain(name) => name.as_ref().eq_ignore_ascii_case("localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// A name or an address, without its brackets.
pub(crate) fn host(text: &str, port: Key) -> Result<&str, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if bare.parse::<IpAddr>().is_ok() {
        return Ok(bare);
    }
    if text.contains("://") || text.contains('/') {
        return Err("it is a URL; set the name or address alone, such as localhost".to_owned());
    }
    if text.contains(':') {
        return Err(format!("{} has a port; set the name or address alone, and the port in {port}", shown(text)));
    }
    // Looser than DNS (Docker makes names with _); to be found is then its own business.
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if plain { Ok(text) } else { Err(format!("{} is no host name or address", shown(text))) }
}

/// Whether only this machine can reach a server that listens there.
pub(crate) fn is_local(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn auth_host(text: &str) -> Result<(), String> {
    if is_local(host(text, Key::AuthPort)?) {
        return Ok(());
    }
    Err(format!(
        "{} is not this machine, and AUTH_HOST makes an http URL, so tokens and keys would travel open; set \
         KEYCLOAK_URL to an https URL instead",
        shown(text)
    ))
}

pub(crate) fn port(text: &str) -> Result<u16, String> {
    // Rust takes a plus sign.
    let number = text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    number.ok_or_else(|| format!("{} is no port, which is a number from 0 to 65535", shown(text)))
}

pub(crate) fn path(text: &str) -> Result<(), String> {
    let what = shown(text);
    if !text.starts_with('/') {
        return Err(format!("{what} is no path, which begins with /"));
    }
    // Braces are a router's.
    if text.bytes().any(|b| !b.is_ascii_graphic() || b"?#\\{}*%".contains(&b)) || text.contains("//") {
        return Err(format!("{what} is no plain path such as /mcp"));
    }
    if text.len() > 1 && text.ends_with('/') {
        return Err(format!("{what} ends with /; leave it out"));
    }
    if text == "/health" || text == "/.well-known" || text.starts_with("/.well-known/") {
        return Err(format!("{what} is served with something else; take another, such as /mcp"));
    }
    Ok(())
}

fn realm(text: &str) -> Result<(), String> {
    if text.contains(|c: char| is_unseen(c) || "/?#%\\".contains(c)) {
        return Err(format!("{} is no realm's name, such as mcp-realm", shown(text)));
    }
    Ok(())
}

fn audience(text: &str) -> Result<(), String> {
    if text == "*" {
        return Err("* is not an audience: a token for any server would open this one".to_owned());
    }
    if text.contains(|c: char| is_unseen(c) || c == ',') {
        return Err(format!("{} is not one audience; a token has to name this one server", shown(text)));
    }
    Ok(())
}

/// RFC 6749 appendix A.1 and A.2.
fn printable(text: &str, show: bool) -> Result<(), String> {
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Ok(());
    }
    let what = if show { shown(text) } else { "it".to_owned() };
    Err(format!("{what} has characters that are not printable ASCII"))
}

/// RFC 6749 §3.3.
fn scope(text: &str) -> Result<(), String> {
    if text.contains([' ', ',']) {
        return Err(format!("{} is not one scope, which is what everything will need; name one", shown(text)));
    }
    let token = text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
    if token { Ok(()) } else { Err(format!("{} is no scope, such as mcp:tools", shown(text))) }
}

pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("{} is neither true nor false", shown(text))),
    }
}

fn transport(text: &str) -> Result<(), String> {
    match text {
        "streamable-http" | "http" => Ok(()),
        "sse" => {
            Err("the transport HTTP+SSE is not spoken here: MCP has replaced it by Streamable HTTP in 2025-03-26. \
                      Leave TRANSPORT out, or set streamable-http"
                .to_owned())
        }
        "stdio" => Err("over stdio there is no HTTP request, and so no token; set streamable-http".to_owned()),
        _ => Err(format!("{} is no transport of this server; set streamable-http", shown(text))),
    }
}
