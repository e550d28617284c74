//! The circuit breaker: a far side that keeps failing is left alone for a while, and its callers do not wait for it.

use std::time::Duration;
use tokio::time::Instant;

/// So many failures in a row open the circuit: a far side that merely lost one connection is not cut off.
pub(super) const FAILURES_TO_OPEN: u32 = 5;
/// An open circuit lets one call through after so long, to see whether the far side is back.
pub(super) const PROBE_AFTER: Duration = Duration::from_secs(1);

/// A circuit breaker. *Closed* lets calls through, *open* refuses them.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    /// Open: when the next probe may go.
    probe_at: Option<Instant>,
}

impl Breaker {
    /// May a call go now? In an open circuit that call is the probe.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        match self.probe_at {
            None => true,
            Some(at) if now >= at => {
                self.probe_at = Some(now + PROBE_AFTER); // a probe that is never heard of again is followed by another
                true
            }
            Some(_) => false,
        }
    }

    /// Are calls refused, but for probes?
    pub(super) fn is_open(&self) -> bool {
        self.probe_at.is_some()
    }

    /// The far side answered, with whatever; says whether this closed the circuit.
    pub(super) fn succeeded(&mut self) -> bool {
        self.failures = 0;
        self.probe_at.take().is_some()
    }

    /// The far side could not be reached, or fell silent; says whether this opened the circuit.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.failures < FAILURES_TO_OPEN {
            return false;
        }
        self.probe_at.replace(now + PROBE_AFTER).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_circuit_opens_probes_and_closes() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        for _ in 1..FAILURES_TO_OPEN {
            assert!(!breaker.failed(now) && breaker.admits(now));
        }
        assert!(!breaker.succeeded(), "it was not open");
        let opened: Vec<bool> = (0..FAILURES_TO_OPEN).map(|_| breaker.failed(now)).collect();
        assert_eq!(opened, [false, false, false, false, true]);
        assert!(!breaker.admits(now));
        let later = now + PROBE_AFTER;
        assert!(breaker.admits(later), "one probe");
        assert!(!breaker.admits(later), "and no second one");
        assert!(!breaker.failed(later), "it was open already");
        assert!(breaker.admits(later + PROBE_AFTER));
        assert!(breaker.succeeded() && breaker.admits(later));
    }
}
