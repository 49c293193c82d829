//! What the templates do to a value before they escape it.

use std::fmt::Display;

/// One line of readable text, of at most `most` characters.
///
/// Without control characters, and without those that cannot be seen: among them are the bidirectional overrides, with
/// which a name turns the words around it (Unicode TR 36 §2.5).
#[askama::filter_fn]
pub(crate) fn line(value: impl Display, _: &dyn askama::Values, most: usize) -> askama::Result<String> {
    Ok(one_line(&value.to_string(), most))
}

pub(crate) fn one_line(text: &str, most: usize) -> String {
    // Before anything else, since the text may be megabytes.
    let seen: String = text.chars().take(4 * most).filter(|c| c.is_whitespace() || !unseen(*c)).collect();
    let words = seen.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut chars = words.chars();
    let mut line: String = chars.by_ref().take(most).collect();
    if chars.next().is_some() || text.chars().nth(4 * most).is_some() {
        line.push('…');
    }
    line
}

/// Controls, and what Unicode calls default ignorable (DerivedCoreProperties.txt); interlinear annotations and the blank
/// Braille pattern look like nothing too.
fn unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
            | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// A number of seconds as people say it, never too short.
#[askama::filter_fn]
pub(crate) fn wait(seconds: &u64, _: &dyn askama::Values) -> askama::Result<String> {
    Ok(match seconds {
        0 | 1 => "1 second".to_owned(),
        2..=90 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    })
}
