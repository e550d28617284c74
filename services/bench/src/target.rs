//! What is to be reached, figure by figure.

use crate::{figure::Figure, number::number};
use std::fmt;

/// What a figure is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Target {
    figure: &'static str,
    /// From this size on, until another of the same figure is for a larger one.
    from: u64,
    pub(crate) of: Of,
    pub(crate) bound: Bound,
}

/// What of a figure is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Value,
    /// As a share of its limit.
    Ratio,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    pub(crate) fn value(self) -> f64 {
        match self {
            Self::AtMost(value) | Self::AtLeast(value) => value,
        }
    }

    /// What is offered at a rate is taken at a thousandth more or less.
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least * 0.999,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self {
            Self::AtMost(_) => '≤',
            Self::AtLeast(_) => '≥',
        };
        write!(formatter, "{sign} {}", number(self.value()))
    }
}

const fn value(figure: &'static str, from: u64, bound: Bound) -> Target {
    Target { figure, from, of: Of::Value, bound }
}

const fn ratio(figure: &'static str, from: u64, bound: Bound) -> Target {
    Target { figure, from, of: Of::Ratio, bound }
}

use Bound::{AtLeast, AtMost};

const TARGETS: [Target; 31] = [
    value("intake: readings taken", 100_000, AtLeast(100_000.0)),
    value("intake: readings notified", 10_000, AtLeast(99.0)),
    value("intake: CPU of central a reading", 10_000, AtMost(10.0)),
    value("intake: CPU of central a reading", 100_000, AtMost(8.0)),
    value("intake-single: CPU of central a message", 10_000, AtMost(12.0)),
    ratio("catch-up: messages read", 0, AtLeast(0.5)),
    value("catch-up: messages read", 0, AtLeast(300_000.0)),
    value("authorize: p99 of an open loop", 5_000, AtMost(6.0)),
    ratio("authorize: under way at once", 64, AtLeast(0.45)),
    value("authorize: CPU of central a call", 64, AtMost(130.0)),
    value("idle: CPU of central, with connections of their own", 8_000, AtMost(5.0)),
    value("idle: CPU of central, as sites", 10_000, AtMost(5.0)),
    value("idle: CPU of central, as sites", 100_000, AtMost(10.0)),
    value("idle: memory of central, as sites", 100_000, AtMost(1_200.0)),
    value("idle: CPU of central an unchanged report", 10_000, AtMost(20.0)),
    value("first: 'evmesh up' to its first answer", 0, AtMost(120.0)),
    value("first: idle 'evmesh up'", 0, AtMost(0.5)),
    value("known: memory of central a charge point", 1_000_000, AtMost(600.0)),
    value("known: CPU of central", 1_000_000, AtMost(3.0)),
    value("known: from start to first answer", 1_000_000, AtMost(3.0)),
    value("known: ListChargePoints, the first page, p99", 1_000_000, AtMost(5.0)),
    value("known: ListChargePoints, available_only with none free, p99", 1_000_000, AtMost(5.0)),
    ratio("connected: memory of central a charge point", 8_000, AtMost(1.15)),
    value("restart: kill -9 to the first grant", 100_000, AtMost(6.0)),
    value("restart: kill -9 to every monitor back and every engine asked", 100_000, AtMost(60.0)),
    value("restart: kill -9 to the end of the readings", 100_000, AtMost(30.0)),
    value("restart: readings that are read again", 100_000, AtMost(20.0)),
    value("disk: an ended session, by du", 100_000, AtMost(2_000.0)),
    value("disk: the audit of a mutation", 100_000, AtMost(300.0)),
    value("disk: memory of a million ended sessions", 100_000, AtMost(40.0)),
    ratio("catch-up: memory of central", 0, AtMost(1.1)),
];

impl Figure {
    /// What it is to be, of its value and of its ratio.
    pub(crate) fn targets(&self) -> impl Iterator<Item = Target> {
        [Of::Value, Of::Ratio].into_iter().filter_map(|of| {
            let own = TARGETS
                .into_iter()
                .filter(|target| target.figure == self.name && target.of == of && target.from <= self.size);
            own.max_by_key(|target| target.from)
        })
    }

    /// What is judged of it; a ratio that it does not have is none.
    pub(crate) fn part(&self, of: Of) -> Option<f64> {
        match of {
            Of::Value => Some(self.value),
            Of::Ratio => self.ratio,
        }
    }

    /// Is it what it is to be? `None`: nothing is said of it.
    pub(crate) fn is_reached(&self) -> Option<bool> {
        let mut reached =
            self.targets().map(|target| self.part(target.of).is_some_and(|part| target.bound.holds(part)));
        let first = reached.next()?;
        Some(first && reached.all(|reached| reached))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_of_the_largest_size_that_a_figure_has_is_its_own() {
        let cpu = |size, value| Figure::new("intake: CPU of central a reading", size, value, "µs");
        let bounds = |figure: Figure| figure.targets().map(|target| target.bound).collect::<Vec<_>>();
        assert_eq!(bounds(cpu(1_000, 9.0)), []);
        assert_eq!(bounds(cpu(50_000, 9.0)), [AtMost(10.0)]);
        assert_eq!(bounds(cpu(100_000, 9.0)), [AtMost(8.0)]);
        let reached =
            [cpu(1_000, 9.0), cpu(50_000, 9.0), cpu(100_000, 9.0)].map(|figure| figure.is_reached());
        assert_eq!(reached, [None, Some(true), Some(false)]);
    }

    #[test]
    fn a_figure_with_two_targets_reaches_both_or_none() {
        let read = Figure::new("catch-up: messages read", 1_000, 400_000.0, "1/s");
        assert_eq!(read.targets().count(), 2);
        assert_eq!(read.clone().beside(700_000.0).is_reached(), Some(true));
        assert_eq!(read.clone().beside(900_000.0).is_reached(), Some(false));
        assert_eq!(read.is_reached(), Some(false), "without a limit nothing shows that it is");
    }
}
