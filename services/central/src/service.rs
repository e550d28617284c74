//! Central as a whole: started from its options, stopped in order.

use crate::{
    Error, Options,
    api::{ChargePoints, Drivers, Operators},
    changelog::{self, End},
    engine_client::Calls,
    events::Events,
    kafka::{
        Publisher, broadcast, end_changelog, publish_anchors, read_telemetry, send_dead_letters,
        send_notifications,
    },
    old_requests::OldRequests,
    opening::Opening,
    panel::View,
    registry::Hearing,
    roster::{self, Roster, RosterHandle},
    writer::{self, Handle, Lag, Outlets, Running, Writer},
};
use evmesh_proto::{
    chargepoint::charge_point_service_server::ChargePointServiceServer,
    driver::driver_service_server::DriverServiceServer,
    operations::operator_service_server::OperatorServiceServer, topics,
};
use mesh::{
    Shutdown,
    group_commit::Owner,
    grpc::{GrpcServer, Listener, Peers, REQUEST_CODING, Refused, Role},
    kafka::{Producer, ensure_topics},
    store::Store,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};

/// How often the rules learn that time passes: deadlines are kept to a fraction of INV-3's 5 s.
const TICK: Duration = Duration::from_millis(200);
/// How long the producer may take at the end to send what it has.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// The names that clients of Kafka show.
const CLIENT_ID: &str = "evmesh-central";
/// The topics that central reads or writes.
const TOPICS: &[&str] =
    &[topics::CP_TELEMETRY, topics::CP_TELEMETRY_DLQ, topics::DRIVER_NOTIFICATIONS, topics::NETWORK_STATUS];

/// Central, bound and with its store open, not running yet.
#[derive(Debug)]
pub struct Service {
    options: Options,
    listener: Listener,
    peers: Peers,
    /// Whose certificates are refused, by this server and by its peers; `None` in plain text.
    refused: Option<Refused>,
    opening: Opening,
    lag: watch::Sender<Lag>,
    producer: Producer,
    events: Events,
    view: View,
    roster: watch::Sender<Arc<Roster>>,
}

impl Service {
    /// Opens the store and binds the socket. Kafka need not be there. Needs a tokio runtime.
    ///
    /// A store that is empty is looked for on Kafka by [`Service::run`], before anyone is served.
    pub async fn bind(mut options: Options) -> Result<Self, Error> {
        options.rules.config()?; // what is wrong with it is said before anything is taken
        let security = options.security.open("central/NAME", |role| matches!(role, Role::Central(_)))?;
        let security = security.taking(&options.tokens)?;
        options.kafka.protect(options.security.identity.as_deref())?;
        if options.kafka.is_discreet() {
            options.changelog = false;
            tracing::warn!(
                kafka = options.kafka.kafka,
                "Kafka is reached in plain text, and others may read it: what drivers are told (driver_notifications), \
                 dead letters (cp_telemetry.dlq) and the copy of the store (central_changelog) are left out, so \
                 drivers hear by WatchSession alone, and a lost store cannot be rebuilt; with TLS (--kafka-ca FILE \
                 or --kafka-tls) or with --kafka-in-clear Kafka has them all"
            );
        }
        let listener = Listener::bind(options.listen.clone(), "central", &security).await?;
        let of_store = options.clone();
        let opening = tokio::task::spawn_blocking(move || Opening::open(&of_store));
        let opening = opening.await.map_err(|error| Error::Writer(std::io::Error::other(error)))??;
        let producer = Producer::new(&options.kafka, CLIENT_ID)?;
        let (events, messages) = Events::new();
        let roster = watch::Sender::new(Arc::new(Roster::default()));
        let view = View {
            address: listener.local_addr(),
            roster: roster.subscribe(),
            log: messages,
            broker: producer.state(),
            browse: ui::Browse::default(),
        };
        let refused = security.refused().cloned();
        let peers = Peers::new(security);
        let lag = watch::Sender::default();
        Ok(Self { options, listener, peers, refused, opening, lag, producer, events, view, roster })
    }

