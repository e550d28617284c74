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
    /// It would move a terminal's cursor, turn the text's direction round, or make two texts look the same.
    #[error("has {0:?}; control and format characters are not allowed")]
    Character(char),
}

impl Location {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Out of a store: what was taken once is kept, with blanks where it would not be taken any more.
    pub fn stored(text: &str) -> Self {
        Self(cut(text, MAX_LOCATION_CHARS).into())
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
    cut(text.trim(), MAX_REASON_CHARS)
}

/// A text from elsewhere, fit for a terminal: with blanks for what [`InvalidText::Character`] is said of.
pub fn printable(text: &str) -> String {
    marked(text).map(|(c, is_text)| if is_text { c } else { ' ' }).collect()
}

/// A number from elsewhere in a few characters, where all its digits would fill a screen.
pub fn short_number(number: f64) -> String {
    if number == 0.0 || (1e-6..1e15).contains(&number.abs()) {
        number.to_string()
    } else {
        format!("{number:e}")
    }
}

fn cut(text: &str, max: usize) -> String {
    printable(&text.chars().take(max).collect::<String>())
}

fn checked(text: &str, max: usize) -> Result<&str, InvalidText> {
    let chars = text.chars().count();
    if chars > max {
        return Err(InvalidText::Long { chars, max });
    }
    match marked(text).find(|(_, is_text)| !is_text) {
        Some((c, _)) => Err(InvalidText::Character(c)),
        None => Ok(text),
    }
}

/// Its characters, each with whether it is one that people read: none of control or format, and no separator of lines
/// or paragraphs. A joiner within a word is one: Persian and Hindi, and some emoji, are not written without.
fn marked(text: &str) -> impl Iterator<Item = (char, bool)> {
    let of_word = |c: char| !is_format(c) && !c.is_whitespace();
    let (mut before, mut chars) = (false, text.chars().peekable());
    std::iter::from_fn(move || {
        let c = chars.next()?;
        let after = chars.peek().is_some_and(|next| of_word(*next));
        let joins = matches!(c, '\u{200c}' | '\u{200d}') && before && after;
        before = of_word(c);
        Some((c, joins || !is_format(c)))
    })
}

/// Of the general category Cc, Cf, Zl or Zp.
fn is_format(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || FORMAT.iter().any(|range| range.contains(&c))
}

/// The general category Cf, from `extracted/DerivedGeneralCategory.txt` of the Unicode Character Database 16.0.
const FORMAT: [std::ops::RangeInclusive<char>; 21] = [
    '\u{ad}'..='\u{ad}',
    '\u{600}'..='\u{605}',
    '\u{61c}'..='\u{61c}',
    '\u{6dd}'..='\u{6dd}',
    '\u{70f}'..='\u{70f}',
    '\u{890}'..='\u{891}',
    '\u{8e2}'..='\u{8e2}',
    '\u{180e}'..='\u{180e}',
    '\u{200b}'..='\u{200f}',
    '\u{202a}'..='\u{202e}',
    '\u{2060}'..='\u{2064}',
    '\u{2066}'..='\u{206f}',
    '\u{feff}'..='\u{feff}',
    '\u{fff9}'..='\u{fffb}',
    '\u{110bd}'..='\u{110bd}',
    '\u{110cd}'..='\u{110cd}',
    '\u{13430}'..='\u{1343f}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0001}'..='\u{e0001}',
    '\u{e0020}'..='\u{e007f}',
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_has_few_characters() {
        for (number, shown) in
            [(0.0, "0"), (-2.5, "-2.5"), (1e12, "1000000000000"), (1e300, "1e300"), (-1e-300, "-1e-300")]
        {
            assert_eq!(short_number(number), shown);
        }
    }

    #[test]
    fn sizes_are_bounded_in_characters() {
        assert!("ñ".repeat(128).parse::<Location>().is_ok());
        let long = "ñ".repeat(129).parse::<Location>().unwrap_err();
        assert_eq!(long.to_string(), "has 129 characters; at most 128 are allowed");
        assert_eq!(cut_reason(" a\nb "), "a b");
        assert_eq!(cut_reason(&"x".repeat(300)).len(), MAX_REASON_CHARS);
        assert_eq!(Location::stored(&format!("a\u{202e}{}", "b".repeat(200))).as_str().len(), 128);
    }

    #[test]
    fn what_people_cannot_read_is_refused_and_named() {
        let hidden = "\0\u{1b}\n\t\u{7f}\u{9b}\u{ad}\u{61c}\u{200b}\u{200c}\u{200d}\u{200e}\u{2028}\u{2029}\
                      \u{202e}\u{2066}\u{feff}\u{e0001}\u{e0041}";
        for hidden in hidden.chars() {
            for text in [format!("{hidden}ab"), format!("ab {hidden}c"), format!("ab{hidden}")] {
                assert_eq!(text.parse::<Location>(), Err(InvalidText::Character(hidden)), "{text:?}");
                assert_eq!(reason(&text), Err(InvalidText::Character(hidden)), "{text:?}");
            }
        }
        let said = "Madrid\u{202e}".parse::<Location>().unwrap_err().to_string();
        assert_eq!(said, "has '\\u{202e}'; control and format characters are not allowed");
    }

    #[test]
    fn what_people_write_is_taken() {
        for text in [
            "Alcalá de Henares, C/ Mayor 1 – \u{2116}7 (P\u{2212}2)",
            "می\u{200c}خواهم", // not without the joiner
            "क\u{94d}\u{200d}ष",
            "👩\u{200d}🔧 und 🏳\u{fe0f}\u{200d}🌈",
            "東京\u{3000}駅",
            "cafe\u{301}",
        ] {
            assert_eq!(text.parse::<Location>().unwrap().as_str(), text);
            assert_eq!(printable(text), text);
        }
        // Two joiners hide one.
        assert!("a\u{200d}\u{200d}b".parse::<Location>().is_err());
    }

    proptest! {
        #[test]
        fn what_was_made_fit_is_taken(text in "(\\PC|\\p{Cf}|\\p{Cc}|\u{200d}|[a-z ]){0,300}") {
            prop_assert!(reason(&cut_reason(&text)).is_ok());
            prop_assert!(Location::stored(&text).as_str().parse::<Location>().is_ok());
            let refused = |c: &char| checked(&c.to_string(), 1).is_err();
            prop_assert!(text.chars().filter(refused).all(|c| printable(&c.to_string()) == " "));
        }
    }
}
