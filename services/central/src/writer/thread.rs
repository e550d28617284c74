//! The writer's thread: takes what waits in the queues, lets the writer take one step, and lets out what the step gave.

use super::{Handle, Input, Lag, RowKind, Writer, handle::Order, waiting::Waiting};
use crate::{Error, calls::Calls, changelog::Standing, events::Events, notifications, watch::Watches};
use domain::Now;
use domain::network::Effect;
use evmesh_proto::topics::DRIVER_NOTIFICATIONS;
use mesh::{kafka::Producer, store::Store};
use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};
use tokio::{
    runtime,
    sync::{Notify, mpsc, oneshot, watch},
};
use tokio_util::sync::CancellationToken;

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
    /// Kafka.
    pub producer: Producer,
    /// Woken when there are new rows for drivers.
    pub notifications: Arc<Notify>,
    /// Woken when there are new dead letters.
    pub dead_letters: Arc<Notify>,
    /// Woken when the changelog lacks rows.
    pub changelog: Arc<Notify>,
    /// How far the changelog is behind.
    pub lag: watch::Sender<Lag>,
    /// How long an engine may take to answer a call.
    pub engine_timeout: Duration,
}

/// The running thread. Dropping it stops the thread in order.
#[derive(Debug)]
pub struct Running {
    stop: CancellationToken,
    ended: oneshot::Receiver<Result<(), Error>>,
}

impl Running {
    /// Waits for the thread's end: after [`Running::stop`], or because the store failed.
    pub(crate) async fn ended(&mut self) -> Result<(), Error> {
        let panicked = |_| Error::Writer(std::io::Error::other("its thread panicked"));
        (&mut self.ended).await.map_err(panicked)?
    }

    /// Takes nothing new, works off what waits, saves everything, and ends.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Starts the thread. Needs a tokio runtime.
pub fn spawn(writer: Writer<impl Store>, outlets: Outlets) -> Result<(Handle, Running), Error> {
    let (orders, orders_queue) = mpsc::channel(ORDERS);
    let (telemetry, telemetry_queue) = mpsc::channel(TELEMETRY);
    let (result, ended) = oneshot::channel();
    let stop = CancellationToken::new();
    let handle = Handle { orders, telemetry, tokens: Arc::new(AtomicU64::new(1)), stop: stop.clone() };
    let runtime = runtime::Handle::current();
    let mut thread = Thread {
        writer,
        orders: orders_queue,
        telemetry: telemetry_queue,
        waiting: Waiting::default(),
        watches: Watches::default(),
        calls: Calls::new(handle.clone(), outlets.engine_timeout, runtime.clone()),
        outlets,
        stop: stop.clone(),
    };
    std::thread::Builder::new()
        .name("central-writer".into())
        .spawn(move || {
            let _runtime = runtime.enter();
            let ended = thread.run(&runtime);
            drop(thread); // the store's folder is free before anyone hears of the end
            let _ = result.send(ended); // whoever dropped the other end does not ask
        })
        .map_err(Error::Writer)?;
    Ok((handle, Running { stop, ended }))
}

struct Thread<S> {
    writer: Writer<S>,
    orders: mpsc::Receiver<Order>,
    telemetry: mpsc::Receiver<Input>,
    waiting: Waiting,
    watches: Watches,
    calls: Calls,
    outlets: Outlets,
    stop: CancellationToken,
}

/// What one step takes.
#[derive(Default)]
struct Taken {
    inputs: Vec<Input>,
    watches: Vec<Order>,
}

impl<S: Store> Thread<S> {
    fn run(&mut self, runtime: &runtime::Handle) -> Result<(), Error> {
        loop {
            let mut taken = Taken::default();
            let open = runtime.block_on(self.first(&mut taken));
            if !open {
                self.orders.close();
                self.telemetry.close();
            }
            self.more(&mut taken);
            if !open && taken.inputs.is_empty() && taken.watches.is_empty() {
                return self.writer.close();
            }
            self.step(mesh::now(), taken)?;
        }
    }

