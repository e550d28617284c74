//! What the operator orders, and says of sessions under review.

use super::{central::Caller, driver::asked, world::World};
use domain::network::{Command, Method, Order, Session, Verdict, Which};
use domain::{Currency, Energy, Price, SessionId};

impl World {
    pub(super) fn set_price(&mut self, p: usize) {
        let micros = self.random.pick(&[0, 123_457, 300_000, 333_333, 999_999_999, 450_005]);
        let currency = self.random.pick(&["EUR", "EUR", "JPY"]).parse().unwrap_or(Currency::EUR);
        let Ok(price) = Price::new(currency, micros) else { return };
        let charge_point = self.points[p].id.clone();
        let request = self.repeatable(Method::SetPrice, "operator", &format!("{p} {price}"));
        self.stranger_asks(move |token, _| Command::Order {
            asked: asked(token, None, request.clone()),
            order: Order::SetPrice { charge_point: charge_point.clone(), price },
        });
    }

    /// Somebody says what a session under review bills; one in a while, of one that is not, or more than is allowed.
    pub(super) fn settle(&mut self) {
        let waits = |session: &&Session| session.review().is_some();
        let waiting: Vec<Session> = self.truth.sessions.values().filter(waits).cloned().collect();
        let any = waiting.is_empty() || self.random.one_in(10);
        let of: Vec<Session> = if any { self.truth.sessions.values().cloned().collect() } else { waiting };
        if of.is_empty() {
            return;
        }
        let session = self.random.pick(&of).id.clone();
        let energy = Energy::from_wh(self.random.pick(&[0, 250, 300, 9_999_999, 10_000_000]));
        let verdict = if self.random.one_in(2) { Verdict::Accepted } else { Verdict::Energy(energy) };
        let request = self.repeatable(Method::SettleSession, "operator", &format!("{session} {verdict:?}"));
        self.stranger_asks(move |token, _| Command::Order {
            asked: asked(token, None, request.clone()),
            order: Order::Settle {
                session: session.clone(),
                verdict,
                by: "somebody (unverified)".into(),
                reason: "seen on the meter".into(),
            },
        });
    }

    /// The operator ends somebody's session.
    pub(super) fn ends(&mut self) {
        let known: Vec<SessionId> = self.truth.sessions.keys().cloned().collect();
        if known.is_empty() {
            return;
        }
        let session = self.random.pick(&known);
        let request = self.repeatable(Method::EndSession, "operator", session.as_str());
        self.stranger_asks(move |token, _| Command::Order {
            asked: asked(token, None, request.clone()),
            order: Order::End(session.clone()),
        });
    }

    /// What an engine still has of sessions that came to nothing, and that central does not know any more.
    pub(super) fn refuses_what_is_gone(&mut self, p: usize) {
        let Some(process) = &self.points[p].up else { return };
        let had = process.engine.view().unsettled.into_iter().map(|record| record.session);
        let sessions: Vec<SessionId> = had.filter(|id| self.truth.forgotten.contains(id)).collect();
        if sessions.is_empty() {
            return;
        }
        let charge_point = self.points[p].id.clone();
        self.central_asked(Caller::Stranger, move |token, _| Command::Order {
            asked: asked(token, None, None),
            order: Order::Refuse { charge_point: charge_point.clone(), sessions: sessions.clone() },
        });
    }

    /// Allowed only where nothing is lost by it.
    pub(super) fn forget(&mut self, p: usize) {
        let id = self.points[p].id.clone();
        let request = self.repeatable(Method::ForgetChargePoint, "operator", id.as_str());
        self.stranger_asks(move |token, _| Command::Order {
            asked: asked(token, None, request.clone()),
            order: Order::Forget(id.clone()),
        });
    }

    pub(super) fn order(&mut self, p: usize) {
        let which =
            if self.random.one_in(3) { Which::All } else { Which::Some(vec![self.points[p].id.clone()]) };
        let out_of_order = self.random.one_in(2);
        let method = if out_of_order { Method::StopChargePoints } else { Method::ResumeChargePoints };
        let request = self.repeatable(method, "operator", &format!("{which:?}"));
        self.stranger_asks(move |token, _| Command::Order {
            asked: asked(token, None, request.clone()),
            order: Order::Service { which: which.clone(), out_of_order },
        });
        if out_of_order && self.random.one_in(2) {
            let resumes = self.random.span(20_000);
            self.after(resumes, Self::resume_all);
        }
    }

    pub(super) fn resume_all(&mut self) {
        self.central_asked(Caller::Stranger, |token, _| Command::Order {
            asked: asked(token, None, None),
            order: Order::Service { which: Which::All, out_of_order: false },
        });
    }
}
