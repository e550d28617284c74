//! The writer's thread: its queues, and its start.

use super::{
    Handle, Served, Writer,
    card_keys::CardKeys,
    outlet::{Outlet, Outlets},
};
use crate::{Error, last_seen::LastSeen, told::Telling};
use domain::network::EngineCall;
use mesh::{
    Shutdown,
    audit::Unaudited,
    group_commit::{self, Inbox, Owner, queue},
    store::Store,
};
use std::sync::{Arc, atomic::AtomicU64};

/// So many orders may wait: some seconds' work under load, and more than one server's requests at once.
const ORDERS: usize = 8192;
/// So many batches of Kafka's messages may wait: a fraction of a second's work.
const TELEMETRY: usize = 16;
/// One step takes so many orders at most, so that the first one's reply does not wait long for the last one.
const ORDERS_A_STEP: usize = 1024;
/// One step takes so many of the batches at most, for the same reason.
const TELEMETRY_A_STEP: usize = 4;

/// The running thread. Dropping it stops the thread in order.
pub type Running = group_commit::Running<Error>;

/// The writer's ends of its queues.
pub type Inboxes = Vec<Inbox<Writer, Outlet>>;

/// The way to a writer, before it runs.
pub fn queues() -> (Handle, Inboxes) {
    let (orders, orders_inbox) = queue(ORDERS, ORDERS_A_STEP);
    let (telemetry, telemetry_inbox) = queue(TELEMETRY, TELEMETRY_A_STEP);
    let handle = Handle {
        orders,
        telemetry,
        tokens: Arc::new(AtomicU64::new(1)),
        unaudited: Unaudited::default(),
        card_key: CardKeys::default(),
        served: Served::default(),
        last_seen: LastSeen::default(),
        stop: Shutdown::new(),
    };
    (handle, vec![orders_inbox, telemetry_inbox])
}

/// Starts the thread; `calls` makes the calls to engines, each with the certificates that it is to refuse, without
/// waiting. Needs a tokio runtime.
pub fn spawn(
    mut writer: Owner<Writer, impl Store>,
    outlets: Outlets,
    calls: impl FnMut(EngineCall, Telling) + Send + 'static,
    (handle, inboxes): (&Handle, Inboxes),
) -> Result<Running, Error> {
    let outlet = Outlet::new(outlets, calls);
    writer.rules.shares_card_key(&handle.card_key);
    writer.rules.shares_served(&handle.served);
    writer.rules.shares_last_seen(&handle.last_seen);
    let name = "central-writer".to_owned();
    group_commit::spawn(name, writer, outlet, inboxes, handle.stop.clone()).map_err(Error::Writer)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::events::Events;
    use domain::Context;
    use domain::network::{
        Asked, CallOutcome, Command, Config, EngineAnswer, EngineReport, Registered, Registration,
    };
    use mesh::{
        grpc::Failure,
        kafka::{KafkaOptions, Producer},
        store::MemoryStore,
    };

    fn outlets() -> Outlets {
        Outlets {
            events: Events::new().0,
            producer: Producer::new(&KafkaOptions::at("127.0.0.1:1"), "test").unwrap(),
            notifications: Arc::default(),
            dead_letters: Arc::default(),
            changelog: Arc::default(),
            lag: Default::default(),
            refused: Default::default(),
        }
    }

    pub(crate) fn started(store: MemoryStore) -> (Handle, Running) {
        let writer = Writer::open(store, Config::default(), mesh::now()).unwrap();
        let (handle, inboxes) = queues();
        let (runtime, engines) = (tokio::runtime::Handle::current(), handle.clone());
        let calls = move |call, _| drop(runtime.spawn(answered(engines.clone(), call)));
        let running = spawn(writer, outlets(), calls, (&handle, inboxes)).unwrap();
        (handle, running)
    }

    /// Its engine answers a registration's call.
    async fn answered(handle: Handle, call: EngineCall) {
        let EngineCall { charge_point, call, instance, .. } = call;
        let report = EngineReport {
            charge_point: Some(charge_point.clone()),
            instance,
            rated: None,
            seals: None,
            plugged_in: false,
            highest_authorization: 0,
            current: None,
            unsettled: Vec::new(),
        };
        let result = Ok(EngineAnswer { outcome: CallOutcome::Done, heard: true, report });
        handle.tell(Command::EngineAnswered { charge_point, call, result }).await;
    }

    pub(crate) async fn register(handle: &Handle, id: &str) -> Result<Registered, Failure> {
        let registration = Registration {
            charge_point: id.parse().unwrap(),
            location: domain::Location::default(),
            price: "0.30 EUR".parse().unwrap(),
            engine_address: "127.0.0.1:1".into(),
            instance: "store".parse().unwrap(),
            monitor: "monitor".parse().unwrap(),
            newest_epoch: 0,
        };
        handle
            .ask(|token| Command::Register { asked: Asked::once(token, Context::default()), registration })
            .await
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
        store.fail_after(3); // the format, the key, and one registration
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
