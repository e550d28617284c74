//! A monitor's host: the watchdog, its stream of pings to the engine, its registration and its reports at central.

use super::{
    central::{CALL_TIMEOUT, Caller},
    driver::asked,
    engine::ReplyTo,
    wire::wired,
    world::{Clock, Place, World, address_of, say},
};
use central::writer::Input as AtCentral;
use domain::MonitorId;
use domain::network::{self, Command, Denial, Health as Reported, Registered, Registration, Token};
use domain::supply::Happened;
use domain::watchdog::{Effect, Health, Input, Link, Settings, Trouble, Watchdog};
use evmesh_proto::engine::AttendRequest;
use proof::engine_process::{Asked, Told};
use std::time::Duration;

pub(super) struct Process {
    dog: Watchdog,
    woken: Option<u64>,
    /// The life of central that the stream of reports goes to.
    reports_to: u64,
    /// What was reported on the stream to central that stands: the attempt and its epoch.
    pub(super) reports: Option<(Link, u64)>,
    /// Messages of one stream keep their order: when the last one of each arrives.
    pings_arrive: u64,
    reports_arrive: u64,
}

pub(super) struct MonitorHost {
    id: MonitorId,
    settings: Settings,
    pub(super) up: Option<Process>,
    pub(super) life: u64,
    clock: Clock,
}

impl World {
    pub(super) fn monitor_host(&mut self, n: usize, m: usize) -> MonitorHost {
        MonitorHost {
            id: format!("monitor-{n}-{m}").parse().expect("an id"),
            settings: Settings { ping_interval: Duration::from_secs(1), misses: 3 },
            up: None,
            life: 0,
            clock: Clock::default(),
        }
    }

    pub(super) fn monitor_starts(&mut self, p: usize, m: usize) {
        let fresh = self.fresh();
        let at = self.at;
        let host = &mut self.points[p].monitors[m];
        if host.up.is_some() {
            return;
        }
        host.life += 1;
        host.clock.booted = at;
        host.id = format!("monitor-{p}-{m}-{fresh}").parse().expect("an id");
        host.up = Some(Process {
            dog: Watchdog::new(host.settings),
            woken: None,
            reports_to: 0,
            reports: None,
            pings_arrive: 0,
            reports_arrive: 0,
        });
        let life = host.life;
        say!(self, "monitor {m} of {} starts (life {life})", self.points[p].id);
        self.monitor_takes(p, m, life, Input::Started);
    }

    pub(super) fn monitor_dies(&mut self, p: usize, m: usize) {
        let life = self.points[p].monitors[m].life;
        let Some(process) = self.points[p].monitors[m].up.take() else { return };
        say!(self, "monitor {m} of {} dies", self.points[p].id);
        self.tally.count("monitor died");
        if let Some((_, epoch)) = process.reports {
            self.reports_end(p, epoch);
        }
        let links = self.points[p].up.as_ref().map(|engine| engine.links.keys().copied().collect::<Vec<_>>());
        for (_, _, link) in links.unwrap_or_default().into_iter().filter(|key| (key.0, key.1) == (m, life)) {
            self.attend_ends(p, m, life, Link(link));
        }
    }

    fn monitor_of(&mut self, p: usize, m: usize, life: u64) -> Option<&mut Process> {
        let host = &mut self.points[p].monitors[m];
        (host.life == life).then_some(host.up.as_mut()).flatten()
    }

    pub(super) fn monitor_takes(&mut self, p: usize, m: usize, life: u64, input: Input) {
        let now = self.points[p].monitors[m].clock.mono(self.at);
        let Some(process) = self.monitor_of(p, m, life) else { return };
        let effects = process.dog.apply(now, input);
        for effect in effects {
            self.monitor_does(p, m, life, effect);
        }
        let clock = self.points[p].monitors[m].clock;
        let at = self.at;
        let Some(process) = self.monitor_of(p, m, life) else { return };
        let wake = process.dog.wake_at().map(|mono| clock.when(mono).max(at));
        if process.woken == wake {
            return;
        }
        process.woken = wake;
        let Some(wake) = wake else { return };
        let late = if self.faults && self.random.one_in(60) { self.random.below(1_500) } else { 0 };
        self.at(wake + late, move |world| {
            if let Some(process) = world.monitor_of(p, m, life).filter(|process| process.woken == Some(wake))
            {
                process.woken = None;
                world.monitor_takes(p, m, life, Input::Tick);
            }
        });
    }

