//! A charge point's host: the engine's process with its queue, its steps and its deaths, central's calls to it, its
//! outbox.

use super::{
    disk::{Disk, Fate},
    monitor::MonitorHost,
    wire::{received, response, state_of},
    world::{Clock, Place, World, say},
};
use central::{engine_client::Request, writer::Input};
use domain::network::{CallFailed, CallId, Command, EngineAnswer, EngineCall, RequestKey};
use domain::simulated::Settings;
use domain::supply::{Happened, ManualRequest};
use domain::{ChargePointId, Energy, InstanceId, Power, SupplyState};
use proof::engine_process::{Asked, Engine, Told};
use std::{collections::BTreeMap, time::Duration};

/// Who waits for the engine's answer.
#[derive(Debug, Clone)]
pub(super) enum ReplyTo {
    Nobody,
    Central {
        charge_point: ChargePointId,
        life: u64,
        call: CallId,
    },
    Monitor {
        m: usize,
        life: u64,
        link: domain::watchdog::Link,
    },
    /// Somebody at the charge point, who asks central for a supply if it may.
    Manual {
        request: ManualRequest,
        key: (RequestKey, u64),
    },
}

pub(super) struct Process {
    pub(super) engine: Engine<Disk>,
    queue: Vec<(Asked, ReplyTo)>,
    stepping: bool,
    /// The number of each `Attend` stream: of which monitor, of which of its lives, of which attempt.
    pub(super) links: BTreeMap<(usize, u64, u64), u64>,
    woken: Option<u64>,
    /// The row that is on its way to Kafka.
    lane: Option<u64>,
}

pub(super) struct PointHost {
    pub(super) id: ChargePointId,
    pub(super) disk: Disk,
    pub(super) instance: InstanceId,
    pub(super) settings: Settings,
    pub(super) up: Option<Process>,
    pub(super) life: u64,
    pub(super) clock: Clock,
    /// The monitor, and a rival that turns up now and then.
    pub(super) monitors: Vec<MonitorHost>,
}

impl World {
    pub(super) fn build_point(&mut self, n: usize) {
        let id: ChargePointId = format!("CP-{n}").parse().expect("an id");
        let random = &mut self.random;
        let settings = Settings {
            power: Power::from_w(random.pick(&[3_700, 22_000, 150_001])),
            battery: Energy::from_wh(random.between(200, 60_000)),
            duration: Some(random.seconds(3, 40)),
            speed: random.pick(&[1, 60, 777]).try_into().unwrap_or(1),
            plug_in_after: (!random.one_in(3)).then(|| Duration::from_millis(random.between(0, 4_000))),
            monitor_grace: random.seconds(3, 8),
        };
        let instance = self.instance(n);
        let monitors = vec![self.monitor_host(n, 0), self.monitor_host(n, 1)];
        self.points.push(PointHost {
            id,
            disk: Disk::new(),
            instance,
            settings,
            up: None,
            life: 0,
            clock: Clock::default(),
            monitors,
        });
    }

    fn instance(&mut self, n: usize) -> InstanceId {
        format!("store-{n}-{}", self.fresh()).parse().expect("an id")
    }

    pub(super) fn engine_starts(&mut self, p: usize) {
        let at = self.at;
        let point = &mut self.points[p];
        if point.up.is_some() {
            return;
        }
        point.life += 1;
        point.clock.booted = at;
        point.disk.revive();
        let (life, now) = (point.life, point.clock.now(at));
        let (id, settings) = (point.id.clone(), point.settings.clone());
        match Engine::open(point.disk.clone(), id, &point.instance, settings, now) {
            Ok(engine) => {
                point.up = Some(Process {
                    engine,
                    queue: Vec::new(),
                    stepping: false,
                    links: BTreeMap::new(),
                    woken: None,
                    lane: None,
                });
                say!(self, "{} starts (life {life})", self.points[p].id);
                self.engine_wrote(p);
                self.engine_sleeps(p);
                self.after(20, move |world| world.engine_relays(p, life));
            }
            Err(error) => {
                self.broken("INV-7", format!("an engine does not start from its own store: {error}"));
            }
        }
    }

    pub(super) fn engine_of(&mut self, p: usize, life: u64) -> Option<&mut Process> {
        let point = &mut self.points[p];
        (point.life == life).then_some(point.up.as_mut()).flatten()
    }

    /// Something reaches the engine; false if nobody is there.
    pub(super) fn engine_takes(&mut self, p: usize, asked: Asked, reply: ReplyTo) -> bool {
        let life = self.points[p].life;
        let Some(process) = &mut self.points[p].up else { return false };
        process.queue.push((asked, reply));
        if !std::mem::replace(&mut process.stepping, true) {
            let slow = self.faults && self.random.one_in(100);
            let ms = if slow { self.random.below(900) } else { self.random.below(4) };
            self.after(ms, move |world| world.engine_steps(p, life));
        }
        true
    }

