//! When a call's caller stops waiting, and how gRPC writes that.

use http::{HeaderMap, HeaderValue};
use std::time::Duration;
use tokio::time::Instant;

/// How long a call may take, from its caller to its server.
pub(super) const HEADER: &str = "grpc-timeout";

/// When the caller stops waiting: a request extension that the server sets, see [`Deadline::of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// The deadline of a request that came in; `None` for a stream without one.
    pub fn of<T>(request: &tonic::Request<T>) -> Option<Self> {
        request.extensions().get().copied()
    }

    pub fn after(duration: Duration) -> Self {
        Self(Instant::now() + duration)
    }

    /// How long is left; zero if it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// The caller's time limit (gRPC over HTTP/2): up to eight digits and a unit.
pub(super) fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

/// In the largest unit that loses little: gRPC allows eight digits.
pub(super) fn header(left: Duration) -> HeaderValue {
    let text = match left.as_micros() {
        micros @ 0..=99_999_999 => format!("{micros}u"),
        _ => format!("{}m", left.as_millis().min(99_999_999)),
    };
    HeaderValue::try_from(text).expect("digits and a letter are a header")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_limits_are_read() {
        for (text, limit) in [
            ("5S", Some(Duration::from_secs(5))),
            ("250m", Some(Duration::from_millis(250))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("", None),
            ("S", None),
            ("5", None),
            ("-5S", None),
            ("123456789S", None),
            ("5x", None),
        ] {
            let headers = [(http::HeaderName::from_static("grpc-timeout"), text.parse().unwrap())];
            assert_eq!(grpc_timeout(&headers.into_iter().collect()), limit, "{text}");
        }
    }

    #[test]
    fn time_limits_survive_the_wire() {
        for millis in [1, 999, 5_000, 99_999, 100_000, 86_000_000] {
            let headers =
                [(http::HeaderName::from_static("grpc-timeout"), header(Duration::from_millis(millis)))];
            assert_eq!(grpc_timeout(&headers.into_iter().collect()), Some(Duration::from_millis(millis)));
        }
    }
}
