//! One command at one moment: what every rule works on.

use super::{
    Archive, Network,
    answers::{Answered, Recorded, Repeat},
    charge_point::Point,
    command::{Asked, Broker, Command, Token},
    effect::{Answer, Denial, Effect, Event, Level, Reason},
    session::Session,
};
use crate::{ChargePointId, Now, SessionId};
use std::collections::BTreeSet;

pub(super) struct Step<'a> {
    pub(super) net: &'a mut Network,
    pub(super) now: Now,
    pub(super) archive: &'a dyn Archive,
    effects: Vec<Effect>,
    /// The charge points whose calls and freedom are looked at in the end.
    touched: BTreeSet<ChargePointId>,
}

impl<'a> Step<'a> {
    pub(super) fn new(net: &'a mut Network, now: Now, archive: &'a dyn Archive) -> Self {
        Self { net, now, archive, effects: Vec::new(), touched: BTreeSet::new() }
    }

    pub(super) fn run(&mut self, command: Command) {
        match command {
            Command::RequestCharge { asked, session, driver, target, budget } => {
                self.request_charge(asked, session, driver, target, budget);
            }
            Command::RequestManualSupply { asked, session, charge_point, instance, driver, budget } => {
                self.request_manual_supply(asked, session, charge_point, &instance, driver, budget);
            }
            Command::StopCharge { asked, driver, session } => self.stop_charge(&asked, &driver, session),
            Command::Order { asked, which, out_of_order } => self.order(&asked, which, out_of_order),
            Command::SetPrice { asked, charge_point, price } => self.set_price(&asked, &charge_point, price),
            Command::Register { token, registration } => self.register(token, registration),
            Command::Report { token, charge_point, epoch, health, reason } => {
                self.report(token, &charge_point, epoch, health, reason);
            }
            Command::MonitorGone { charge_point, epoch } => self.monitor_gone(&charge_point, epoch),
            Command::EngineAnswered { charge_point, call, result } => {
                self.engine_answered(&charge_point, call, result)
            }
            Command::Telemetry { message, source } => self.telemetry(message, source),
            Command::Unreadable { source } => self.read_past(source),
            Command::Broker(news) => self.broker(news),
            Command::Copied(sessions) => self.copied(&sessions),
            Command::Tick => self.tick(),
        }
    }

    /// Lists what is free, and makes the calls that the state asks for: one at a time per engine.
    pub(super) fn finish(mut self) -> Vec<Effect> {
        for id in std::mem::take(&mut self.touched) {
            self.list_free(&id);
            self.call_engine(&id);
        }
        self.effects
    }

    fn list_free(&mut self, id: &ChargePointId) {
        let Some(point) = self.net.points.get_mut(id) else {
            return;
        };
        let free_at = point.is_free(&self.net.sessions).then_some(point.stored.price);
        if point.free_at != free_at {
            if let Some(price) = point.free_at {
                self.net.free.remove(&(price, id.clone()));
            }
            if let Some(price) = free_at {
                self.net.free.insert((price, id.clone()));
            }
            point.free_at = free_at;
        }
    }

    fn broker(&mut self, news: Broker) {
        self.net.kafka_away = news == Broker::Away;
        match news {
            Broker::ReadTo(as_of) => {
                self.net.kafka_judged = true;
                self.net.kafka_read_to = self.net.kafka_read_to.max(as_of);
            }
            Broker::Away => {
                self.net.kafka_judged = true;
                self.net.kafka_read_to = self.net.kafka_read_to.max(self.now.mono);
            }
            Broker::Gap => {
                self.happened(
                    Level::Warn,
                    "kafka_gaps",
                    "messages are missing on kafka: asking every engine".into(),
                );
                for id in self.net.points.keys().cloned().collect::<Vec<_>>() {
                    self.ask(&id);
                }
            }
        }
    }

    fn copied(&mut self, sessions: &[SessionId]) {
        for id in sessions {
            if self.net.changed_sessions.contains(id) {
                continue; // it changed in this very step
            }
            let Some(session) = self.net.sessions.get_mut(id) else { continue };
            session.live.copied = true;
            self.touched.insert(session.charge_point.clone()); // now its engine may forget it
        }
    }

