//! Env files, read by `dotenvy`, never into the process's environment. Around it stands what it lacks: the line of each
//! key, errors that do not quote the line, which may hold a secret, and a refusal of what it would read as something
//! else than stands there, above all of a `$` that names nothing.
//!
//! For `$NAME` it takes the process's environment before lines above, and cannot be given another. What [`Sources`] was
//! handed is the same in every program of ours. A variable that differs between the two is refused, so that no value
//! depends on what was not handed in.
//!
//! [`Sources`]: crate::Sources

use std::{
    cell::Cell,
    fs::File,
    io::{self, Read},
    path::Path,
};

use crate::SettingsError;

/// In bytes. Longer is not an env file.
const LONGEST: u64 = 64 * 1024;

/// One key of a file.
pub(crate) struct Line {
    pub key: String,
    pub value: String,
    /// Where the key stands; the first is 1.
    pub number: usize,
}

/// The text of the file, or `None` if there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<String>, SettingsError> {
    let failed = |reason: String| SettingsError::File { file: path.display().to_string(), reason };
    let unreadable = |error: io::Error| failed(format!("it cannot be read: {error}"));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(failed("it is a directory; name the env file in it".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST {
        return Err(failed(format!("it is longer than {} KiB, which no env file is", LONGEST / 1024)));
    }
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        failed(format!("it is not UTF-8 (line {line}); save it as UTF-8"))
    })
}

/// Of a line that `dotenvy` refuses. Why it does, its error says with the line itself.
const SHAPE: &str = "it cannot be read; a line is KEY=value, KEY=\"a value\" or KEY='a value', and a comment begins \
                     with #; each quote is closed, also in a comment, and not by a ' after a \\; outside of single \
                     quotes a \\ stands before one of \\ ' \" $ n or a space, and a $ before NAME or {NAME}";
const UNSET: &str = "a $ begins a variable, and none of this name is in the environment or set in a line above; in \
                     single quotes, or as \\$, a $ is itself";
const DIFFERS: &str = "the variable after $ is another in this process than in the environment that was handed in; \
                       write its value instead";
const BARE: &str = "a variable stands in braces here: ${NAME}; in single quotes, or as \\$, a $ is itself";
const BACKSLASH: &str = "a \\ at its end is written \\\\, and a space at its end in quotes";
const GOES_ON: &str = "it does not end with its line: a quote stands in its comment; or a \\ before the ' at its end, \
                       and is written \\\\ in double quotes; or a carriage return in it";

/// The keys of `text`, in order, with `$NAME` and `${NAME}` replaced from `environment` or from lines above.
pub(crate) fn parse(
    file: &str,
    text: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Line>, SettingsError> {
    // White space at the very end, without a line break, is an error to `dotenvy`.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_end();
    let read = Cell::new(0);
    let mut entries = dotenvy::from_read_iter(LineByLine { text, read: &read });
    let mut lines: Vec<Line> = Vec::new();
    let mut next = 1;
    loop {
        let from = read.get();
        let Some(entry) = entries.next() else { return Ok(lines) };
        let entire = &text[from..read.get()];
        let skipped = entire.split_inclusive('\n').take_while(|line| line.trim().is_empty() || is_comment(line));
        let (skipped, raw) = entire.split_at(skipped.map(str::len).sum());
        let number = next + skipped.matches('\n').count();
        next += entire.matches('\n').count();

        let failed = |reason: String| SettingsError::Line { file: file.to_owned(), line: number, reason };
        let (key, value) = entry.map_err(|_| failed(SHAPE.to_owned()))?;
        if let Some(first) = lines.iter().find(|first| first.key == key) {
            return Err(failed(format!("{key} stands in line {} already; keep one of the two", first.number)));
        }
        let variable = |name: &str| match environment(name) {
            given if given != std::env::var(name).ok() => Err(DIFFERS),
            None if lines.iter().all(|line| line.key != name) => Err(UNSET),
            _ => Ok(()),
        };
        let written = raw.split_once('=').map_or("", |(_, written)| written);
        check(written, variable).map_err(|reason| failed(format!("{key}: {reason}")))?;
        lines.push(Line { key, value, number });
    }
}

/// Refuses what `dotenvy` accepts, and reads as something else than stands there. `variable` says if there is one.
fn check(written: &str, variable: impl Fn(&str) -> Result<(), &'static str>) -> Result<(), &'static str> {
    let written = written.trim_end().trim_start_matches(|c: char| c.is_whitespace() && c != '\r');
    let mut quoted = false;
    let mut rest = written;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            // The end of the value.
            '#' if rest.len() == written.len() => break,
            ' ' | '\t' | '\r' | '\n' if !quoted => break,
            '\'' if !quoted => after.split_once('\'').map_or("", |(_, after)| after),
            '"' => {
                quoted = !quoted;
                after
            }
            // With white space it would fall off the end.
            '\\' if after.trim().is_empty() || is_comment(after) => return Err(BACKSLASH),
            '\\' => after.get(1..).unwrap_or_default(),
            '$' => {
                let in_braces = after.strip_prefix('{').and_then(|name| name.split_once('}'));
                let length = after.find(|c: char| !c.is_alphanumeric()).unwrap_or(after.len());
                let (name, after) = in_braces.unwrap_or_else(|| after.split_at(length));
                // A bare name ends before these, and what follows it is taken as it stands, even a closing quote.
                if in_braces.is_none() && after.starts_with(['_', '"', '\'', '\\', ' ', '\t']) {
                    return Err(BARE);
                }
                variable(name)?;
                after
            }
            _ => after,
        };
    }
    // It looks for the end of a quote in other places than where it reads a quote, and so takes in lines that follow.
    if rest.contains(['\r', '\n']) { Err(GOES_ON) } else { Ok(()) }
}

fn is_comment(text: &str) -> bool {
    text.trim_start().starts_with('#')
}

/// Hands out no more than one line at a time, so that what has been read ends where `dotenvy` has come to.
struct LineByLine<'a> {
    text: &'a str,
    /// In bytes.
    read: &'a Cell<usize>,
}

impl Read for LineByLine<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.text.as_bytes()[self.read.get()..];
        let mut line = rest.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
        let length = line.read(buffer)?;
        self.read.set(self.read.get() + length);
        Ok(length)
    }
}
