//! The running monitor: one loop that owns the watchdog.

use crate::{Error, Options, View, links::Links, words};
use domain::{
    MonitorId,
    watchdog::{Effect, Input, Watchdog},
};
use mesh::{
    Shutdown,
    clock::sleep_until,
    grpc::{Expected, GrpcServer, Listener, Peers, Role},
};
use std::net::SocketAddr;
use tokio::sync::{mpsc, watch};

/// What both streams have told and the loop has not yet taken; a full queue holds the streams back.
const INPUTS: usize = 32;

/// A monitor whose address is bound.
#[derive(Debug)]
pub struct Service {
    options: Options,
    listener: Listener,
    watchdog: Watchdog,
    view: watch::Sender<View>,
    peers: Peers,
    engine: Expected,
}

impl Service {
    /// Binds the monitor's own address. Neither engine nor central is needed.
    pub async fn bind(options: Options) -> Result<Self, Error> {
        let own = Role::Monitor(options.charge_point.clone());
        let stands_there = |role: &Role| *role == own || matches!(role, Role::Gateway(_));
        let security = options.security.open(&format!("{own}, or of its gateway,"), stands_there)?;
        // Its engine has its own name, or the same gateway's.
        let engine = security.gateway();
        let engine = engine.map_or_else(|| Expected::Engine(options.charge_point.clone()), Expected::Gateway);
        let listener = Listener::bind(options.listen.clone(), "the monitor", &security).await?;
        let watchdog = Watchdog::new(options.settings());
        let (listen, status) = (listener.local_addr(), watchdog.status());
        let view = View { options: options.clone(), listen, status };
        let peers = Peers::new(security).without_pings();
        Ok(Self { options, listener, peers, engine, watchdog, view: watch::Sender::new(view) })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// What a panel shows, and each change of it.
    pub fn view(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    /// Watches until the order to stop; then both streams end, and central counts the charge point as disconnected.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Error> {
        let server = GrpcServer::new(&self.options.server).serve(self.listener, shutdown.clone());
        let watching = watch(self.options, (self.peers, self.engine), self.watchdog, self.view, shutdown);
        let (served, ()) = tokio::join!(server, watching);
        Ok(served?)
    }
}

async fn watch(
    options: Options,
    (peers, engine): (Peers, Expected),
    mut watchdog: Watchdog,
    view: watch::Sender<View>,
    shutdown: Shutdown,
) {
    let (sender, mut inputs) = mpsc::channel(INPUTS);
    let mut links = Links::new(options, (&peers, engine), monitor_id(), sender);
    let mut input = Input::Started;
    loop {
        for effect in watchdog.apply(mesh::now().mono, input) {
            act(&mut links, &view, effect);
        }
        let status = watchdog.status();
        words::measure(&view.borrow(), &status);
        view.send_if_modified(|view| {
            let changed = view.status != status;
            view.status = status;
            changed
        });
        input = tokio::select! {
            () = shutdown.started() => return,
            Some(input) = inputs.recv() => input,
            () = sleep_until(watchdog.wake_at()) => Input::Tick,
        };
    }
}

fn act(links: &mut Links, view: &watch::Sender<View>, effect: Effect) {
    match effect {
        Effect::Attend { link, attempt } => links.attend(link, attempt),
        // The number tells a test which stream is meant; there is one only, the newest.
        Effect::Ping { link: _, epoch, central_reachable } => links.ping(epoch, central_reachable),
        Effect::Register { link, instance, attempt, retry_after, newest_epoch } => {
            links.register(link, &instance, attempt, retry_after, newest_epoch)
        }
        Effect::Report { link: _, epoch, health } => links.report(epoch, health),
        Effect::Say(notice) => words::say(&view.borrow(), &notice),
    }
}

fn monitor_id() -> MonitorId {
    let id = uuid::Uuid::new_v4().to_string();
    id.parse().expect("a uuid has only letters, digits and '-'")
}