    /// Where it listens: the port is known here even if it was given as 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// What the panel shows. As long as one of these is kept, the charge points are collected once a second.
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// How far the changelog is behind the store: how many rows, and for how many seconds the oldest of them. The
    /// gauges that say so are a process's, and one may have several centrals.
    pub fn changelog_lag(&self) -> impl Fn() -> (usize, f64) + Send + Sync + 'static {
        let lag = self.lag.subscribe();
        move || {
            let lag = *lag.borrow();
            (lag.rows, lag.seconds)
        }
    }

    /// The same as part of a network in one process, which has been told to stop when `stop` has started: then
    /// monitors that leave before central does are no warning.
    pub fn in_network(mut self, stop: Shutdown) -> Self {
        self.events.in_network(stop);
        self
    }

    /// Serves until the order to stop, and then ends in order: not serving, nothing new accepted, running calls
    /// drained, everything saved, the producer flushed. It ends by itself if the store fails.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Error> {
        let Self { options, listener, peers, refused, opening, lag, producer, events, view, roster } = self;
        drop(view); // only views that somebody kept count as followers of the roster
        let Some(mut writer) = opening.ready(&options, &shutdown).await? else { return Ok(()) };
        writer.rules.tells_kafka(!options.kafka.is_discreet());
        // `stop` starts with the given order, or when the store fails; `drained` once nobody is served any more.
        // Running calls need time to pass, and what they decide to be published, until then.
        let (stop, drained) = (shutdown.child(), Shutdown::new());
        let [notifications, dead_letters, changelog] = std::array::from_fn(|_| Arc::new(Notify::new()));
        let (rules, store) = (&writer.rules, writer.rules.store_id().to_owned());
        let (keys, position) = (rules.keys(), rules.position());
        let end = if options.changelog { None } else { rules.changelog_end(&writer.store)? };
        let of_changelog = (store, changelog.clone(), events.clone());
        let old_requests = OldRequests::default();
        let unbridged = old_requests.watch(&options.kafka, events.clone(), stop.clone())?;
        let hearing = Hearing::of(options.registry.as_ref(), &peers, refused.as_ref(), &events);
        let outlets = Outlets {
            events,
            producer: producer.clone(),
            notifications: notifications.clone(),
            dead_letters: dead_letters.clone(),
            changelog,
            lag,
            refused: refused.unwrap_or_default(),
        };
        keys.tell();
        let (handle, mut running) = start(writer, outlets, options.engine_timeout, peers)?;
        let reader = read_telemetry(&options.kafka, position, handle.clone(), keys)?;
        let roster = roster::spawn(roster, handle.clone(), stop.clone());
        let background = Background {
            options: &options,
            handle: &handle,
            producer: &producer,
            stop: &stop,
            drained: &drained,
        };
        let mut tasks = background.spawn([notifications, dead_letters]);
        background.copy(&mut tasks, of_changelog, end);
        tasks.spawn(unbridged);
        if let Some(hearing) = hearing {
            tasks.spawn(hearing.run(handle.clone(), stop.clone()));
        }
        let server = server(&options, &handle, roster.clone(), old_requests);
        let (address, kafka) = (listener.local_addr(), &options.kafka.kafka);
        tracing::info!(%address, data = %options.data.display(), kafka, "central serves");

        let serving = server.serve(listener, stop.clone());
        tokio::pin!(serving);
        let (served, ended) = tokio::select! {
            served = &mut serving => (Some(served), None),
            ended = ended(&mut running) => (None, Some(ended)),
        };
        // The server has drained, or the writer has failed: then nobody can be served any more.
        stop.start();
        let served = match served {
            Some(served) => served,
            None => serving.await,
        };
        drop(reader);
        drained.start();
        while tasks.join_next().await.is_some() {}
        let ended = match ended {
            Some(ended) => ended,
            None => finish(&mut running).await,
        };
        if !producer.flush(FLUSH_TIMEOUT).await {
            tracing::info!(
                "kafka did not take every message; what was not delivered is sent at the next start"
            );
        }
        ended?;
        served?;
        tracing::info!("central stopped");
        Ok(())
    }
}

