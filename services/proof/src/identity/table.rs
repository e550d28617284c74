//! What was measured, beside what was promised.

use std::{fmt, time::Duration};

/// One figure.
#[derive(Debug)]
pub(super) struct Figure {
    pub(super) what: &'static str,
    pub(super) plain: String,
    pub(super) secured: String,
    /// What was promised; `None`: nothing was.
    pub(super) bound: Option<Bound>,
    pub(super) measured: String,
}

/// A promise, and whether it was kept.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bound {
    /// Of what takes time: a machine that does other things too breaks it as well.
    Time(&'static str, bool),
    /// Of what is done.
    Done(&'static str, bool),
}

impl Figure {
    /// `busy`: the machine does other things too, and times say nothing.
    pub(super) fn is_broken(&self, busy: bool) -> bool {
        match self.bound {
            Some(Bound::Time(_, kept)) => !kept && !busy,
            Some(Bound::Done(_, kept)) => !kept,
            None => false,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, plain, secured, bound, measured } = self;
        let (bound, verdict) = match bound {
            Some(Bound::Time(bound, true) | Bound::Done(bound, true)) => (*bound, ""),
            Some(Bound::Time(bound, false) | Bound::Done(bound, false)) => (*bound, "  BROKEN"),
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
    fn a_busy_machine_excuses_times_and_nothing_else() {
        let figure = |bound| Figure {
            what: "",
            plain: String::new(),
            secured: String::new(),
            bound: Some(bound),
            measured: String::new(),
        };
        let broken = |bound| [false, true].map(|busy| figure(bound).is_broken(busy));
        assert_eq!(broken(Bound::Time("<= 3 ms", false)), [true, false]);
        assert_eq!(broken(Bound::Done("all", false)), [true, true]);
        assert_eq!(broken(Bound::Done("all", true)), [false, false]);
    }

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
