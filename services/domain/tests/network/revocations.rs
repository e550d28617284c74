//! A charge point's identity is revoked: at every moment of a session, in mid-drain and for good; and it is enrolled
//! again.

use crate::world::{World, cp, record};
use domain::network::{
    CallOutcome, Command, Config, EngineRequest, Health, MessageKind, Order, Reason, Source, Standing,
    Status, Target, Verdict,
};
use domain::{Energy, SessionId, SupplyEnd, SupplyRecord, SupplyState};

/// An engine that does as it is told.
#[derive(Default)]
pub(crate) struct Engine {
    pub(crate) current: Option<SupplyRecord>,
    unsettled: Vec<SupplyRecord>,
}

impl Engine {
    fn ends(&mut self, end: SupplyEnd, more: u64) {
        if let Some(record) = self.current.take().filter(|record| record.state == SupplyState::Supplying) {
            let energy = Energy::from_wh(record.energy.wh() + more);
            let (state, seq) = (SupplyState::Ended(end), record.seq + 1);
            self.unsettled.push(SupplyRecord { state, seq, energy, ..record });
        }
    }

    fn does(&mut self, request: &EngineRequest) -> CallOutcome {
        let in_hand = |session: &SessionId, current: &Option<SupplyRecord>| {
            current.as_ref().filter(|record| record.session == *session).map(|record| record.state)
        };
        match request {
            EngineRequest::Authorize { session, driver, .. } => {
                self.current = Some(record(session, driver.as_str(), SupplyState::Authorized, 0, 0));
            }
            EngineRequest::Revoke { session, .. } => match in_hand(session, &self.current) {
                Some(SupplyState::Supplying) => return CallOutcome::NotRevoked,
                Some(SupplyState::Authorized) => self.current = None,
                Some(SupplyState::Ended(_)) | None => {}
            },
            EngineRequest::Stop { session } if in_hand(session, &self.current).is_some() => {
                self.ends(SupplyEnd::Stopped, 100);
            }
            EngineRequest::Confirm { sessions } => {
                self.unsettled.retain(|record| !sessions.contains(&record.session));
            }
            EngineRequest::Stop { .. } | EngineRequest::GetState => return CallOutcome::Done,
        }
        if matches!(request, EngineRequest::Revoke { .. }) { CallOutcome::Revoked } else { CallOutcome::Done }
    }
}

impl World {
    /// Said of its monitor, where it is revoked.
    pub(crate) fn identity(&mut self, id: &str, standing: Standing) {
        self.send(Command::Identity { charge_point: cp(id), standing, engine_stands: true });
    }

    pub(crate) fn is_called(&self, id: &str) -> bool {
        self.calls.contains_key(&cp(id))
    }

    /// The engine of A answers whatever waits there.
    pub(crate) fn attend(&mut self, engine: &mut Engine) {
        while let Some(call) = self.calls.get(&cp("A")).map(|call| call.request.clone()) {
            let outcome = engine.does(&call);
            self.answer("A", outcome, engine.current.clone(), engine.unsettled.clone());
        }
    }

    /// So many milliseconds pass, with A's engine obeying, or silent; until A is cut off. How many did.
    fn until_cut(&mut self, mut engine: Option<&mut Engine>, most: u64) -> u64 {
        let begun = self.now.mono;
        while self.cut.is_empty() && self.now.mono.since(begun).as_millis() < u128::from(most) {
            match &mut engine {
                Some(engine) => self.attend(engine),
                None if self.is_called("A") => self.silence("A"),
                None => {}
            }
            self.advance(250, &["A", "B"]);
        }
        u64::try_from(self.now.mono.since(begun).as_millis()).unwrap()
    }

    pub(crate) fn settlement_passes(&mut self) {
        let passes = self.config.settlement;
        (self.now.mono, self.now.wall) = (self.now.mono + passes, self.now.wall + passes);
        self.send(Command::Tick);
    }

    pub(crate) fn tickets(&self) -> usize {
        self.told().iter().filter(|word| **word == "TICKET").count()
    }

    fn back(&mut self, engine: &mut Engine) {
        self.register(World::registration("A")).unwrap();
        self.report("A", Health::Ok);
        for _ in 0..20 {
            self.attend(engine);
            self.advance(250, &["A", "B"]);
        }
    }
}

/// Where a session at A may be when its charge point is revoked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Moment {
    None,
    Authorising,
    Reserved,
    Revoking,
    Supplying,
    Stopping,
    Unread,
    Review,
    Unconfirmed,
}

pub(crate) const MOMENTS: [Moment; 9] = [
    Moment::None,
    Moment::Authorising,
    Moment::Reserved,
    Moment::Revoking,
    Moment::Supplying,
    Moment::Stopping,
    Moment::Unread,
    Moment::Review,
    Moment::Unconfirmed,
];