/// Starts the writer's thread, and has it call engines. Who is revoked by its store is refused from here on. Needs a
/// tokio runtime.
pub fn start(
    writer: Owner<Writer, impl Store>,
    outlets: Outlets,
    engine_timeout: Duration,
    peers: Peers,
) -> Result<(Handle, Running), Error> {
    outlets.refused.add(writer.rules.refused());
    let (handle, inboxes) = writer::queues();
    let runtime = tokio::runtime::Handle::current();
    let mut calls = Calls::new(handle.clone(), writer.rules.keys(), engine_timeout, peers, runtime);
    let running =
        writer::spawn(writer, outlets, move |call, telling| calls.start(call, telling), (&handle, inboxes))?;
    Ok((handle, running))
}

/// Stops the writer: it works off what waits, and saves everything.
async fn finish(running: &mut Running) -> Result<(), Error> {
    running.stop();
    ended(running).await
}

async fn ended(running: &mut Running) -> Result<(), Error> {
    let panicked = || Err(Error::Writer(std::io::Error::other("its thread panicked")));
    running.ended().await.unwrap_or_else(panicked)
}

/// The calls that central serves.
pub fn server(
    options: &Options,
    handle: &Handle,
    roster: RosterHandle,
    old_requests: OldRequests,
) -> GrpcServer {
    let max = options.server.max_message_bytes;
    let drivers = Drivers { handle: handle.clone(), old_requests };
    let points = ChargePoints { handle: handle.clone(), report_interval: options.rules.report_interval };
    let operators = Operators { handle: handle.clone(), roster };
    let refused = handle.clone();
    GrpcServer::new(&options.server)
        .tell_refusals(move |refusal| refused.refused(refusal))
        .add_service(
            DriverServiceServer::new(drivers)
                .max_decoding_message_size(max)
                .accept_compressed(REQUEST_CODING),
        )
        .add_service(
            ChargePointServiceServer::new(points)
                .max_decoding_message_size(max)
                .accept_compressed(REQUEST_CODING),
        )
        .add_service(
            OperatorServiceServer::new(operators)
                .max_decoding_message_size(max)
                .accept_compressed(REQUEST_CODING),
        )
}

/// What runs beside the server.
struct Background<'a> {
    options: &'a Options,
    handle: &'a Handle,
    producer: &'a Producer,
    stop: &'a Shutdown,
    drained: &'a Shutdown,
}

impl Background<'_> {
    fn spawn(&self, [notifications, letters]: [Arc<Notify>; 2]) -> JoinSet<()> {
        let Self { options, handle, producer, stop, drained } = *self;
        let mut tasks = JoinSet::new();
        tasks.spawn(tick(handle.clone(), drained.clone()));
        if !options.kafka.is_discreet() {
            tasks.spawn(send_notifications(handle.clone(), producer.clone(), notifications, drained.clone()));
            tasks.spawn(send_dead_letters(handle.clone(), producer.clone(), letters, drained.clone()));
        }
        tasks.spawn(broadcast(handle.clone(), producer.clone(), options.broadcast_interval, stop.clone()));
        let anchors =
            publish_anchors(handle.clone(), options.kafka.clone(), producer.clone(), drained.clone());
        tasks.spawn(anchors);
        tasks.spawn(ensure_topics(options.kafka.clone(), TOPICS, stop.clone()));
        tasks
    }
}

impl Background<'_> {
    /// Keeps the changelog of this store; where none is kept any more, ends it.
    fn copy(
        &self,
        tasks: &mut JoinSet<()>,
        (store, wake, events): (String, Arc<Notify>, Events),
        end: Option<End>,
    ) {
        let (log, handle) = (changelog::log(&self.options.kafka), self.handle.clone());
        let producer = self.producer.clone();
        if self.options.changelog {
            let publisher = Publisher { handle, producer, log, store, wake, events };
            tasks.spawn(publisher.run(self.drained.clone()));
        } else if let Some(end) = end {
            tasks.spawn(end_changelog(log, producer, (end, events), self.stop.clone()));
        }
    }
}

async fn tick(handle: Handle, shutdown: Shutdown) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.started() => return,
            _ = ticks.tick() => handle.tick().await,
        }
    }
}
