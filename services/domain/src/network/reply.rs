//! What callers are told. Each answer is of the type that its caller's token carries, so none can go astray.

use super::{denial::Denial, request::Token, session::Session};
use crate::{Location, Price};
use std::time::Duration;

/// An answer or a denial, for the caller that waits for an answer of this type.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// The session, as it is now.
    Session(Token<Box<Session>>, Result<Box<Session>, Denial>),
    /// How many charge points an order reached.
    Ordered(Token<Ordered>, Result<Ordered, Denial>),
    Registered(Token<Registered>, Result<Registered, Denial>),
    Reported(Token<Reported>, Result<Reported, Denial>),
    CardBlocked(Token<CardBlocked>, Result<CardBlocked, Denial>),
}

/// What a caller can wait for.
pub trait Answer: Sized {
    /// The answer on its way to its caller.
    fn reply(token: Token<Self>, answer: Result<Self, Denial>) -> Reply;

    /// What of it is written down with what was asked for, as `name=value`.
    fn told(&self) -> String;
}

/// The operator's order was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ordered {
    /// How many charge points it reached, those included that were so already.
    pub count: u32,
}

/// A monitor holds its charge point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Above every earlier one of this charge point; each report carries it.
    pub epoch: u64,
    /// The place that is kept, whatever a later registration says.
    pub location: Location,
    /// The price that is kept, whatever a later registration says.
    pub price: Price,
    /// How often its monitor is to report.
    pub report_interval: Duration,
}

/// A monitor's report was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reported {
    /// The operator's order, which the charge point shows.
    pub out_of_order: bool,
    /// How often its monitor is to report from now on: never more often than it was told before.
    pub report_interval: Duration,
}

/// A driver's card is good for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardBlocked;

impl Answer for CardBlocked {
    fn reply(token: Token<Self>, answer: Result<Self, Denial>) -> Reply {
        Reply::CardBlocked(token, answer)
    }

    fn told(&self) -> String {
        String::new()
    }
}

impl Answer for Box<Session> {
    fn reply(token: Token<Self>, answer: Result<Self, Denial>) -> Reply {
        Reply::Session(token, answer)
    }

    fn told(&self) -> String {
        format!("session={}, charge_point={}", self.id, self.charge_point)
    }
}

impl Answer for Ordered {
    fn reply(token: Token<Self>, answer: Result<Self, Denial>) -> Reply {
        Reply::Ordered(token, answer)
    }

    fn told(&self) -> String {
        format!("count={}", self.count)
    }
}

impl Answer for Registered {
    fn reply(token: Token<Self>, answer: Result<Self, Denial>) -> Reply {
        Reply::Registered(token, answer)
    }

    fn told(&self) -> String {
        format!("epoch={}", self.epoch)
    }
}

impl Answer for Reported {
    fn reply(token: Token<Self>, answer: Result<Self, Denial>) -> Reply {
        Reply::Reported(token, answer)
    }

    fn told(&self) -> String {
        String::new()
    }
}
