//! Numbers as people and topics write them.

use mesh::testing::Mode;

/// A wall clock's time of day, to the millisecond, for people who read logs beside it.
pub(super) fn clock(millis: i64) -> String {
    let of_day = millis.rem_euclid(86_400_000);
    let (seconds, millis) = (of_day / 1000, of_day % 1000);
    format!("{:02}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Energy as a topic tells it, in watt-hours.
pub(super) fn wh(kwh: f64) -> u64 {
    // Kilowatt-hours leave as whole watt-hours: the nearest one is the one that was meant.
    (kwh * 1000.0).round() as u64
}

/// How a link is.
pub(super) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Open => "open",
        Mode::Cut => "cut",
        Mode::Silent => "silent",
        Mode::Deaf => "half-open",
        Mode::Slow(_) => "slow",
    }
}
