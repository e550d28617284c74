//! What is counted of each call.

use super::{actor::Actor, caller::Caller, methods::Method, refusal::Told, uniform};
use http::HeaderMap;
use tokio::time::Instant;
use tonic::Code;

#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) path: &'static str,
    pub(super) method: Method,
    pub(super) arrived: Instant,
}

/// Counts a call, once, and tells of one that was refused for who made it.
pub(super) struct Tally {
    call: Call,
    /// Who makes it, and from where.
    by: (Actor, Option<Caller>),
    told: Told,
    counted: bool,
}

impl Tally {
    pub(super) fn new(call: Call, by: (Actor, Option<Caller>), told: Told) -> Self {
        Self { call, by, told, counted: false }
    }

    pub(super) fn path(&self) -> &'static str {
        self.call.path
    }

    /// `end` is what its answer ends with, or has in its head.
    pub(super) fn done(mut self, code: Code, end: &HeaderMap) {
        self.told.ended(self.call.path, &self.by, code, end);
        self.count(code);
    }

    fn count(&mut self, code: Code) {
        if !std::mem::replace(&mut self.counted, true) {
            let code = uniform::name(code);
            metrics::counter!("evmesh_server_calls_total", "method" => self.call.path, "code" => code)
                .increment(1);
            if self.call.method == Method::Unary {
                let seconds = self.call.arrived.elapsed().as_secs_f64();
                metrics::histogram!("evmesh_server_call_seconds", "method" => self.call.path).record(seconds);
            }
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.count(Code::Cancelled); // the caller left before the answer's end
    }
}