impl Moment {
    pub(crate) fn started(self) -> bool {
        !matches!(self, Self::None | Self::Authorising | Self::Reserved | Self::Revoking)
    }

    /// A network in which it is so, with what A's engine knows.
    pub(crate) fn world(self) -> (World, Engine, Option<SessionId>) {
        let mut world = World::with(Config::default());
        ["A", "B"].iter().for_each(|id| world.connect(id));
        let mut engine = Engine::default();
        if self == Self::None {
            return (world, engine, None);
        }
        let (_, session) = world.request("d", Target::Named(cp("A")));
        if self == Self::Authorising {
            return (world, engine, Some(session));
        }
        world.attend(&mut engine);
        if self == Self::Revoking {
            world.stop_charge("d");
        }
        if self.started() {
            world.says("A", "d", &session, 1, MessageKind::Started, 0);
            world.says("A", "d", &session, 5, MessageKind::Reading, 1_000);
            engine.current = Some(record(&session, "d", SupplyState::Supplying, 5, 1_000));
        }
        match self {
            Self::Stopping => drop(world.stop_charge("d")),
            Self::Unread => {
                world.advance(4_000, &["A", "B"]);
                world.silence("A");
                world.stop_charge("d"); // nobody waits for an engine that is silent
            }
            Self::Review => {
                engine.ends(SupplyEnd::Completed, 99_999_000);
                world.says(
                    "A",
                    "d",
                    &session,
                    6,
                    MessageKind::Ended(SupplyEnd::Completed),
                    99_999_000 + 1_000,
                );
            }
            Self::Unconfirmed => {
                engine.ends(SupplyEnd::Completed, 100);
                world.says("A", "d", &session, 6, MessageKind::Ended(SupplyEnd::Completed), 1_100);
                assert!(matches!(world.call("A"), EngineRequest::Confirm { .. }));
            }
            _ => {}
        }
        (world, engine, Some(session))
    }
}

/// Nothing goes there, nothing comes of it, and nobody is held.
fn is_cut_off(world: &World, moment: Moment) {
    assert_eq!(world.cut, [cp("A")], "{moment:?}: once");
    assert_eq!(world.net.standing(&cp("A")), Some(Standing::Cut));
    assert!(!world.is_called("A"), "{moment:?}: {:?}", world.calls);
    assert_eq!(world.status("A"), Status::OutOfOrder, "{moment:?}");
    let reason = world.net.charge_point(&cp("A")).unwrap().status_reason;
    assert_eq!(reason, "its identity was revoked; it has to be enrolled again");
    assert!(world.net.sessions().all(|session| !session.is_open()), "{moment:?}");
    if matches!(moment, Moment::Reserved | Moment::Supplying) {
        let why = "stopped: the identity of its charge point was revoked";
        assert!(world.net.sessions().all(|session| session.reason() == why), "{moment:?}");
    }
}

#[test]
fn a_drain_ends_what_goes_on_with_its_exact_ticket_and_no_later_than_it_must() {
    for moment in MOMENTS {
        let (mut world, mut engine, session) = moment.world();
        world.identity("A", Standing::Draining);
        assert_eq!(world.status("A"), Status::OutOfOrder, "{moment:?}: shown at once");
        let took = world.until_cut(Some(&mut engine), 30_000);
        assert!(took <= 5_000, "{moment:?}: {took} ms");
        is_cut_off(&world, moment);
        let Some(session) = session.map(|id| world.find(&id)) else { continue };
        match moment {
            Moment::Review => assert!(session.review().is_some()),
            _ if moment.started() => {
                let ticket = session.ticket().unwrap();
                assert_eq!((ticket.energy.wh(), ticket.estimated()), (1_100, false), "{moment:?}");
                assert!(engine.unsettled.is_empty() && session.closed(), "{moment:?}");
            }
            _ => assert!(engine.current.is_none() && session.closed() && !session.started(), "{moment:?}"),
        }
        assert_eq!(world.tickets(), usize::from(moment.started() && moment != Moment::Review));
    }
}

#[test]
fn a_drain_whose_engine_is_silent_is_over_in_its_time_and_the_ticket_is_estimated() {
    for moment in MOMENTS {
        let (mut world, _, session) = moment.world();
        world.identity("A", Standing::Draining);
        let took = world.until_cut(None, 60_000);
        let idle = matches!(moment, Moment::None | Moment::Review);
        assert!(if idle { took <= 500 } else { (30_000..=30_500).contains(&took) }, "{moment:?}: {took} ms");
        is_cut_off(&world, moment);
        settles(&mut world, moment, session.as_ref());
    }
}

