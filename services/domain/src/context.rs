//! What an order brings along: where it stands in a trace, who gave it, and how long it matters.

use crate::Mono;
use std::{fmt, num::NonZero, str::FromStr};

/// What comes with an order, and goes on with what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// Where the caller stands; `None`: it named no trace, and what follows makes its own from its session's id.
    pub trace: Option<Trace>,
    /// Who asks, by the name that its `request_id`s belong to: a driver, a charge point, or the operator.
    pub caller: String,
    /// The host that it came from; empty where that is not known.
    pub address: String,
    /// Who that is, as it has proven: `operator/ana`; empty where nobody was asked.
    pub identity: String,
    /// It asks for many, each of whom has a name: a bridge, a gateway.
    pub many: bool,
    /// When the caller waits no more; `None`: as long as the rules allow.
    pub deadline: Option<Mono>,
}

impl Context {
    /// Who has to answer for what it takes up: whoever that is, from wherever; its address where nobody was asked.
    pub fn account(&self) -> &str {
        if self.identity.is_empty() { &self.address } else { &self.identity }
    }
}

/// A place in a trace, as W3C's `traceparent` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trace {
    trace_id: NonZero<u128>,
    span_id: NonZero<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent")]
pub struct InvalidTrace;

impl Trace {
    /// The place of these ids; zero, which W3C forbids, becomes one.
    pub fn new(trace_id: u128, span_id: u64) -> Self {
        Self {
            trace_id: NonZero::new(trace_id).unwrap_or(NonZero::<u128>::MIN),
            span_id: NonZero::new(span_id).unwrap_or(NonZero::<u64>::MIN),
        }
    }

    /// The trace that everything of this name has in common, whoever tells of it: a session's messages, say. A
    /// session id that is a UUID is the trace's id itself.
    pub fn of(name: &str) -> Self {
        // FNV-1a, 128 bits: the same in each version and on each machine.
        let hash = |hash: u128, byte: u8| {
            (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
        };
        let hashed = || name.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, hash);
        let uuid = (name.len() == 32).then(|| u128::from_str_radix(name, 16).ok()).flatten();
        let trace_id = uuid.unwrap_or_else(hashed);
        Self::new(trace_id, trace_id as u64)
    }

    /// Another step of the same trace, with this id of its own.
    pub fn with_span(self, span_id: u64) -> Self {
        Self::new(self.trace_id.get(), span_id)
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
        let (trace_id, span_id) = (NonZero::new(trace_id), NonZero::new(span_id));
        Ok(Self { trace_id: trace_id.ok_or(InvalidTrace)?, span_id: span_id.ok_or(InvalidTrace)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_survives_the_wire_and_names_make_their_own() {
        let trace = Trace::new(7, 9);
        assert_eq!(trace.to_string().parse(), Ok(trace));
        assert_eq!((trace.with_span(3).id(), trace.with_span(3) == trace), (trace.id(), false));
        let session = "01a20863b6ec7479b911a9a6e3cf4f62";
        assert_eq!(Trace::of(session).id(), session);
        assert_eq!(Trace::of("s1.2").id(), Trace::of("s1.2").id());
        assert_ne!(Trace::of("s1.2").id(), Trace::of("s1.3").id());
        for wrong in ["", "00-0-0-01", "00-00000000000000000000000000000000-0000000000000001-01"] {
            assert_eq!(wrong.parse::<Trace>(), Err(InvalidTrace), "{wrong}");
        }
    }
}
