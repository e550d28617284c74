//! Texts that people write, each with the one bound that it has at every door.

/// A place has at most so many characters: a line of a wide screen.
pub const MAX_LOCATION_CHARS: usize = 128;

/// A reason in words, such as an engine's fault, has at most so many characters: two lines of a screen.
pub const MAX_REASON_CHARS: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    #[error("has {chars} characters; at most {max} are allowed")]
    Long { chars: usize, max: usize },
    /// It would move a terminal's cursor, or worse.
    #[error("must not have control characters")]
    Control,
}

/// Checks a place, or the start of one.
pub fn location(text: &str) -> Result<String, InvalidText> {
    checked(text, MAX_LOCATION_CHARS)
}

pub fn reason(text: &str) -> Result<String, InvalidText> {
    checked(text, MAX_REASON_CHARS)
}

/// A reason from a peer that nobody refuses for its words: on one line, and cut to its bound.
pub fn cut_reason(text: &str) -> String {
    text.trim().replace(char::is_control, " ").chars().take(MAX_REASON_CHARS).collect()
}

fn checked(text: &str, max: usize) -> Result<String, InvalidText> {
    let chars = text.chars().count();
    if chars > max {
        return Err(InvalidText::Long { chars, max });
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidText::Control);
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bounded_in_characters() {
        assert!(location(&"ñ".repeat(MAX_LOCATION_CHARS)).is_ok());
        let long = location(&"ñ".repeat(MAX_LOCATION_CHARS + 1)).unwrap_err();
        assert_eq!(long.to_string(), "has 129 characters; at most 128 are allowed");
        assert_eq!(location("a\u{1b}[2J"), Err(InvalidText::Control));
        assert_eq!(cut_reason(" a\nb ").len(), 3);
        assert_eq!(cut_reason(&"x".repeat(300)).len(), MAX_REASON_CHARS);
    }
}
