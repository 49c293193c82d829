//! Env files, read as `dotenvy` reads them, with what it lacks: the line of each key, variables from the environment
//! that was handed in and not the process's, and errors that do not quote the line, which may hold a secret.
//!
//! Stricter in one thing: a `$` that names nothing is an error. Replaced by nothing, it would cut a secret short.

use std::{collections::HashMap, fs::File, io::Read, iter::Peekable, path::Path, str::Chars};

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
    let unreadable = |error: std::io::Error| failed(format!("it cannot be read: {error}"));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
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

/// The keys of `text`, in order, with `$NAME` and `${NAME}` replaced from `environment` or from lines above.
pub(crate) fn parse<'a>(
    file: &str,
    text: &'a str,
    environment: &'a dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Line>, SettingsError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parser = Parser { chars: text.chars().peekable(), number: 1, above: HashMap::new(), environment };
    let mut lines: Vec<Line> = Vec::new();
    loop {
        match parser.line() {
            Ok(Some(line)) => {
                if let Some(first) = lines.iter().find(|first| first.key == line.key) {
                    let reason = format!("{} stands in line {} already; keep one of the two", line.key, first.number);
                    return Err(SettingsError::Line { file: file.to_owned(), line: line.number, reason });
                }
                lines.push(line);
            }
            Ok(None) => return Ok(lines),
            Err((line, reason)) => return Err(SettingsError::Line { file: file.to_owned(), line, reason }),
        }
    }
}

struct Parser<'a> {
    chars: Peekable<Chars<'a>>,
    number: usize,
    above: HashMap<String, String>,
    environment: &'a dyn Fn(&str) -> Option<String>,
}

type Failed = (usize, String);

impl Parser<'_> {
    /// The next line that sets something.
    fn line(&mut self) -> Result<Option<Line>, Failed> {
        loop {
            self.skip(|c| c.is_whitespace());
            match self.chars.peek() {
                None => return Ok(None),
                Some('#') => self.skip(|c| c != '\n'),
                Some(_) => break,
            }
        }
        let number = self.number;
        let failed = |reason: &str| (number, reason.to_owned());
        let shape = "it is not KEY=value; a comment begins with #";
        let mut key = self.name(|c| c == '.');
        self.skip(is_blank);
        if key == "export" && self.chars.peek() != Some(&'=') {
            key = self.name(|c| c == '.');
            self.skip(is_blank);
        }
        if key.is_empty() || key.starts_with(|c: char| !(c.is_ascii_alphabetic() || c == '_')) {
            return Err(failed(shape));
        }
        if self.next() != Some('=') {
            return Err(failed(shape));
        }
        self.skip(is_blank);
        let value = self.value().map_err(|(line, reason)| (line, format!("{key}: {reason}")))?;
        self.above.insert(key.clone(), value.clone());
        Ok(Some(Line { key, value, number }))
    }

    /// Up to the end of the line, or to its comment; pieces in quotes and without may follow each other, as in a shell.
    fn value(&mut self) -> Result<String, Failed> {
        let number = self.number;
        let failed = |reason: String| (number, reason);
        let mut value = String::new();
        let mut begun = false;
        // A comment begins where the value has not, or after white space.
        let mut after_blank = true;
        loop {
            match self.chars.peek().copied() {
                None | Some('\n') => return Ok(value),
                Some('#') if after_blank => {
                    self.skip(|c| c != '\n');
                    return Ok(value);
                }
                Some('\r') => {
                    self.next();
                    if self.chars.peek().is_some_and(|c| *c != '\n') {
                        return Err(failed("a carriage return stands in the value".to_owned()));
                    }
                }
                Some(c) if is_blank(c) => {
                    self.skip(is_blank);
                    after_blank = true;
                }
                Some(_) if after_blank && begun => {
                    return Err(failed("a value with spaces in it stands in quotes: KEY=\"a value\"".to_owned()));
                }
                Some('\'') => {
                    (begun, after_blank) = (true, false);
                    self.next();
                    loop {
                        match self.next() {
                            None => return Err(failed("the quote ' is not closed".to_owned())),
                            Some('\'') => break,
                            Some(c) => value.push(c),
                        }
                    }
                }
                Some('"') => {
                    (begun, after_blank) = (true, false);
                    self.next();
                    loop {
                        match self.chars.peek().copied() {
                            None => return Err(failed("the quote \" is not closed".to_owned())),
                            Some('"') => break,
                            Some(_) => self.piece(&mut value)?,
                        }
                    }
                    self.next();
                }
                Some(_) => {
                    (begun, after_blank) = (true, false);
                    self.piece(&mut value)?;
                }
            }
        }
    }

    /// One character, what its escape stands for, or a variable.
    fn piece(&mut self, value: &mut String) -> Result<(), Failed> {
        let number = self.number;
        match self.next() {
            Some('\\') => match self.next() {
                Some(c @ ('\\' | '\'' | '"' | '$' | ' ')) => value.push(c),
                Some('n') => value.push('\n'),
                _ => {
                    let reason = "\\ stands before one of \\ ' \" $ n or a space; in single quotes it is itself";
                    return Err((number, reason.to_owned()));
                }
            },
            Some('$') => {
                let braces = self.chars.next_if_eq(&'{').is_some();
                let name = self.name(|c| braces && c == '.');
                if name.is_empty() || (braces && self.chars.next_if_eq(&'}').is_none()) {
                    let reason = "a $ begins a variable, $NAME or ${NAME}; in single quotes, or as \\$, it is itself";
                    return Err((number, reason.to_owned()));
                }
                match (self.environment)(&name).or_else(|| self.above.get(&name).cloned()) {
                    Some(found) => value.push_str(&found),
                    None => {
                        let reason = "the variable after $ is neither in the environment nor set in a line above; in \
                                      single quotes, or as \\$, a $ is itself";
                        return Err((number, reason.to_owned()));
                    }
                }
            }
            Some(c) => value.push(c),
            None => {}
        }
        Ok(())
    }

    /// The longest name that stands here.
    fn name(&mut self, also: impl Fn(char) -> bool) -> String {
        let mut name = String::new();
        while let Some(c) = self.chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_' || also(*c)) {
            name.push(c);
        }
        name
    }

    fn skip(&mut self, which: impl Fn(char) -> bool) {
        while self.chars.peek().is_some_and(|c| which(*c)) {
            self.next();
        }
    }

    fn next(&mut self) -> Option<char> {
        let next = self.chars.next();
        self.number += usize::from(next == Some('\n'));
        next
    }
}

/// White space that ends no line.
fn is_blank(c: char) -> bool {
    c.is_whitespace() && c != '\n' && c != '\r'
}
