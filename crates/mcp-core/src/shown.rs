//! Text that came from a client, cut before it is shown in a log or sent back: whoever wrote it chose its length.

/// In bytes.
const SHOWN: usize = 64;

/// The beginning of `text`. Format it with `{:?}` where control characters could do harm.
pub(crate) fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(SHOWN)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_between_characters() {
        assert_eq!(shown("short"), "short");
        assert_eq!(shown(&"é".repeat(100)), "é".repeat(32));
        assert_eq!(shown(&format!("x{}", "é".repeat(100))).len(), 63);
    }
}
