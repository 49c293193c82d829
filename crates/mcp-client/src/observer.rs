//! What may be told of an exchange: everything, but for what opens something.

use std::fmt;

use aws_lc_rs::digest;
use serde_json::Value;
use url::Url;

/// What an exchange is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// The server is asked without a token, or with one that may be stale.
    FirstCall,
    /// RFC 9728.
    ProtectedResource,
    /// RFC 8414.
    AuthorizationServer,
    /// RFC 7591.
    Registration,
    /// The person is sent to the authorization server.
    Authorization,
    /// And comes back.
    Callback,
    /// The code becomes a token.
    Token,
    /// An old token becomes a new one.
    Refresh,
    /// The client asks in its own name.
    ClientCredentials,
    /// A call with a token.
    Call,
    /// What is kept on this machine.
    Cache,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstCall => "asking the server",
            Self::ProtectedResource => "protected resource metadata",
            Self::AuthorizationServer => "authorization server metadata",
            Self::Registration => "registration",
            Self::Authorization => "sending you to log in",
            Self::Callback => "the answer of the authorization server",
            Self::Token => "exchanging the code for a token",
            Self::Refresh => "refreshing the token",
            Self::ClientCredentials => "asking for a token with the client's credentials",
            Self::Call => "calling the server",
            Self::Cache => "the token cache",
        })
    }
}

/// A request and its answer, fit to be shown: tokens, codes, verifiers and secrets are masked, and what a stranger wrote
/// is without control characters.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// What it is for.
    pub step: Step,
    /// Such as `POST http://localhost:9000/token`.
    pub request: String,
    /// Headers that matter, and the parameters of a form, a query or a JSON body.
    pub sent: Vec<(String, String)>,
    /// The status, or why there was none; none at all for what goes through the browser.
    pub status: Option<Result<u16, String>>,
    /// Headers that matter, and the members of a JSON answer.
    pub received: Vec<(String, String)>,
}

/// Who is told.
pub trait Observer: Send + Sync {
    /// An exchange took place, or failed.
    fn exchange(&self, exchange: &Exchange);
    /// Something that is no exchange and has to be said.
    fn notice(&self, sentence: &str);
}

/// Nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn exchange(&self, _: &Exchange) {}
    fn notice(&self, _: &str) {}
}

/// A value of that name, as it may be shown.
pub(crate) fn masked(name: &str, value: &str) -> String {
    match name.to_ascii_lowercase().as_str() {
        // Chosen by people, often, and then short enough to be found from any hint.
        "client_secret" | "password" => "•••".to_owned(),
        "authorization" => match value.split_once(' ') {
            Some((scheme, credentials)) if scheme.eq_ignore_ascii_case("bearer") => {
                format!("{scheme} {}", fingerprint("token", credentials))
            }
            Some((scheme, _)) => format!("{} •••", shown(scheme)),
            None => "•••".to_owned(),
        },
        "access_token" | "refresh_token" | "id_token" | "registration_access_token" => fingerprint("token", value),
        "code" => fingerprint("code", value),
        "code_verifier" => fingerprint("verifier", value),
        "state" => fingerprint("state", value),
        _ => shown(value),
    }
}

/// Enough to see whether two are the same, and nothing to use.
fn fingerprint(kind: &str, value: &str) -> String {
    let digest = digest::digest(&digest::SHA256, value.as_bytes());
    let [a, b, ..] = digest.as_ref() else { return kind.to_owned() };
    format!("‹{kind} {a:02x}{b:02x}›")
}

/// A stranger's text for a terminal: bounded, and without what a terminal would act on or a reader be misled by.
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 400;
    let mut shown: String = text.chars().take(LONGEST).map(|c| if misleads(c) { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// The same of a text that is wanted for itself: all of it, with its lines, its tabs and its joined letters.
pub fn whole(text: &str) -> String {
    let belongs = |c: char| matches!(c, '\n' | '\t' | '\u{200c}' | '\u{200d}');
    text.chars().map(|c| if misleads(c) && !belongs(c) { '\u{fffd}' } else { c }).collect()
}

fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The parameters of a query or a form.
pub(crate) fn pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Vec<(String, String)> {
    pairs.into_iter().map(|(name, value)| (shown(name.as_ref()), masked(name.as_ref(), value.as_ref()))).collect()
}

/// The members of a JSON object; nothing of anything else.
pub(crate) fn members(body: &[u8]) -> Vec<(String, String)> {
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else { return Vec::new() };
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(" "),
        value => value.to_string(),
    };
    pairs(members.iter().map(|(name, value)| (name, text(value))))
}

/// A URL without its query, which [`pairs`] shows.
pub(crate) fn plain(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    shown(url.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_something_is_masked_wherever_it_stands() {
        let secret = "s3cret-Value-0123456789";
        for name in [
            "access_token",
            "refresh_token",
            "id_token",
            "code",
            "code_verifier",
            "client_secret",
            "state",
            "CODE",
            "registration_access_token",
        ] {
            assert!(!masked(name, secret).contains("s3c"), "{name}");
        }
        for value in [format!("Bearer {secret}"), format!("Basic {secret}"), secret.to_owned()] {
            assert!(!masked("Authorization", &value).contains("s3c"), "{value}");
        }
        let body = format!(r#"{{"access_token":"{secret}","scope":"a b","n":[1,"x"]}}"#);
        let shown = members(body.as_bytes());
        assert!(!format!("{shown:?}").contains("s3c"));
        assert_eq!(shown[1..], [("scope".to_owned(), "a b".to_owned()), ("n".to_owned(), "1 x".to_owned())]);
        assert_ne!(masked("code", "a"), masked("code", "b"));
    }

    #[test]
    fn a_terminal_does_not_act_on_what_a_server_says() {
        assert_eq!(shown("a\u{1b}[2Jb\r\nc\u{9b}d\u{202e}e"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\u{fffd}d\u{fffd}e");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), 401);
        assert_eq!(whole("a\tb\nc\u{1b}[2J\r\u{202e}"), "a\tb\nc\u{fffd}[2J\u{fffd}\u{fffd}");
        let long = "👩\u{200d}💻".repeat(1000);
        assert_eq!(whole(&long), long);
    }
}
