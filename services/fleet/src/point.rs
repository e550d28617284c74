//! One charge point in memory: the rules, and what of them waits to be told.

use crate::options::Options;
use domain::{
    ChargePointId, InstanceId, Mono, Now, Power, SupplyRecord, SupplyState, Trace,
    simulated::ChargePoint,
    supply::{Act, Effect, Happened, Input, Obstacle, Ping, Stored, View, Write},
};
use engine::{owner::Reply, telemetry};
use evmesh_proto::topics::Telemetry;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A broken one is repaired after this.
const REPAIRED_AFTER: Duration = Duration::from_secs(10);

/// The charge points of a site.
#[derive(Debug)]
pub(crate) struct Points(HashMap<ChargePointId, Mutex<Point>>);

impl Points {
    pub(crate) fn new(points: impl IntoIterator<Item = Point>) -> Self {
        Self(points.into_iter().map(|point| (point.id.clone(), Mutex::new(point))).collect())
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &ChargePointId> {
        self.0.keys()
    }

    pub(crate) fn get(&self, id: &ChargePointId) -> Option<MutexGuard<'_, Point>> {
        Some(self.0.get(id)?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A supply that runs.
#[derive(Debug, Clone)]
pub struct Supplying {
    pub charge_point: ChargePointId,
    pub record: SupplyRecord,
}

impl Supplying {
    /// What its engine tells of it each second, as it stands now.
    pub fn reading(&self) -> Telemetry {
        telemetry::reading(&self.charge_point, &self.record)
    }
}

/// What a charge point tells on Kafka, of which trace.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) message: Telemetry,
    pub(crate) trace: Trace,
    /// A beginning or an end: it has to arrive.
    pub(crate) must: bool,
}

#[derive(Debug)]
pub(crate) struct Point {
    id: ChargePointId,
    rules: ChargePoint,
    /// The epoch of its registration; 0: none.
    epoch: u64,
    repaired_at: Option<Mono>,
    told: Vec<Told>,
    /// The rows of its outbox that are told by then.
    rows: Vec<u64>,
    /// It says that it could deliver so much, rather than what it does.
    rated: Option<Power>,
}

impl Point {
    pub(crate) fn new(id: ChargePointId, now: Now, options: &Options) -> Self {
        let stored = Stored {
            charge_point: id.clone(),
            instance: uuid::Uuid::new_v4().to_string().parse().expect("hexadecimal digits and hyphens"),
            highest: 0,
            current: None,
            unsettled: Vec::new(),
            outbox: VecDeque::new(),
        };
        let (rules, _) = ChargePoint::restore(now, options.settings(), stored); // of an empty store nothing follows
        let rated = options.told_by_others.then_some(Power::MAX);
        Self { id, rules, epoch: 0, repaired_at: None, told: Vec::new(), rows: Vec::new(), rated }
    }

    pub(crate) fn instance(&self) -> &InstanceId {
        self.rules.instance()
    }

    /// Its monitor has registered it, or has lost central (0).
    pub(crate) fn registered(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    pub(crate) fn apply<I: Input>(&mut self, now: Now, input: I) -> Reply<I::Answer> {
        let (answer, effects) = self.rules.apply(now, input);
        for effect in effects {
            self.sort(effect);
        }
        Reply { answer, view: self.view() }
    }

    fn sort(&mut self, effect: Effect) {
        match effect {
            Effect::Publish(record) => {
                let message = telemetry::reading(&self.id, &record);
                let trace = telemetry::trace(Some(&record), &message);
                self.told.push(Told { message, trace, must: false });
            }
            Effect::Save(Write::Event(event)) => {
                let message = telemetry::event(&self.id, self.rules.instance(), &event);
                let trace = telemetry::trace(event.kind.record(), &message);
                self.told.push(Told { message, trace, must: true });
                self.rows.push(event.id);
            }
            Effect::Save(_) | Effect::OutboxOverflow(_) => {} // it has no disk
        }
    }

    /// A second has passed: what is to be told.
    pub(crate) fn second(&mut self, now: Now) -> Vec<Told> {
        // Its monitor is beside it: a stream that never breaks.
        let ping = Ping { link: 1, epoch: self.epoch, central_reachable: self.epoch > 0 };
        let _ = self.apply(now, ping).answer; // an epoch that is older than what central named is of a moment
        if self.repaired_at.is_some_and(|at| at <= now.mono) {
            self.repaired_at = None;
            let _ = self.apply(now, Act::Repair).answer; // nothing refuses it
        }
        self.apply(now, Happened::Tick);
        if !self.rows.is_empty() {
            let rows = std::mem::take(&mut self.rows);
            self.apply(now, Happened::Delivered(rows));
        }
        std::mem::take(&mut self.told)
    }

    pub(crate) fn breaks(&mut self, now: Now) {
        self.repaired_at = Some(now.mono + REPAIRED_AFTER);
        let _ = self.apply(now, Act::Break("simulated".into())).answer; // nothing refuses it
    }

    /// Why it is broken, in words.
    pub(crate) fn fault(&self) -> Option<String> {
        match self.rules.view().obstacle {
            Some(broken @ Obstacle::Broken(_)) => Some(broken.to_string()),
            _ => None,
        }
    }

    pub(crate) fn view(&self) -> View {
        let view = self.rules.view();
        View { rated: self.rated.or(view.rated), ..view }
    }

    /// What it supplies.
    pub(crate) fn supply(&self) -> Option<Supplying> {
        let record = self.rules.view().current?;
        let runs = record.state == SupplyState::Supplying;
        runs.then(|| Supplying { charge_point: self.id.clone(), record })
    }
}
