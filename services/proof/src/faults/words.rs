//! Numbers as people and topics write them.

use testing::Mode;

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
