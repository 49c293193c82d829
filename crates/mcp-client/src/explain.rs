//! Each exchange as a numbered story: what was asked, what came back, what it is for, and what would go wrong without.

use std::{
    collections::HashSet,
    fmt::Write,
    sync::{Mutex, PoisonError},
};

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use crate::observer::{Exchange, Observer, Step, shown};

const FAINT: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Yellow.on_default().bold();
const NAME: Style = AnsiColor::Cyan.on_default();
/// Longer values go on in the next line.
const WIDTH: usize = 92;

/// Writes the story.
pub struct Explain {
    print: fn(&str),
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    exchanges: usize,
    /// What has been explained once needs no second time.
    steps: HashSet<(Step, Option<u16>)>,
}

/// What is told of a step.
struct Explanation {
    title: &'static str,
    /// Of what was sent, and what was received; the rest is for machines.
    sent: &'static [&'static str],
    received: &'static [&'static str],
    /// Of both, when it is told again.
    again: &'static [&'static str],
    why: &'static str,
    without: &'static str,
}

/// `challenged`: the answer asks for more scopes.
fn explanation(step: Step, status: Option<u16>, challenged: bool) -> Explanation {
    match (step, status) {
        (Step::FirstCall, Some(401)) => Explanation {
            title: "The server is asked, and refuses",
            sent: &["authorization"],
            received: &["www-authenticate"],
            again: &["www-authenticate"],
            why: "The refusal names the document to read next and the scopes to ask for (RFC 9728 §5.1, RFC 6750 §3).",
            without: "somebody types in where to log in, and whoever told them chooses where passwords go.",
        },
        (Step::FirstCall, Some(200..=299)) => Explanation {
            title: "The server is asked",
            sent: &["authorization"],
            received: &["www-authenticate"],
            again: &[],
            why: "A token that was kept is good, or this server needs none (MCP, Authorization).",
            without: "a person would log in each time.",
        },
        (Step::FirstCall, _) => Explanation {
            title: "The server is asked",
            sent: &["authorization"],
            received: &["www-authenticate"],
            again: &[],
            why: "Neither a yes nor a request to log in; what follows says what it means (MCP, Versioning).",
            without: "a client would take any trouble for a missing token, and send people to log in.",
        },
        (Step::ProtectedResource, _) => Explanation {
            title: "Who gives tokens for this server?",
            sent: &[],
            received: &["resource", "authorization_servers", "scopes_supported"],
            again: &["authorization_servers"],
            why: "Its resource has to be the URL that was asked for, or at the root its origin, to the letter (RFC 9728 §3.3).",
            without: "one server could have tokens made out to another, and use them there.",
        },
        (Step::AuthorizationServer, _) => Explanation {
            title: "Where does that authorization server do what?",
            sent: &[],
            received: &[
                "issuer",
                "authorization_endpoint",
                "token_endpoint",
                "registration_endpoint",
                "code_challenge_methods_supported",
            ],
            again: &["issuer"],
            why: "Its issuer has to be the one that was looked up, and S256 has to be there (RFC 8414 §3.3).",
            without: "a forged document would send the code of one server to the token endpoint of another.",
        },
        (Step::Registration, _) => Explanation {
            title: "This program introduces itself",
            sent: &["client_name", "redirect_uris", "application_type"],
            received: &["client_id"],
            again: &["client_id"],
            why: "It gets a name of its own, bound to where its answers go (RFC 7591 §3, RFC 8252).",
            without: "every program would share one id, and a person could not tell who asks.",
        },
        (Step::Authorization, _) => Explanation {
            title: "The authorization server is asked for a yes",
            sent: &["scope", "resource", "state", "code_challenge"],
            received: &[],
            again: &["scope"],
            why: "The challenge is the hash of a secret that stays here (RFC 7636); resource says what for (RFC 8707).",
            without: "whoever catches the code could use it, and the token would open other servers too.",
        },
        (Step::Callback, _) => Explanation {
            title: "The answer comes back to this machine",
            sent: &["code", "error", "error_description", "state", "iss"],
            received: &[],
            again: &["error", "error_description"],
            why: "state has to be ours (RFC 6749 §10.12), iss the server that was asked (RFC 9207 §2.4), before anything else.",
            without: "a stranger could slip in their own login, or one server's code reach another.",
        },
        (Step::Token, _) => Explanation {
            title: "The code becomes a token",
            sent: &["code_verifier", "resource", "authorization"],
            received: TOKEN,
            again: &["scope", "access_token"],
            why: "The verifier proves that who asked is who comes (RFC 7636 §4.6); the code is good once.",
            without: "the token would have to travel through the browser, its history and its logs.",
        },
        (Step::Refresh, _) => Explanation {
            title: "An old token becomes a new one",
            sent: &["refresh_token"],
            received: &["access_token", "refresh_token", "error", "error_description"],
            again: &["access_token", "error"],
            why: "Nobody is asked; the refresh token changes each time, so a stolen one is noticed (RFC 9700 §4.14.2).",
            without: "tokens would live long, or people log in often.",
        },
        (Step::ClientCredentials, _) => Explanation {
            title: "The client asks in its own name",
            sent: &["grant_type", "scope", "resource", "authorization", "client_id"],
            received: TOKEN,
            again: &["scope", "access_token"],
            why: "No person is behind it, and the token says so (RFC 6749 §4.4).",
            without: "programs would run with some person's password.",
        },
        (_, Some(401)) => Explanation {
            title: "The token is not good any more",
            sent: &["authorization"],
            received: &["www-authenticate"],
            again: &["www-authenticate"],
            why: "It expired or was revoked; the documents are read anew, for the server may have moved (RFC 6750 §3.1).",
            without: "a client would give up, or show an old token to a new authorization server.",
        },
        (_, Some(403)) if challenged => Explanation {
            title: "The token is not enough for this",
            sent: &[],
            received: &["www-authenticate"],
            again: &["www-authenticate"],
            why: "The refusal names what to come back with; it is asked for together with what there was (RFC 6750 §3.1).",
            without: "clients would ask for everything at first, and people agree to it.",
        },
        _ => Explanation {
            title: "A call with the token",
            sent: &["authorization"],
            received: &[],
            again: &[],
            why: "In a header, with each request, and to this origin alone (RFC 6750 §2.1, OAuth 2.1 §5).",
            without: "it would end in logs, as part of a URL, or with a stranger, at the end of a redirect.",
        },
    }
}

