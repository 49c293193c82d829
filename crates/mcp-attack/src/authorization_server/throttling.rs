//! How often anybody may try. These use up what the other rows need, so they come last.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    client::native_metadata,
    found::{Finding, Found, Stop, good, said},
    rows::{Area, Needs, Probe, Rows},
    server::Server,
};
use crate::wire::{Answer, RawRequest};

/// So many registrations nobody needs at once.
const REGISTRATIONS: usize = 100;
/// So many wrong passwords nobody types.
const GUESSES: usize = 30;
/// To answer so late is a limit too.
const SLOW: Duration = Duration::from_secs(1);

pub(super) fn rows() -> Vec<Probe> {
    Rows::of(Area::Throttling)
        .lax(
            ("guess-passwords", "the password grant, thirty times for one person", "RFC 6749 §4.3.2, §10.7; CWE-307"),
            Needs::NativeClient,
            |s| Box::pin(passwords(s)),
        )
        .lax(
            ("register-flood", "a hundred registrations without a pause", "RFC 7591 §5; RFC 6585 §4; CWE-770"),
            Needs::Registration,
            |s| Box::pin(registrations(s)),
        )
        .done()
}

async fn passwords(server: &Server) -> Finding {
    let url = server.endpoint("token_endpoint")?;
    let client = server.native()?;
    for guess in 1..=GUESSES {
        let password = format!("mcp-attack-{guess}");
        let fields = [("grant_type", "password"), ("username", "mcp-attack"), ("password", &password)];
        let begun = Instant::now();
        let answer = server.once(&url, &RawRequest::form(&url, &[client.fields(), fields.to_vec()].concat())).await?;
        // Only `invalid_grant` says that the password was looked at.
        if good(answer.status) || answer.error().as_deref() != Some("invalid_grant") {
            let after = if guess == 1 { String::new() } else { format!(" after {guess}") };
            return Ok(Found::let_in_if(good(answer.status), format!("{}{after}", said(&answer))).with(answer));
        }
        if begun.elapsed() > SLOW {
            return Ok(Found::refused(format!("slower after {guess}")));
        }
    }
    Ok(Found::let_in(format!("{GUESSES} guesses, all looked at")))
}

async fn registrations(server: &Server) -> Finding {
    let url = server.endpoint("registration_endpoint")?;
    let request = RawRequest::to("POST", &url).header("Content-Type", "application/json");
    let request = request.body(native_metadata().to_string());
    let mut taken = 0;
    while taken < REGISTRATIONS {
        let ten = futures_util::future::join_all((0..10).map(|_| server.once(&url, &request))).await;
        for answer in ten {
            let answer: Answer = answer?;
            match answer.status {
                429 => {
                    let told = answer.header("retry-after").is_some();
                    let did = format!("429 after {taken}{}", if told { "" } else { ", without Retry-After" });
                    return Ok(Found::let_in_if(!told, did).with(answer));
                }
                status if good(status) => {
                    let registered: Value = answer.json();
                    server.remember(&registered);
                    taken += 1;
                }
                status if status >= 500 => return Err(Stop::Failed(format!("{status} after {taken}"))),
                _ => return Ok(Found::refused(format!("{} after {taken}", said(&answer))).with(answer)),
            }
        }
    }
    Ok(Found::let_in(format!("{taken} clients")))
}
