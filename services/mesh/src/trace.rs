//! Which call caused what: W3C `traceparent`, carried through calls and messages.

use std::{fmt, future::Future, str::FromStr};

tokio::task_local! {
    static CURRENT: Trace;
}

/// The header, in gRPC and in Kafka.
pub const TRACEPARENT: &str = "traceparent";

/// The step that a request with these headers starts: within its caller's trace, or in one of its own.
pub(crate) fn from_headers(headers: &http::HeaderMap) -> Trace {
    let parent =
        headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    parent.map_or_else(Trace::root, Trace::child)
}

/// A place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    trace_id: u128,
    span_id: u64,
}

/// Not a `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent")]
pub struct InvalidTrace;

impl Trace {
    /// The start of a trace of its own.
    pub fn root() -> Self {
        Self { trace_id: fastrand::u128(1..), span_id: fastrand::u64(1..) }
    }

    /// A step in the trace that everything of this name has in common, whoever tells of it: a session's messages, say. A
    /// session id that is a UUID is the trace's id itself.
    pub fn of(name: &str) -> Self {
        // FNV-1a, 128 bits: the same in each version and on each machine.
        let hash = |hash: u128, byte: u8| {
            (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
        };
        let hashed = || name.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, hash);
        let uuid = (name.len() == 32).then(|| u128::from_str_radix(name, 16).ok()).flatten();
        Self { trace_id: uuid.unwrap_or_else(hashed).max(1), span_id: fastrand::u64(1..) }
    }

    /// A step within this trace.
    pub fn child(self) -> Self {
        Self { trace_id: self.trace_id, span_id: fastrand::u64(1..) }
    }

    /// Where the running task stands, if anywhere.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|trace| *trace).ok()
    }

    /// Runs a future at this place.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, future)
    }

    /// Runs a function at this place.
    pub fn within<T>(self, act: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, act)
    }

    /// The trace's id, as logs show it.
    pub fn id(self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-01", self.trace_id, self.span_id)
    }
}

impl FromStr for Trace {
    type Err = InvalidTrace;
    fn from_str(text: &str) -> Result<Self, InvalidTrace> {
        let mut parts = text.split('-');
        let (version, trace, span) = (parts.next(), parts.next(), parts.next());
        let (Some(version), Some(trace), Some(span), Some(_flags)) = (version, trace, span, parts.next())
        else {
            return Err(InvalidTrace);
        };
        if version.len() != 2 || version == "ff" || trace.len() != 32 || span.len() != 16 {
            return Err(InvalidTrace);
        }
        let trace_id = u128::from_str_radix(trace, 16).map_err(|_| InvalidTrace)?;
        let span_id = u64::from_str_radix(span, 16).map_err(|_| InvalidTrace)?;
        if trace_id == 0 || span_id == 0 {
            return Err(InvalidTrace);
        }
        Ok(Self { trace_id, span_id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_trace_survives_the_wire_and_is_current_in_its_scope() {
        let trace = Trace::root();
        assert_eq!(trace.to_string().parse(), Ok(trace));
        assert_eq!(Trace::current(), None);
        assert_eq!(trace.scope(async { Trace::current() }).await, Some(trace));
        assert_eq!(trace.within(Trace::current), Some(trace));
        let session = "01a20863b6ec7479b911a9a6e3cf4f62";
        assert_eq!(Trace::of(session).id(), session);
        assert_eq!(Trace::of("s1.2").id(), Trace::of("s1.2").id());
        assert_ne!(Trace::of("s1.2").id(), Trace::of("s1.3").id());
        for wrong in ["", "00-0-0-01", "00-00000000000000000000000000000000-0000000000000001-01"] {
            assert_eq!(wrong.parse::<Trace>(), Err(InvalidTrace), "{wrong}");
        }
    }
}
