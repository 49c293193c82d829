//! Why there are no settings: what, where, and what to do about it. No message holds a secret.

/// Why the settings cannot be used. Its text names every key, file and line that it is about.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The env file cannot be read.
    #[error("{file}: {reason}")]
    File {
        /// As it was named.
        file: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A line of the env file cannot be understood, or sets a key that another has set.
    #[error("{file}:{line}: {reason}")]
    Line {
        /// As it was named.
        file: String,
        /// The first is 1.
        line: usize,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A value that its key cannot have.
    #[error("{key}: {reason}")]
    Value {
        /// The key and where it stands, or the flag.
        key: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Keys that do not go together.
    #[error("{0}")]
    Contradiction(String),
}
