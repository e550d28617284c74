//! Carries faults out, and writes down in which state of a session each one struck.

use super::{
    clients::{Client, Desk},
    journal::Moment,
    plan::{Fault, Target},
    watch::{Watch, channel},
    words,
};
use crate::process::{Kind, Life, Slot};
use evmesh_proto::{
    engine::{GetPanelRequest, engine_panel_service_client::EnginePanelServiceClient},
    network::{ChargePointStatus, Session},
    operations::{GetNetworkStatusRequest, operator_service_client::OperatorServiceClient},
};
use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};
use testing::Mode;
use tokio::{net::TcpStream, time::timeout};

/// A target that is being disturbed already is waited for; then the fault is left out.
const FREE_WITHIN: Duration = Duration::from_secs(8);
/// A service is ready so long after it was started, its dependencies being there (INV-9).
const READY: Duration = Duration::from_secs(10);
/// Kafka needs a while to read its log after a kill: it is not one of ours.
const BROKER_READY: Duration = Duration::from_secs(60);
/// Between two looks at whether something is ready.
const LOOK: Duration = Duration::from_millis(50);
/// The state of the sessions is read anew before each kill; central may be away.
const FRESH: Duration = Duration::from_millis(300);

#[derive(Debug, Clone)]
pub(super) struct Striker {
    pub(super) desk: Desk,
    pub(super) watch: Arc<Watch>,
}

impl Striker {
    pub(super) async fn strike(&self, fault: Fault, client: &mut Client) {
        match fault {
            Fault::Kill(target, down) => self.kill(target, down).await,
            Fault::Freeze(target, lasts) => self.freeze(target, lasts).await,
            Fault::Link(index, mode, lasts) => self.link(index, mode, lasts).await,
            Fault::Catch(index, target, mode) => self.catch(index, target, mode, client).await,
        }
    }

    fn slot(&self, target: Target) -> (&Slot, Vec<String>) {
        let world = &self.desk.world;
        let of = |index: usize| &world.points[index % world.points.len()];
        match target {
            Target::Central => (&world.central, vec!["central".into()]),
            Target::Broker => (&world.kafka.slot, vec!["kafka".into()]),
            Target::Engine(index) => (&of(index).engine, vec![of(index).id.clone()]),
            Target::Monitor(index) => (&of(index).monitor, vec![of(index).id.clone()]),
            Target::Driver(index) => (&world.apps[index % world.apps.len()], Vec::new()),
        }
    }

    /// The states of the sessions that a fault at this target concerns: of its charge point or its driver; of all of
    /// them where it is central or Kafka.
    async fn moments(&self, target: Target) -> BTreeSet<Moment> {
        let _ = timeout(FRESH, self.watch.sessions(false)).await; // else as they were shown last
        let (slot, disturbed) = self.slot(target);
        let name = slot.name.clone();
        let concerns = move |session: &Session| match target {
            Target::Central | Target::Broker => true,
            Target::Engine(_) | Target::Monitor(_) => disturbed.contains(&session.charge_point_id),
            Target::Driver(_) => session.driver_id == name,
        };
        self.desk.journal.facts().moments(concerns)
    }

    async fn kill(&self, target: Target, down: Duration) {
        let (slot, disturbs) = self.slot(target);
        let Ok(mut life) = timeout(FREE_WITHIN, slot.take()).await else {
            self.desk.journal.facts().skipped += 1;
            return;
        };
        let _disturbances: Vec<_> = disturbs.iter().map(|whom| self.desk.world.disturb(whom)).collect();
        let moments = self.moments(target).await;
        if slot.kill(&mut life) {
            self.killed(slot, &moments);
        }
        tokio::time::sleep(down).await;
        self.start(slot, &mut life).await;
    }

    fn killed(&self, slot: &Slot, moments: &BTreeSet<Moment>) {
        let mut facts = self.desk.journal.facts();
        *facts.killed.entry(slot.kind).or_default() += 1;
        for moment in moments {
            *facts.kills.entry((slot.kind, *moment)).or_default() += 1;
        }
        facts.deeds.push((mesh::now().wall.0, format!("{} was killed", slot.name)));
    }

