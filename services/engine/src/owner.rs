//! The one owner of the rules and the store: it applies what comes, commits once, and only then lets anything out.

use crate::{Error, storage, telemetry};
use domain::{
    ChargePointId, Mono, Now, Trace,
    simulated::{self, Settings},
    supply::{Answer, Effect, Event, EventKind, Input, View, Write},
};
use evmesh_proto::topics::{CP_TELEMETRY, Telemetry};
use mesh::{
    kafka::{OutboxRow, Producer},
    store::{Batch, Store, StoreError},
};
use std::{fmt, path::Path, sync::Arc, thread};
use tokio::sync::{Notify, mpsc, oneshot, watch};

/// At most so many commands wait: far more than central, a monitor and a person have under way with one engine.
pub(crate) const QUEUE: usize = 256;
/// At most so many commands share a commit: it keeps the first of them from waiting long.
const MAX_BATCH: usize = 64;

/// What the owner is asked.
#[derive(Debug)]
pub(crate) enum Command {
    /// Something happened; who asks, hears once it is on disk.
    Input(Input, Option<oneshot::Sender<Reply>>),
    /// The relay wants rows of the outbox.
    Rows { after: u64, limit: usize, reply: oneshot::Sender<Vec<OutboxRow>> },
    /// End, once everything before this is done.
    Close,
}

/// The answer to an input, and the engine after it.
#[derive(Debug)]
pub(crate) struct Reply {
    /// `None` for inputs that are not answered.
    pub(crate) answer: Option<Answer>,
    pub(crate) view: Box<View>,
}

/// Something that was held back until its commit.
#[derive(Debug)]
pub(crate) enum Release {
    Reply(oneshot::Sender<Reply>, Reply),
    Rows(oneshot::Sender<Vec<OutboxRow>>, Vec<OutboxRow>),
    Reading(Box<Telemetry>, Trace),
    Event(Event),
    OutboxOverflow(u64),
}

/// See the [module](self).
pub(crate) struct Owner<S> {
    charge_point: ChargePointId,
    store: S,
    supply: simulated::ChargePoint,
}

impl<S> fmt::Debug for Owner<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").field("charge_point", &self.charge_point).finish_non_exhaustive()
    }
}

/// Where the owner's thread lets things out.
pub(crate) struct Outlets {
    pub(crate) producer: Producer,
    /// There are new rows for the relay.
    pub(crate) rows: Arc<Notify>,
    /// The engine, after each commit.
    pub(crate) view: watch::Sender<View>,
    /// When time alone changes something. Sent after each commit, the same moment too.
    pub(crate) wake: watch::Sender<Option<Mono>>,
}

impl<S: Store> Owner<S> {
    /// Reads the store, closes a supply that was interrupted, and has that on disk when it returns.
    pub(crate) fn open(
        mut store: S,
        folder: &Path,
        charge_point: ChargePointId,
        settings: Settings,
        now: Now,
    ) -> Result<Self, Error> {
        let stored = storage::load(&mut store, folder, &charge_point)?;
        let (supply, effects) = simulated::ChargePoint::restore(now, settings, stored);
        let mut owner = Self { charge_point, store, supply };
        let mut batch = Batch::default();
        let mut releases = Vec::new();
        owner.sort(effects, &mut batch, &mut releases);
        owner.store.commit(batch)?;
        for release in releases {
            if let Release::Event(event) = release {
                owner.log(&event);
            }
        }
        Ok(owner)
    }

    pub(crate) fn view(&self) -> View {
        self.supply.view()
    }

    pub(crate) fn wake_at(&self) -> Option<Mono> {
        self.supply.wake_at()
    }

    /// Starts the thread. The receiver has its result, once the store is closed.
    pub(crate) fn spawn(
        self,
        commands: mpsc::Receiver<Command>,
        outlets: Outlets,
    ) -> Result<oneshot::Receiver<Result<(), StoreError>>, Error> {
        let (done, result) = oneshot::channel();
        let runtime = tokio::runtime::Handle::current();
        thread::Builder::new()
            .name(format!("engine-{}", self.charge_point))
            .spawn(move || {
                let _clock = runtime.enter(); // so that a test's paused clock is this thread's too
                // Nobody waits for it if the service was dropped.
                let _ = done.send(self.run(commands, &outlets));
            })
            .map_err(Error::Thread)?;
        Ok(result)
    }

