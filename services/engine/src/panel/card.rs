//! A card that is shown at the screen: its number is typed, by hand or by a reader that is a keyboard, and is not seen.

use domain::cards::{CardNumber, InvalidCardNumber};
use ratatui::{style::Color, text::Line};
use std::{fmt, time::Duration};
use tokio::time::{Instant, sleep_until};
use ui::KeyCode;

/// So many keys are taken: twice those of the longest number with something between its bytes.
const MAX_KEYS: usize = 64;
/// Whoever presses no key for so long has gone: the next one does not go on with that number.
const WAITS: Duration = Duration::from_secs(10);

/// What was typed so far, and until when it waits for more.
pub(super) struct TypedCard(String, Instant);

impl Default for TypedCard {
    fn default() -> Self {
        Self(String::new(), Instant::now() + WAITS)
    }
}

impl fmt::Debug for TypedCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TypedCard")
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

impl TypedCard {
    pub(super) fn press(&mut self, key: KeyCode) -> Read {
        self.1 = Instant::now() + WAITS;
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

    /// Once nobody has pressed a key for too long it is no more; never, if there is none.
    pub(super) async fn left(typed: &mut Option<Self>) {
        match typed {
            Some(Self(_, until)) => sleep_until(*until).await,
            None => std::future::pending().await,
        }
        *typed = None;
    }

    pub(super) fn line(&self) -> Line<'static> {
        let typed = "•".repeat(self.0.chars().count());
        Line::styled(format!("card: {typed}   Enter shows it   Esc gives up"), Color::Yellow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> TypedCard {
        let mut card = TypedCard::default();
        for c in text.chars() {
            assert_eq!(card.press(KeyCode::Char(c)), Read::On);
        }
        card
    }

    #[test]
    fn a_number_is_typed_and_never_seen() {
        let mut card = typed("04:a1:b2:c3x");
        card.press(KeyCode::Backspace);
        let (line, debug) = (card.line().to_string(), format!("{card:?}"));
        assert!(!line.contains("a1") && !debug.contains("a1") && line.contains(&"•".repeat(11)), "{line}");
        assert_eq!(card.press(KeyCode::Enter), Read::Given("04A1B2C3".parse().unwrap()));
        assert_eq!(typed("q").press(KeyCode::Enter), Read::Wrong(InvalidCardNumber));
        assert_eq!(typed("04").press(KeyCode::Esc), Read::Nothing);
        assert_eq!(TypedCard::default().press(KeyCode::Enter), Read::Nothing);
        assert_eq!(typed(&"0".repeat(200)).0.len(), MAX_KEYS);
    }

    #[tokio::test(start_paused = true)]
    async fn a_half_typed_number_is_dropped_ten_seconds_after_its_last_key() {
        let start = Instant::now();
        let mut card = Some(typed("04a1"));
        tokio::time::advance(Duration::from_secs(9)).await;
        card.as_mut().unwrap().press(KeyCode::Char('b'));
        TypedCard::left(&mut card).await;
        let waited = (start + Duration::from_secs(19))..(start + Duration::from_secs(20));
        assert!(card.is_none() && waited.contains(&Instant::now()));
        let never = tokio::time::timeout(Duration::from_secs(3600), TypedCard::left(&mut card));
        assert!(never.await.is_err());
    }
}
