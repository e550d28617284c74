//! A card that is shown at the screen: its number is typed, by hand or by a reader that is a keyboard, and is not seen.

use domain::cards::{CardNumber, InvalidCardNumber};
use ratatui::{style::Color, text::Line};
use std::fmt;
use ui::KeyCode;

/// So many keys are taken: twice those of the longest number with something between its bytes.
const MAX_KEYS: usize = 64;

/// What was typed so far.
#[derive(Default)]
pub(super) struct Reading(String);

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reading")
    }
}

/// What came of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// There is more to come.
    On,
    Given(CardNumber),
    Wrong(InvalidCardNumber),
    /// Whoever typed wants it no more.
    Nothing,
}

impl Reading {
    pub(super) fn press(&mut self, key: KeyCode) -> Read {
        match key {
            KeyCode::Enter if self.0.is_empty() => return Read::Nothing,
            KeyCode::Enter => return self.0.parse().map_or_else(Read::Wrong, Read::Given),
            KeyCode::Esc => return Read::Nothing,
            KeyCode::Backspace => drop(self.0.pop()),
            KeyCode::Char(c) if self.0.len() < MAX_KEYS => self.0.push(c),
            _ => {} // the other keys of a keyboard do nothing
        }
        Read::On
    }

    pub(super) fn line(&self) -> Line<'static> {
        let typed = "•".repeat(self.0.chars().count());
        Line::styled(format!("card: {typed}   Enter shows it   Esc gives up"), Color::Yellow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Reading {
        let mut reading = Reading::default();
        for c in text.chars() {
            assert_eq!(reading.press(KeyCode::Char(c)), Read::On);
        }
        reading
    }

    #[test]
    fn a_number_is_typed_and_never_seen() {
        let mut reading = typed("04:a1:b2:c3x");
        reading.press(KeyCode::Backspace);
        let (line, debug) = (reading.line().to_string(), format!("{reading:?}"));
        assert!(!line.contains("a1") && !debug.contains("a1") && line.contains(&"•".repeat(11)), "{line}");
        assert_eq!(reading.press(KeyCode::Enter), Read::Given("04A1B2C3".parse().unwrap()));
        assert_eq!(typed("q").press(KeyCode::Enter), Read::Wrong(InvalidCardNumber));
        assert_eq!(typed("04").press(KeyCode::Esc), Read::Nothing);
        assert_eq!(Reading::default().press(KeyCode::Enter), Read::Nothing);
        assert_eq!(typed(&"0".repeat(200)).0.len(), MAX_KEYS);
    }
}
