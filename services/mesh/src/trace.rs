//! Which call caused what: W3C `traceparent`, carried through calls and messages.
//!
//! What a [`Trace`] is, `domain` says; here is what needs chance and the running task.

use domain::Trace;
use std::future::Future;

tokio::task_local! {
    static CURRENT: Trace;
}

/// The header, in gRPC and in Kafka.
pub const TRACEPARENT: &str = "traceparent";

/// The place that these headers name, if they name one.
pub fn parent(headers: &http::HeaderMap) -> Option<Trace> {
    headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok())
}

/// The start of a trace of its own.
pub fn root() -> Trace {
    Trace::new(fastrand::u128(..), fastrand::u64(..))
}

pub fn child(trace: Trace) -> Trace {
    trace.with_span(fastrand::u64(..))
}

/// Where the running task stands, if anywhere.
pub fn current() -> Option<Trace> {
    CURRENT.try_with(|trace| *trace).ok()
}

/// Runs a future at this place.
pub fn scope<F: Future>(trace: Trace, future: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(trace, future)
}

/// Runs a function at this place.
pub fn within<T>(trace: Trace, act: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(trace, act)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_trace_is_current_in_its_scope() {
        let trace = root();
        assert_eq!(current(), None);
        assert_eq!(scope(trace, async { current() }).await, Some(trace));
        assert_eq!(within(trace, current), Some(trace));
        assert_eq!((child(trace).id(), child(trace) == trace), (trace.id(), false));
    }
}
