//! All rows against one server, one after the other, and what came of each.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;

use crate::{
    attack::{Attack, Needs, NotBuilt, rows},
    forge::Forge,
    report::Report,
    target::Target,
    wire::{Answer, RawRequest, SendError, send_within},
};

/// A URL may be followed after the answer.
pub(crate) const LATE: Duration = Duration::from_millis(300);

/// How often a row is sent again to a server that asks for it.
const COMINGS_BACK: usize = 7;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// One request; ten seconds by default.
    pub each: Duration,
    /// All of them; a row whose turn does not come is not run. Five minutes by default.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { each: Duration::from_secs(10), total: Duration::from_secs(300) }
    }
}

/// What came of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The server answered 4xx; or redirected, which serves nothing; or hung up on a request that is too bent to answer.
    Refused,
    /// The server answered 2xx, or asked the attacker's server for a key.
    LetThrough,
    /// The server failed (5xx), said nothing, or counted requests instead of judging them (429): this says nothing about
    /// the row, and a server that fails on such input has a fault of its own.
    Error,
    /// It was not tried.
    NotRun,
}

/// One attack, and what came of it.
#[derive(Clone, Debug)]
pub struct Outcome<A = Attack> {
    /// What was tried.
    pub attack: A,
    /// What came of it.
    pub verdict: Verdict,
    /// What the server did, in a few words.
    pub did: String,
    /// The server's answer, if there was one.
    pub answer: Option<Answer>,
}

/// Why the rows would mean nothing.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// There is nothing to make a good token of.
    #[error("there is no valid token: give --token or --key-dir")]
    NoToken(#[from] NotBuilt),
    /// The good token cannot be sent.
    #[error("the request with the good token: {0}")]
    Unanswered(#[from] SendError),
    /// The good token is refused, and then so is everything.
    #[error(
        "the good token is refused ({0}), so it means nothing that others are: check the issuer, the audience, the keys and the scopes"
    )]
    GoodRefused(String),
}

/// Tries every row. Before the first and after the last, a good token has to be accepted.
///
/// # Errors
/// When the good token is not accepted to begin with.
pub async fn run(target: &mut Target, limits: Limits) -> Result<Report, ControlError> {
    let begun = Instant::now();
    let good = Forge::new(target, "control").good()?;
    let control = RawRequest::probe(target).bearer(&good);
    let answer = send_within(target.url(), &control, limits.each).await?;
    if !(200..300).contains(&answer.status) {
        return Err(ControlError::GoodRefused(describe(&answer)));
    }
    target.session = match answer.header("mcp-session-id") {
        Some(id) => opened(target, &good, id, limits).await,
        None => None,
    };
    let mut outcomes = Vec::new();
    for attack in rows() {
        let out_of_time = begun.elapsed() >= limits.total;
        let outcome = if out_of_time {
            not_run(attack, "the time is over".to_owned())
        } else {
            try_one(target, attack, limits).await
        };
        outcomes.push(outcome);
    }
    tokio::time::sleep(LATE).await;
    for outcome in &mut outcomes {
        judge_contact(target, outcome);
    }
    // A server that has fallen over refuses everything too.
    let still_serves = match send_within(target.url(), &RawRequest::probe(target).bearer(&good), limits.each).await {
        Ok(answer) => (200..300).contains(&answer.status),
        Err(_) => false,
    };
    Ok(Report { url: target.url().clone(), control: describe(&answer), still_serves, outcomes })
}

/// The session, if it can be used with the token: otherwise it would be refused without one for some other reason.
async fn opened(target: &Target, good: &str, id: &str, limits: Limits) -> Option<String> {
    let in_session = |request: RawRequest| request.bearer(good).header("Mcp-Session-Id", id);
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let notification =
        RawRequest::probe(target).header("MCP-Protocol-Version", "2025-06-18").body(initialized.to_string());
    for request in [in_session(notification), in_session(list_tools(RawRequest::probe(target)))] {
        let answer = send_within(target.url(), &request, limits.each).await.ok()?;
        if !(200..300).contains(&answer.status) {
            return None;
        }
    }
    Some(id.to_owned())
}

