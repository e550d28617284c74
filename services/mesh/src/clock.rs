//! The only place where clocks are read.

use domain::{Mono, Now, Wall};
use std::{
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The monotonic clock's zero lies this far before the process first looked, because a test's clock may be older.
const HEAD_START: Duration = Duration::from_secs(3600);

static START: LazyLock<Instant> = LazyLock::new(monotonic);

#[allow(clippy::disallowed_methods)] // this is the clock
fn monotonic() -> Instant {
    Instant::now()
}

/// Now. In a tokio test with a paused clock the monotonic half is that clock's.
pub fn now() -> Now {
    let start = *START; // before the reading, so that the first one is not the earlier
    let reading = tokio::time::Instant::now().into_std();
    let mono = match reading.checked_duration_since(start) {
        Some(since) => HEAD_START + since,
        None => HEAD_START.saturating_sub(start.duration_since(reading)),
    };
    Now { mono: Mono(millis(mono)), wall: wall() }
}

/// Sleeps until then; without a moment, for ever.
pub async fn sleep_until(at: Option<Mono>) {
    match at {
        Some(at) => tokio::time::sleep(at.since(now().mono)).await,
        None => std::future::pending().await,
    }
}

#[allow(clippy::disallowed_methods)] // this is the clock
fn wall() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_drives_the_monotonic_half() {
        let before = now();
        tokio::time::advance(Duration::from_secs(7200)).await;
        assert_eq!(now().mono.since(before.mono).as_secs(), 7200);
    }

    #[test]
    fn both_halves_move() {
        assert!(now().mono.0 > 0 && now().wall.0 > 1_700_000_000_000);
    }
}
