//! What leaves the writer after each commit, and to whom: callers, engines, drivers, those who watch.

use super::{Handle, Lag, Writer, waiting::Waiting, watch::Watches};
use crate::{Error, changelog::Standing, events::Events, messages, store::RowKind};
use domain::Now;
use domain::network::{Effect, EngineCall};
use evmesh_proto::topics::DRIVER_NOTIFICATIONS;
use mesh::{
    Shutdown,
    group_commit::{self, Inbox, Owner, queue},
    kafka::Producer,
    store::Store,
};
use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
};
use tokio::sync::{Notify, watch};

/// So many orders may wait: some seconds' work under load, and more than one server's requests at once.
const ORDERS: usize = 8192;
/// So many messages of Kafka may wait: a fraction of a second's work.
const TELEMETRY: usize = 4096;
/// One step takes so many orders at most, so that the first one's reply does not wait long for the last one.
const ORDERS_A_STEP: usize = 1024;
/// One step takes so many messages at most, for the same reason.
const TELEMETRY_A_STEP: usize = 2048;

/// What the thread lets things out through.
#[derive(Debug)]
pub struct Outlets {
    /// Where events are logged, counted and shown.
    pub events: Events,
    pub producer: Producer,
    /// Woken when there are new rows for drivers.
    pub notifications: Arc<Notify>,
    /// Woken when there are new dead letters.
    pub dead_letters: Arc<Notify>,
    /// Woken when the changelog lacks rows.
    pub changelog: Arc<Notify>,
    /// How far the changelog is behind.
    pub lag: watch::Sender<Lag>,
}

/// The running thread. Dropping it stops the thread in order.
pub type Running = group_commit::Running<Error>;

/// The writer's ends of its queues.
pub type Inboxes = Vec<Inbox<Writer, Outlet>>;

/// What lets a step's effects out, on the writer's thread.
pub struct Outlet {
    pub(super) waiting: Waiting,
    pub(super) watches: Watches,
    calls: Box<dyn FnMut(EngineCall) + Send>,
    outlets: Outlets,
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet").finish_non_exhaustive()
    }
}

/// The way to a writer, before it runs.
pub fn queues() -> (Handle, Inboxes) {
    let (orders, orders_inbox) = queue(ORDERS, ORDERS_A_STEP);
    let (telemetry, telemetry_inbox) = queue(TELEMETRY, TELEMETRY_A_STEP);
    let handle = Handle { orders, telemetry, tokens: Arc::new(AtomicU64::new(1)), stop: Shutdown::new() };
    (handle, vec![orders_inbox, telemetry_inbox])
}

/// Starts the thread; `calls` makes the calls to engines, without waiting. Needs a tokio runtime.
pub fn spawn(
    writer: Owner<Writer, impl Store>,
    outlets: Outlets,
    calls: impl FnMut(EngineCall) + Send + 'static,
    (handle, inboxes): (&Handle, Inboxes),
) -> Result<Running, Error> {
    let outlet =
        Outlet { waiting: Waiting::default(), watches: Watches::default(), calls: Box::new(calls), outlets };
    let name = "central-writer".to_owned();
    group_commit::spawn(name, writer, outlet, inboxes, handle.stop.clone()).map_err(Error::Writer)
}

impl group_commit::Outlet<Writer> for Outlet {
    fn release(
        &mut self,
        now: Now,
        inputs: usize,
        owner: Owner<&Writer, &dyn Store>,
        effects: Vec<Effect>,
    ) -> Result<(), Error> {
        metrics::histogram!("evmesh_central_step_inputs").record(inputs as f64);
        self.measure(now, owner.rules);
        effects.into_iter().try_for_each(|effect| self.let_out(now, &owner, effect))
    }
}

impl Outlet {
    /// A step comes with every tick: how old the last one is says whether the writer lives.
    fn measure(&self, now: Now, writer: &Writer) {
        metrics::histogram!("evmesh_central_step_seconds")
            .record(mesh::now().mono.since(now.mono).as_secs_f64());
        metrics::gauge!("evmesh_central_last_step_timestamp_seconds").set(now.wall.seconds());
        metrics::gauge!("evmesh_central_charge_points").set(writer.network.charge_point_count() as f64);
        for (kind, name) in [(RowKind::Notification, "notification"), (RowKind::DeadLetter, "dead_letter")] {
            metrics::gauge!("evmesh_central_rows_waiting", "kind" => name)
                .set(writer.rows_waiting(kind) as f64);
        }
        let lag = writer.lag(now.wall);
        metrics::gauge!("evmesh_central_changelog_waiting").set(lag.rows as f64);
        metrics::gauge!("evmesh_central_changelog_oldest_seconds").set(lag.seconds);
        metrics::gauge!("evmesh_central_changelog_refused")
            .set(f64::from(u8::from(matches!(lag.standing, Standing::Foreign | Standing::Ahead))));
        if lag.rows > 0 {
            self.outlets.changelog.notify_one();
        }
        self.outlets.lag.send_replace(lag);
    }

