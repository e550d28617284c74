//! Calls, and connections, that were refused for who made them, for a service that keeps them in mind.

use super::{actor::Actor, caller::Caller, error_details};
use http::HeaderMap;
use std::{fmt, sync::Arc};
use tonic::{Code, Status};

/// The path of a connection that got no call.
const CONNECT: &str = "/connect";

/// A call, or a message of a stream, that was refused as `PERMISSION_DENIED` or `UNAUTHENTICATED`; or a connection, for
/// the certificate that was shown.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Who made it.
    pub actor: Actor,
    /// Where it came from; `None`: over no socket.
    pub caller: Option<Caller>,
    /// The method's path; `unknown` where there is none such, `/connect` of a connection.
    pub path: &'static str,
    /// Why, in UPPER_SNAKE.
    pub reason: String,
}

/// Who is told of them, on the call's own task, or its connection's: it must not wait.
#[derive(Clone, Default)]
pub(super) struct Told(Option<Arc<dyn Fn(Refusal) + Send + Sync>>);

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Told").field(&self.0.is_some()).finish()
    }
}

impl Told {
    pub(super) fn to(whom: impl Fn(Refusal) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(whom)))
    }

    /// A certificate was refused, and with it the connection.
    pub(super) fn unconnected(&self, caller: Option<Caller>, why: &str) {
        let Some(tell) = &self.0 else { return };
        tell(Refusal { actor: Actor::Stranger, caller, path: CONNECT, reason: why.to_ascii_uppercase() });
    }

    /// A call ended so: tells of it if it was refused for who made it.
    pub(super) fn ended(
        &self,
        path: &'static str,
        by: &(Actor, Option<Caller>),
        code: Code,
        end: &HeaderMap,
    ) {
        let (Some(tell), Code::PermissionDenied | Code::Unauthenticated) = (&self.0, code) else { return };
        let reason = Status::from_header_map(end).and_then(|status| error_details::reason(&status));
        let (actor, caller) = by.clone();
        tell(Refusal { actor, caller, path, reason: reason.unwrap_or_default() });
    }
}