    /// Lets it be woken when time alone changes something, perhaps a little late.
    fn engine_sleeps(&mut self, p: usize) {
        let (at, life) = (self.at, self.points[p].life);
        let clock = self.points[p].clock;
        let Some(process) = &mut self.points[p].up else { return };
        let wake = process.engine.wake_at().map(|mono| clock.when(mono).max(at));
        if process.woken == wake {
            return;
        }
        process.woken = wake;
        let Some(wake) = wake else { return };
        let late = if self.faults && self.random.one_in(60) { self.random.below(2_500) } else { 0 };
        self.at(wake + late, move |world| {
            if world.engine_of(p, life).is_some_and(|process| process.woken == Some(wake)) {
                if let Some(process) = world.engine_of(p, life) {
                    process.woken = None;
                }
                world.engine_takes(p, Asked::Happened(Happened::Tick), ReplyTo::Nobody);
            }
        });
    }

    fn engine_steps(&mut self, p: usize, life: u64) {
        let Some(process) = self.engine_of(p, life) else { return };
        process.stepping = false;
        let (asked, replies): (Vec<_>, Vec<_>) = std::mem::take(&mut process.queue).into_iter().unzip();
        let last = self.faults && self.random.one_in(self.plan.deadly_steps);
        let how = if last { self.random.below(3) } else { 9 };
        self.points[p].disk.set_fate(match how {
            0 => Fate::Lost,
            1 => Fate::Kept,
            _ => Fate::Works,
        });
        for asked in &asked {
            if !matches!(asked, Asked::Ping(..) | Asked::Happened(Happened::Tick)) {
                say!(self, "{} takes {asked:?}", self.points[p].id);
            }
        }
        let now = self.points[p].clock.now(self.at);
        let Some(process) = self.engine_of(p, life) else { return };
        let before = process.engine.view();
        let stepped = process.engine.step(now, asked.clone());
        let after = process.engine.view();
        self.engine_wrote(p);
        let dead = self.points[p].disk.is_dead();
        self.points[p].disk.set_fate(Fate::Works); // a step that wrote nothing leaves its fate to no other
        match stepped {
            Ok(outcome) => {
                self.check_engine(p, &before, &asked, &outcome.told, &after);
                let survives = if how == 2 { self.random.index(replies.len() + 1) } else { usize::MAX };
                for (told, reply) in outcome.told.into_iter().zip(replies).take(survives) {
                    self.engine_answers(p, told, reply);
                }
                if survives != usize::MAX {
                    return self.engine_dies(p, "while it let things out");
                }
                for payload in outcome.readings {
                    self.engine_publishes(p, payload);
                }
                if dead {
                    return self.engine_dies(p, "in its commit, and let things out all the same");
                }
                self.engine_sleeps(p);
                self.engine_relays_once(p);
            }
            Err(_) if dead => self.engine_dies(
                p,
                if how == 0 { "in its commit, which is lost" } else { "in its commit, which is kept" },
            ),
            Err(error) => self.broken("INV-7", format!("an engine gives up: {error}")),
        }
    }

    fn engine_publishes(&mut self, p: usize, payload: Vec<u8>) {
        self.check_published(p, &payload);
        if self.broker.is_up(self.at) {
            let key = self.points[p].id.as_str().as_bytes().to_vec();
            self.publish(p, key, payload, None);
        }
    }

    pub(super) fn engine_dies(&mut self, p: usize, how: &str) {
        let Some(process) = self.points[p].up.take() else { return };
        say!(self, "{} dies {how}", self.points[p].id);
        self.tally.count("engine died");
        let doing = match process.engine.view().current.map(|record| record.state) {
            None => "idle",
            Some(SupplyState::Authorized) => "reserved",
            Some(SupplyState::Supplying | SupplyState::Ended(_)) => "supplying",
        };
        self.tally.count(&format!("engine died: {doing}"));
        self.points[p].disk.revive();
        let down = if self.faults { self.random.span(25_000) } else { 1 };
        self.after(down, move |world| world.engine_starts(p));
        for (m, life, link) in process.links.into_keys() {
            self.attend_breaks(p, m, life, domain::watchdog::Link(link));
        }
    }

    /// Its store is gone with everything in it; another one takes its place.
    pub(super) fn engine_loses_store(&mut self, p: usize) {
        self.engine_dies(p, "and its store is lost");
        self.tally.count("engine's store lost");
        let old = self.points[p].instance.clone();
        self.truth.lost.insert(old);
        self.points[p].instance = self.instance(p);
        self.points[p].disk = Disk::new();
    }

    // --- central's calls ---

