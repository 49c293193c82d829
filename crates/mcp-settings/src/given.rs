//! What was given, and where.

use std::cell::Cell;

use crate::{SettingsError, key::Key, secret::MASKED};

/// Where a value can come from; the stronger one is the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    Flag,
    Environment,
    File,
    Default,
}

impl Rank {
    /// Those in which something can be given.
    pub const GIVEN: [Rank; 3] = [Rank::Flag, Rank::Environment, Rank::File];
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Flag(&'static str),
    Environment,
    File(String, usize),
}

/// A value of a key, as it was given. Not `Debug`: it may be a secret.
pub(crate) struct Given {
    pub key: Key,
    pub value: String,
    pub place: Place,
    /// Whether a setting is made of it.
    pub used: Cell<bool>,
}

impl Given {
    pub fn new(key: Key, value: String, place: Place) -> Self {
        Self { key, value, place, used: Cell::new(false) }
    }

    pub fn rank(&self) -> Rank {
        match self.place {
            Place::Flag(_) => Rank::Flag,
            Place::Environment => Rank::Environment,
            Place::File(..) => Rank::File,
        }
    }

    /// For sentences: the key, and in brackets where it stands.
    pub fn named(&self) -> String {
        match &self.place {
            Place::Flag(flag) => (*flag).to_owned(),
            Place::Environment => format!("{} (in the environment)", self.key),
            Place::File(file, line) => format!("{} ({file}:{line})", self.key),
        }
    }

    /// For the table of settings: where it stands, and the key.
    pub fn origin(&self) -> String {
        match &self.place {
            Place::Flag(flag) => (*flag).to_owned(),
            Place::Environment => format!("environment {}", self.key),
            Place::File(file, line) => format!("{file}:{line} {}", self.key),
        }
    }

    /// The value, if it may be shown.
    pub fn shown(&self) -> String {
        match self.key {
            key if key.is_secret() => MASKED.to_owned(),
            // By mistake it may be the private one.
            Key::JwtPublicKey => "a public key".to_owned(),
            _ => self.value.clone(),
        }
    }

    pub fn error(&self, reason: impl Into<String>) -> SettingsError {
        SettingsError::Value { key: self.named(), reason: reason.into() }
    }
}

/// Everything that was given and is not empty.
pub(crate) struct AllGiven {
    pub all: Vec<Given>,
    /// A client's id or secret is still to be filled in.
    pub placeholder: bool,
}

impl AllGiven {
    /// All of these keys that stand in this source.
    pub fn at<'a>(&'a self, rank: Rank, keys: &[Key]) -> impl Iterator<Item = &'a Given> {
        self.all.iter().filter(move |given| given.rank() == rank && keys.contains(&given.key))
    }

    /// The first of these keys in the strongest source that has one. That those of one source agree is checked before.
    pub fn strongest(&self, keys: &[Key]) -> Option<&Given> {
        self.all.iter().filter(|given| keys.contains(&given.key)).min_by_key(|given| given.rank())
    }

    /// Whether environment or file has one of these keys.
    pub fn configured(&self, keys: &[Key]) -> bool {
        self.all.iter().any(|given| given.rank() != Rank::Flag && keys.contains(&given.key))
    }
}
