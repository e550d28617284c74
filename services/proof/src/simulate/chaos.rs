//! What goes wrong, and what people do meanwhile.

use super::{
    central::Caller,
    driver::{asked, fingerprint},
    engine::ReplyTo,
    truth::Truth,
    world::{Place, World, say},
};
use central::writer::Input;
use domain::network::{Command, Method, Order, RequestKey, Target, Token, Which};
use domain::supply::{Act, Happened};
use domain::{ChargePointId, Context, Deed, DriverId, Location, Mono, SessionId};
use proof::engine_process::Asked;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chaos {
    CentralDies,
    CentralStops,
    CentralsClockJumps,
    CentralIsCopied,
    EngineDies,
    EngineStops,
    EnginesClockJumps,
    EngineLosesStore,
    MonitorDies,
    RivalMonitor,
    Stranger,
    AppDies,
    BrokerAway,
    BrokerReplaced,
    BrokerForgets,
    Cut,
    Outage,
    Charge,
    StopCharge,
    SetPrice,
    Order,
    Settle,
    End,
    Forget,
    Rush,
    PlugIn,
    Unplug,
    Break,
    Repair,
    Manual,
    OldMessage,
    Garbage,
    Forgery,
    Revoke,
}

impl Chaos {
    /// Each with its weight.
    pub(super) const ALL: &[(Self, usize)] = &[
        (Self::CentralDies, 5),
        (Self::CentralStops, 1),
        (Self::CentralsClockJumps, 2),
        (Self::CentralIsCopied, 2),
        (Self::EngineDies, 6),
        (Self::EngineStops, 2),
        (Self::EnginesClockJumps, 1),
        (Self::EngineLosesStore, 1),
        (Self::MonitorDies, 5),
        (Self::RivalMonitor, 2),
        (Self::Stranger, 3),
        (Self::AppDies, 3),
        (Self::BrokerAway, 4),
        (Self::BrokerReplaced, 1),
        (Self::BrokerForgets, 1),
        (Self::Cut, 5),
        (Self::Outage, 1),
        (Self::Charge, 12),
        (Self::StopCharge, 5),
        (Self::SetPrice, 5),
        (Self::Order, 4),
        (Self::Settle, 4),
        (Self::End, 1),
        (Self::Forget, 3),
        (Self::Rush, 2),
        (Self::PlugIn, 6),
        (Self::Unplug, 5),
        (Self::Break, 2),
        (Self::Repair, 3),
        (Self::Manual, 4),
        (Self::OldMessage, 2),
        (Self::Garbage, 1),
        (Self::Forgery, 3),
        (Self::Revoke, 3),
    ];

    /// In so many of so many runs. What people do is done in each; an old copy of central's store excuses much.
    pub(super) fn share(self) -> (u64, u64) {
        match self {
            Self::Charge | Self::PlugIn | Self::Repair => (1, 1),
            Self::CentralIsCopied => (1, 3), // of those with a day for what came to nothing
            _ => (2, 3),
        }
    }
}

impl World {
    /// One thing now, and the next one later.
    pub(super) fn chaos(&mut self) {
        if !self.faults {
            return;
        }
        let chaos = self.plan.chaos.clone();
        let what = self.random.pick(&chaos);
        self.happens(what);
        let pause = self.random.between(1, 2 * self.plan.pace);
        self.after(pause, Self::chaos);
    }

