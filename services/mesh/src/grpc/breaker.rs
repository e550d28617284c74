//! What protects a far side, and its callers, when it fails: a circuit breaker and a budget for retries.

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

/// The budget holds at most so many retries.
const MAX_TOKENS: f64 = 10.0;
/// Each call pays in so much of a retry: in the long run at most a fifth of all calls are repeated, so that retries do not
/// bury a far side that is struggling.
const TOKENS_PER_CALL: f64 = 0.2;

/// How many retries are left.
#[derive(Debug)]
pub(super) struct Budget {
    tokens: f64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { tokens: MAX_TOKENS }
    }
}

impl Budget {
    /// A call goes.
    pub(super) fn deposit(&mut self) {
        self.tokens = (self.tokens + TOKENS_PER_CALL).min(MAX_TOKENS);
    }

    /// May it be repeated?
    pub(super) fn withdraw(&mut self) -> bool {
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
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

    #[test]
    fn a_fifth_of_the_calls_may_be_repeated() {
        let mut budget = Budget::default();
        let mut retries = 0;
        for _ in 0..1000 {
            budget.deposit();
            retries += u32::from(budget.withdraw());
        }
        assert!((200..=211).contains(&retries), "{retries}");
    }
}