    /// A call leaves central for this address. It comes back exactly once: answered, refused or given up.
    pub(super) fn call_engine(&mut self, life: u64, call: EngineCall) {
        let Some(keys) = self.central.keys.clone() else { return };
        let request = Request::of(&keys, &call);
        let EngineCall { charge_point, address, call, .. } = call;
        let Some(p) = self.engine_at(&address) else {
            let failed = Err(CallFailed("nobody is there".into()));
            return self
                .after(5, move |world| world.engine_answered(charge_point, life, call, failed, false));
        };
        let timeout = self.plan.engine_timeout;
        let point = charge_point.clone();
        let gave_up = move |world: &mut World| {
            let failed = CallFailed("it did not answer in time".into());
            world.engine_answered(point, life, call, Err(failed), false);
        };
        self.after(timeout, gave_up);
        let (there, back) = (Place::Central, Place::Engine(p));
        if let Some(ms) = self.copy(there, back) {
            let asked = received(request.clone());
            self.after(ms, move |world| _ = world.engine_takes(p, asked, ReplyTo::Nobody));
        }
        let Some(ms) = self.delay(there, back) else { return };
        self.after(ms, move |world| {
            let point = charge_point.clone();
            if !world.engine_takes(p, received(request), ReplyTo::Central { charge_point, life, call }) {
                let failed = CallFailed("nobody is there".into());
                world.engine_answered(point, life, call, Err(failed), false);
            }
        });
    }

    fn engine_answers(&mut self, p: usize, mut told: Told, reply: ReplyTo) {
        match reply {
            ReplyTo::Nobody => {}
            ReplyTo::Central { charge_point, life, call } => {
                let Some(keys) = self.central.keys.clone() else { return };
                if self.keeps_silent(p, &mut told) {
                    return;
                }
                let mut result = response(&told, &keys, &charge_point);
                self.check_answer(p, &result);
                if state_of(&mut told).is_some_and(|state| self.lies(p, state)) {
                    result = response(&told, &keys, &charge_point);
                }
                let stop = matches!(told, Told::Stop(_));
                let shown = state_of(&mut told).and_then(|state| state.current.take()).filter(|_| stop);
                if let Some(ms) = self.delay(Place::Engine(p), Place::Central) {
                    self.after(ms, move |world| {
                        let key = (charge_point.clone(), call);
                        if world.central_of(life).is_some_and(|running| running.calls.contains(&key)) {
                            world.is_heard(shown.as_ref().map(|record| record.session_id.as_str()));
                        }
                        world.engine_answered(charge_point, life, call, result, true);
                    });
                }
            }
            ReplyTo::Monitor { m, life, link } => self.ponged(p, m, life, link, told),
            ReplyTo::Manual { request, key } => {
                if let Told::Panel(Ok(())) = told {
                    self.asks_for_manual(p, request, key);
                }
            }
        }
    }

    fn engine_answered(
        &mut self,
        charge_point: ChargePointId,
        life: u64,
        call: CallId,
        result: Result<EngineAnswer, CallFailed>,
        answer: bool,
    ) {
        let late = answer && self.random.one_in(2);
        let Some(running) = self.central_of(life) else { return };
        let awaited = running.calls.remove(&(charge_point.clone(), call));
        // An answer that comes after it was given up for: the rules take no notice of it (INV-8).
        if awaited || late {
            self.central_takes(Input::Command(Command::EngineAnswered { charge_point, call, result }));
        }
    }

    // --- the outbox ---

    fn engine_relays(&mut self, p: usize, life: u64) {
        if self.engine_of(p, life).is_some() {
            self.engine_relays_once(p);
            self.after(900, move |world| world.engine_relays(p, life));
        }
    }

    fn engine_relays_once(&mut self, p: usize) {
        let life = self.points[p].life;
        let Some(process) = &mut self.points[p].up else { return };
        if process.lane.is_some() {
            return;
        }
        let rows = match engine::storage::rows(&self.points[p].disk, 0, 1) {
            Ok(rows) => rows,
            Err(error) => return self.broken("INV-7", format!("an engine cannot read its outbox: {error}")),
        };
        let Some(row) = rows.into_iter().next() else { return };
        let id = row.id;
        if let Some(process) = &mut self.points[p].up {
            process.lane = Some(id);
        }
        let delivered = move |world: &mut World| {
            if world.engine_of(p, life).is_some_and(|process| process.lane == Some(id)) {
                world.engine_takes(p, Asked::Happened(Happened::Delivered(vec![id])), ReplyTo::Nobody);
                world.after(5, move |world| world.engine_lane_is_free(p, life, id));
            }
        };
        if self.broker.is_up(self.at) {
            self.publish(p, row.key.into_bytes(), row.payload, Some(Box::new(delivered)));
        }
        // Not delivered, or nobody knows: tried again.
        let patience = self.random.between(300, 4_000);
        self.after(patience, move |world| world.engine_lane_is_free(p, life, id));
    }

    fn engine_lane_is_free(&mut self, p: usize, life: u64, id: u64) {
        if let Some(process) = self.engine_of(p, life)
            && process.lane == Some(id)
        {
            process.lane = None;
            self.engine_relays_once(p);
        }
    }
}
