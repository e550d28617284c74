//! Texts that people write, each with the one bound that it has at every door.

use std::{fmt, str::FromStr, sync::Arc};

/// A place has at most so many characters: a line of a wide screen.
const MAX_LOCATION_CHARS: usize = 128;

/// A place, or the start of one; empty where nobody said. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Location(Arc<str>);

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

impl Location {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Location {
    type Err = InvalidText;
    fn from_str(text: &str) -> Result<Self, InvalidText> {
        checked(text, MAX_LOCATION_CHARS).map(|text| Self(text.into()))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

pub fn reason(text: &str) -> Result<String, InvalidText> {
    checked(text, MAX_REASON_CHARS).map(str::to_owned)
}

/// A reason from a peer that nobody refuses for its words: on one line, and cut to its bound.
pub fn cut_reason(text: &str) -> String {
    text.trim().replace(char::is_control, " ").chars().take(MAX_REASON_CHARS).collect()
}

fn checked(text: &str, max: usize) -> Result<&str, InvalidText> {
    let chars = text.chars().count();
    if chars > max {
        return Err(InvalidText::Long { chars, max });
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidText::Control);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bounded_in_characters() {
        assert!("ñ".repeat(128).parse::<Location>().is_ok());
        let long = "ñ".repeat(129).parse::<Location>().unwrap_err();
        assert_eq!(long.to_string(), "has 129 characters; at most 128 are allowed");
        assert_eq!("a\u{1b}[2J".parse::<Location>(), Err(InvalidText::Control));
        assert_eq!(cut_reason(" a\nb ").len(), 3);
        assert_eq!(cut_reason(&"x".repeat(300)).len(), MAX_REASON_CHARS);
    }
}
