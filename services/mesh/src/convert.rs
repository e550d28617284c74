//! Between protobuf and the domain. What comes in is checked here; what goes out always fits.
//!
//! What is wrong is a value: the edge of gRPC makes a refusal of it, a store's codec its own error.

use domain::{Energy, Money, Power, Price, SupplyEnd, Wall, ids::MAX_NUMBER, text};
use evmesh_proto::{
    engine, network as proto,
    store::{StoredPrice, StoredSupplyEnd},
};
use std::{
    fmt::{Display, Write as _},
    str::FromStr,
    time::Duration,
};

/// A field is wrong, and how: `problem` goes on after its name ("must not be empty").
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct InvalidField {
    /// Where it is: `price.currency_code`.
    pub field: String,
    /// What is wrong with it, for people.
    pub problem: String,
}

impl InvalidField {
    /// From a field's name and the end of a sentence about it.
    pub fn new(field: impl Into<String>, problem: impl Display) -> Self {
        Self { field: field.into(), problem: problem.to_string() }
    }
}

pub fn given<T>(field: &str, value: Option<T>) -> Result<T, InvalidField> {
    value.ok_or_else(|| InvalidField::new(field, "must be given"))
}

/// Reads an id, a place, an address, a currency.
pub fn parse<T: FromStr<Err: Display>>(field: &str, text: &str) -> Result<T, InvalidField> {
    text.parse().map_err(|problem| InvalidField::new(field, problem))
}

/// Reads a price; `field` is where it was (`price`).
pub fn price(field: &str, price: Option<&proto::Price>) -> Result<Price, InvalidField> {
    let price = given(field, price)?;
    let micros_per_kwh = u64::try_from(price.micros_per_kwh).unwrap_or(u64::MAX); // a negative one is out of bounds too
    price_of(field, &price.currency_code, micros_per_kwh)
}

fn price_of(field: &str, currency: &str, micros_per_kwh: u64) -> Result<Price, InvalidField> {
    Price::new(parse(&format!("{field}.currency_code"), currency)?, micros_per_kwh)
        .map_err(|problem| InvalidField::new(format!("{field}.micros_per_kwh"), problem))
}

pub fn price_proto(price: Price) -> proto::Price {
    proto::Price {
        currency_code: price.currency().to_string(),
        micros_per_kwh: signed(price.micros_per_kwh()),
    }
}

/// Reads a price out of a store; `field` is where it was (`price`).
pub fn stored_price(field: &str, price: Option<&StoredPrice>) -> Result<Price, InvalidField> {
    let price = given(field, price)?;
    price_of(field, &price.currency_code, price.micros_per_kwh)
}

/// Writes a price for a store.
pub fn price_stored(price: Price) -> StoredPrice {
    StoredPrice { currency_code: price.currency().to_string(), micros_per_kwh: price.micros_per_kwh() }
}

/// Reads an amount; `field` is where it was (`amount`).
pub fn money(field: &str, money: Option<&proto::Money>) -> Result<Money, InvalidField> {
    let money = given(field, money)?;
    let currency = parse(&format!("{field}.currency_code"), &money.currency_code)?;
    let micros = u64::try_from(money.micros)
        .map_err(|_| InvalidField::new(format!("{field}.micros"), "must not be negative"))?;
    Ok(Money { currency, micros })
}

pub fn money_proto(money: Money) -> proto::Money {
    proto::Money { currency_code: money.currency.to_string(), micros: signed(money.micros) }
}

/// Reads energy in watt-hours, at most [`Energy::MAX`]; `field` is where it was (`energy_wh`).
pub fn energy(field: &str, wh: u64) -> Result<Energy, InvalidField> {
    at_most(field, wh, Energy::MAX.wh(), "no supply delivers more").map(Energy::from_wh)
}

/// Reads how a supply ended; `None` where it is not said, or in a word that this version doesn't know.
pub fn supply_end(end: engine::SupplyEnd) -> Option<SupplyEnd> {
    SupplyEnd::ALL.into_iter().find(|known| supply_end_proto(*known) == end)
}

pub fn supply_end_proto(end: SupplyEnd) -> engine::SupplyEnd {
    match end {
        SupplyEnd::Completed => engine::SupplyEnd::Completed,
        SupplyEnd::Stopped => engine::SupplyEnd::Stopped,
        SupplyEnd::EngineFault => engine::SupplyEnd::EngineFault,
        SupplyEnd::MonitorLost => engine::SupplyEnd::MonitorLost,
        SupplyEnd::Interrupted => engine::SupplyEnd::Interrupted,
    }
}

/// Writes how a supply ended for a store.
pub fn supply_end_stored(end: SupplyEnd) -> StoredSupplyEnd {
    match end {
        SupplyEnd::Completed => StoredSupplyEnd::Completed,
        SupplyEnd::Stopped => StoredSupplyEnd::Stopped,
        SupplyEnd::EngineFault => StoredSupplyEnd::EngineFault,
        SupplyEnd::MonitorLost => StoredSupplyEnd::MonitorLost,
        SupplyEnd::Interrupted => StoredSupplyEnd::Interrupted,
    }
}

/// Reads power in watts, at most [`Power::MAX`]; `field` is where it was (`power_w`).
pub fn power(field: &str, w: u64) -> Result<Power, InvalidField> {
    at_most(field, w, Power::MAX.w(), "no charge point has more").map(Power::from_w)
}

fn at_most(field: &str, value: u64, most: u64, why: &str) -> Result<u64, InvalidField> {
    if value > most {
        return Err(InvalidField::new(field, format_args!("must be at most {most}: {why}")));
    }
    Ok(value)
}