    fn monitor_does(&mut self, p: usize, m: usize, life: u64, effect: Effect) {
        match effect {
            Effect::Attend { link, attempt } => {
                // Only the newest stream lives.
                let older = link.0.saturating_sub(1);
                self.attend_ends(p, m, life, Link(older));
                let pause = self.backoff(attempt);
                self.after(pause, move |world| world.attend_begins(p, m, life, link));
            }
            Effect::Ping { link, epoch, central_reachable } => {
                let charge_point_id = self.points[p].id.to_string();
                self.ping(p, m, life, link, AttendRequest { epoch, central_reachable, charge_point_id });
            }
            Effect::Register { link, instance, attempt, retry_after, newest_epoch } => {
                let ended = self.monitor_of(p, m, life).and_then(|process| process.reports.take());
                if let Some((_, epoch)) = ended {
                    self.reports_end(p, epoch);
                }
                let host = &self.points[p];
                let registration = Registration {
                    charge_point: host.id.clone(),
                    location: format!("place {}", p % 2).parse().expect("a place"),
                    price: "0.30 EUR".parse().expect("a price"),
                    engine_address: address_of(p),
                    instance,
                    monitor: host.monitors[m].id.clone(),
                    newest_epoch,
                };
                let wait = u64::try_from(retry_after.as_millis()).unwrap_or(0);
                let pause = self.backoff(attempt).max(wait);
                self.after(pause, move |world| world.registers(p, m, life, link, registration));
            }
            Effect::Report { link, epoch, health } => self.report(p, m, life, link, epoch, health),
            Effect::Say(notice) => say!(self, "monitor {m} of {} says {notice:?}", self.points[p].id),
        }
    }

    /// As the carriers of streams wait: at once first, then with jitter below a bound that doubles.
    pub(super) fn backoff(&mut self, attempt: u32) -> u64 {
        match attempt {
            0 => 0,
            attempt => self.random.below((100_u64 << attempt.min(5)).min(2_000)),
        }
    }

    // --- the stream to the engine ---

    fn attend_begins(&mut self, p: usize, m: usize, life: u64, link: Link) {
        if self.monitor_of(p, m, life).is_some() {
            self.monitor_takes(p, m, life, Input::AttendStarted { link });
        }
    }

    fn ping(&mut self, p: usize, m: usize, life: u64, link: Link, ping: AttendRequest) {
        let Some(ms) = self.delay(Place::Monitor(p), Place::Engine(p)) else { return };
        let at = self.at;
        let Some(process) = self.monitor_of(p, m, life) else { return };
        process.pings_arrive = process.pings_arrive.max(at + ms);
        let arrives = process.pings_arrive;
        self.at(arrives, move |world| {
            let Some(engine) = &mut world.points[p].up else {
                return world.attend_breaks(p, m, life, link);
            };
            let next = engine.links.values().max().map_or(1, |highest| highest + 1);
            let number = *engine.links.entry((m, life, link.0)).or_insert(next);
            let reply = ReplyTo::Monitor { m, life, link };
            world.engine_takes(p, Asked::Ping(number, wired(&ping)), reply);
        });
    }

    /// The engine's side is gone: the monitor hears, or does not.
    pub(super) fn attend_breaks(&mut self, p: usize, m: usize, life: u64, link: Link) {
        if let Some(ms) = self.delay(Place::Engine(p), Place::Monitor(p)) {
            self.after(ms, move |world| {
                let why = "the connection broke".into();
                world.monitor_takes(p, m, life, Input::EngineEnded { link, why, stale: None });
            });
        }
    }

    /// The monitor's side is gone: the engine hears, or does not.
    fn attend_ends(&mut self, p: usize, m: usize, life: u64, link: Link) {
        if let Some(ms) = self.delay(Place::Monitor(p), Place::Engine(p)) {
            self.after(ms, move |world| {
                let process = world.points[p].up.as_mut();
                // Its number stays known: numbers are never given twice.
                let number = process.and_then(|process| process.links.get(&(m, life, link.0)).copied());
                if let Some(link) = number {
                    let ended = Asked::Happened(Happened::AttendEnded { link });
                    world.engine_takes(p, ended, ReplyTo::Nobody);
                }
            });
        }
    }

    pub(super) fn ponged(&mut self, p: usize, m: usize, life: u64, link: Link, told: Told) {
        let input = match told {
            Told::Pong(answer) => monitor::links::answered(link, wired(&answer))
                .unwrap_or_else(|why| Input::EngineEnded { link, why, stale: None }),
            Told::Refused(failure) => {
                let newest = failure.metadata.iter().find(|(name, _)| name == "epoch");
                let newest = newest.and_then(|(_, epoch)| epoch.parse().ok()).unwrap_or(0);
                let stale = (failure.reason == "EPOCH_STALE").then_some(newest);
                Input::EngineEnded { link, why: failure.message, stale }
            }
            Told::Authorize(_)
            | Told::Revoke(_)
            | Told::Stop(_)
            | Told::Confirm(_)
            | Told::GetState(_)
            | Told::Panel(_)
            | Told::Done => return,
        };
        if let Some(ms) = self.delay(Place::Engine(p), Place::Monitor(p)) {
            self.after(ms, move |world| world.monitor_takes(p, m, life, input));
        }
    }

    // --- the stream to central ---