#[test]
fn one_that_is_cut_at_once_is_called_no_more_and_its_ticket_is_estimated() {
    for moment in MOMENTS {
        let (mut world, engine, session) = moment.world();
        let under_way = world.calls.get(&cp("A")).cloned();
        world.identity("A", Standing::Cut);
        is_cut_off(&world, moment);
        let before = world.pages.sessions.clone();
        if let Some(call) = under_way {
            world.calls.insert(cp("A"), call);
            world.answer("A", CallOutcome::Done, engine.current.clone(), engine.unsettled.clone());
        }
        for session in session.iter().filter(|_| moment.started()) {
            let source = Some(Source { partition: 0, offset: 7 });
            let whose = Some((session.clone(), 9));
            world.telemetry("A", Some("d"), whose, MessageKind::Reading, 1_050, source);
            assert_eq!(world.dead_letters, ["the identity of A was revoked"]);
            assert_eq!(world.net.offsets()[0].offset, 8, "it is read past");
        }
        assert_eq!(world.pages.sessions, before, "{moment:?}: what comes of it touches nothing");
        settles(&mut world, moment, session.as_ref());
    }
}

/// Whatever its engine knows, it does not say: what is started has its one ticket in the end.
fn settles(world: &mut World, moment: Moment, session: Option<&SessionId>) {
    world.advance(10_000, &["B"]);
    assert_eq!(world.tickets(), usize::from(moment == Moment::Unconfirmed), "{moment:?}: it waits");
    world.settlement_passes();
    world.advance(1_000, &["B"]);
    is_cut_off(world, moment);
    let Some(session) = session.map(|id| world.find(id)) else { return };
    let ticket = session.ticket().map(|ticket| (ticket.energy.wh(), ticket.estimated()));
    let expected = match moment {
        Moment::Unconfirmed => Some((1_100, false)),
        _ => moment.started().then_some((1_000, true)),
    };
    assert_eq!(ticket, expected, "{moment:?}");
    assert_eq!((session.settled(), world.tickets()), (true, usize::from(moment.started())), "{moment:?}");
    let order = world.order(Order::Forget(cp("A")));
    assert_eq!(world.granted(order), Some(true), "{moment:?}");
}

#[test]
fn one_that_is_enrolled_again_brings_what_it_has_and_is_free() {
    for (moment, drains) in MOMENTS.into_iter().flat_map(|moment| [(moment, false), (moment, true)]) {
        let (mut world, mut engine, session) = moment.world();
        let late = world.calls.get(&cp("A")).cloned();
        let epoch = world.epoch("A");
        if drains {
            world.identity("A", Standing::Draining);
            world.until_cut(None, 60_000);
        } else {
            world.identity("A", Standing::Cut);
        }
        engine.ends(SupplyEnd::MonitorLost, 500); // it hears nothing of central
        world.advance(60_000, &["B"]);
        world.identity("A", Standing::Good);
        assert_eq!((world.status("A"), world.cut.len()), (Status::Disconnected, 1), "{moment:?}");
        world.report_of("A", epoch, Reason::EpochStale); // INV-8
        let calls = world.calls.get(&cp("A")).cloned();
        if let Some(call) = late {
            let before = world.pages.sessions.clone();
            world.calls.insert(cp("A"), call);
            world.answer("A", CallOutcome::Done, engine.current.clone(), engine.unsettled.clone());
            assert_eq!(world.pages.sessions, before, "{moment:?}: of before the cut");
            world.calls.extend(calls.map(|call| (cp("A"), call)));
        }
        world.back(&mut engine);
        assert_eq!(world.status("A"), Status::Available, "{moment:?}");
        if let Some(session) = session.map(|id| world.find(&id)) {
            let ticket = session.ticket().map(|ticket| (ticket.energy.wh(), ticket.estimated()));
            let expected = match moment {
                Moment::Review => None,
                Moment::Unconfirmed => Some((1_100, false)),
                _ => moment.started().then_some((1_500, false)),
            };
            assert_eq!(ticket, expected, "{moment:?}, {drains}");
            assert!(engine.current.is_none(), "{moment:?}: it starts nothing");
            if let Some(reported) = session.review() {
                let (verdict, by) = (Verdict::Energy(Energy::from_wh(1_000)), "somebody".into());
                assert!(reported.energy.wh() > 1_000);
                world.order(Order::Settle {
                    session: session.id.clone(),
                    verdict,
                    by,
                    reason: "seen".into(),
                });
            }
            assert_eq!(world.tickets(), usize::from(moment.started()), "{moment:?}: one");
        }
        world.attend(&mut engine);
        assert!(engine.unsettled.is_empty());
        world.reserved("e", "A");
    }
}

#[test]
fn one_that_is_enrolled_again_in_mid_drain_goes_on() {
    let (mut world, mut engine, session) = Moment::Supplying.world();
    world.identity("A", Standing::Draining);
    world.identity("A", Standing::Good);
    for _ in 0..200 {
        world.attend(&mut engine);
        world.advance(250, &["A", "B"]);
    }
    assert_eq!((world.status("A"), world.cut.len()), (Status::Available, 0));
    assert_eq!(world.find(&session.unwrap()).ticket().unwrap().energy.wh(), 1_100, "it was stopped");
}
