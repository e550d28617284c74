//! What happens in a fleet, counted, and in words.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// So many reasons have a count of their own; the others share one.
const REASONS: usize = 32;

#[derive(Debug, Default)]
pub(crate) struct Tally {
    connected: AtomicU64,
    supplying: AtomicU64,
    connections: AtomicU64,
    readings: AtomicU64,
    granted: AtomicU64,
    faults: AtomicU64,
    refused: Mutex<BTreeMap<String, u64>>,
}

/// A monitor is connected as long as this is kept.
pub(crate) struct Connected<'a>(&'a Tally);

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.connected.fetch_sub(1, Relaxed);
    }
}

impl Tally {
    pub(crate) fn connected(&self) -> Connected<'_> {
        self.connected.fetch_add(1, Relaxed);
        self.connections.fetch_add(1, Relaxed);
        Connected(self)
    }

    /// So many of a site's charge points supply, where it was so many before.
    pub(crate) fn supplies(&self, before: u64, now: u64) {
        self.supplying.fetch_add(now, Relaxed);
        self.supplying.fetch_sub(before, Relaxed);
    }

    pub(crate) fn read(&self) {
        self.readings.fetch_add(1, Relaxed);
    }

    pub(crate) fn granted(&self) {
        self.granted.fetch_add(1, Relaxed);
    }

    pub(crate) fn broke(&self) {
        self.faults.fetch_add(1, Relaxed);
    }

    pub(crate) fn refused(&self, reason: &str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let known = refused.len() < REASONS || refused.contains_key(reason);
        *refused.entry(if known { reason } else { "others" }.to_owned()).or_default() += 1;
    }

    pub(crate) fn counts(&self) -> Counts {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Counts {
            connected: self.connected.load(Relaxed),
            supplying: self.supplying.load(Relaxed),
            connections: self.connections.load(Relaxed),
            readings: self.readings.load(Relaxed),
            granted: self.granted.load(Relaxed),
            faults: self.faults.load(Relaxed),
            refused,
        }
    }
}

/// How a fleet is, and what has happened in it so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Charge points whose monitor reports to central.
    pub connected: u64,
    /// Charge points that supply.
    pub supplying: u64,
    /// How often a monitor has begun to report.
    pub connections: u64,
    /// Readings that were told on Kafka.
    pub readings: u64,
    /// Charges that drivers were granted.
    pub granted: u64,
    /// How often a charge point broke.
    pub faults: u64,
    /// What central refused, drivers and monitors, by its reason.
    pub refused: BTreeMap<String, u64>,
}

/// What has happened between two looks at a fleet of so many, in one line.
#[derive(Debug)]
pub struct Words<'a> {
    pub charge_points: u32,
    pub before: &'a Counts,
    pub now: &'a Counts,
    /// What lies between them.
    pub time: Duration,
}

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { charge_points, before, now, time } = self;
        let a_second = |before: u64, now: u64| now.saturating_sub(before) as f64 / time.as_secs_f64();
        write!(
            f,
            "{} of {charge_points} charge points connected, {} supplying; {:.0} readings and {:.1} charges a second",
            now.connected,
            now.supplying,
            a_second(before.readings, now.readings),
            a_second(before.granted, now.granted),
        )?;
        let again = now.connections.saturating_sub(before.connections);
        if again > 0 {
            write!(f, "; {again} began to report")?;
        }
        if now.faults > before.faults {
            write!(f, "; {} broke", now.faults - before.faults)?;
        }
        for (reason, count) in &now.refused {
            let new = count - before.refused.get(reason).unwrap_or(&0);
            if new > 0 {
                write!(f, "; {new} refused: {reason}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_is_and_what_has_happened_since_the_last_one() {
        let tally = Tally::default();
        let before = tally.counts();
        let connected = tally.connected();
        drop(tally.connected());
        tally.supplies(0, 3);
        (0..20).for_each(|_| tally.read());
        tally.granted();
        tally.refused("CHARGE_POINT_BUSY");
        let now = tally.counts();
        let words =
            |before, now| Words { charge_points: 10, before, now, time: Duration::from_secs(2) }.to_string();
        assert_eq!(
            words(&before, &now),
            "1 of 10 charge points connected, 3 supplying; 10 readings and 0.5 charges a second; 2 began to report; \
             1 refused: CHARGE_POINT_BUSY"
        );
        drop(connected);
        tally.supplies(3, 0);
        assert_eq!(
            words(&now, &tally.counts()),
            "0 of 10 charge points connected, 0 supplying; 0 readings and 0.0 charges a second"
        );
    }

    #[test]
    fn reasons_are_bounded() {
        let tally = Tally::default();
        (0..100).for_each(|n| tally.refused(&n.to_string()));
        let counts = tally.counts();
        assert_eq!((counts.refused.len(), counts.refused["others"]), (REASONS + 1, 100 - REASONS as u64));
    }
}
