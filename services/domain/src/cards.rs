//! Cards, by which drivers say who they are at a charge point.
//!
//! A card shows a number, and nothing but a digest of that, made with the registry's key, is kept or told further: of a
//! number of four bytes a plain digest would be tried out. It is spoken of by its id, which says nothing of the number.
//! The registry says whose a card is ([`registered`]); central holds what it was told ([`held`]).

pub mod held;
pub mod registered;

use std::{fmt, str::FromStr};

/// The fewest and the most bytes of a card's number: those of RFID cards have 4, 7 or 10.
pub const NUMBER_BYTES: std::ops::RangeInclusive<usize> = 4..=10;

/// What a card shows. It is a secret: who knows it can show it.
#[derive(Clone, PartialEq, Eq)]
pub struct CardNumber(Vec<u8>);

/// A text is no card's number. It does not say which text that was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a card's number: 4 to 10 bytes, each of two hexadecimal digits, with or without ':', '-' or ' ' between"
)]
pub struct InvalidCardNumber;

impl CardNumber {
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// For the one call that takes it where it counts: `04A1B2C3`.
    pub fn reveal(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02X}")).collect()
    }

    /// Does a text have it, whatever is written between its digits?
    pub fn is_in(&self, text: &str) -> bool {
        let plain: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
        plain.to_ascii_uppercase().contains(&self.reveal())
    }
}

impl fmt::Debug for CardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardNumber")
    }
}

/// The same number is read whatever its letters' case, and whatever is between its bytes.
impl FromStr for CardNumber {
    type Err = InvalidCardNumber;

    fn from_str(text: &str) -> Result<Self, InvalidCardNumber> {
        let digit = |c: char| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let is_between = |c: char| matches!(c, ':' | '-' | ' ');
        let mut bytes = Vec::new();
        let mut rest = text.trim().chars().peekable();
        while let Some(high) = rest.next() {
            let low = rest.next().ok_or(InvalidCardNumber)?;
            let (high, low) = digit(high).zip(digit(low)).ok_or(InvalidCardNumber)?;
            bytes.push(high << 4 | low);
            if bytes.len() > *NUMBER_BYTES.end() {
                return Err(InvalidCardNumber);
            }
            if rest.next_if(|c| is_between(*c)).is_some() && rest.peek().is_none() {
                return Err(InvalidCardNumber);
            }
        }
        if NUMBER_BYTES.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(InvalidCardNumber) }
    }
}

/// HMAC-SHA256 of a card's number, with the registry's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CardHash(pub [u8; 32]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_however_it_is_written_and_never_said() {
        let read = |text: &str| text.parse::<CardNumber>();
        let number = read("04A1B2C3").unwrap();
        for same in ["04a1b2c3", "04:A1:b2:C3", "04-a1-B2-c3", " 04 A1 B2 C3\n", "04a1:b2c3"] {
            assert_eq!(read(same).as_ref(), Ok(&number), "{same:?}");
        }
        assert_eq!((number.bytes(), number.reveal().as_str()), (&[4, 0xa1, 0xb2, 0xc3][..], "04A1B2C3"));
        assert_eq!(format!("{number:?}"), "CardNumber");
        assert!(read("0011223344556677889A").is_ok() && read("00000000") != read("0000000000"));
        for wrong in
            ["", "04A1B2", "04A1B2C", "04A1B2C3:", ":04A1B2C3", "0:4A1B2C3", "04::A1B2C3", "04A1B2CG"]
        {
            assert_eq!(read(wrong), Err(InvalidCardNumber), "{wrong:?}");
        }
        assert!(read(&"00".repeat(11)).is_err() && read("٠٤٠٤٠٤٠٤").is_err());
        assert!(!InvalidCardNumber.to_string().contains("04A1"));
        for with in ["04a1b2c3", "gym 04:A1:b2:C3", "(04_a1.b2 / c3)!", "№04 – a1 – b2 – c3", "x04A1B2C3D4"]
        {
            assert!(number.is_in(with), "{with}");
        }
        assert!(!number.is_in("gym 04, door A1, B2") && !number.is_in(""));
    }
}
