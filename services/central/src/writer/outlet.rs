//! What leaves the writer after each commit, and to whom: callers, engines, drivers, those who watch.

use super::{Lag, Writer, waiting::Waiting, watch::Watches};
use crate::{Error, changelog::Standing, events::Events, messages, store::RowKind, told::Telling};
use domain::Now;
use domain::network::{Effect, EngineCall, EngineRequest};
use evmesh_proto::topics::DRIVER_NOTIFICATIONS;
use mesh::{
    group_commit::{self, Owner},
    grpc::Refused,
    kafka::Producer,
    store::Store,
};
use std::{fmt, sync::Arc};
use tokio::sync::{Notify, watch};

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
    /// Whose certificates are refused.
    pub refused: Refused,
}

/// What lets a step's effects out, on the writer's thread.
pub struct Outlet {
    pub(super) waiting: Waiting,
    pub(super) watches: Watches,
    calls: Box<dyn FnMut(EngineCall, Telling) + Send>,
    outlets: Outlets,
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet").finish_non_exhaustive()
    }
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
    pub(super) fn new(outlets: Outlets, calls: impl FnMut(EngineCall, Telling) + Send + 'static) -> Self {
        Self { waiting: Waiting::default(), watches: Watches::default(), calls: Box::new(calls), outlets }
    }

    /// A step comes with every tick: how old the last one is says whether the writer lives.
    fn measure(&self, now: Now, writer: &Writer) {
        metrics::histogram!("evmesh_central_step_seconds")
            .record(mesh::now().mono.since(now.mono).as_secs_f64());
        metrics::gauge!("evmesh_central_last_step_timestamp_seconds").set(now.wall.seconds());
        metrics::gauge!("evmesh_central_charge_points").set(writer.network.charge_point_count() as f64);
        metrics::gauge!("evmesh_central_sessions_under_review")
            .set(writer.network.sessions_under_review() as f64);
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

    /// Calls an engine; asked what it knows, it says too whether it has heard whom it is to refuse.
    fn call(&mut self, writer: &Writer, call: EngineCall) {
        let says = call.request == EngineRequest::GetState && !call.provisional;
        let telling = if says { Telling::Asks(writer.told_at(&call.charge_point)) } else { Telling::Nothing };
        (self.calls)(call, telling);
    }

    fn tell(&mut self, writer: &Writer, call: EngineCall) {
        let told = writer.told_at(&call.charge_point);
        (self.calls)(call, Telling::Tells(told));
    }

    fn let_out(&mut self, now: Now, owner: &Owner<&Writer, &dyn Store>, effect: Effect) -> Result<(), Error> {
        match effect {
            Effect::Reply(reply) => self.waiting.tell(reply),
            Effect::Call(call) => self.call(owner.rules, call),
            Effect::Tell(call) => self.tell(owner.rules, call),
            Effect::Notify(_) => self.outlets.notifications.notify_one(),
            Effect::DeadLetter(_) => self.outlets.dead_letters.notify_one(),
            Effect::NotifyAtOnce(notice) => {
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
            Effect::Cut(id) => self.outlets.refused.add(owner.rules.refused_by_cut(&id)),
            Effect::Happened(event) => self.outlets.events.happened(now.wall, event),
        }
        Ok(())
    }
}