    fn happens(&mut self, what: Chaos) {
        let p = self.random.index(self.points.len());
        self.tally.count(&format!("chaos: {what:?}"));
        match what {
            Chaos::CentralDies => self.central_dies("killed"),
            Chaos::CentralStops => self.central_stops(),
            Chaos::CentralsClockJumps => {
                self.central.clock.skew += self.jump();
                say!(self, "central's clock jumps to {} ms", self.central.clock.skew);
                self.truth.clock_jumped(self.at);
            }
            Chaos::CentralIsCopied => self.central_is_copied(),
            Chaos::EngineDies => self.engine_dies(p, "killed"),
            Chaos::EngineStops => {
                self.engine_takes(p, Asked::Happened(Happened::ShutDown), ReplyTo::Nobody);
                let last = self.random.span(3_000);
                self.after(last, move |world| world.engine_dies(p, "in good order"));
            }
            Chaos::EnginesClockJumps => self.points[p].clock.skew += self.jump(),
            Chaos::EngineLosesStore => self.engine_loses_store(p),
            Chaos::MonitorDies => {
                let down = self.random.span(15_000);
                self.monitor_dies(p, 0);
                self.after(down, move |world| world.monitor_starts(p, 0));
            }
            Chaos::RivalMonitor => {
                let stays = self.random.span(30_000);
                self.monitor_starts(p, 1);
                self.after(stays, move |world| world.monitor_dies(p, 1));
            }
            Chaos::Stranger => self.stranger_registers(p),
            Chaos::AppDies => {
                let a = self.random.index(self.apps.len());
                let down = self.random.span(10_000);
                self.app_dies(a);
                self.after(down, move |world| world.app_starts(a));
            }
            Chaos::BrokerAway => {
                let most = self.random.pick(&[5_000, 30_000, 180_000]);
                self.broker.away_until = self.at + self.random.span(most);
                say!(self, "kafka is away until {} ms", self.broker.away_until);
            }
            Chaos::BrokerReplaced => {
                say!(self, "kafka is another cluster");
                self.broker.replaced();
            }
            Chaos::BrokerForgets => {
                say!(self, "kafka forgets its oldest messages");
                self.broker.forgets(self.random.between(1, 100));
            }
            Chaos::Cut => self.cut_a_link(p),
            Chaos::Outage => self.outage(p),
            Chaos::Charge => {
                let driver = self.somebody();
                let request = (!self.random.one_in(3)).then(|| self.request_id());
                let target = self.target();
                let command = self.charge(driver, request, target);
                self.stranger_asks(command);
            }
            Chaos::StopCharge => self.stop_charge(),
            Chaos::SetPrice => self.set_price(p),
            Chaos::Order => self.order(p),
            Chaos::Settle => self.settle(),
            Chaos::End => self.ends(),
            Chaos::Forget => self.forget(p),
            Chaos::Rush => self.rush(),
            Chaos::PlugIn => self.at_the_point(p, Act::PlugIn),
            Chaos::Unplug => self.at_the_point(p, Act::Unplug),
            Chaos::Break => self.at_the_point(p, Act::Break("smoke".into())),
            Chaos::Repair => self.at_the_point(p, Act::Repair),
            Chaos::Manual => self.wants_manual(p),
            Chaos::OldMessage => self.old_message(p),
            Chaos::Forgery => self.forges(p),
            Chaos::Garbage => self.garbage(),
            Chaos::Revoke => self.revokes(p),
        }
    }

    fn garbage(&mut self) {
        let payload = self.random.pick(&["", "{", "\u{0}", "{\"type\":\"CONSUMO\",\"cp_id\":\"CP-0\"}"]);
        self.arrives_at_broker(b"CP-0".to_vec(), payload.into());
    }

    fn cut_a_link(&mut self, p: usize) {
        let ends = [
            (Place::Central, Place::Engine(p)),
            (Place::Central, Place::Monitor(p)),
            (Place::Monitor(p), Place::Engine(p)),
            (Place::Central, Place::Broker),
            (Place::Engine(p), Place::Broker),
            (Place::Street, Place::Central),
        ];
        let ends = self.random.pick(&ends);
        let until = self.at + self.random.span(40_000);
        say!(self, "{ends:?} are cut off from each other until {until} ms");
        self.cuts.insert(ends, until);
    }

    /// An engine out of everybody's reach, perhaps until its session is settled without it; people may charge there
    /// meanwhile.
    pub(super) fn outage(&mut self, p: usize) {
        let until = self.at + self.random.between(30_000, 300_000);
        say!(self, "CP-{p}'s engine is out of reach until {until} ms");
        for other in [Place::Central, Place::Monitor(p), Place::Broker] {
            self.cuts.insert((Place::Engine(p), other), until);
        }
    }

    /// Both ways, by up to an hour.
    fn jump(&mut self) -> i64 {
        let far = self.random.span(3_600_000).cast_signed();
        if self.random.one_in(2) { far } else { -far }
    }

    pub(super) fn somebody(&mut self) -> DriverId {
        let n = self.random.index(self.apps.len());
        self.apps[n].driver.clone()
    }

    fn at_the_point(&mut self, p: usize, act: Act) {
        self.engine_takes(p, Asked::Act(act), ReplyTo::Nobody);
    }

