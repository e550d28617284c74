//! The callers that wait for their answers: a map a kind, so that no answer can reach a caller of another kind.

use domain::network::{Answer, CardBlocked, Denial, Ordered, Registered, Reply, Reported, Session, Token};
use std::collections::HashMap;
use tokio::sync::oneshot;

pub(crate) type ReplyTo<A> = oneshot::Sender<Result<A, Denial>>;

/// Those who wait for answers of one kind, by their tokens' numbers.
type Callers<A> = HashMap<u64, ReplyTo<A>>;

/// Everyone who waits. There are as many as requests under way, which the server bounds.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    sessions: Callers<Box<Session>>,
    ordered: Callers<Ordered>,
    registered: Callers<Registered>,
    reported: Callers<Reported>,
    cards_blocked: Callers<CardBlocked>,
}

/// An answer that a caller of the edge can wait for.
pub(crate) trait Awaited: Answer + Send + 'static {
    fn callers(waiting: &mut Waiting) -> &mut Callers<Self>;
}

impl Waiting {
    /// From here on this caller waits.
    pub(crate) fn wait<A: Awaited>(&mut self, token: Token<A>, reply: ReplyTo<A>) {
        A::callers(self).insert(token.number, reply);
    }

    /// Tells the caller that waits for it.
    pub(crate) fn tell(&mut self, reply: Reply) {
        match reply {
            Reply::Session(token, answer) => self.answer(token, answer),
            Reply::Ordered(token, answer) => self.answer(token, answer),
            Reply::Registered(token, answer) => self.answer(token, answer),
            Reply::Reported(token, answer) => self.answer(token, answer),
            Reply::CardBlocked(token, answer) => self.answer(token, answer),
        }
    }

    fn answer<A: Awaited>(&mut self, token: Token<A>, answer: Result<A, Denial>) {
        if let Some(reply) = A::callers(self).remove(&token.number) {
            let _ = reply.send(answer); // a caller that left can ask again with its request_id
        }
    }
}

macro_rules! awaited {
    ($($answer:ty => $callers:ident),*) => {
        $(impl Awaited for $answer {
            fn callers(waiting: &mut Waiting) -> &mut Callers<Self> {
                &mut waiting.$callers
            }
        })*
    };
}

awaited!(
    Box<Session> => sessions, Ordered => ordered, Registered => registered, Reported => reported,
    CardBlocked => cards_blocked
);
