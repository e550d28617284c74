//! Who waits for what central answers.

use domain::{RequestId, SessionId, supply::ManualRequest};

/// Who waits for a reply.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// Nobody looks at it but the checks.
    Stranger,
    Registers {
        p: usize,
        m: usize,
        life: u64,
        link: domain::watchdog::Link,
    },
    Reports {
        p: usize,
        m: usize,
        life: u64,
        link: domain::watchdog::Link,
    },
    App {
        a: usize,
        life: u64,
        request: RequestId,
    },
    /// An engine, for somebody at its charge point.
    Engine {
        p: usize,
        life: u64,
        request: ManualRequest,
    },
}

/// A driver's question.
#[derive(Debug, Clone)]
pub(super) enum Query {
    CatchUp { a: usize, life: u64 },
    Fetch { a: usize, life: u64, session: SessionId, follow: Option<u64> },
}