    /// Starts it, and waits until it answers.
    pub(super) async fn start(&self, slot: &Slot, life: &mut Life) {
        let journal = &self.desk.journal;
        if let Err(error) = slot.start(life) {
            journal.violated("the run", None, format!("{} cannot be started: {error:#}", slot.name));
            return;
        }
        let began = mesh::now().mono;
        let within = if slot.kind == Kind::Broker { BROKER_READY } else { READY };
        let ready = timeout(within, self.answers(slot)).await;
        let took = mesh::now().mono.since(began);
        journal.deed(format!("{} was started: ready after {} ms", slot.name, took.as_millis()));
        if ready.is_err() {
            journal.violated(
                "INV-9",
                None,
                format!("{} does not answer {within:?} after its start", slot.name),
            );
        }
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        journal.facts().ready_ms.entry(slot.kind).or_default().push(took);
    }

    async fn answers(&self, slot: &Slot) {
        let world = &self.desk.world;
        let point =
            world.points.iter().find(|point| [&point.engine.name, &point.monitor.name].contains(&&slot.name));
        match (slot.kind, point) {
            (Kind::Central, _) => {
                let mut client = OperatorServiceClient::new(channel(world.central_address));
                until(|| {
                    let request = GetNetworkStatusRequest::default();
                    let mut client = client.clone();
                    async move { client.get_network_status(request).await.is_ok() }
                })
                .await;
                // The next to ask finds a connection that is not in a back-off.
                let _ = client.get_network_status(GetNetworkStatusRequest::default()).await;
            }
            (Kind::Engine, Some(point)) => {
                let client = EnginePanelServiceClient::new(channel(point.engine_address));
                until(|| {
                    let mut client = client.clone();
                    async move { client.get_panel(GetPanelRequest {}).await.is_ok() }
                })
                .await;
            }
            (Kind::Monitor, Some(point)) => listens(point.monitor_address).await,
            (Kind::Broker, _) => listens(world.kafka.direct).await,
            (Kind::Driver | Kind::Engine | Kind::Monitor | Kind::Registry, _) => {} // an app serves nobody
        }
    }

    async fn freeze(&self, target: Target, lasts: Duration) {
        let (slot, disturbs) = self.slot(target);
        let Ok(life) = timeout(FREE_WITHIN, slot.take()).await else {
            self.desk.journal.facts().skipped += 1;
            return;
        };
        let _disturbances: Vec<_> = disturbs.iter().map(|whom| self.desk.world.disturb(whom)).collect();
        let moments = self.moments(target).await;
        if !slot.signal(&life, "STOP") {
            return;
        }
        {
            let mut facts = self.desk.journal.facts();
            *facts.paused.entry(slot.kind).or_default() += 1;
            for moment in moments {
                *facts.pauses.entry((slot.kind, moment)).or_default() += 1;
            }
            facts.deeds.push((mesh::now().wall.0, format!("{} was frozen for {lasts:?}", slot.name)));
        }
        tokio::time::sleep(lasts).await;
        slot.signal(&life, "CONT");
    }

    async fn link(&self, index: usize, mode: Mode, lasts: Duration) {
        let world = &self.desk.world;
        let link = &world.links[index % world.links.len()];
        let point = world.points.iter().find(|point| link.name.contains(&point.id));
        let whom = match point {
            Some(point) => point.id.clone(),
            None if link.name.contains("kafka") => "kafka".to_owned(),
            None => "drivers".to_owned(),
        };
        let kind = point.map_or_else(
            || link.name.clone(),
            |point| link.name.replace(&point.id, "engine").replace("engine→central", "charge point→central"),
        );
        let _disturbance = world.disturb(&whom);
        let _ = timeout(FRESH, self.watch.sessions(false)).await; // else as they were shown last
        {
            let mut facts = self.desk.journal.facts();
            let moments =
                facts.moments(|session| point.is_none_or(|point| point.id == session.charge_point_id));
            for moment in moments {
                *facts.links.entry((kind.clone(), moment)).or_default() += 1;
            }
            *facts.link_modes.entry((kind, words::mode(mode))).or_default() += 1;
            facts
                .deeds
                .push((mesh::now().wall.0, format!("{} was {} for {lasts:?}", link.name, words::mode(mode))));
        }
        // Several faults of one link may overlap: the first one's end opens it.
        link.set(mode);
        tokio::time::sleep(lasts).await;
        link.set(Mode::Open);
    }

