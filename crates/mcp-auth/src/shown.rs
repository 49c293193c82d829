//! Text that came from a client or a provider, cut before it is shown in a log or sent back: whoever wrote it chose its
//! length and its control characters.

/// In bytes.
const SHOWN: usize = 64;

/// The beginning of `text`.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(SHOWN)]
}

/// The beginning of `text`, quoted.
pub(crate) fn shown(text: &str) -> String {
    format!("{:?}", cut(text))
}

/// The same with a length of one's own, in bytes.
#[cfg(feature = "remote")]
pub(crate) fn shown_up_to(text: &str, bytes: usize) -> String {
    format!("{:?}", &text[..text.floor_char_boundary(bytes)])
}
