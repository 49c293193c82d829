//! What a run came to, for people and for programs.

use std::{
    fmt::{self, Write},
    time::Duration,
};

use serde::Serialize;
use serde_json::{Value, json};
use url::Url;

use crate::{
    attack::{Attack, Row, Severity},
    run::{Outcome, Verdict},
    wire::Answer,
};

/// Everything that was tried against one server.
#[derive(Debug)]
pub struct Report<A = Attack> {
    /// The server.
    pub url: Url,
    /// What it answered before anything was bent: the good token's status, or how the server was found.
    pub control: String,
    /// Whether it was so again after everything else.
    pub still_serves: bool,
    /// Row by row.
    pub outcomes: Vec<Outcome<A>>,
}

/// How many rows came to what. Its `Display` is the last line of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// [`Verdict::Refused`].
    pub refused: usize,
    /// [`Verdict::LetThrough`].
    pub let_through: usize,
    /// [`Verdict::Error`], and the good token if it was refused in the end.
    pub errors: usize,
    /// [`Verdict::NotRun`].
    pub not_run: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { refused, let_through, errors, not_run } = self;
        write!(f, "{refused} refused, {let_through} let through, {errors} errors, {not_run} not run")
    }
}

impl<A: Row> Report<A> {
    /// The rows with that verdict.
    pub fn with(&self, verdict: Verdict) -> impl Iterator<Item = &Outcome<A>> {
        self.outcomes.iter().filter(move |outcome| outcome.verdict == verdict)
    }

    /// How many came to what.
    pub fn counts(&self) -> Counts {
        let count = |verdict| self.with(verdict).count();
        Counts {
            refused: count(Verdict::Refused),
            let_through: count(Verdict::LetThrough),
            errors: count(Verdict::Error) + usize::from(!self.still_serves),
            not_run: count(Verdict::NotRun),
        }
    }

    /// Whether nothing got through and nothing failed, but for the rows that are `allowed`.
    pub fn is_clean(&self, allowed: &[String]) -> bool {
        let found = |outcome: &&Outcome<A>| matches!(outcome.verdict, Verdict::LetThrough | Verdict::Error);
        let excused = |outcome: &Outcome<A>| allowed.iter().any(|id| id == outcome.attack.id());
        self.still_serves && self.outcomes.iter().filter(found).all(excused)
    }

    /// A table of every row, then what got through, then the counts.
    pub fn table(&self) -> String {
        let mut table = format!("{}: {} {}\n", self.url, A::CONTROL, self.control);
        let widest = |text: fn(&A) -> &'static str| {
            self.outcomes.iter().map(|outcome| text(&outcome.attack).chars().count()).max().unwrap_or(0)
        };
        let (id, title) = (widest(A::id), widest(A::title));
        let mut group = String::new();
        for outcome in &self.outcomes {
            if outcome.attack.group() != group {
                group = outcome.attack.group();
                let _ = writeln!(table, "\n{group}");
            }
            let mark = match outcome.verdict {
                Verdict::Refused => ' ',
                Verdict::LetThrough => '!',
                Verdict::Error => '?',
                Verdict::NotRun => '-',
            };
            let Outcome { attack, did, .. } = outcome;
            let _ = writeln!(table, "{mark} {:id$}  {:title$}  {did}", attack.id(), attack.title());
        }
        table.push('\n');
        for (verdict, name) in [(Verdict::LetThrough, "let through"), (Verdict::Error, "error")] {
            for outcome in self.with(verdict) {
                let Outcome { attack, did, .. } = outcome;
                let (severity, id, source) = (named(&attack.severity()), attack.id(), attack.source());
                let _ = writeln!(table, "{name}, {severity}: {id} ({source}; {did})");
            }
        }
        if !self.still_serves {
            let _ = writeln!(table, "error: {}", A::FALLEN);
        }
        let _ = writeln!(table, "{}", self.counts());
        table
    }

    /// The same for programs.
    pub fn json(&self, took: Duration) -> Value {
        let row = |outcome: &Outcome<A>| {
            let Outcome { attack, verdict, did, answer } = outcome;
            json!({
                "id": attack.id(), "group": attack.group(), "severity": attack.severity(), "title": attack.title(),
                "source": attack.source(), "needs": attack.needs(), "verdict": verdict, "did": did,
                "status": answer.as_ref().map(|answer| answer.status),
                "error": answer.as_ref().and_then(Answer::error),
            })
        };
        json!({
            "url": self.url.as_str(), "control": self.control, "still_serves": self.still_serves,
            "milliseconds": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "counts": self.counts(), "breaches": self.let_through(Severity::Breach),
            "laxities": self.let_through(Severity::Laxity),
            "rows": self.outcomes.iter().map(row).collect::<Vec<_>>(),
        })
    }

    /// The ids of what got through.
    pub fn let_through(&self, severity: Severity) -> Vec<&'static str> {
        let of_it = self.with(Verdict::LetThrough).filter(|outcome| outcome.attack.severity() == severity);
        of_it.map(|outcome| outcome.attack.id()).collect()
    }
}

/// As it is called in JSON.
pub(crate) fn named(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}
