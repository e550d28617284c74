//! What requests have in common: their `request_id`, their digest, their deadline, new ids.

use domain::network::{Answer, Asked, Method, RequestKey, Session, Token};
use domain::{RequestId, SessionId};
use mesh::grpc::{Deadline, Failure, parse};
use std::time::Duration;

/// Central's answer is on its way this long before its caller stops waiting.
const MARGIN: Duration = Duration::from_millis(100);

/// What makes a request repeatable: its `request_id`, if it has one, and a digest of the rest of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repeatable(Option<(RequestKey, u64)>);

impl Repeatable {
    /// `rest` is the request without its `request_id`. `caller` has passed its own check.
    pub(super) fn new(
        method: Method,
        caller: &str,
        request_id: &str,
        rest: &impl prost::Message,
    ) -> Result<Self, Failure> {
        if request_id.is_empty() {
            return Ok(Self(None));
        }
        let id: RequestId = parse("request_id", request_id)?;
        Ok(Self(Some((RequestKey { method, caller: caller.to_owned(), id }, digest(rest)))))
    }

    /// What its repeats are known by.
    pub(super) fn key(&self) -> Option<&RequestKey> {
        self.0.as_ref().map(|(key, _)| key)
    }

    pub(super) fn asked(self, token: Token) -> Asked {
        Asked { token, request: self.0 }
    }
}

/// FNV-1a, 64 bits, over the message's protobuf form without its `request_id`.
///
/// It is the same in every process and version: prost writes fields in the order of their numbers and leaves defaults out,
/// our requests have no maps, and FNV-1a never changes. So a repeat over an update of central is still a repeat.
fn digest(message: &impl prost::Message) -> u64 {
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    message.encode_to_vec().iter().fold(0xcbf2_9ce4_8422_2325, fnv)
}

/// How long a caller waits at most: what is left of its deadline, and never more than authorising may take.
pub(super) fn budget(deadline: Option<Deadline>, longest: Duration) -> Duration {
    deadline.map_or(longest, |deadline| deadline.remaining().saturating_sub(MARGIN).min(longest))
}

/// A fresh id. Ids of one process rise, and sort by time between processes (UUID version 7).
pub(super) fn new_session_id() -> SessionId {
    let id = uuid::Uuid::now_v7().simple().to_string();
    id.parse().expect("32 hexadecimal digits are an id")
}

/// The answer's session.
pub(super) fn session_of(answer: Answer) -> Result<Box<Session>, Failure> {
    match answer {
        Answer::Session(session) => Ok(session),
        Answer::Ordered(_) | Answer::PriceSet(_) | Answer::Registered { .. } | Answer::Reported { .. } => {
            Err(super::unexpected())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evmesh_proto::driver::RequestChargeRequest;

    #[test]
    fn a_digest_is_of_all_but_the_request_id_and_never_changes() {
        let request = |driver: &str, charge_point: &str| RequestChargeRequest {
            driver_id: driver.into(),
            charge_point_id: charge_point.into(),
            ..Default::default()
        };
        assert_eq!(digest(&request("101", "MAD-01")), 0xfbb4_355d_2227_b7b0);
        assert_ne!(digest(&request("101", "MAD-01")), digest(&request("101", "MAD-02")));
    }

    #[test]
    fn ids_rise() {
        let ids: Vec<SessionId> = (0..1000).map(|_| new_session_id()).collect();
        assert!(ids.is_sorted());
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_ends_before_the_deadline() {
        let longest = Duration::from_secs(5);
        assert_eq!(budget(None, longest), longest);
        assert_eq!(budget(Some(Deadline::after(Duration::from_secs(60))), longest), longest);
        assert_eq!(
            budget(Some(Deadline::after(Duration::from_secs(1))), longest),
            Duration::from_millis(900)
        );
        assert_eq!(budget(Some(Deadline::after(Duration::ZERO)), longest), Duration::ZERO);
    }
}