    /// Kills while a session is authorising, and again while it has ended unsettled: the engine's answer is held back
    /// until both are done.
    async fn catch(&self, index: usize, target: Target, mode: Mode, client: &mut Client) {
        let free = async {
            loop {
                if let Some(point) = self.free_point(index).await {
                    return point;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let Ok(point) = timeout(FREE_WITHIN, free).await else {
            self.desk.journal.facts().skipped += 1;
            self.desk.journal.count("catches without a free charge point");
            return;
        };
        let world = self.desk.world.clone();
        let id = world.points[point].id.clone();
        let Some(link) = world.link(&format!("central→{id}")) else { return };
        let _disturbance = world.disturb(&id);
        let target = match target {
            Target::Engine(_) => Target::Engine(point),
            Target::Monitor(_) => Target::Monitor(point),
            Target::Central | Target::Broker | Target::Driver(_) => target,
        };
        link.set(mode);
        let request = client.request(id.clone());
        let charging = client.charge(&request);
        let killing = async {
            for wanted in [Moment::Authorizing, Moment::Unsettled] {
                self.catch_in(&id, wanted, target).await;
            }
            link.set(Mode::Open);
        };
        tokio::join!(charging, killing);
        link.set(Mode::Open);
    }

    /// A free charge point, from this one on.
    async fn free_point(&self, index: usize) -> Option<usize> {
        let status = self.watch.status().await.ok()?;
        let world = &self.desk.world;
        let free = |point: usize| {
            let id = &world.points[point].id;
            world.calm_since(id).is_some()
                && status.iter().filter_map(|detail| detail.charge_point.as_ref()).any(|shown| {
                    shown.charge_point_id == *id && shown.status() == ChargePointStatus::Available
                })
        };
        let count = world.points.len();
        (0..count).map(|offset| (index % count + offset) % count).find(|point| free(*point))
    }

    /// Waits for the state at the charge point, and kills at once.
    async fn catch_in(&self, id: &str, wanted: Moment, target: Target) {
        let (slot, disturbs) = self.slot(target);
        let Ok(mut life) = timeout(FREE_WITHIN, slot.take()).await else {
            self.desk.journal.facts().skipped += 1;
            return;
        };
        let _disturbances: Vec<_> = disturbs.iter().map(|whom| self.desk.world.disturb(whom)).collect();
        let concerns = |session: &Session| session.charge_point_id == id;
        let there = async {
            loop {
                let shown = timeout(FRESH, self.watch.sessions(false)).await;
                let moments = self.desk.journal.facts().moments(concerns);
                if matches!(shown, Ok(Ok(()))) && moments.contains(&wanted) {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        if timeout(FREE_WITHIN, there).await.is_ok() {
            let moments = match target {
                Target::Central | Target::Broker => self.desk.journal.facts().moments(|_| true),
                _ => self.desk.journal.facts().moments(concerns),
            };
            if slot.kill(&mut life) {
                self.killed(slot, &moments);
                self.start(slot, &mut life).await;
            }
        } else {
            self.desk.journal.facts().skipped += 1;
            self.desk.journal.count("catches in a state that did not come");
        }
    }

    /// Processes that end by themselves are a fault of theirs, but for apps that are through with their file. All
    /// start again.
    pub(super) async fn supervise(&self) {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            for slot in self.desk.world.slots() {
                let Some(mut life) = slot.try_take() else { continue };
                let Some(status) = slot.ended(&mut life) else { continue };
                let through = slot.kind == Kind::Driver && matches!(status.code(), Some(0 | 1));
                if !through {
                    let text =
                        format!("{} ended by itself: {status}; see {}", slot.name, slot.log().display());
                    self.desk.journal.violated("INV-7", None, text);
                }
                self.start(slot, &mut life).await;
            }
        }
    }
}

async fn until<F: Future<Output = bool>>(mut look: impl FnMut() -> F) {
    while !look().await {
        tokio::time::sleep(LOOK).await;
    }
}

async fn listens(address: SocketAddr) {
    until(|| async move { TcpStream::connect(address).await.is_ok() }).await;
}
