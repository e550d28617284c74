//! Time, as it comes in: two readings of two clocks.
//!
//! Durations are measured on the monotonic clock only, so a jump of the wall clock ends and prolongs nothing. The wall
//! clock dates what people read and what is stored.

use std::{
    ops::{Add, Sub},
    time::Duration,
};

/// Milliseconds on a clock that only rises while the process lives. Its zero means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(pub u64);

impl Mono {
    /// How long ago `earlier` was; zero if it was not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Mono {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

impl Sub<Duration> for Mono {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

/// Milliseconds since the Unix epoch, on a clock that may jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Wall(pub i64);

impl Wall {
    /// The last date that is believed: the end of the year 9999, as protobuf has it.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// From the seconds of a Kafka message; `None` if they are no date from 1970 to 9999.
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        (0.0..=Self::MAX.seconds()).contains(&seconds).then(|| Self((seconds * 1000.0).round() as i64))
    }

    /// In seconds, as Kafka messages carry it.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl Add<Duration> for Wall {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add_unsigned(millis(duration)))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The moment of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Now {
    /// For durations and deadlines.
    pub mono: Mono,
    pub wall: Wall,
}

impl Now {
    /// The earlier moment at which the monotonic clock showed `mono`.
    #[must_use]
    pub fn back_to(self, mono: Mono) -> Self {
        let lag = i64::try_from(self.mono.since(mono).as_millis()).unwrap_or(i64::MAX);
        Self { mono, wall: Wall(self.wall.0.saturating_sub(lag)) }
    }
}