    fn let_out(&mut self, now: Now, owner: &Owner<&Writer, &dyn Store>, effect: Effect) -> Result<(), Error> {
        match effect {
            Effect::Reply(reply) => self.waiting.tell(reply),
            Effect::Call(call) => (self.calls)(call),
            Effect::Notify(_) => self.outlets.notifications.notify_one(),
            Effect::DeadLetter(_) => self.outlets.dead_letters.notify_one(),
            Effect::NotifyReading(notice) => {
                let send = || {
                    let (key, payload) = (notice.driver.as_str(), messages::payload(&notice));
                    self.outlets.producer.send_lossy(DRIVER_NOTIFICATIONS, key, &payload);
                };
                match notice.trace {
                    Some(trace) => mesh::trace::within(trace, send),
                    None => send(),
                }
            }
            Effect::Changed(id) => {
                if self.watches.has(&id)
                    && let Some(session) = owner.rules.snapshot(owner.store).session(&id)?
                {
                    self.watches.changed(session);
                }
            }
            Effect::Happened(event) => self.outlets.events.happened(now.wall, event),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::network::{Command, Config, Registration};
    use mesh::{grpc::Failure, kafka::KafkaOptions, store::MemoryStore};

    fn outlets() -> Outlets {
        Outlets {
            events: Events::new().0,
            producer: Producer::new(&KafkaOptions::at("127.0.0.1:1"), "test").unwrap(),
            notifications: Arc::default(),
            dead_letters: Arc::default(),
            changelog: Arc::default(),
            lag: watch::Sender::default(),
        }
    }

    fn started(store: MemoryStore) -> (Handle, Running) {
        let writer = Writer::open(store, Config::default(), mesh::now()).unwrap();
        let (handle, inboxes) = queues();
        let running = spawn(writer, outlets(), |_| (), (&handle, inboxes)).unwrap();
        (handle, running)
    }

    async fn register(handle: &Handle, id: &str) -> Result<(), Failure> {
        let registration = Registration {
            charge_point: id.parse().unwrap(),
            location: String::new(),
            price: "0.30 EUR".parse().unwrap(),
            engine_address: "127.0.0.1:1".into(),
            instance: "store".parse().unwrap(),
            monitor: "monitor".parse().unwrap(),
            newest_epoch: 0,
        };
        handle.ask(|token| Command::Register { token, registration }).await.map(drop)
    }

    #[tokio::test]
    async fn a_query_sees_every_answer_given_before_it() {
        let (handle, mut running) = started(MemoryStore::new());
        for n in 1..=50 {
            register(&handle, &format!("CP-{n}")).await.unwrap();
            assert_eq!(handle.query(|snapshot| snapshot.network.charge_point_count()).await.unwrap(), n);
        }
        running.stop();
        running.ended().await.unwrap().unwrap();
        let refused = register(&handle, "CP-0").await.unwrap_err();
        assert_eq!(refused.reason, "SHUTTING_DOWN");
        assert!(handle.query(|_| ()).await.is_err() && handle.watch("s1".parse().unwrap()).await.is_err());
    }

    #[tokio::test]
    async fn a_store_that_fails_ends_the_writer_and_gives_no_answer() {
        let mut store = MemoryStore::new();
        store.fail_after(2); // the format, and one registration
        let (handle, mut running) = started(store);
        register(&handle, "CP-1").await.unwrap();
        let refused = register(&handle, "CP-2").await.unwrap_err();
        assert_eq!(refused.reason, "SHUTTING_DOWN");
        assert!(matches!(running.ended().await, Some(Err(Error::Store(_)))));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_whoever_can_ask_again() {
        let (handle, running) = started(MemoryStore::new());
        let (go, wait) = std::sync::mpsc::sync_channel::<()>(0);
        let holding = {
            let handle = handle.clone();
            tokio::spawn(async move { handle.query(move |_| wait.recv().is_ok()).await })
        };
        let mut asking = tokio::task::JoinSet::new();
        let refused = loop {
            // Each asks once; the writer is held up, so at some point the queue is full.
            let asked = handle.clone();
            asking.spawn(async move { register(&asked, "CP-1").await });
            tokio::task::yield_now().await;
            if let Some(Ok(Err(refused))) = asking.try_join_next() {
                break refused;
            }
        };
        assert_eq!(refused.reason, "OVERLOADED");
        assert!(refused.retry_after.is_some());
        drop(go);
        holding.await.unwrap().unwrap();
        while let Some(answer) = asking.join_next().await {
            drop(answer.unwrap()); // the rest is served, or refused, and nobody waits for ever
        }
        drop(running);
    }
}