/// What is asked within a session.
pub(crate) fn list_tools(probe: RawRequest) -> RawRequest {
    let message = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {} });
    probe.header("MCP-Protocol-Version", "2025-06-18").body(message.to_string())
}

async fn try_one(target: &Target, attack: Attack, limits: Limits) -> Outcome {
    let request = match attack.request(target) {
        Ok(request) => request,
        Err(NotBuilt::Needs(Needs::Session)) => return not_run(attack, "the server opens no session".to_owned()),
        Err(error) => return not_run(attack, error.to_string()),
    };
    let mut sent = send_within(target.url(), &request, limits.each).await;
    // A server that looks for an unknown key only now and then has not decided yet.
    for _ in 0..COMINGS_BACK {
        let Some(later) = sent.as_ref().ok().and_then(come_back) else { break };
        tokio::time::sleep(later).await;
        sent = send_within(target.url(), &request, limits.each).await;
    }
    let (verdict, did, answer) = match sent {
        Ok(answer) => (judge(answer.status), describe(&answer), Some(answer)),
        Err(SendError::Closed | SendError::NotHttp) if request.may_close => {
            (Verdict::Refused, "closed the connection".to_owned(), None)
        }
        Err(SendError::OverTls(why)) => (Verdict::NotRun, format!("cannot be sent over https: {why}"), None),
        Err(error) => (Verdict::Error, error.to_string(), None),
    };
    let mut outcome = Outcome { attack, verdict, did, answer };
    judge_contact(target, &mut outcome);
    outcome
}

pub(crate) fn not_run<A>(attack: A, why: String) -> Outcome<A> {
    Outcome { attack, verdict: Verdict::NotRun, did: why, answer: None }
}

/// When a server that could not answer wants to be asked again (RFC 9110 §10.2.3), if it is worth the wait.
fn come_back(answer: &Answer) -> Option<Duration> {
    let seconds = answer.header("retry-after")?.parse().ok()?;
    (answer.status == 503 && seconds <= 30).then(|| Duration::from_secs(seconds))
}

const fn judge(status: u16) -> Verdict {
    match status {
        200..300 => Verdict::LetThrough,
        429 => Verdict::Error,
        300..500 => Verdict::Refused,
        _ => Verdict::Error,
    }
}

/// Whatever the answer was: to ask an unknown server on behalf of an unverified token is to be led.
fn judge_contact(target: &Target, outcome: &mut Outcome) {
    const ASKED: &str = "; asked the attacker's server";
    if target.attacker().was_asked_by(outcome.attack.id) && !outcome.did.ends_with(ASKED) {
        outcome.verdict = Verdict::LetThrough;
        outcome.did.push_str(ASKED);
    }
}

/// The status, and what the challenge says of the reason.
pub(crate) fn describe(answer: &Answer) -> String {
    let mut said = answer.status.to_string();
    if let Some(error) = answer.challenge("error") {
        said.push_str(&format!(" {}", shown(error)));
    }
    if let Some(description) = answer.challenge("error_description") {
        said.push_str(&format!(": {}", shown(description)));
    }
    if let Some(location) = answer.header("location").filter(|_| (300..400).contains(&answer.status)) {
        said.push_str(&format!(" to {}", shown(location)));
    }
    said
}

/// What a server wrote, fit for a terminal.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(80).filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_by_status() {
        for (status, verdict) in [
            (200, Verdict::LetThrough),
            (202, Verdict::LetThrough),
            (307, Verdict::Refused),
            (400, Verdict::Refused),
            (401, Verdict::Refused),
            (431, Verdict::Refused),
            (429, Verdict::Error),
            (500, Verdict::Error),
            (503, Verdict::Error),
        ] {
            assert_eq!(judge(status), verdict, "{status}");
        }
    }
}
