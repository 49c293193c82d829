//! What a row comes to.

use crate::{
    run::{Verdict, describe},
    wire::{Answer, SendError},
};

/// A judgement, and what it is judged by.
pub(super) struct Found {
    pub(super) verdict: Verdict,
    pub(super) did: String,
    pub(super) answer: Option<Answer>,
}

/// Why there is no judgement.
#[derive(Debug)]
pub(super) enum Stop {
    /// There is nothing to try it with.
    NotRun(String),
    /// The server failed on it.
    Failed(String),
    /// It hung up without a word, which is a refusal of what is too bent or too large to read.
    HungUp,
}

pub(super) type Finding = Result<Found, Stop>;

impl Found {
    pub(super) fn refused(did: impl Into<String>) -> Self {
        Self { verdict: Verdict::Refused, did: did.into(), answer: None }
    }

    pub(super) fn let_in(did: impl Into<String>) -> Self {
        Self { verdict: Verdict::LetThrough, did: did.into(), answer: None }
    }

    /// Let in, if it is true that it does `what`.
    pub(super) fn let_in_if(let_in: bool, did: impl Into<String>) -> Self {
        if let_in { Self::let_in(did) } else { Self::refused(did) }
    }

    /// For rows that need one look: let in for the first complaint, if there is one.
    pub(super) fn complaint(complaint: Option<String>, fine: impl Into<String>) -> Self {
        complaint.map_or_else(|| Self::refused(fine), Self::let_in)
    }

    pub(super) fn with(mut self, answer: Answer) -> Self {
        self.answer = Some(answer);
        self
    }
}

impl Stop {
    pub(super) fn not_run(why: impl Into<String>) -> Self {
        Self::NotRun(why.into())
    }

    pub(super) fn why(self) -> String {
        match self {
            Self::NotRun(why) | Self::Failed(why) => why,
            Self::HungUp => SendError::Closed.to_string(),
        }
    }
}

impl From<SendError> for Stop {
    fn from(error: SendError) -> Self {
        match error {
            SendError::OverTls(why) => Self::NotRun(format!("cannot be sent over https: {why}")),
            SendError::Closed => Self::HungUp,
            error => Self::Failed(error.to_string()),
        }
    }
}

/// The answer, unless it says nothing about what was asked: a failure (5xx), or a limit (429).
pub(super) fn judged(answer: Answer) -> Result<Answer, Stop> {
    if answer.status >= 500 || answer.status == 429 { Err(Stop::Failed(said(&answer))) } else { Ok(answer) }
}

/// The status, and the error as OAuth names it.
pub(super) fn said(answer: &Answer) -> String {
    match answer.error() {
        Some(error) if answer.challenge("error").is_none() => {
            format!("{} {}", answer.status, crate::run::shown(&error))
        }
        _ => describe(answer),
    }
}

pub(super) const fn good(status: u16) -> bool {
    status >= 200 && status < 300
}
