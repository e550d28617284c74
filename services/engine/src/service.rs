//! An engine from its start to its end.

use crate::{
    Error, Options, Point,
    central_client::Central,
    engine_api::EngineApi,
    outbox::SealedOutbox,
    owner::{A_STEP, Engine, Outlet, QUEUE},
    panel_api::PanelApi,
    seal::{Seal, TelemetryForm},
    storage,
};
use domain::{
    Mono, SupplyRecord, SupplyState,
    supply::{Act, Happened, View},
};
use evmesh_proto::{
    engine::{
        engine_panel_service_server::EnginePanelServiceServer, engine_service_server::EngineServiceServer,
    },
    topics::CP_TELEMETRY,
};
use mesh::{
    Shutdown,
    clock::sleep_until,
    group_commit::{self, Inbox, Owner, queue},
    grpc::{
        self, CALL_TIMEOUT, Expected, GrpcServer, Listener, Peers, REQUEST_CODING, Refused, ServerOptions,
    },
    kafka::{BrokerState, KafkaOptions, Producer, Relay, StoredOutbox, ensure_topics},
    store::{Role, SledStore, Store, StoreError},
};
use std::{net::SocketAddr, time::Duration};
use tokio::sync::watch;

/// At a stop, the last events get so long to reach Kafka; they stay on disk if they don't.
const LAST_EVENTS: Duration = Duration::from_secs(2);
/// At a stop, central gets so long to ask for the final reading of the supply that it ended: what Kafka says of it is
/// not final. It asks at once; else it has the reading when this engine is back.
const LAST_ANSWER: Duration = Duration::from_secs(2);
/// At a stop, the last readings get so long to leave.
const LAST_READINGS: Duration = Duration::from_secs(1);

/// An engine whose socket is bound and whose store is open.
#[derive(Debug)]
pub struct Service {
    server: ServerOptions,
    kafka: KafkaOptions,
    producer: Producer,
    listener: Listener,
    owner: Owner<Engine, Box<dyn Store>>,
    point: Point,
    inbox: Inbox<Engine, Outlet>,
    view: watch::Sender<View>,
    /// Whose certificates are refused.
    refused: Refused,
}

impl Service {
    /// Binds the socket and opens the store, so that whatever is wrong with them is known at once. A supply that was
    /// interrupted is closed, on disk, when this returns. Needs a tokio runtime.
    pub async fn bind(options: Options) -> Result<Self, Error> {
        let folder = options.data.clone();
        let role = Role { name: "engine", older_copies: false, must_exist: options.store_must_exist };
        Self::bind_on(options, move || Ok(Box::new(SledStore::open(&folder, role)?))).await
    }

    /// Like [`Service::bind`], on another store: `open` may block.
    pub async fn bind_on(
        mut options: Options,
        open: impl FnOnce() -> Result<Box<dyn Store>, StoreError> + Send + 'static,
    ) -> Result<Self, Error> {
        let what = format!("engine {}", options.charge_point);
        let own = grpc::Role::Engine(options.charge_point.clone());
        let stands_there = |role: &grpc::Role| *role == own || matches!(role, grpc::Role::Gateway(_));
        let security = options.security.open(&format!("{own}, or of its gateway,"), stands_there)?;
        let gateway = security.gateway();
        options.kafka.protect(options.security.identity.as_deref())?;
        let form = options.telemetry.unwrap_or(match options.security.identity {
            Some(_) => TelemetryForm::Sealed,
            None => TelemetryForm::Open,
        });
        if form == TelemetryForm::Open && options.kafka.is_discreet() {
            return Err(Error::OpenInClear);
        }
        let listener = Listener::bind(options.listen.clone(), &what, &security).await?;
        let settings = options.settings();
        let (folder, charge_point) = (options.data.clone(), options.charge_point.clone());
        let opening = tokio::task::spawn_blocking(move || {
            Engine::open(open()?, &folder, charge_point, settings, mesh::now())
        });
        let owner = opening.await.map_err(|error| Error::Thread(error.into()))??;
        let producer = Producer::new(&options.kafka, &what.replace(' ', "-"))?;
        let refused = security.refused().cloned().unwrap_or_default();
        refused.add(owner.rules.refused());
        let central = Central(Peers::new(security).peer(&options.central, Expected::Central, CALL_TIMEOUT));
        let (inputs, inbox) = queue(QUEUE, A_STEP);
        let (view, shown) = watch::channel(owner.rules.view());
        let point = Point::new((options.charge_point, gateway), inputs, shown, central, Seal::new(form));
        Ok(Self {
            server: options.server,
            kafka: options.kafka,
            producer,
            listener,
            owner,
            point,
            inbox,
            view,
            refused,
        })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// The charge point, for a panel.
    pub fn point(&self) -> Point {
        self.point.clone()
    }

    /// Serves until the order to stop, or until the store fails.
    ///
    /// The order of the stop: a running supply ends, its last events go to Kafka if it is there, central asks for its
    /// final reading; no new calls, running ones end, the store closes, the last readings leave.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Error> {
        let Self { server, kafka, producer, listener, owner, point, inbox, view, refused } = self;
        let charge_point = point.charge_point().clone();
        let (address, instance) = (listener.local_addr(), &owner.rules.view().instance);
        tracing::info!(%charge_point, %address, %instance, "engine ready");

        let (wake, wakes) = watch::channel(owner.rules.wake_at());
        let rows = point.seal.rows.clone();
        let seal = point.seal.clone();
        let outlet = Outlet {
            producer: producer.clone(),
            rows: rows.clone(),
            view,
            wake,
            seal: seal.clone(),
            refused,
        };
        let (name, stop) = (format!("engine-{charge_point}"), Shutdown::new());
        let mut running =
            group_commit::spawn(name, owner, outlet, vec![inbox], stop).map_err(Error::Thread)?;
        let rows_on_disk = StoredOutbox {
            owner: point.inputs.clone(),
            read: storage::rows,
            delivered: |ids| Engine::input(Happened::Delivered(ids), None),
        };
        let outbox = SealedOutbox { rows: rows_on_disk, seal };

        // What works in the background outlives the server: the last call's events are still relayed.
        let background = Shutdown::new();
        let serving = Shutdown::new();
        let _on_return = [StopOnDrop(background.clone()), StopOnDrop(serving.clone())];
        tokio::spawn(tick(point.clone(), wakes, background.clone()));
        tokio::spawn(Relay::run(outbox, producer.clone(), rows, background.clone()));
        tokio::spawn(ensure_topics(kafka, &[CP_TELEMETRY], background.clone()));

        let served = self::server(&server, &point).serve(listener, serving.clone());
        tokio::pin!(served);
        let result = tokio::select! {
            result = &mut served => result,
            outcome = running.ended() => {
                serving.start();
                let _ = served.await; // the store's failure is the one to tell
                return stopped(outcome);
            }
            () = end_supply(&shutdown, &point, &producer) => {
                serving.start();
                served.await
            }
        };

        point.tell(Happened::ShutDown).await; // what the last calls began
        wait_for_outbox(&point, &producer).await;
        background.start();
        running.stop();
        let outcome = stopped(running.ended().await);
        if *producer.state().borrow() == BrokerState::Reached {
            producer.flush(LAST_READINGS).await;
        }
        tracing::info!(%charge_point, "engine stopped");
        result.map_err(Error::from).and(outcome)
    }
}

