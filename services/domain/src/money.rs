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
    #[error("must be from 0 to 10,000,000 a kWh (10^13 micros)")]
    OutOfBounds,
    #[error("must be an amount a kWh and a currency, such as '0.35 EUR'")]
    Form,
    #[error(transparent)]
    Currency(#[from] InvalidCurrency),
}

impl Price {
    /// The highest price: 10,000,000 a kWh, well above the ordinary tariff in the currency of the least worth. With
    /// [`Energy::MAX`] an amount is 10^17 micros at most: it fits an `i64`, and is exact to any minor unit as an `f64`.
    pub const MAX_MICROS_PER_KWH: u64 = 10_000_000_000_000;

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

    /// No dearer than this, as far as that can be told: what costs another currency is not.
    pub fn is_within(self, most: Self) -> bool {
        self.currency == most.currency && self <= most
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
            ("10000000 EUR", 10_000_000, 100_000_000_000_000_000),
        ] {
            assert_eq!(price(at).bill(Energy::from_wh(wh)).micros, micros, "{at} × {wh} Wh");
        }
    }

    /// What half a US dollar is about, in each currency of ISO 4217 that money is paid in: an ordinary tariff a kWh.
    const TARIFFS: &str = "
        AED 1.84 AFN 35 ALL 45 AMD 195 AOA 456 ARS 700 AUD 0.76 AWG 0.90 AZN 0.85 BAM 0.90 BBD 1 BDT 61 BGN 0.90
        BHD 0.188 BIF 1480 BMD 0.50 BND 0.66 BOB 3.46 BOV 1.40 BRL 2.70 BSD 0.50 BTN 43 BWP 6.80 BYN 1.60 BZD 1
        CAD 0.70 CDF 1425 CHE 0.44 CHF 0.44 CHW 0.44 CLF 0.0125 CLP 475 CNY 3.60 COP 1500 COU 5.20 CRC 255 CUP 200
        CVE 50 CZK 11.50 DJF 89 DKK 3.40 DOP 30 DZD 67 EGP 25 ERN 7.50 ETB 65 EUR 0.46 FJD 1.12 FKP 0.39 GBP 0.39
        GEL 1.37 GHS 6 GIP 0.39 GMD 35 GNF 4300 GTQ 3.86 GYD 105 HKD 3.90 HNL 12.60 HTG 66 HUF 180 IDR 2467
        ILS 1.80 INR 42 IQD 655 IRR 500000 ISK 69 JMD 79 JOD 0.355 JPY 75 KES 65 KGS 43 KHR 2030 KMF 227 KPW 450
        KRW 690 KWD 0.153 KYD 0.42 KZT 260 LAK 10900 LBP 44750 LKR 148 LRD 95 LSL 9 LYD 2.4 MAD 5 MDL 8.90 MGA 2270
        MKD 28 MMK 2200 MNT 1720 MOP 4 MRU 20 MUR 23 MVR 7.70 MWK 867 MXN 9.60 MXV 1.20 MYR 2.20 MZN 32 NAD 9
        NGN 800 NIO 18 NOK 5.30 NPR 67 NZD 0.83 OMR 0.192 PAB 0.50 PEN 1.87 PGK 1.97 PHP 28 PKR 140 PLN 2 PYG 3900
        QAR 1.82 RON 2.30 RSD 54 RUB 45 RWF 700 SAR 1.87 SBD 4.20 SCR 7 SDG 300 SEK 5.30 SGD 0.66 SHP 0.39 SLE 11.30
        SOS 286 SRD 18 SSP 2200 STN 11 SVC 4.40 SYP 6500 SZL 9 THB 17 TJS 5.30 TMT 1.75 TND 1.55 TOP 1.18 TRY 17
        TTD 3.40 TWD 16 TZS 1300 UAH 20 UGX 1850 USD 0.50 USN 0.50 UYI 4 UYU 21 UYW 0.0125 UZS 6300 VED 50 VES 50
        VND 3858 VUV 59 WST 1.37 XAF 302 XCD 1.35 XCG 0.90 XOF 302 XPF 55 YER 265 ZAR 9 ZMW 13 ZWG 13";

    #[test]
    fn every_currency_has_its_ordinary_tariff_and_is_billed_to_its_minor_unit() {
        let words: Vec<&str> = TARIFFS.split_whitespace().collect();
        let mut digits = std::collections::BTreeSet::new();
        for pair in words.chunks(2) {
            let price = price(&format!("{} {}", pair[1], pair[0]));
            let currency = price.currency();
            digits.insert(currency.decimals());
            for wh in [1, 333, 40_000, 10_000_000] {
                let billed = u128::from(price.bill(Energy::from_wh(wh)).micros);
                let exact = u128::from(wh) * u128::from(price.micros_per_kwh()); // thousandths of a micro
                let unit = 10_u128.pow(6 - currency.decimals());
                assert_eq!(billed % unit, 0, "{price}, {wh} Wh");
                assert!(2 * (billed * 1000).abs_diff(exact) <= unit * 1000, "{price}, {wh} Wh");
            }
        }
        assert_eq!((words.len() / 2, digits.into_iter().collect::<Vec<_>>()), (165, vec![0, 2, 3, 4]));
    }

    #[test]
    fn every_code_that_is_taken_keeps_its_highest_amount_exact() {
        for [a, b, c] in
            (b'A'..=b'Z').flat_map(|a| (b'A'..=b'Z').flat_map(move |b| (b'A'..=b'Z').map(move |c| [a, b, c])))
        {
            let currency: Currency = std::str::from_utf8(&[a, b, c]).unwrap().parse().unwrap();
            let price = Price::new(currency, Price::MAX_MICROS_PER_KWH - 1).unwrap();
            let billed = price.bill(Energy::MAX);
            // Read back from the f64 of a message, to the minor unit.
            let minor_units = 10_f64.powi(i32::try_from(currency.decimals()).unwrap());
            let read = (billed.units() * minor_units).round() as u128 * currency.minor_unit_micros();
            assert_eq!(
                (read, i64::try_from(billed.micros).is_ok()),
                (billed.micros.into(), true),
                "{currency}"
            );
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
            "10000000.000001 EUR",
            "10000001 IRR",
            "99999999999999 EUR",
        ] {
            assert!(wrong.parse::<Price>().is_err(), "{wrong}");
        }
    }
}
