//! What the tests of the rules share: a disk, a clock that they move, and an engine on both.

use domain::{
    Energy, Mono, Now, Power, SessionId, SupplyRecord, SupplyState, Wall,
    simulated::{ChargePoint, Settings},
    supply::*,
};
use std::{collections::BTreeMap, time::Duration};

/// The engine's disk, as far as effects describe it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    pub(crate) highest: u64,
    pub(crate) current: Option<SupplyRecord>,
    pub(crate) unsettled: BTreeMap<u64, SupplyRecord>,
    pub(crate) events: BTreeMap<u64, Event>,
}

impl Disk {
    pub(crate) fn write(&mut self, write: &Write) {
        match write {
            Write::Engine { highest, current } => {
                self.highest = *highest;
                self.current.clone_from(current);
            }
            Write::Unsettled(record) => _ = self.unsettled.insert(record.authorization, record.clone()),
            Write::Settled(number) => _ = self.unsettled.remove(number).expect("settled once"),
            Write::Event(event) => {
                assert!(self.events.insert(event.id, event.clone()).is_none(), "an id is used once");
            }
            Write::EventGone(id) => _ = self.events.remove(id).expect("gone once"),
        }
    }

    pub(crate) fn stored(&self) -> Stored {
        Stored {
            charge_point: "MAD-01".parse().unwrap(),
            instance: "here".parse().unwrap(),
            highest: self.highest,
            current: self.current.clone(),
            unsettled: self.unsettled.values().cloned().collect(),
            outbox: self.events.keys().copied().collect(),
        }
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        power: Power::from_w(36_000), // 10 Wh a second
        battery: Energy::from_wh(100),
        duration: None,
        speed: 1,
        plug_in_after: None,
        monitor_grace: Duration::from_secs(3),
    }
}

pub(crate) fn session(name: &str) -> SessionId {
    name.parse().unwrap()
}

pub(crate) fn authorization(number: u64, name: &str) -> Authorization {
    Authorization {
        number,
        session: session(name),
        driver: "ana".parse().unwrap(),
        price: "0.30 EUR".parse().unwrap(),
        duration: Duration::from_secs(60),
        trace: None,
        signature: [7; 110].as_slice().try_into().unwrap(),
        manual: None,
    }
}

/// This engine, as central names it.
pub(crate) fn here() -> Addressee {
    let charge_point = Some("MAD-01".parse().unwrap());
    Addressee { instance: "here".parse().unwrap(), charge_point, epoch: 1 }
}

pub(crate) fn authorize(number: u64, name: &str) -> (Addressee, Call) {
    (here(), Call::Authorize(authorization(number, name)))
}

pub(crate) fn manual_request(id: &str, driver: &str) -> ManualRequest {
    ManualRequest { id: id.parse().unwrap(), driver: Some(driver.parse().unwrap()) }
}

/// Somebody there wants a supply, and waits for it for so long.
pub(crate) fn ask_manual(id: &str, driver: &str, ms: u64) -> Act {
    Act::AskManual { request: manual_request(id, driver), within: Duration::from_millis(ms) }
}

/// The same, and shows a card: whose it is central knows.
pub(crate) fn ask_card(id: &str, ms: u64) -> Act {
    let request = ManualRequest { id: id.parse().unwrap(), driver: None };
    Act::AskManual { request, within: Duration::from_millis(ms) }
}

/// Central authorises what this request, it says, has asked for, for this driver.
pub(crate) fn authorize_manual(number: u64, id: &str, driver: &str) -> (Addressee, Call) {
    let order = Authorization {
        driver: driver.parse().unwrap(),
        manual: Some(id.parse().unwrap()),
        ..authorization(number, &format!("s{number}"))
    };
    (here(), Call::Authorize(order))
}

pub(crate) fn revoke(number: u64, name: &str) -> (Addressee, Revoke) {
    (here(), Revoke { number, session: session(name) })
}

pub(crate) fn stop(name: &str) -> (Addressee, Call) {
    (here(), Call::Stop(session(name)))
}

pub(crate) fn confirm(name: &str) -> (Addressee, Call) {
    (here(), Call::ConfirmSettled(vec![session(name)]))
}

/// An engine, its disk, and a clock that a test moves.
pub(crate) struct TestPoint {
    pub(crate) engine: ChargePoint,
    pub(crate) disk: Disk,
    pub(crate) ms: u64,
    settings: Settings,
    /// What left: readings, and what was given up.
    pub(crate) out: Vec<Effect>,
}

impl TestPoint {
    /// Attended, nothing plugged in.
    pub(crate) fn new(settings: Settings) -> Self {
        let disk = Disk { highest: 0, ..Disk::default() };
        let (engine, effects) = ChargePoint::restore(now(0), settings.clone(), disk.stored());
        assert_eq!(effects, []);
        let mut point = Self { engine, disk, ms: 0, settings, out: Vec::new() };
        point.ping();
        point
    }

    pub(crate) fn apply<I: Input>(&mut self, input: I) -> I::Answer {
        let (answer, effects) = self.engine.apply(now(self.ms), input);
        self.carry_out(effects);
        answer
    }

    pub(crate) fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Save(write) => self.disk.write(&write),
                other => self.out.push(other),
            }
        }
    }

    pub(crate) fn ping(&mut self) {
        assert_eq!(self.apply(Ping { link: 1, epoch: 1, central_reachable: true }), Ok(()));
    }

    /// Time passes, in ticks when they are due, with a monitor that pings.
    pub(crate) fn attended(&mut self, ms: u64) {
        let end = self.ms + ms;
        while self.ms < end {
            self.ping();
            self.alone((end - self.ms).min(1000));
        }
        self.ping();
    }

    /// Time passes, in ticks when they are due, without a monitor.
    pub(crate) fn alone(&mut self, ms: u64) {
        let end = self.ms + ms;
        while let Some(at) = self.engine.wake_at().filter(|at| at.0 <= end) {
            assert!(at.0 > self.ms || ms == 0, "a tick that does nothing");
            self.ms = at.0;
            self.apply(Happened::Tick);
        }
        self.ms = end;
    }

    pub(crate) fn restart(&mut self) {
        let (engine, effects) = ChargePoint::restore(now(self.ms), self.settings.clone(), self.disk.stored());
        self.engine = engine;
        self.carry_out(effects);
    }

    pub(crate) fn state(&self) -> Option<SupplyState> {
        self.engine.view().current.map(|record| record.state)
    }

    /// The events on disk, in short.
    pub(crate) fn told(&self) -> Vec<String> {
        self.disk
            .events
            .values()
            .map(|event| match &event.kind {
                EventKind::Started(record) => format!("{} started {}", record.session, record.seq),
                EventKind::Ended(record, cause) => {
                    format!("{} ended {} {} Wh: {cause}", record.session, record.seq, record.energy.wh())
                }
                EventKind::Broke(reason) => format!("broke: {reason}"),
                EventKind::MonitorLost => "monitor lost".into(),
            })
            .collect()
    }

    /// Plugged in and supplying.
    pub(crate) fn supplying(settings: Settings) -> Self {
        let mut point = Self::new(settings);
        assert_eq!(point.apply(authorize(1, "s1")), CallResult::Done);
        assert_eq!(point.apply(Act::PlugIn), Ok(()));
        assert_eq!(point.state(), Some(SupplyState::Supplying));
        point
    }
}

pub(crate) fn now(ms: u64) -> Now {
    Now { mono: Mono(ms), wall: Wall(1_700_000_000_000 + i64::try_from(ms).unwrap()) }
}