/// Reads the number of an authorisation or an epoch; `field` is where it was (`epoch`).
pub fn number(field: &str, number: u64) -> Result<u64, InvalidField> {
    if number > MAX_NUMBER {
        return Err(InvalidField::new(field, "must be at most 2^53"));
    }
    Ok(number)
}

/// Reads a timestamp that may be absent, to the millisecond; `field` is where it was (`start_time`).
pub fn wall(field: &str, timestamp: Option<&prost_types::Timestamp>) -> Result<Option<Wall>, InvalidField> {
    let Some(&prost_types::Timestamp { seconds, nanos }) = timestamp else { return Ok(None) };
    let ms = seconds.saturating_mul(1000).saturating_add(i64::from(nanos / 1_000_000));
    if (0..1_000_000_000).contains(&nanos) && (Wall::default()..=Wall::MAX).contains(&Wall(ms)) {
        return Ok(Some(Wall(ms)));
    }
    Err(InvalidField::new(field, "must be a time from 1970 to 9999"))
}

pub fn timestamp(wall: Wall) -> prost_types::Timestamp {
    let nanos = wall.0.rem_euclid(1000) * 1_000_000;
    prost_types::Timestamp {
        seconds: wall.0.div_euclid(1000),
        nanos: i32::try_from(nanos).unwrap_or_default(), // below a billion: fits
    }
}

/// Reads a duration that must not be negative; `field` is where it was (`report_interval`).
pub fn duration(field: &str, duration: Option<&prost_types::Duration>) -> Result<Duration, InvalidField> {
    let duration = given(field, duration)?;
    Duration::try_from(*duration).map_err(|_| InvalidField::new(field, "must not be negative"))
}

pub fn duration_proto(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(), // below a billion: fits
    }
}

/// Two lower-case digits a byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a string takes everything
        text
    })
}

/// What [`hex`] wrote; upper-case digits too.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.bytes().all(|digit| digit.is_ascii_hexdigit()) || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

/// Reads a reason in words; `field` is where it was.
pub fn reason(field: &str, text: &str) -> Result<String, InvalidField> {
    text::reason(text).map_err(|problem| InvalidField::new(field, problem))
}

/// Pages have this many entries where the caller gives 0.
pub const DEFAULT_PAGE_SIZE: usize = 50;
/// Pages have at most this many entries, so that an answer stays far below gRPC's 4 MiB.
pub const MAX_PAGE_SIZE: usize = 500;

/// Reads `page_size` (AIP-158): 0 is [`DEFAULT_PAGE_SIZE`], more than [`MAX_PAGE_SIZE`] is cut to it.
pub fn page_size(size: i32) -> Result<usize, InvalidField> {
    match usize::try_from(size) {
        Ok(0) => Ok(DEFAULT_PAGE_SIZE),
        Ok(size) => Ok(size.min(MAX_PAGE_SIZE)),
        Err(_) => Err(InvalidField::new("page_size", "must not be negative")),
    }
}

fn signed(micros: u64) -> i64 {
    i64::try_from(micros).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Location;

    fn field(wrong: InvalidField) -> String {
        wrong.field
    }

    #[test]
    fn prices_and_amounts_survive_and_are_checked() {
        let domain: Price = "0.35 EUR".parse().unwrap();
        let mut wire = price_proto(domain);
        assert_eq!(price("price", Some(&wire)), Ok(domain));
        wire.micros_per_kwh = -1;
        assert_eq!(field(price("price", Some(&wire)).unwrap_err()), "price.micros_per_kwh");
        wire.currency_code = "eur".into();
        assert_eq!(field(price("price", Some(&wire)).unwrap_err()), "price.currency_code");
        assert_eq!(field(price("price", None).unwrap_err()), "price");
        let amount = domain.bill(Energy::from_wh(1234));
        assert_eq!(money("amount", Some(&money_proto(amount))), Ok(amount));
    }

    #[test]
    fn times_survive_and_are_of_this_era() {
        for ms in [0, 1, 1_700_000_000_123, Wall::MAX.0] {
            assert_eq!(wall("start_time", Some(&timestamp(Wall(ms)))), Ok(Some(Wall(ms))));
        }
        assert_eq!(wall("start_time", None), Ok(None));
        let last = Wall::MAX.0 / 1000;
        for (seconds, nanos) in [
            (-1, 0),
            (-1, 999_999_999),
            (last + 1, 0),
            (i64::MAX, 0),
            (i64::MIN, 0),
            (0, -1),
            (0, 1_000_000_000),
            (last, i32::MAX),
            (1, i32::MIN),
        ] {
            let wrong = wall("start_time", Some(&prost_types::Timestamp { seconds, nanos })).unwrap_err();
            assert_eq!(wrong.to_string(), "start_time must be a time from 1970 to 9999", "{seconds} {nanos}");
        }
        let five = Duration::from_millis(5_250);
        assert_eq!(duration("d", Some(&duration_proto(five))), Ok(five));
        let negative = prost_types::Duration { seconds: -1, nanos: 0 };
        assert_eq!(field(duration("d", Some(&negative)).unwrap_err()), "d");
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!((page_size(0), page_size(7), page_size(9999)), (Ok(50), Ok(7), Ok(500)));
        assert!(page_size(-1).is_err());
        assert!(parse::<Location>("location", &"ñ".repeat(128)).is_ok());
        assert_eq!(field(parse::<Location>("location", &"ñ".repeat(129)).unwrap_err()), "location");
        assert!(reason("reason", "a\u{1b}[2J").is_err());
        assert!(power("power_w", Power::MAX.w() + 1).is_err());
        assert!(energy("energy_wh", Energy::MAX.wh() + 1).is_err());
    }
}
