//! What a caller waits by, and what makes its request repeatable (AIP-155).

use crate::{ChargePointId, Context, RequestId, SessionId};
use std::{fmt, hash::Hash, marker::PhantomData};

/// Names one caller that waits for an answer of type `A`; the edge chooses the number, once for each.
pub struct Token<A> {
    /// No two callers have the same.
    pub number: u64,
    answer: PhantomData<fn() -> A>,
}

impl<A> Token<A> {
    /// The token of this number.
    pub const fn new(number: u64) -> Self {
        Self { number, answer: PhantomData }
    }
}

impl<A> Clone for Token<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Token<A> {}

impl<A> PartialEq for Token<A> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<A> fmt::Debug for Token<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.number)
    }
}

/// A request that waits for its reply, and may be a repeat.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked<A> {
    pub token: Token<A>,
    /// What the caller brought along.
    pub context: Context,
    /// What makes it repeatable; `None`: each call is a new one.
    pub request: Option<Repeatable>,
}

impl<A> Asked<A> {
    /// A request that has no repeats.
    pub fn once(token: Token<A>, context: Context) -> Self {
        Self { token, context, request: None }
    }
}

/// What a request and its repeats have in common.
pub type Repeatable = (RequestKey, u64);

/// A mutation that may be repeated (AIP-155). Beside it stands the digest of the whole request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestKey {
    /// The call: its `request_id`s are a namespace of their own.
    pub method: Method,
    pub caller: String,
    /// The caller's name for it.
    pub id: RequestId,
}

impl RequestKey {
    /// Of a request for a manual supply without a name: it gets one that no engine has given.
    pub(super) fn unnamed(charge_point: &ChargePointId, session: &SessionId) -> Repeatable {
        let (method, caller) = (Method::RequestManualSupply, charge_point.to_string());
        (Self { method, caller, id: session.into() }, 0)
    }
}

super::words! {
    /// The calls whose answers are kept for their repeats, by their names in the contract and in the store.
    Method:
    RequestCharge = "RequestCharge",
    StopCharge = "StopCharge",
    RequestManualSupply = "RequestManualSupply",
    StopChargePoints = "StopChargePoints",
    ResumeChargePoints = "ResumeChargePoints",
    SetPrice = "SetPrice",
    ForgetChargePoint = "ForgetChargePoint",
    RefuseSessions = "RefuseSessions",
    AdoptSessions = "AdoptSessions",
    SettleSession = "SettleSession",
    EndSession = "EndSession",
}