const TOKEN: &[&str] = &["access_token", "expires_in", "scope", "refresh_token", "error", "error_description"];

impl Explain {
    /// `print` gets whole lines with colours in them, which `anstream::print!` leaves out where they do not belong.
    pub fn new(print: fn(&str)) -> Self {
        Self { print, told: Mutex::default() }
    }

    fn block(&self, exchange: &Exchange) -> String {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.exchanges += 1;
        let status = exchange.status.as_ref().and_then(|status| status.as_ref().ok().copied());
        let challenged = exchange.received.iter().any(|(_, value)| value.contains("insufficient_scope"));
        let explanation = explanation(exchange.step, status, challenged);
        let mut text = String::new();
        let n = told.exchanges;
        let _ = writeln!(text, "{BOLD}{n:>2}  {}{BOLD:#}", explanation.title);
        let answer = match &exchange.status {
            None => String::new(),
            Some(Ok(status)) => {
                let style = if (200..300).contains(status) { GOOD } else { BAD };
                format!("  →  {style}{status}{style:#}")
            }
            Some(Err(why)) => format!("  →  {BAD}{why}{BAD:#}"),
        };
        let called = called(&exchange.sent).map_or_else(String::new, |called| format!("  {called}"));
        let _ = writeln!(text, "    {}{called}{answer}", exchange.request);
        // A refusal is another thing to explain than an answer; that something is not there explains itself.
        let first = status != Some(404) && told.steps.insert((exchange.step, status.filter(|status| *status > 400)));
        for (arrow, names, pairs) in
            [("→", explanation.sent, &exchange.sent), ("←", explanation.received, &exchange.received)]
        {
            for name in names.iter().filter(|name| first || explanation.again.contains(name)) {
                if let Some((_, value)) = pairs.iter().find(|(other, _)| other == name) {
                    // A challenge ends with a sentence for people, who have another one below.
                    let value = value.split(", error_description=").next().unwrap_or(value);
                    let _ = writeln!(text, "    {arrow} {NAME}{name}{NAME:#} {}", wrapped(value));
                }
            }
        }
        if first {
            let _ = writeln!(text, "    {FAINT}{}{FAINT:#}", explanation.why);
            let _ = writeln!(text, "    {FAINT}Without it, {}{FAINT:#}", explanation.without);
        }
        // A space after it, but for one of which nothing is told.
        if text.lines().count() > 2 {
            text.push('\n');
        }
        text
    }
}

/// The method of a JSON-RPC request, and what it is called with.
fn called(sent: &[(String, String)]) -> Option<String> {
    let find = |name: &str| sent.iter().find(|(other, _)| other == name).map(|(_, value)| value);
    let params: Value = find("params").and_then(|params| serde_json::from_str(params).ok()).unwrap_or_default();
    let method = find("method")?;
    // Parsing has brought back what was escaped.
    Some(params["name"].as_str().map_or_else(|| method.clone(), |name| format!("{method} {}", shown(name))))
}

/// On as many lines as it takes.
fn wrapped(value: &str) -> String {
    let (mut text, mut width) = (String::new(), 0);
    for word in value.split_inclusive(' ') {
        let length = word.chars().count();
        if width > 0 && width + length > WIDTH {
            text.push_str("\n        ");
            width = 0;
        }
        text.push_str(word);
        width += length;
    }
    text.replace(" \n", "\n")
}

impl Observer for Explain {
    fn exchange(&self, exchange: &Exchange) {
        (self.print)(&self.block(exchange));
    }

    fn notice(&self, sentence: &str) {
        (self.print)(&format!("{BAD}{sentence}{BAD:#}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(step: Step, status: Result<u16, String>, params: &str, challenge: &str) -> String {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Explain::new(|_| ()).block(&Exchange {
            step,
            request: "POST http://localhost:9000/mcp".to_owned(),
            sent: vec![pair("method", "tools/call"), pair("params", params)],
            status: Some(status),
            received: vec![pair("www-authenticate", challenge)],
        })
    }

    #[test]
    fn a_tools_name_does_not_move_the_cursor() {
        let told = told(Step::Call, Ok(200), r#"{"name":"a\u001b]0;owned\u0007"}"#, "");
        assert!(told.contains("tools/call a\u{fffd}]0;owned\u{fffd}") && !told.contains("]0;owned\u{7}"), "{told:?}");
    }

    #[test]
    fn a_story_says_what_happened() {
        let good = "A token that was kept is good";
        assert!(told(Step::FirstCall, Ok(200), "", "").contains(good));
        for status in [Ok(403), Ok(404), Ok(503), Err("connection refused".to_owned())] {
            assert!(!told(Step::FirstCall, status.clone(), "", "").contains(good), "{status:?}");
        }
        let enough = "The token is not enough for this";
        assert!(told(Step::Call, Ok(403), "", "Bearer error=\"insufficient_scope\"").contains(enough));
        assert!(!told(Step::Call, Ok(403), "", "").contains(enough));
    }
}