/// The calls that an engine serves.
pub fn server(options: &ServerOptions, point: &Point) -> GrpcServer {
    let limit = options.max_message_bytes;
    let engine = EngineServiceServer::new(EngineApi::new(point.clone())).max_decoding_message_size(limit);
    let panel = EnginePanelServiceServer::new(PanelApi(point.clone())).max_decoding_message_size(limit);
    GrpcServer::new(options)
        .add_service(engine.accept_compressed(REQUEST_CODING))
        .add_service(panel.accept_compressed(REQUEST_CODING))
}

/// The owner's thread ended: with its result, or without one if it panicked, which is as fatal as a failed store.
fn stopped(outcome: Option<Result<(), Error>>) -> Result<(), Error> {
    outcome.unwrap_or_else(|| Err(Error::Thread(std::io::Error::other("it ended without a result"))))
}

/// Wakes the owner when time alone changes something.
async fn tick(point: Point, mut wakes: watch::Receiver<Option<Mono>>, shutdown: Shutdown) {
    loop {
        let at = *wakes.borrow_and_update();
        tokio::select! {
            () = shutdown.started() => return,
            changed = wakes.changed() => if changed.is_err() { return },
            () = sleep_until(at) => {
                point.tell(Happened::Tick).await;
                // The owner names the next moment after each commit.
                tokio::select! {
                    () = shutdown.started() => return,
                    changed = wakes.changed() => if changed.is_err() { return },
                }
            }
        }
    }
}

/// At the order to stop a supply that runs ends while calls are still answered: central hears of it by Kafka, and asks.
async fn end_supply(shutdown: &Shutdown, point: &Point, producer: &Producer) {
    shutdown.started().await;
    let mut view = point.watch();
    let runs = |record: &&SupplyRecord| record.state == SupplyState::Supplying;
    let ended = view.borrow().current.as_ref().filter(runs).map(|record| record.session.clone());
    let Some(ended) = ended else { return };
    point.tell(Happened::ShutDown).await;
    wait_for_outbox(point, producer).await;
    if *producer.state().borrow() == BrokerState::Reached {
        let settled = |view: &View| view.unsettled.iter().all(|record| record.session != ended);
        // Either way is fine: what central has not confirmed is on disk.
        let _ = tokio::time::timeout(LAST_ANSWER, view.wait_for(settled)).await;
    }
}

async fn wait_for_outbox(point: &Point, producer: &Producer) {
    let (mut view, kafka) = (point.watch(), producer.state());
    if *kafka.borrow() == BrokerState::Lost {
        return;
    }
    // The question makes sure that what was told before has been done, so that its events are counted.
    if point.act(Act::Look).await.is_ok() {
        // Either way is fine: what is left is on disk.
        let _ = tokio::time::timeout(LAST_EVENTS, view.wait_for(|view| view.unsent == 0)).await;
    }
}

/// Ends what runs beside `run` however that ends, dropped included: what is left alone would keep the store open.
struct StopOnDrop(Shutdown);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.start();
    }
}
