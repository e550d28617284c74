//! What comes into the app's rules and what goes out of them: plain data.

use super::{Event, Notification, Session, Target, Ticket};
use crate::{RequestId, SessionId};

#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The process started. Comes once, first.
    Started,
    /// Time passed: [`super::Requests::wake_at`] is due.
    Tick,
    /// What the driver missed: its sessions that are not settled, and its newest tickets, both oldest first.
    CaughtUp { sessions: Vec<Session>, tickets: Vec<Ticket> },
    /// The charge point is reserved.
    Authorized { request: RequestId, session: Session },
    /// The request was denied for good; `reason` is a name, such as `CHARGE_POINT_BUSY`.
    Denied { request: RequestId, reason: String, message: String },
    /// The request, or the question for what was missed, was not answered: it is repeated.
    Unanswered { why: String },
    /// Central showed a session: a change of the one that is followed, or the answer to a question.
    Seen(Session),
    /// Central does not know the session.
    Forgotten { session: SessionId, message: String },
    /// A message on `driver_notifications`, whoever it is for.
    Told(Notification),
    /// Central did not answer a question, or its stream broke.
    Unreachable { why: String },
    /// Central answered something.
    Reached,
    /// The driver wants the charge that is followed to end.
    StopWanted,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Ask for what was missed; so many attempts were not answered before.
    CatchUp {
        attempt: u32,
    },
    /// Ask for a charge, under one id for each attempt of a line; so many attempts were not answered before.
    Request {
        request: RequestId,
        target: Target,
        attempt: u32,
    },
    /// Follow this session, and no other, until told otherwise.
    Follow(SessionId),
    /// Nothing is followed any more.
    Unfollow,
    /// Ask once how this session is.
    Fetch(SessionId),
    /// Order the end of this session, until central has the order.
    Stop(SessionId),
    Tell(Event),
    /// The run is over.
    Finish,
}
