//! What requests have in common: their `request_id`, their digest, their deadline, new ids.

use crate::writer::Served;
use domain::network::{self, Asked, Method, RequestKey, Token};
use domain::{ChargePointId, Context, DriverId, Mono, Name, RequestId, SessionId};
use mesh::{
    grpc::{Actor, Caller, Deadline, Failure, parse},
    trace,
};
use std::time::Duration;

/// Central's answer is on its way this long before its caller stops waiting.
const MARGIN: Duration = Duration::from_millis(100);

/// One order names so many charge points, or sessions, at most.
pub(super) const MAX_NAMED: usize = 1000;
/// Where nobody shows who it is, the operator is one caller: its `request_id`s are one namespace.
const OPERATOR: &str = "operator";

/// A mutation on its way to the writer: what its caller brings along, and what makes it repeatable.
#[derive(Debug, Clone)]
pub(super) struct Mutation {
    context: Context,
    request: Option<network::Repeatable>,
}

/// What is known of a call before its message is read.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    actor: Actor,
    trace: Option<domain::Trace>,
    deadline: Option<Mono>,
    from: Option<Caller>,
}

impl Arrived {
    /// Takes the message out of the call.
    pub(super) fn take<T>(request: tonic::Request<T>) -> (Self, T) {
        // The server's stack made this call a step of its caller's trace; without one the rules make it of the session.
        let trace = trace::parent(request.metadata().as_ref()).and_then(|_| trace::current());
        let deadline = Deadline::of(&request).map(|deadline| last_moment(deadline, mesh::now().mono));
        let (actor, from) = (Actor::of(&request), Caller::of(&request));
        (Self { actor, trace, deadline, from }, request.into_inner())
    }

    /// Whose an operator's `request_id`s are: its own, where it has shown who it is.
    pub(super) fn operator(&self) -> String {
        self.actor.role().map_or_else(|| OPERATOR.to_owned(), ToString::to_string)
    }

    /// The driver that a message names, if whoever acts may: one with a name, for a guest has no calls of its own.
    pub(super) fn driver(&self, text: &str) -> Result<DriverId, Failure> {
        let driver = DriverId::named(text).map_err(|problem| Failure::invalid("driver_id", problem))?;
        self.actor.acts_for_driver(&driver)?;
        Ok(driver)
    }

    /// The charge point that a message names, if whoever acts may.
    pub(super) fn charge_point(&self, text: &str, served: &Served) -> Result<ChargePointId, Failure> {
        let charge_point = parse("charge_point_id", text)?;
        self.actor.acts_for_charge_point(&charge_point, served.of(&charge_point).as_ref())?;
        Ok(charge_point)
    }

    /// Waits until whoever acts may not name this charge point any more: for ever, mostly.
    pub(super) async fn is_anothers(&self, charge_point: &ChargePointId, served: &Served) -> Failure {
        let ends = |gateway: Option<&Name>| self.actor.acts_for_charge_point(charge_point, gateway).err();
        match served.once(charge_point, ends).await {
            Some(failure) => failure,
            None => std::future::pending().await,
        }
    }

    /// Who settles something, for whoever reads it later. Without an identity an address is all that is known.
    pub(super) fn name(&self) -> String {
        match (self.actor.role(), self.from) {
            (Some(role), _) => role.to_string(),
            (None, Some(from)) => format!("{from} (unverified)"),
            (None, None) => "somebody (unverified)".to_owned(),
        }
    }

    /// What a call that has no repeats brings along. `caller` has passed its own check.
    pub(super) fn context(&self, caller: &str) -> Context {
        let address = self.from.map(|from| from.to_string()).unwrap_or_default();
        let identity = self.actor.role().map(ToString::to_string).unwrap_or_default();
        let many = self.actor.asks_for_many();
        let (trace, caller, deadline) = (self.trace, caller.to_owned(), self.deadline);
        Context { trace, caller, address, identity, many, deadline }
    }

    /// `rest` is the message without its `request_id`. `caller` has passed its own check.
    pub(super) fn mutation(
        &self,
        method: Method,
        caller: &str,
        request_id: &str,
        rest: &impl prost::Message,
    ) -> Result<Mutation, Failure> {
        let context = self.context(caller);
        let id: Option<RequestId> =
            (!request_id.is_empty()).then(|| parse("request_id", request_id)).transpose()?;
        let key = |id| RequestKey { method, caller: context.caller.clone(), id };
        let request = id.map(|id| (key(id), digest(rest)));
        Ok(Mutation { context, request })
    }
}

impl Mutation {
    /// What its repeats are known by.
    pub(super) fn key(&self) -> Option<&RequestKey> {
        self.request.as_ref().map(|(key, _)| key)
    }

    /// The same order for a part of what it is about: it has no repeats of its own.
    pub(super) fn part<A>(&self, token: Token<A>) -> Asked<A> {
        Asked::once(token, self.context.clone())
    }

    pub(super) fn asked<A>(self, token: Token<A>) -> Asked<A> {
        Asked { token, context: self.context, request: self.request }
    }
}

/// FNV-1a, 64 bits, over the message's protobuf form without its `request_id`.
///
/// It is the same in every process and version: prost writes fields in the order of their numbers and leaves defaults
/// out, our requests have no maps, and FNV-1a never changes. So a repeat over an update of central is still a repeat.
fn digest(message: &impl prost::Message) -> u64 {
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    message.encode_to_vec().iter().fold(0xcbf2_9ce4_8422_2325, fnv)
}

/// When the rules must have decided, for their answer to reach a caller that waits until then.
fn last_moment(deadline: Deadline, now: Mono) -> Mono {
    now + deadline.remaining().saturating_sub(MARGIN)
}

/// A fresh id. Ids of one process rise, and sort by time between processes (UUID version 7).
pub(super) fn new_session_id() -> SessionId {
    let id = uuid::Uuid::now_v7().simple().to_string();
    id.parse().expect("32 hexadecimal digits are an id")
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
    fn who_settles_is_named_by_an_identity_or_else_by_an_address() {
        let name = |actor: Actor, from: Option<std::net::IpAddr>| {
            let mut request = tonic::Request::new(());
            request.extensions_mut().insert(actor);
            from.map(|from| request.extensions_mut().insert(Caller::from(from)));
            Arrived::take(request).0.name()
        };
        let from = Some([10, 0, 0, 7].into());
        assert_eq!(name(testing::known("operator/ana"), from), "operator/ana");
        assert_eq!(name(Actor::Unchecked, from), "10.0.0.7 (unverified)");
        assert_eq!(name(Actor::Unchecked, None), "somebody (unverified)");
    }

    #[test]
    fn ids_rise() {
        let ids: Vec<SessionId> = (0..1000).map(|_| new_session_id()).collect();
        assert!(ids.is_sorted());
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_ends_before_the_deadline() {
        let (now, after) = (Mono(1_000), |duration| Deadline::after(duration));
        assert_eq!(last_moment(after(Duration::from_secs(60)), now), now + Duration::from_millis(59_900));
        assert_eq!(last_moment(after(Duration::from_secs(1)), now), now + Duration::from_millis(900));
        assert_eq!(last_moment(after(Duration::ZERO), now), now);
    }
}