    pub(super) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(super) fn reply(&mut self, token: Token, answer: Result<Answer, Denial>) {
        self.push(Effect::Reply { token, answer });
    }

    pub(super) fn happened(&mut self, level: Level, name: &'static str, text: String) {
        self.push(Effect::Happened(Event { level, name, text }));
    }

    /// A charge point, to be changed.
    pub(super) fn point(&mut self, id: &ChargePointId) -> Option<&mut Point> {
        let point = self.net.points.get_mut(id)?;
        self.touched.insert(id.clone());
        Some(point)
    }

    /// The engine's state is wanted, as soon as may be.
    pub(super) fn ask(&mut self, id: &ChargePointId) {
        if let Some(point) = self.point(id) {
            point.ask = true;
        }
    }

    /// A charge point's stored part has changed.
    pub(super) fn point_changed(&mut self, id: &ChargePointId) {
        self.net.changed_points.insert(id.clone());
    }

    /// A session in memory, to be changed.
    pub(super) fn session(&mut self, id: &SessionId) -> Option<&mut Session> {
        self.net.sessions.get_mut(id)
    }

    /// A session's stored part has changed.
    pub(super) fn changed(&mut self, id: &SessionId) {
        self.net.changed_sessions.insert(id.clone());
        self.push(Effect::Changed(id.clone()));
        if let Some(session) = self.net.sessions.get_mut(id) {
            session.live.copied = false;
            self.touched.insert(session.charge_point.clone());
        }
    }

    /// A repeated mutation gets its first answer, or joins the wait for it. False: it is new.
    pub(super) fn repeated(&mut self, asked: &Asked) -> bool {
        let Some((key, fingerprint)) = &asked.request else {
            return false;
        };
        let answer = match self.net.answers.find(self.now.wall, key, *fingerprint) {
            Repeat::No => return false,
            Repeat::Undecided(session) => {
                match self.net.pending.get_mut(&session) {
                    Some(pending) => pending.tokens.push(asked.token),
                    None => return false, // an undecided request has its pending session
                }
                return true;
            }
            Repeat::Reused => Err(Denial {
                reason: Reason::RequestIdReused,
                text: format!("request_id {} was used before with another request; use a new one", key.id),
            }),
            Repeat::Answered(Err(denial)) => Err(denial),
            Repeat::Answered(Ok(recorded)) => match self.resolve(recorded) {
                Some(answer) => Ok(answer),
                None => return false, // an answer is written with the session that it names
            },
        };
        self.happened(Level::Debug, "requests_repeated", format!("request_id {} repeated", key.id));
        self.reply(asked.token, answer);
        true
    }

    fn resolve(&self, recorded: Recorded) -> Option<Answer> {
        Some(match recorded {
            Recorded::Session(id) => {
                let session = self.net.sessions.get(&id).cloned().or_else(|| self.archive.session(&id))?;
                Answer::Session(Box::new(session))
            }
            Recorded::Ordered(count) => Answer::Ordered(count),
            Recorded::PriceSet(id) => Answer::PriceSet(id),
        })
    }

    /// Gives a definitive answer, and keeps it for the request's repeats.
    pub(super) fn answer(&mut self, asked: &Asked, result: Result<Recorded, Denial>) {
        self.record(asked.request.clone(), result.clone());
        let answer = result.and_then(|recorded| {
            self.resolve(recorded).ok_or_else(|| Denial {
                reason: Reason::SessionUnknown,
                text: "the session is not known any more".into(),
            })
        });
        self.reply(asked.token, answer);
    }

    pub(super) fn record(
        &mut self,
        request: Option<(super::RequestKey, u64)>,
        result: Result<Recorded, Denial>,
    ) {
        if let Some((key, fingerprint)) = request {
            self.net.answers.record(key, Answered { fingerprint, at: self.now.wall, result });
        }
    }
}
