//! What was measured, beside what was promised.

use std::{fmt, time::Duration};

/// One figure.
#[derive(Debug)]
pub(super) struct Figure {
    pub(super) what: &'static str,
    pub(super) plain: String,
    pub(super) secured: String,
    /// What was promised, and whether it was kept; `None`: nothing was.
    pub(super) bound: Option<(&'static str, bool)>,
    pub(super) measured: String,
}

impl Figure {
    pub(super) fn is_broken(&self) -> bool {
        self.bound.is_some_and(|(_, kept)| !kept)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, plain, secured, bound, measured } = self;
        let (bound, verdict) = match bound {
            Some((bound, true)) => (*bound, ""),
            Some((bound, false)) => (*bound, "  BROKEN"),
            None => ("-", ""),
        };
        write!(f, "{what:<46} {plain:>14} {secured:>14} {bound:>9}  {measured}{verdict}")
    }
}

/// The head of the table.
pub(super) fn head() -> String {
    let [what, plain, secured, bound] = ["figure", "plain text", "secured", "bound"];
    format!("{what:<46} {plain:>14} {secured:>14} {bound:>9}  measured")
}

/// The value that this share of all is not above; nothing measured is nothing.
pub(super) fn quantile(mut all: Vec<f64>, share: f64) -> f64 {
    all.sort_by(f64::total_cmp);
    let last = all.len().saturating_sub(1);
    let at = (last as f64 * share).round() as usize;
    all.get(at).copied().unwrap_or_default()
}

pub(super) fn median(all: &[f64]) -> f64 {
    quantile(all.to_vec(), 0.5)
}

/// Microseconds.
pub(super) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_what_was_measured() {
        let all: Vec<f64> = (1..=101).rev().map(f64::from).collect();
        assert_eq!(
            [0.0, 0.5, 0.99, 1.0].map(|share| quantile(all.clone(), share)),
            [1.0, 51.0, 100.0, 101.0]
        );
        assert_eq!(median(&[]), 0.0);
    }
}
