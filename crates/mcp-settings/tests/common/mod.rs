//! Sources in a few words.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "not every test uses all of it")]

use mcp_settings::{Key, Settings, SettingsError, Sources};

pub type Flags<'a> = &'a [(&'static str, Key, &'a str)];
pub type Environment<'a> = &'a [(&'a str, &'a str)];

/// A PEM; nobody looks inside.
pub const PEM: &str = "-----BEGIN PUBLIC KEY-----\\nAAAA\\n-----END PUBLIC KEY-----\\n";

/// Settings of a file with this text, called `x.env` in what is said about it.
pub fn load(file: &str, environment: Environment<'_>, flags: Flags<'_>) -> Result<Settings, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.env");
    std::fs::write(&path, file).unwrap();
    let mut sources = Sources::new("no/such.env").file(Some(&path)).environment(environment.iter().copied());
    for (flag, key, value) in flags {
        sources = sources.flag(flag, *key, Some(value));
    }
    let short = |text: String| text.replace(&format!("{}/", directory.path().display()), "");
    sources.load().map_err(|error: SettingsError| short(error.to_string())).map(|mut settings| {
        for notice in &mut settings.notices {
            *notice = short(std::mem::take(notice));
        }
        settings
    })
}

/// The table, with the file called `x.env`.
pub fn explained(settings: &Settings) -> String {
    settings
        .explain()
        .lines()
        .map(|line| {
            let words = line.split(' ').map(|word| match word.find("/x.env:") {
                Some(at) => &word[at + 1..],
                None => word,
            });
            words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ") + "\n"
        })
        .collect()
}
