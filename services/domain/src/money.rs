//! Money and prices, as integers. The only rounding of an amount is [`Price::bill`].

use crate::Energy;
use std::{fmt, str::FromStr};

/// An ISO 4217 currency code: three upper-case letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// Why a text is not a currency's code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be an ISO 4217 code of three upper-case letters, such as EUR")]
pub struct InvalidCurrency;

impl Currency {
    pub const EUR: Self = Self(*b"EUR");

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???") // three ASCII letters: always UTF-8
    }

    /// How many decimals the currency's minor unit has (ISO 4217, amendment 176).
    pub fn decimals(self) -> u32 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG" | b"RWF"
            | b"UGX" | b"UYI" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            b"CLF" | b"UYW" => 4,
            _ => 2,
        }
    }

    /// Micros in one minor unit: 10,000 for a cent.
    fn minor_unit_micros(self) -> u128 {
        10_u128.pow(6 - self.decimals())
    }
}

impl FromStr for Currency {
    type Err = InvalidCurrency;
    fn from_str(text: &str) -> Result<Self, InvalidCurrency> {
        match text.as_bytes() {
            [a, b, c] if text.bytes().all(|x| x.is_ascii_uppercase()) => Ok(Self([*a, *b, *c])),
            _ => Err(InvalidCurrency),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    pub currency: Currency,
    /// How much, in millionths of its unit.
    pub micros: u64,
}

impl Money {
    /// In the currency's unit, for a Kafka message or a screen.
    pub fn units(self) -> f64 {
        self.micros as f64 / 1e6
    }
}

impl fmt::Display for Money {
    /// To the minor unit, rounded for the eye: `1.25 EUR`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.*} {}", self.currency.decimals() as usize, self.units(), self.currency)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price {
    currency: Currency,
    micros_per_kwh: u64,
}

/// Why a price is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrice {
    #[error("must be from 0 to 1,000 a kWh (1,000,000,000 micros)")]
    OutOfBounds,
    #[error("must be an amount a kWh and a currency, such as '0.35 EUR'")]
    Form,
    #[error(transparent)]
    Currency(#[from] InvalidCurrency),
}

impl Price {
    /// The highest price: 1,000 a kWh. With [`Energy::MAX`] every amount fits.
    pub const MAX_MICROS_PER_KWH: u64 = 1_000_000_000;

    /// From millionths of the currency's unit a kWh, at most [`Price::MAX_MICROS_PER_KWH`].
    pub fn new(currency: Currency, micros_per_kwh: u64) -> Result<Self, InvalidPrice> {
        if micros_per_kwh > Self::MAX_MICROS_PER_KWH {
            return Err(InvalidPrice::OutOfBounds);
        }
        Ok(Self { currency, micros_per_kwh })
    }

    pub fn currency(self) -> Currency {
        self.currency
    }

    /// How much a kWh, in millionths of the currency's unit.
    pub fn micros_per_kwh(self) -> u64 {
        self.micros_per_kwh
    }

    /// What so much energy costs so far, to the micro: for live views, never for a bill.
    pub fn cost(self, energy: Energy) -> Money {
        self.rounded(energy, 1)
    }

    /// What so much energy is billed: energy × price, rounded half to even to the currency's minor unit, once (INV-4).
    pub fn bill(self, energy: Energy) -> Money {
        self.rounded(energy, self.currency.minor_unit_micros())
    }

    fn rounded(self, energy: Energy, unit_micros: u128) -> Money {
        let exact = u128::from(energy.wh()) * u128::from(self.micros_per_kwh); // in thousandths of a micro
        let step = 1000 * unit_micros;
        let (whole, rest) = (exact / step, exact % step);
        let up = match (2 * rest).cmp(&step) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => whole % 2,
            std::cmp::Ordering::Greater => 1,
        };
        let micros = u64::try_from((whole + up) * unit_micros).unwrap_or(u64::MAX);
        Money { currency: self.currency, micros }
    }
}

impl FromStr for Price {
    type Err = InvalidPrice;
    /// Reads `0.35 EUR` exactly, without floating point; at most six decimals.
    fn from_str(text: &str) -> Result<Self, InvalidPrice> {
        let (amount, currency) = text.trim().split_once(' ').ok_or(InvalidPrice::Form)?;
        let (whole, decimals) = amount.split_once('.').unwrap_or((amount, ""));
        if whole.is_empty() || decimals.len() > 6 || !amount.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        {
            return Err(InvalidPrice::Form);
        }
        let micros = format!("{whole}{decimals:0<6}").parse().map_err(|_| InvalidPrice::Form)?;
        Self::new(currency.trim().parse()?, micros)
    }
}

impl fmt::Display for Price {
    /// `0.35 EUR`, with as many decimals as it has, two at least.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, micros) = (self.micros_per_kwh / 1_000_000, self.micros_per_kwh % 1_000_000);
        let decimals = format!("{micros:06}");
        let decimals = decimals.trim_end_matches('0');
        write!(f, "{whole}.{decimals:0<2} {}", self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    #[test]
    fn a_bill_is_rounded_half_to_even_to_the_minor_unit_once() {
        for (at, wh, micros) in [
            ("0.30 EUR", 1_000, 300_000),
            ("0.01 EUR", 500, 0),        // 0.005 is half: to the even 0.00
            ("0.01 EUR", 1_500, 20_000), // 0.015 is half: to the even 0.02
            ("0.01 EUR", 2_500, 20_000), // 0.025 is half: to the even 0.02
            ("0.01 EUR", 501, 10_000),
            ("0.333333 EUR", 3_000, 1_000_000),
            ("50 JPY", 1_010, 50_000_000), // 50.5 is half: to the even 50
            ("50 JPY", 1_030, 52_000_000), // 51.5 is half: to the even 52
            ("0.1 KWD", 1_234, 123_000),
            ("1000 EUR", 10_000_000, 10_000_000_000_000),
        ] {
            assert_eq!(price(at).bill(Energy::from_wh(wh)).micros, micros, "{at} × {wh} Wh");
        }
    }

    #[test]
    fn prices_are_read_exactly_and_shown_as_read() {
        for (text, micros, shown) in [
            ("0.35 EUR", 350_000, "0.35 EUR"),
            ("1 EUR", 1_000_000, "1.00 EUR"),
            ("0.123456 USD", 123_456, "0.123456 USD"),
            ("1000 JPY", 1_000_000_000, "1000.00 JPY"),
        ] {
            assert_eq!((price(text).micros_per_kwh(), price(text).to_string()), (micros, shown.into()));
        }
        for wrong in [
            "",
            "0.35",
            "0.35EUR",
            "-1 EUR",
            "1e3 EUR",
            "0.1234567 EUR",
            "1.2.3 EUR",
            ". EUR",
            "1 eur",
            "1000.1 EUR",
        ] {
            assert!(wrong.parse::<Price>().is_err(), "{wrong}");
        }
    }
}