    fn run(mut self, mut commands: mpsc::Receiver<Command>, outlets: &Outlets) -> Result<(), StoreError> {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while commands.blocking_recv_many(&mut batch, MAX_BATCH) > 0 {
            let close = batch.iter().position(|command| matches!(command, Command::Close));
            let taken = batch.drain(..close.unwrap_or(batch.len()));
            let releases = self.step(mesh::now(), taken)?;
            outlets.view.send_replace(self.supply.view());
            outlets.wake.send_replace(self.supply.wake_at());
            for release in releases {
                self.release(release, outlets);
            }
            if close.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Applies the commands and commits once. Nothing is let out here: what is returned may be.
    pub(crate) fn step(
        &mut self,
        now: Now,
        commands: impl Iterator<Item = Command>,
    ) -> Result<Vec<Release>, StoreError> {
        let mut batch = Batch::default();
        let mut releases = Vec::new();
        let mut rows = Vec::new();
        for command in commands {
            match command {
                Command::Input(input, reply) => {
                    let effects = self.supply.apply(now, input);
                    let answer = self.sort(effects, &mut batch, &mut releases);
                    if let Some(reply) = reply {
                        releases.push(Release::Reply(
                            reply,
                            Reply { answer, view: Box::new(self.supply.view()) },
                        ));
                    }
                }
                Command::Rows { after, limit, reply } => rows.push((after, limit, reply)),
                Command::Close => {}
            }
        }
        self.store.commit(batch)?;
        for (after, limit, reply) in rows {
            releases.push(Release::Rows(reply, storage::rows(&self.store, after, limit)?));
        }
        Ok(releases)
    }

    /// What is to be written goes into the batch, what is let out later into the releases, the answer back.
    fn sort(&self, effects: Vec<Effect>, batch: &mut Batch, releases: &mut Vec<Release>) -> Option<Answer> {
        let mut answer = None;
        for effect in effects {
            match effect {
                Effect::Save(change) => {
                    storage::write(batch, &self.charge_point, self.supply.instance(), &change);
                    if let Write::Event(event) = change {
                        releases.push(Release::Event(event));
                    }
                }
                Effect::Publish(record) => {
                    let message = telemetry::reading(&self.charge_point, &record);
                    let trace = telemetry::trace(Some(&record), &message);
                    releases.push(Release::Reading(Box::new(message), trace));
                }
                Effect::OutboxOverflow(count) => releases.push(Release::OutboxOverflow(count)),
                Effect::Answer(given) => answer = Some(given),
            }
        }
        answer
    }

    fn release(&self, release: Release, outlets: &Outlets) {
        match release {
            // Whoever asked may have gone; what it asked for is done all the same.
            Release::Reply(to, reply) => _ = to.send(reply),
            Release::Rows(to, rows) => _ = to.send(rows),
            Release::Reading(message, trace) => mesh::trace::within(trace, || {
                let (key, payload) = (self.charge_point.as_str(), telemetry::payload(&message));
                outlets.producer.send_lossy(CP_TELEMETRY, key, &payload);
            }),
            Release::Event(event) => {
                self.log(&event);
                outlets.rows.notify_one();
            }
            Release::OutboxOverflow(count) => {
                metrics::counter!("evmesh_engine_outbox_dropped_total").increment(count);
                tracing::error!(
                    charge_point = %self.charge_point, count,
                    "too many events wait for Kafka; the oldest were given up"
                );
            }
        }
    }

    fn log(&self, event: &Event) {
        let charge_point = &self.charge_point;
        match &event.kind {
            EventKind::Started(record) => {
                metrics::counter!("evmesh_engine_supplies_started_total").increment(1);
                tracing::info!(
                    %charge_point, session = %record.session, driver = %record.driver, price = %record.price,
                    "supply started"
                );
            }
            EventKind::Ended(record, cause) => {
                let end = format!("{:?}", cause.end());
                metrics::counter!("evmesh_engine_supplies_ended_total", "end" => end).increment(1);
                tracing::info!(
                    %charge_point, session = %record.session, driver = %record.driver, energy = %record.energy,
                    amount = %record.price.bill(record.energy), %cause, "supply ended"
                );
            }
            EventKind::Broke(reason) => tracing::warn!(%charge_point, reason, "the charge point broke"),
            EventKind::MonitorLost => tracing::warn!(%charge_point, "monitor lost"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Wall;
    use mesh::store::MemoryStore;
    use std::time::Duration;

    fn open(store: MemoryStore) -> Owner<MemoryStore> {
        let settings = Settings {
            power: domain::Power::from_w(36_000),
            battery: domain::Energy::from_wh(1_000),
            duration: None,
            speed: 1,
            plug_in_after: Some(Duration::ZERO),
            monitor_grace: Duration::from_secs(30),
        };
        Owner::open(store, Path::new("d"), "MAD-01".parse().unwrap(), settings, at(0)).unwrap()
    }

    fn at(ms: u64) -> Now {
        Now { mono: Mono(ms), wall: Wall(i64::try_from(ms).unwrap()) }
    }

    fn ping() -> Input {
        Input::Attend { link: 1, epoch: 1, central_reachable: true }
    }

    fn authorize(owner: &Owner<MemoryStore>) -> Input {
        let order = domain::supply::Authorization {
            number: 1,
            session: "s1".parse().unwrap(),
            driver: "ana".parse().unwrap(),
            price: "0.30 EUR".parse().unwrap(),
            duration: Duration::from_secs(60),
            trace: None,
        };
        Input::Authorize(owner.supply.instance().clone(), order)
    }

    fn tick() -> Command {
        Command::Input(Input::Tick, None)
    }

    #[test]
    fn many_commands_share_one_commit_and_their_answers_follow_it() {
        let mut owner = open(MemoryStore::new());
        let commits = owner.store.commits();
        let authorize = authorize(&owner);
        let (reply, mut answer) = oneshot::channel();
        let (rows_to, _rows) = oneshot::channel();
        let commands = [
            Command::Input(ping(), None),
            Command::Rows { after: 0, limit: 9, reply: rows_to },
            Command::Input(authorize, Some(reply)),
            tick(),
        ];
        let releases = owner.step(at(1), commands.into_iter()).unwrap();
        assert_eq!(owner.store.commits(), commits + 1);
        assert!(answer.try_recv().is_err(), "a step lets nothing out by itself");
        let shown: Vec<_> = releases
            .iter()
            .map(|release| match release {
                Release::Reply(..) => "reply".into(),
                Release::Rows(_, rows) => format!("{} row", rows.len()),
                Release::Reading(..) => "reading".into(),
                Release::Event(_) => "event".into(),
                Release::OutboxOverflow(_) => "overflow".to_owned(),
            })
            .collect();
        assert_eq!(shown, ["reply", "event", "1 row"], "the relay sees what was just committed");
    }

    #[test]
    fn a_failed_commit_lets_nothing_out() {
        let mut owner = open(MemoryStore::new());
        owner.step(at(1), [Command::Input(ping(), None)].into_iter()).unwrap();
        owner.store.fail_after(0);
        let authorize = authorize(&owner);
        let (reply, mut answer) = oneshot::channel();
        assert!(owner.step(at(2), [Command::Input(authorize, Some(reply))].into_iter()).is_err());
        assert!(matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed)), "no answer, ever");
        let back = open(owner.store.clone());
        assert_eq!(back.view().highest, 0);
    }

    #[test]
    fn a_crash_in_mid_supply_closes_it_at_the_last_published_reading() {
        let mut owner = open(MemoryStore::new());
        owner.step(at(1), [Command::Input(ping(), None)].into_iter()).unwrap();
        let authorize = authorize(&owner);
        owner.step(at(2), [Command::Input(authorize, None), tick()].into_iter()).unwrap();
        let mut last = None;
        for second in 1..=3 {
            for release in owner.step(at(2 + second * 1_000), [tick()].into_iter()).unwrap() {
                if let Release::Reading(message, _) = release {
                    last = Some((message.seq, message.kwh));
                }
            }
        }
        let back = open(owner.store.clone()); // the process died; its disk is what is left
        let view = back.view();
        assert_eq!(view.current, None);
        assert_eq!(view.unsettled.len(), 1);
        let record = &view.unsettled[0];
        assert_eq!((record.seq, record.energy.wh()), (5, 30));
        assert_eq!(last, Some((Some(4), Some(0.03))));
        let rows = storage::rows(&back.store, 0, 9).unwrap();
        let kinds: Vec<serde_json::Value> =
            rows.iter().map(|row| serde_json::from_slice(&row.payload).unwrap()).collect();
        assert_eq!((&kinds[0]["type"], &kinds[0]["event_id"]), (&"SESSION_STARTED".into(), &"s1-1".into()));
        assert_eq!((&kinds[1]["type"], &kinds[1]["event_id"]), (&"FAULT".into(), &"s1-5".into()));
        let again = open(back.store.clone());
        assert_eq!(again.view(), view, "closed once");
    }
}