    /// A mutation from somewhere, perhaps repeated: whose answers are held side by side.
    pub(super) fn stranger_asks<A: 'static>(
        &mut self,
        command: impl Fn(Token<A>, Mono) -> Command + Clone + 'static,
    ) {
        let again = if self.random.one_in(2) { self.random.between(0, 2) } else { 0 };
        for n in 0..=again {
            let wait = if n == 0 { 0 } else { self.random.span(60_000) };
            let Some(ms) = self.delay(Place::Street, Place::Central) else { continue };
            let command = command.clone();
            self.after(wait + ms, move |world| {
                world.central_asked(Caller::Stranger, command);
            });
        }
    }

    pub(super) fn repeatable(
        &mut self,
        method: Method,
        caller: &str,
        payload: &str,
    ) -> Option<(RequestKey, u64)> {
        if self.random.one_in(3) {
            return None;
        }
        let (id, caller) = (self.request_id(), caller.to_owned());
        Some((RequestKey { method, caller, id }, fingerprint(payload)))
    }

    fn stop_charge(&mut self) {
        let driver = self.somebody();
        let known: Vec<SessionId> = self.truth.sessions_of(&driver);
        let session =
            if known.is_empty() || self.random.one_in(2) { None } else { Some(self.random.pick(&known)) };
        match self.apps.iter().position(|app| app.driver == driver && app.up.is_some()) {
            // By its app, which knows what goes on.
            Some(a) if session.is_none() => {
                self.app_takes(a, self.apps[a].life, domain::requests::Input::StopWanted)
            }
            Some(_) | None => self.stops(driver, session),
        }
    }

    pub(super) fn stops(&mut self, driver: DriverId, session: Option<SessionId>) {
        let request = self.repeatable(Method::StopCharge, driver.as_str(), &format!("{session:?}"));
        self.stranger_asks(move |token, _| Command::StopCharge {
            asked: asked(token, None, request.clone()),
            driver: driver.clone(),
            session: session.clone(),
        });
    }

    /// Everybody asks for any charge point at once, and one order takes all but the last two of them out of service
    /// before their engines have answered: so many requests go on in one step.
    fn rush(&mut self) {
        for a in 0..self.apps.len() {
            let (driver, request) = (self.apps[a].driver.clone(), self.request_id());
            let command =
                self.charge(driver, Some(request), Target::Any { location_prefix: Location::default() });
            self.central_asked(Caller::Stranger, command);
        }
        let ids: Vec<ChargePointId> = self.points.iter().map(|point| point.id.clone()).collect();
        let which = Which::Some(ids[..ids.len().saturating_sub(2)].to_vec());
        self.after(4, move |world| {
            world.central_asked(Caller::Stranger, |token, _| Command::Order {
                asked: asked(token, None, None),
                order: Order::Service { which, out_of_order: true },
            });
        });
        let resumes = self.random.span(20_000);
        self.after(resumes, Self::resume_all);
    }

    /// A message with the old system's fields only: of an old client, late or wrong.
    fn old_message(&mut self, p: usize) {
        let kind =
            self.random.pick(&["CONSUMO", "CONSUMO", "SUPPLY_END", "SESSION_STARTED", "AVERIADO", "FAULT"]);
        let (driver, id) = (self.somebody(), self.points[p].id.clone());
        let kwh = self.random.below(500_000) as f64 / 1000.0;
        let payload = format!(
            r#"{{"type":"{kind}","cp_id":"{id}","user_id":"{driver}","kwh":{kwh},"importe":{kwh},"reason":"old"}}"#
        );
        self.arrives_at_broker(id.as_str().into(), payload.into_bytes());
    }

    /// Somebody keeps a copy of central's store, and later puts it in the place of the store.
    fn central_is_copied(&mut self) {
        match self.central.copy.take() {
            None => self.central.copy = Some(self.central.disk.copy()),
            Some(copy) => {
                self.central_dies("for its store");
                say!(self, "an old copy of central's store is put in place");
                self.tally.count("central's store is an old copy");
                let entries = self.central.disk.restore(copy);
                self.truth.central_restored(&entries);
                let later = self.random.span(20_000);
                self.after(later, Self::operator_trusts);
            }
        }
    }

    /// The operator has kept the public keys of before apart from the store, and gives those that it lacks.
    fn operator_trusts(&mut self) {
        let Truth { made, keys, .. } = &self.truth;
        let missing: Vec<_> = made.values().filter(|known| !keys.contains(&known.key)).cloned().collect();
        if missing.is_empty() {
            return;
        }
        say!(self, "the operator trusts {} keys", missing.len());
        let deed =
            Deed::by(&Context::default(), "TrustSigningKeys", "signing-keys".to_owned(), String::new());
        self.central_takes(Input::Trust(missing, deed));
        self.after(2_000, Self::operator_trusts); // until they are on disk
    }
}
