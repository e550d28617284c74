//! The words and units of single values.

use super::{Money, Price};
use domain::{Currency, Energy, Power};
use evmesh_proto::network::SessionOutcome;

/// The name of an enum's value without the name of the enum.
pub(super) fn short(name: &'static str, prefix: &str) -> &'static str {
    name.strip_prefix(prefix).unwrap_or(name)
}

/// How a session ended; `None` while it has not.
pub(super) fn outcome_word(outcome: SessionOutcome) -> Option<&'static str> {
    match outcome {
        SessionOutcome::Unspecified => None,
        outcome => Some(short(outcome.as_str_name(), "SESSION_OUTCOME_")),
    }
}

/// An amount as a cell.
pub(super) fn money_cell(money: Option<&Money>) -> String {
    let Some(money) = money else {
        return String::new();
    };
    let decimals = money.currency_code.parse::<Currency>().map_or(2, Currency::decimals);
    let units = money.micros as f64 / 1e6;
    format!("{units:.*} {}", decimals as usize, money.currency_code)
}

/// A price as a cell.
pub(super) fn price_cell(price: Option<&Price>) -> String {
    let Some(price) = price else {
        return String::new();
    };
    let currency = price.currency_code.parse::<Currency>().ok();
    let micros = u64::try_from(price.micros_per_kwh).ok();
    let price = currency.zip(micros).and_then(|(currency, micros)| domain::Price::new(currency, micros).ok());
    price.map_or_else(|| "?".to_owned(), |price| format!("{price}/kWh"))
}

/// Energy as a cell.
pub(super) fn energy_cell(wh: u64) -> String {
    Energy::from_wh(wh).to_string()
}

/// Energy as a cell of a column whose head names the unit.
pub(super) fn kwh_cell(wh: u64) -> String {
    energy_cell(wh).trim_end_matches(" kWh").to_owned()
}

/// Power as a cell.
pub(super) fn power_cell(w: u64) -> String {
    Power::from_w(w).to_string()
}

/// An RFC 3339 time as month, day, hour and minute.
pub(super) fn minutes_cell(time: Option<&String>) -> String {
    let minutes = time.and_then(|time| time.get("2026-".len().."2026-11-23T14:30".len()));
    minutes.map_or_else(String::new, |minutes| minutes.replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use evmesh_proto::network::ChargePointStatus;

    #[test]
    fn cells_read_well() {
        let money = |currency_code: &str, micros| Money { currency_code: currency_code.into(), micros };
        assert_eq!(money_cell(Some(&money("EUR", 1_250_000))), "1.25 EUR");
        assert_eq!(money_cell(Some(&money("JPY", 50_000_000))), "50 JPY");
        assert_eq!(money_cell(None), "");
        let price = Price { currency_code: "EUR".into(), micros_per_kwh: 350_000 };
        assert_eq!(price_cell(Some(&price)), "0.35 EUR/kWh");
        assert_eq!(minutes_cell(Some(&"2026-01-02T03:04:05.678Z".into())), "01-02 03:04");
        assert_eq!((minutes_cell(None), kwh_cell(1_234)), (String::new(), "1.234".to_owned()));
        assert_eq!(ChargePointStatus::Supplying.word(), "SUMINISTRANDO");
        assert_eq!(outcome_word(SessionOutcome::Faulted), Some("FAULTED"));
    }
}
