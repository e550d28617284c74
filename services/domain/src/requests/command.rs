//! What comes into the app's rules and what goes out of them: plain data.

use super::{Event, Notification, Session, Target, Ticket};
use crate::{RequestId, SessionId};

#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The process started. Comes once, first.
    Started,
    /// Time passed: [`super::Requests::wake_at`] is due.
    Tick,
    /// What the driver missed: its sessions that are not settled, oldest first, and its newest tickets.
    CaughtUp {
        /// Not settled.
        sessions: Vec<Session>,
        /// The newest ones, oldest first.
        tickets: Vec<Ticket>,
    },
    /// The charge point is reserved.
    Authorized { request: RequestId, session: Session },
    /// The request was denied for good.
    Denied {
        request: RequestId,
        /// The reason's name, such as `CHARGE_POINT_BUSY`.
        reason: String,
        message: String,
    },
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
}

#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Ask for what was missed.
    CatchUp {
        /// How many attempts were not answered before.
        attempt: u32,
    },
    Request {
        /// The same for each attempt of one line.
        request: RequestId,
        target: Target,
        /// How many attempts were not answered before.
        attempt: u32,
    },
    /// Follow this session, and no other, until told otherwise.
    Follow(SessionId),
    Unfollow,
    /// Ask once how this session is.
    Fetch(SessionId),
    Tell(Event),
    Finish,
}
