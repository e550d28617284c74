//! A driver's file: one charge point a line.

use crate::{ChargePointId, ids::InvalidId, network::Target, text::InvalidText};

/// The most requests in one file: at a [`PAUSE`](super::PAUSE) each, half a day.
pub const MAX_LINES: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its line in the file, from 1.
    pub number: u32,
    pub target: Target,
    /// How it is expected to conclude.
    pub expectation: Expectation,
}

/// How a request is expected to conclude.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// With the ticket of a completed supply.
    Ticket,
    /// With a denial, for this reason if one is named.
    Denied(Option<String>),
    /// With a fault in mid-supply, and the ticket for what was delivered.
    Fault,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    #[error("{file} has no request; write one charge point id a line, or 'any'")]
    Empty { file: String },
    #[error("{file} has more than {MAX_LINES} requests; split it")]
    TooLong { file: String },
    #[error("{file}, line {line}: {wrong}")]
    Line { file: String, line: u32, wrong: WrongLine },
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongLine {
    #[error("'{text}' is not a charge point id: it {wrong}")]
    ChargePoint { text: String, wrong: InvalidId },
    #[error(
        "'{word}' is not understood; after the charge point only expect=denied, expect=denied:REASON or expect=fault \
         may follow"
    )]
    Word { word: String },
    #[error("'{reason}' is not a reason; write it in upper case, such as expect=denied:CHARGE_POINT_BUSY")]
    Reason { reason: String },
    #[error("the location after 'any' is longer than {max} characters")]
    LongLocation { max: usize },
    #[error("the location after 'any' {0}")]
    Location(InvalidText),
    #[error("nothing may follow the expectation, but '{word}' does")]
    AfterExpectation { word: String },
}

/// Reads a file. Each line is `ID` or `any` or `any START OF A LOCATION`, then optionally `expect=denied`,
/// `expect=denied:REASON` or `expect=fault`; from a `#` at the start of a word on it is a comment. Blank lines are
/// skipped.
pub fn parse(file: &str, text: &str) -> Result<Vec<Line>, FileError> {
    let mut lines = Vec::new();
    for (number, text) in (1..).zip(text.lines()) {
        let parsed = parse_line(number, text).map_err(|wrong| FileError::Line {
            file: file.into(),
            line: number,
            wrong,
        })?;
        lines.extend(parsed);
        if lines.len() > MAX_LINES {
            return Err(FileError::TooLong { file: file.into() });
        }
    }
    if lines.is_empty() {
        return Err(FileError::Empty { file: file.into() });
    }
    Ok(lines)
}

fn parse_line(number: u32, text: &str) -> Result<Option<Line>, WrongLine> {
    let mut words = text.split_whitespace().take_while(|word| !word.starts_with('#'));
    let Some(first) = words.next() else {
        return Ok(None);
    };

    let mut location: Vec<&str> = Vec::new();
    let mut expectation = None;
    for word in words {
        if expectation.is_some() {
            return Err(WrongLine::AfterExpectation { word: word.into() });
        }
        match word.strip_prefix("expect=") {
            Some(expected) => expectation = Some(parse_expectation(word, expected)?),
            None if first == "any" => location.push(word),
            None => return Err(WrongLine::Word { word: word.into() }),
        }
    }
    let target = if first == "any" {
        let location_prefix = location.join(" ").parse().map_err(|wrong| match wrong {
            InvalidText::Long { max, .. } => WrongLine::LongLocation { max },
            InvalidText::Character(_) => WrongLine::Location(wrong),
        })?;
        Target::Any { location_prefix }
    } else {
        let id = first.parse::<ChargePointId>();
        Target::Named(id.map_err(|wrong| WrongLine::ChargePoint { text: first.into(), wrong })?)
    };
    Ok(Some(Line { number, target, expectation: expectation.unwrap_or(Expectation::Ticket) }))
}

fn parse_expectation(word: &str, expected: &str) -> Result<Expectation, WrongLine> {
    match expected.split_once(':') {
        None if expected == "denied" => Ok(Expectation::Denied(None)),
        None if expected == "fault" => Ok(Expectation::Fault),
        Some(("denied", reason)) => {
            let valid = !reason.is_empty()
                && reason.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
            if valid {
                Ok(Expectation::Denied(Some(reason.into())))
            } else {
                Err(WrongLine::Reason { reason: reason.into() })
            }
        }
        None | Some(_) => Err(WrongLine::Word { word: word.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(id: &str) -> Target {
        Target::Named(id.parse().unwrap())
    }

    fn any(prefix: &str) -> Target {
        Target::Any { location_prefix: prefix.parse().unwrap() }
    }

    #[test]
    fn a_file_is_read_line_by_line() {
        let text = "# my week\n\nMAD-01\n  MAD-02  expect=denied # taken\nany\nany Madrid Centro \
                    expect=fault\r\nX expect=denied:CHARGE_POINT_UNKNOWN\n";
        let lines = parse("week.txt", text).unwrap();
        let expected = [
            (3, named("MAD-01"), Expectation::Ticket),
            (4, named("MAD-02"), Expectation::Denied(None)),
            (5, any(""), Expectation::Ticket),
            (6, any("Madrid Centro"), Expectation::Fault),
            (7, named("X"), Expectation::Denied(Some("CHARGE_POINT_UNKNOWN".into()))),
        ];
        let lines: Vec<_> = lines.into_iter().map(|l| (l.number, l.target, l.expectation)).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, said) in [
            ("", "f has no request; write one charge point id a line, or 'any'"),
            ("# nothing\n\n", "f has no request; write one charge point id a line, or 'any'"),
            (
                "A\nMAD/01",
                "f, line 2: 'MAD/01' is not a charge point id: it has '/'; only letters, digits, '-', '_' and '.' are \
                 allowed",
            ),
            (
                "A B",
                "f, line 1: 'B' is not understood; after the charge point only expect=denied, expect=denied:REASON or \
                 expect=fault may follow",
            ),
            (
                "\n\nA expect=ticket",
                "f, line 3: 'expect=ticket' is not understood; after the charge point only expect=denied, \
                 expect=denied:REASON or expect=fault may follow",
            ),
            (
                "A expect=denied:busy",
                "f, line 1: 'busy' is not a reason; write it in upper case, such as expect=denied:CHARGE_POINT_BUSY",
            ),
            (
                "A expect=fault expect=denied",
                "f, line 1: nothing may follow the expectation, but 'expect=denied' does",
            ),
            (
                "any a\u{1b}b",
                "f, line 1: the location after 'any' has '\\u{1b}'; control and format characters are not allowed",
            ),
        ] {
            assert_eq!(parse("f", text).unwrap_err().to_string(), said);
        }
        assert_eq!(
            parse("f", &format!("any {}", "x".repeat(129))).unwrap_err().to_string(),
            "f, line 1: the location after 'any' is longer than 128 characters"
        );
        assert_eq!(parse("f", &"A\n".repeat(MAX_LINES)).unwrap().len(), MAX_LINES);
        assert_eq!(parse("f", &"A\n".repeat(MAX_LINES + 1)), Err(FileError::TooLong { file: "f".into() }));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(any|A|#|expect=|denied|:|fault|\\PC|\\s){0,40}") {
            let _ = parse("f", &text);
        }
    }
}
