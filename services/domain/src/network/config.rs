//! Bounds and durations of central's rules, each with its default.

use super::denial::{Denial, Reason};
use crate::{AUDIT_KEPT, ChargePointId, Energy, Power, Price, watchdog::REPORT_INTERVAL_BOUNDS};
use std::{collections::BTreeSet, time::Duration};

/// So many reports a second are asked for at most: in a larger network each monitor reports the more seldom.
const REPORTS_A_SECOND: u64 = 2_000;

/// Bounds and durations of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How long an engine may take to authorise.
    pub authorize_timeout: Duration,
    /// How long a reservation waits for its car.
    pub reservation: Duration,
    /// How much longer central waits, for the clocks' and the network's sake.
    pub reservation_margin: Duration,
    /// How long a revocation may stay unanswered before the session ends without the engine's word. With the
    /// ticks' distance it keeps INV-3's 5 s.
    pub revoke_timeout: Duration,
    /// How long a charge point whose identity is revoked may end what it does before it is cut off.
    pub revocation_drain: Duration,
    /// How often monitors report, unless that is too much to listen to; three of these without a word is silence.
    pub report_interval: Duration,
    /// How long a supply may be silent before it ends as faulted.
    pub supply_silence: Duration,
    /// How long a ticket waits for its final reading.
    pub settlement: Duration,
    /// The most that is believed of a charge point's rated power, whatever its engine says. The largest chargers for
    /// lorries deliver about as much as the default, 1 MW.
    pub charge_point_power_max: Power,
    /// What a session takes above this is billed by a person's word only. The default, 300 kWh, is more than any car
    /// holds.
    pub session_energy_max: Energy,
    /// What a kWh may cost at most, one price a currency; empty: whatever a charge point says. With any, other
    /// currencies are not taken.
    pub max_prices: Vec<Price>,
    /// How often an engine with an unsettled session is asked, whatever happens.
    pub ask_interval: Duration,
    /// How long answers are kept for their repeats.
    pub answer_ttl: Duration,
    /// How long a session that came to nothing is kept after its end. Not for less long than answers are: they name it.
    pub nothing_ttl: Duration,
    /// How long it is kept who did what.
    pub audit_ttl: Duration,
    /// How many answers that granted something are kept at most; the oldest go first.
    pub max_answers: usize,
    /// How many denials are kept at most, beside them; the oldest go first.
    pub max_denials: usize,
    pub registration: RegistrationPolicy,
    /// How many charge points may register.
    pub max_charge_points: usize,
    /// The hosts that stand for many, a proxy or a backend say: what one host may have is not counted for these.
    pub many_callers: BTreeSet<String>,
    /// Whoever let so many reservations go unused within [`Self::unused_within`] has to wait; 0: nobody ever has.
    pub unused_most: usize,
    /// For how long an unused reservation counts.
    pub unused_within: Duration,
    /// An engine may forget a settled session only once a copy of it is kept outside the store, as
    /// [`Command::Copied`](super::Command::Copied) says.
    pub confirm_copied: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationPolicy {
    /// Any charge point.
    Open,
    /// Only these, and those that are registered already.
    Known(BTreeSet<ChargePointId>),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            authorize_timeout: Duration::from_secs(5),
            reservation: Duration::from_secs(60),
            reservation_margin: Duration::from_secs(2),
            revoke_timeout: Duration::from_secs(3),
            revocation_drain: Duration::from_secs(30),
            report_interval: Duration::from_secs(1),
            supply_silence: Duration::from_secs(60),
            settlement: Duration::from_secs(24 * 3600),
            charge_point_power_max: Power::from_w(1_000_000),
            session_energy_max: Energy::from_wh(300_000),
            max_prices: Vec::new(),
            ask_interval: Duration::from_secs(60),
            answer_ttl: Duration::from_secs(24 * 3600),
            nothing_ttl: Duration::from_secs(24 * 3600),
            audit_ttl: AUDIT_KEPT,
            max_answers: 100_000,
            max_denials: 20_000,
            registration: RegistrationPolicy::Open,
            max_charge_points: 100_000,
            many_callers: BTreeSet::new(),
            unused_most: 5,
            unused_within: Duration::from_secs(600),
            confirm_copied: false,
        }
    }
}

impl Config {
    /// Is it one host, whose share is counted? Not where it is unknown, or stands for many.
    pub(super) fn is_one(&self, host: &str) -> bool {
        !host.is_empty() && !self.many_callers.contains(host)
    }

    /// Where a charge point that registers from `from` belongs to: there, and where its engine is.
    pub(super) fn hosts<'a>(&self, from: &'a str, engine_address: &'a str) -> BTreeSet<&'a str> {
        let engine = engine_address.rsplit_once(':').map_or(engine_address, |(host, _port)| host);
        let hosts = [from, engine.trim_matches(['[', ']'])];
        hosts.into_iter().filter(|host| self.is_one(host)).collect()
    }

    /// May a kWh cost so much in this network?
    pub(super) fn takes_price(&self, price: Price) -> Result<(), Denial> {
        if self.max_prices.is_empty() || self.max_prices.iter().any(|most| price.is_within(*most)) {
            return Ok(());
        }
        let most: Vec<String> = self.max_prices.iter().map(Price::to_string).collect();
        let text = format!("{price} a kWh is more than this network takes ({})", most.join(", "));
        Err(Denial::new(Reason::PriceAboveMax, text))
    }

    /// How often each monitor of so many charge points is to report: a thousandth of a second more for each two, and no
    /// more seldom than monitors take.
    pub(super) fn report_interval_of(&self, charge_points: usize) -> Duration {
        let (_, longest) = REPORT_INTERVAL_BOUNDS;
        let charge_points = u64::try_from(charge_points).unwrap_or(u64::MAX);
        let listened_to = Duration::from_millis(charge_points.saturating_mul(1_000) / REPORTS_A_SECOND);
        self.report_interval.max(listened_to.min(longest))
    }

    /// Three intervals without a word is silence.
    pub(super) fn silence(&self) -> Duration {
        self.report_interval * 3
    }
}
