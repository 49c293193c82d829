//! All rows against one server, one after the other.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::{
    found::Stop,
    issuer::{Issuer, IssuerError},
    rows::{Probe, rows},
    server::Server,
};
use crate::{
    report::Report,
    run::{Limits, Outcome, Verdict, not_run},
};

/// Tries every row. The metadata has to be there before the first, and the same after the last.
///
/// # Errors
/// When there is no metadata to begin with.
pub async fn run(issuer: &Issuer, limits: Limits) -> Result<Report<Probe>, IssuerError> {
    let server = Server::find(issuer, limits).await?;
    let mut outcomes = Vec::new();
    for probe in rows() {
        outcomes.push(try_one(&server, probe).await);
    }
    let first = &server.documents[0];
    let still_serves = server.get(&first.url).await.is_ok_and(|answer| answer.json() == first.metadata);
    server.clean_up().await;
    let login = match &server.login {
        Ok(_) => "a good request shows a login page",
        Err(why) => why,
    };
    let control = format!("{}; {login}", first.url);
    Ok(Report { url: issuer.url().clone(), control, still_serves, outcomes })
}

async fn try_one(server: &Server, probe: Probe) -> Outcome<Probe> {
    let left = server.until.saturating_duration_since(Instant::now());
    if left == Duration::ZERO {
        return not_run(probe, "the time is over".to_owned());
    }
    let found = match server.has(probe.needs) {
        Ok(()) => timeout(left, (probe.run)(server)).await,
        Err(stop) => Ok(Err(stop)),
    };
    match found {
        Ok(Ok(found)) => Outcome { attack: probe, verdict: found.verdict, did: found.did, answer: found.answer },
        Ok(Err(Stop::NotRun(why))) => not_run(probe, why),
        Ok(Err(stop)) => Outcome { attack: probe, verdict: Verdict::Error, did: stop.why(), answer: None },
        Err(_) => not_run(probe, "the time is over".to_owned()),
    }
}
