//! The values of the contracts as people read them, and the one list of what a running supply shows live.

use crate::Column;
use domain::{Currency, Energy, Money, Power, Price};
use evmesh_proto::network::{self, LiveSupply};

/// A live value of a supply, on every screen that shows one.
#[derive(Debug)]
pub struct Live {
    name: &'static str,
    /// Empty where its text has none, or has it always.
    unit: &'static str,
    /// How wide its column is with the unit above it: what people see every day has room, and nothing moves.
    least: u16,
    /// See [`Column`].
    leaves: u8,
    text: fn(&LiveSupply) -> String,
}

/// Everything that a supply shows live: a new value is one more line here.
pub const LIVE: [Live; 3] = [
    Live { name: "power", unit: " kW", least: 6, leaves: 3, text: |live| power(live.power_w) },
    Live { name: "energy", unit: " kWh", least: 7, leaves: 0, text: |live| energy(live.energy_wh) },
    Live { name: "amount", unit: "", least: 10, leaves: 2, text: |live| money(live.amount.as_ref()) },
];

impl Live {
    /// Its column, with the unit above it. Even the narrowest screen shows the energy.
    pub fn column(&self) -> Column {
        let name = if self.unit.is_empty() { self.name } else { self.unit.trim_start() };
        Column { name, least: self.least, leaves: self.leaves, stretches: false }
    }

    /// Its column, with the unit in each cell.
    pub fn column_with_unit(&self) -> Column {
        Column { name: self.name, ..self.column() }
    }

    /// Its cell, without the unit.
    pub fn number(&self, live: &LiveSupply) -> String {
        let text = self.text(live);
        text.strip_suffix(self.unit).unwrap_or(&text).to_owned()
    }

    /// Its cell, with the unit.
    pub fn text(&self, live: &LiveSupply) -> String {
        (self.text)(live)
    }
}

/// Everything live in one line, and whose it is.
pub fn live(live: &LiveSupply) -> String {
    format!("{}  driver {}", LIVE.map(|value| value.text(live)).join("  "), live.driver_id)
}

/// An amount; nothing if there is none.
pub fn money(money: Option<&network::Money>) -> String {
    money.map_or_else(String::new, |money| {
        let (currency, micros) = (money.currency_code.parse(), u64::try_from(money.micros));
        let money = currency.ok().zip(micros.ok()).map(|(currency, micros)| Money { currency, micros });
        money.map_or_else(|| "?".to_owned(), |money| money.to_string())
    })
}

/// A price, such as `0.35 EUR/kWh`; nothing if there is none.
pub fn price(price: Option<&network::Price>) -> String {
    price.map_or_else(String::new, |price| {
        let (currency, micros) =
            (price.currency_code.parse::<Currency>(), u64::try_from(price.micros_per_kwh));
        let price =
            currency.ok().zip(micros.ok()).and_then(|(currency, micros)| Price::new(currency, micros).ok());
        price.map_or_else(|| "?".to_owned(), |price| format!("{price}/kWh"))
    })
}

/// Where a charge point is; why it is in trouble comes first, for what does not fit is cut.
pub fn place(location: &str, reason: &str) -> String {
    if reason.is_empty() { location.to_owned() } else { format!("{reason}  ({location})") }
}

/// So many of these: `1 charge point`, `2 charge points`.
pub fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Energy in kWh.
pub fn energy(wh: u64) -> String {
    Energy::from_wh(wh).to_string()
}

/// Power in kW.
pub fn power(w: u64) -> String {
    Power::from_w(w).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_well() {
        let of = |currency_code: &str, micros| network::Money { currency_code: currency_code.into(), micros };
        assert_eq!(money(Some(&of("EUR", 1_250_000))), "1.25 EUR");
        assert_eq!(money(Some(&of("JPY", 50_000_000))), "50 JPY");
        assert_eq!((money(None), money(Some(&of("EUR", -1)))), (String::new(), "?".to_owned()));
        let per_kwh = network::Price { currency_code: "EUR".into(), micros_per_kwh: 350_000 };
        assert_eq!(price(Some(&per_kwh)), "0.35 EUR/kWh");
        let supply = LiveSupply {
            driver_id: "101".into(),
            power_w: 50_000,
            energy_wh: 1_234,
            amount: Some(of("EUR", 432_075)),
            ..LiveSupply::default()
        };
        assert_eq!(live(&supply), "50.0 kW  1.234 kWh  0.43 EUR  driver 101");
        assert_eq!(LIVE.map(|value| value.number(&supply)), ["50.0", "1.234", "0.43 EUR"]);
    }
}