    fn registers(&mut self, p: usize, m: usize, life: u64, link: Link, registration: Registration) {
        if self.monitor_of(p, m, life).is_none() {
            return;
        }
        self.after(CALL_TIMEOUT, move |world| {
            let registered = world
                .monitor_of(p, m, life)
                .is_some_and(|process| process.reports.is_some_and(|(stands, _)| stands >= link));
            if !registered {
                world.central_lost(p, m, life, link, "it did not answer");
            }
        });
        if let Some(ms) = self.copy(Place::Monitor(p), Place::Central) {
            let registration = registration.clone();
            self.after(ms, move |world| {
                world.central_asked(Caller::Stranger, |token, _| register(token, registration));
            });
        }
        let Some(ms) = self.delay(Place::Monitor(p), Place::Central) else { return };
        self.after(ms, move |world| {
            if world.edge_refuses(p) {
                return world.central_lost(p, m, life, link, "it is revoked");
            }
            let caller = Caller::Registers { p, m, life, link };
            if !world.central_asked(caller, |token, _| register(token, registration)) {
                world.central_lost(p, m, life, link, "nobody is there");
            }
        });
    }

    pub(super) fn central_lost(&mut self, p: usize, m: usize, life: u64, link: Link, why: &str) {
        let trouble = Trouble::Unreachable { why: why.into() };
        self.monitor_takes(p, m, life, Input::CentralEnded { link, trouble });
    }

    pub(super) fn registered(
        &mut self,
        p: usize,
        m: usize,
        life: u64,
        link: Link,
        answer: Result<network::Registered, Denial>,
    ) {
        let input = match answer {
            Ok(network::Registered { epoch, report_interval, .. }) => {
                Input::Registered { link, epoch, report_interval }
            }
            Err(denial) => Input::CentralEnded { link, trouble: refused(denial) },
        };
        let central = self.central.life;
        if let Some(ms) = self.delay(Place::Central, Place::Monitor(p)) {
            self.after(ms, move |world| {
                if let Some(process) = world.monitor_of(p, m, life) {
                    process.reports_to = central;
                }
                world.monitor_takes(p, m, life, input);
            });
        }
    }

    fn report(&mut self, p: usize, m: usize, life: u64, link: Link, epoch: u64, health: Health) {
        let (health, reason) = match health {
            Health::Ok => (Reported::Ok, String::new()),
            Health::Faulted(fault) => (Reported::Faulted, fault),
            Health::Unreachable(why) => (Reported::Unreachable, why),
        };
        let arrives = self.delay(Place::Monitor(p), Place::Central);
        let charge_point = self.points[p].id.clone();
        let at = self.at;
        let Some(process) = self.monitor_of(p, m, life) else { return };
        process.reports = Some((link, epoch));
        let Some(ms) = arrives else { return };
        process.reports_arrive = process.reports_arrive.max(at + ms);
        let (arrives, central) = (process.reports_arrive, process.reports_to);
        self.at(arrives, move |world| {
            if world.central.life != central {
                return world.central_lost(p, m, life, link, "the connection broke"); // its far end is gone
            }
            if world.edge_refuses(p) {
                return world.central_lost(p, m, life, link, "it is revoked");
            }
            let caller = Caller::Reports { p, m, life, link };
            let report = |token, _| Command::Report {
                asked: asked(token, None, None),
                charge_point,
                epoch,
                health,
                reason,
            };
            if !world.central_asked(caller, report) {
                world.central_lost(p, m, life, link, "nobody is there");
            }
        });
    }

    pub(super) fn reported(
        &mut self,
        p: usize,
        m: usize,
        life: u64,
        link: Link,
        answer: Result<network::Reported, Denial>,
    ) {
        let input = match answer {
            Ok(network::Reported { out_of_order, report_interval }) => {
                let report_interval = Some(report_interval);
                Input::Acknowledged { link, out_of_order, report_interval }
            }
            Err(denial) => Input::CentralEnded { link, trouble: refused(denial) },
        };
        if let Some(ms) = self.delay(Place::Central, Place::Monitor(p)) {
            self.after(ms, move |world| world.monitor_takes(p, m, life, input));
        }
    }

    /// The stream of reports ended: central hears, or does not.
    fn reports_end(&mut self, p: usize, epoch: u64) {
        if let Some(ms) = self.delay(Place::Monitor(p), Place::Central) {
            let charge_point = self.points[p].id.clone();
            self.after(ms, move |world| {
                world.central_takes(AtCentral::Command(Command::MonitorGone { charge_point, epoch }));
            });
        }
    }

    /// Central is gone: each monitor hears, or does not.
    pub(super) fn streams_to_central_break(&mut self) {
        for p in 0..self.points.len() {
            for m in 0..self.points[p].monitors.len() {
                let life = self.points[p].monitors[m].life;
                let Some((link, _)) = self.monitor_of(p, m, life).and_then(|process| process.reports) else {
                    continue;
                };
                if let Some(ms) = self.delay(Place::Central, Place::Monitor(p)) {
                    self.after(ms, move |world| world.central_lost(p, m, life, link, "the connection broke"));
                }
            }
        }
        for a in 0..self.apps.len() {
            self.app_loses_central(a);
        }
    }
}

fn refused(denial: Denial) -> Trouble {
    Trouble::Refused { reason: denial.reason.as_str().into(), why: denial.text, retry_after: None }
}

pub(super) fn register(token: Token<Registered>, registration: Registration) -> Command {
    Command::Register { asked: asked(token, None, None), registration }
}