    /// Waits for something to do; false after the order to stop.
    async fn first(&mut self, taken: &mut Taken) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return false,
            Some(order) = self.orders.recv() => take(order, taken, &mut self.waiting),
            Some(input) = self.telemetry.recv() => taken.inputs.push(input),
        }
        true
    }

    /// Takes what waits already.
    fn more(&mut self, taken: &mut Taken) {
        for _ in 0..ORDERS_A_STEP {
            let Ok(order) = self.orders.try_recv() else { break };
            take(order, taken, &mut self.waiting);
        }
        for _ in 0..TELEMETRY_A_STEP {
            let Ok(input) = self.telemetry.try_recv() else {
                break;
            };
            taken.inputs.push(input);
        }
    }

    fn step(&mut self, now: Now, taken: Taken) -> Result<(), Error> {
        metrics::histogram!("evmesh_central_step_inputs").record(taken.inputs.len() as f64);
        let effects = self.writer.step(now, taken.inputs)?;
        self.measure(now);
        for effect in effects {
            self.release(now, effect)?;
        }
        for order in taken.watches {
            if let Order::Watch(session, reply) = order
                && let Some(session) = self.writer.snapshot().session(&session)?
            {
                let _ = reply.send(self.watches.follow(session)); // a caller that left misses nothing
            }
        }
        Ok(())
    }

    /// A step comes with every tick: how old the last one is says whether the writer lives.
    fn measure(&self, now: Now) {
        metrics::histogram!("evmesh_central_step_seconds")
            .record(mesh::now().mono.since(now.mono).as_secs_f64());
        metrics::gauge!("evmesh_central_last_step_timestamp_seconds").set(now.wall.seconds());
        metrics::gauge!("evmesh_central_charge_points")
            .set(self.writer.snapshot().network.charge_point_count() as f64);
        for (kind, name) in [(RowKind::Notification, "notification"), (RowKind::DeadLetter, "dead_letter")] {
            metrics::gauge!("evmesh_central_rows_waiting", "kind" => name)
                .set(self.writer.rows_waiting(kind) as f64);
        }
        let lag = self.writer.lag(now.wall);
        metrics::gauge!("evmesh_central_changelog_waiting").set(lag.rows as f64);
        metrics::gauge!("evmesh_central_changelog_oldest_seconds").set(lag.seconds);
        metrics::gauge!("evmesh_central_changelog_refused")
            .set(f64::from(u8::from(matches!(lag.standing, Standing::Foreign | Standing::Ahead))));
        if lag.rows > 0 {
            self.outlets.changelog.notify_one();
        }
        self.outlets.lag.send_replace(lag);
    }

    fn release(&mut self, now: Now, effect: Effect) -> Result<(), Error> {
        match effect {
            Effect::Reply(reply) => self.waiting.tell(reply),
            Effect::Call(call) => self.calls.start(call),
            Effect::Notify(_) => self.outlets.notifications.notify_one(),
            Effect::DeadLetter(_) => self.outlets.dead_letters.notify_one(),
            Effect::NotifyReading(notice) => {
                let send = || {
                    let (key, payload) = (notice.driver.as_str(), notifications::payload(&notice));
                    self.outlets.producer.send_lossy(DRIVER_NOTIFICATIONS, key, &payload);
                };
                match notice.trace {
                    Some(trace) => mesh::trace::within(trace, send),
                    None => send(),
                }
            }
            Effect::Changed(id) => {
                if self.watches.has(&id)
                    && let Some(session) = self.writer.snapshot().session(&id)?
                {
                    self.watches.changed(session);
                }
            }
            Effect::Happened(event) => self.outlets.events.happened(now.wall, event),
        }
        Ok(())
    }
}

fn take(order: Order, taken: &mut Taken, waiting: &mut Waiting) {
    match order {
        Order::Input(input) => taken.inputs.push(input),
        Order::Ask(command, wait) => {
            wait(waiting);
            taken.inputs.push(Input::Command(command));
        }
        watch @ Order::Watch(..) => taken.watches.push(watch),
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
            engine_timeout: Duration::from_secs(1),
        }
    }

    fn started(store: MemoryStore) -> (Handle, Running) {
        let writer = Writer::open(store, Config::default(), mesh::now()).unwrap();
        spawn(writer, outlets()).unwrap()
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
        running.ended().await.unwrap();
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
        assert!(matches!(running.ended().await, Err(Error::Store(_))));
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
