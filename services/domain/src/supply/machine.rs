//! The machine itself: what it holds, how time passes in it, and what it leaves on disk.

use super::{
    authorization::Held,
    effect::{Answer, Effect, Obstacle, Refusal, Write},
    event::{Cause, Event, EventKind},
    input::{Input, Settings},
    running::{Car, Running},
    watch::Watch,
};
use crate::{InstanceId, Mono, Now, SupplyRecord, Wall};
use std::collections::VecDeque;

/// The most ended sessions kept for central, which it must confirm: with more, no new supply is authorised. An answer that
/// carries them all stays well below a megabyte.
pub const MAX_UNSETTLED: usize = 1_000;

/// The most rows that wait for Kafka: months of one charge point. Beyond it the oldest go; what they said of a session is
/// in its record, which central asks for.
pub const MAX_OUTBOX: usize = 10_000;

/// What was on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The random id of the store.
    pub instance: InstanceId,
    /// The highest authorisation number seen; 0: none.
    pub highest: u64,
    /// The supply that ran.
    pub current: Option<SupplyRecord>,
    /// Ended sessions that central has not confirmed, oldest first.
    pub unsettled: Vec<SupplyRecord>,
    /// The ids of the outbox's rows, rising.
    pub outbox: VecDeque<u64>,
}

/// The engine as it looks from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The random id of the store.
    pub instance: InstanceId,
    /// The highest authorisation number seen; 0: none.
    pub highest: u64,
    /// The session that is authorised or being supplied.
    pub current: Option<SupplyRecord>,
    /// Ended sessions that central has not confirmed, oldest first.
    pub unsettled: Vec<SupplyRecord>,
    /// The last session that ended here, as far as it is remembered.
    pub last: Option<SupplyRecord>,
    /// So many events wait for Kafka.
    pub unsent: usize,
    /// Why it cannot supply.
    pub obstacle: Option<Obstacle>,
    /// A car is plugged in.
    pub plugged_in: bool,
    /// A monitor attends it.
    pub attended: bool,
    /// That monitor reaches central.
    pub central_reachable: bool,
}

/// The engine's rules. See the [module](super).
#[derive(Debug, Clone)]
pub struct Supply {
    pub(super) settings: Settings,
    pub(super) instance: InstanceId,
    pub(super) highest: u64,
    pub(super) current: Current,
    pub(super) unsettled: Vec<SupplyRecord>,
    pub(super) last: Option<SupplyRecord>,
    outbox: VecDeque<u64>,
    next_event: u64,
    pub(super) watch: Watch,
    fault: Option<String>,
    pub(super) car: Option<Car>,
    pub(super) plug_in_at: Option<Mono>,
    /// The engine's own row on disk is older than what is here.
    pub(super) unsaved: bool,
}

/// What the charge point is taken by.
#[derive(Debug, Clone)]
pub(super) enum Current {
    Nothing,
    Held(Held),
    Running(Running),
}

impl Supply {
    /// From what was on disk. A supply that ran is closed at its last persisted reading; the effects say so, and are to be
    /// carried out like those of any input.
    pub fn restore(now: Now, settings: Settings, stored: Stored) -> (Self, Vec<Effect>) {
        let mut supply = Self {
            settings,
            instance: stored.instance,
            highest: stored.highest,
            current: Current::Nothing,
            last: stored.unsettled.last().cloned(),
            unsettled: stored.unsettled,
            next_event: stored.outbox.back().map_or(1, |newest| newest + 1),
            outbox: stored.outbox,
            watch: Watch::default(),
            fault: None,
            car: None,
            plug_in_at: None,
            unsaved: false,
        };
        let mut effects = Vec::new();
        if let Some(record) = stored.current {
            supply.close(now.wall, record, Cause::Interrupted, &mut effects);
        }
        supply.save(&mut effects);
        (supply, effects)
    }

    /// Applies one input. Time that passed before it is dealt with first.
    pub fn apply(&mut self, now: Now, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.pass(now, &mut effects);
        let answer = self.take(now, input, &mut effects);
        self.settle_car();
        self.start_if_ready(now, &mut effects);
        self.save(&mut effects);
        effects.extend(answer.map(Effect::Answer));
        effects
    }

    /// When [`Input::Tick`] is due; `None`: nothing happens by itself.
    pub fn wake_at(&self) -> Option<Mono> {
        let reading = match &self.current {
            Current::Running(running) => Some(running.next_reading),
            Current::Nothing | Current::Held(_) => None,
        };
        self.due().map(|(at, _)| at).into_iter().chain(reading).min()
    }

    /// The random id of the store.
    pub fn instance(&self) -> &InstanceId {
        &self.instance
    }

    /// The engine as it looks from outside.
    pub fn view(&self) -> View {
        View {
            instance: self.instance.clone(),
            highest: self.highest,
            current: match &self.current {
                Current::Nothing => None,
                Current::Held(held) => Some(held.record()),
                Current::Running(running) => Some(running.record.clone()),
            },
            unsettled: self.unsettled.clone(),
            last: self.last.clone(),
            unsent: self.outbox.len(),
            obstacle: self.obstacle(),
            plugged_in: self.car.is_some(),
            attended: self.watch.is_attended(),
            central_reachable: self.watch.central_reachable(),
        }
    }

    /// Why no supply can start.
    pub(super) fn obstacle(&self) -> Option<Obstacle> {
        if let Some(reason) = &self.fault {
            Some(Obstacle::Broken(reason.clone()))
        } else if !self.watch.is_attended() {
            Some(Obstacle::Unattended)
        } else if self.unsettled.len() >= MAX_UNSETTLED {
            Some(Obstacle::Unsettled(self.unsettled.len()))
        } else {
            None
        }
    }

    fn take(&mut self, now: Now, input: Input, effects: &mut Vec<Effect>) -> Option<Answer> {
        match input {
            Input::Tick => None,
            Input::Authorize(instance, order) => {
                Some(Answer::Call(self.authorize(now.mono, &instance, order)))
            }
            Input::Revoke { instance, number, session } => {
                Some(Answer::Revoke(self.revoke(&instance, number, &session)))
            }
            Input::Stop(instance, session) => {
                Some(Answer::Call(self.stop(now, &instance, &session, effects)))
            }
            Input::Query(instance) => Some(Answer::Call(self.query(&instance))),
            Input::ConfirmSettled(instance, sessions) => {
                Some(Answer::Call(self.confirm(&instance, &sessions, effects)))
            }
            Input::Attend { link, epoch, central_reachable } => {
                Some(Answer::Attend(self.watch.ping(now.mono, link, epoch, central_reachable)))
            }
            Input::AttendEnded { link } => {
                self.watch.ended(link);
                None
            }
            Input::PlugIn => Some(Answer::Panel(self.plug_in())),
            Input::Unplug => {
                self.car = None;
                self.end(now, Cause::Unplugged, effects);
                Some(Answer::Panel(Ok(())))
            }
            Input::CheckManual => Some(Answer::Panel(self.check_manual())),
            Input::Break(reason) => {
                self.break_down(now, reason, effects);
                Some(Answer::Panel(Ok(())))
            }
            Input::Mend => {
                self.fault = None;
                Some(Answer::Panel(Ok(())))
            }
            Input::Look => Some(Answer::Panel(Ok(()))),
            Input::Delivered(ids) => {
                self.delivered(&ids, effects);
                None
            }
            Input::ShutDown => {
                self.end(now, Cause::Interrupted, effects);
                self.current = Current::Nothing;
                None
            }
        }
    }

    fn plug_in(&mut self) -> Result<(), Refusal> {
        if matches!(self.current, Current::Running(_)) {
            return Err(Refusal::AlreadyPluggedIn);
        }
        self.car.get_or_insert(Car::ByHand);
        self.plug_in_at = None;
        Ok(())
    }

    fn check_manual(&self) -> Result<(), Refusal> {
        match &self.current {
            Current::Held(held) => Err(Refusal::Busy(held.order.session.clone())),
            Current::Running(running) => Err(Refusal::Busy(running.record.session.clone())),
            Current::Nothing => self.obstacle().map_or(Ok(()), |obstacle| Err(Refusal::Obstacle(obstacle))),
        }
    }

    fn break_down(&mut self, now: Now, reason: String, effects: &mut Vec<Effect>) {
        if self.fault.is_some() {
            return; // it is broken already, and has said so
        }
        self.fault = Some(reason.clone());
        if !self.end(now, Cause::EngineFault(reason.clone()), effects) {
            self.tell(now.wall, EventKind::Broke(reason), effects);
        }
    }

    // --- time ---

    /// Whatever happens by itself next, but for readings; of several at once the first named here.
    fn due(&self) -> Option<(Mono, Due)> {
        let (full, time_over, held_over) = match &self.current {
            Current::Nothing => (None, None, None),
            Current::Held(held) => (None, None, Some(held.until)),
            Current::Running(running) => {
                let leaves = self.settings.duration.map(|duration| running.since + duration);
                (running.meter.full_at(), leaves, None)
            }
        };
        [
            (full, Due::Full),
            (time_over, Due::TimeOver),
            (self.watch.lost_at(self.settings.monitor_grace), Due::MonitorLost),
            (held_over, Due::HeldOver),
            (self.plug_in_at, Due::PlugIn),
        ]
        .into_iter()
        .filter_map(|(at, due)| at.map(|at| (at, due)))
        .min_by_key(|(at, _)| *at)
    }

    /// Lets time pass up to now: each thing that was due, at the moment at which it was, then one reading.
    fn pass(&mut self, now: Now, effects: &mut Vec<Effect>) {
        // Each round removes what was due, and none adds more than a supply's own two ends: it ends.
        while let Some((mono, due)) = self.due().filter(|(at, _)| *at <= now.mono) {
            let lag = i64::try_from(now.mono.since(mono).as_millis()).unwrap_or(i64::MAX);
            let at = Now { mono, wall: Wall(now.wall.0.saturating_sub(lag)) };
            match due {
                Due::Full => _ = self.end(at, Cause::Full, effects),
                Due::TimeOver => _ = self.end(at, Cause::TimeOver, effects),
                Due::MonitorLost => {
                    self.watch.lose();
                    if !self.end(at, Cause::MonitorLost, effects) {
                        self.tell(at.wall, EventKind::MonitorLost, effects);
                    }
                }
                Due::HeldOver => self.current = Current::Nothing,
                Due::PlugIn => {
                    self.plug_in_at = None;
                    self.car.get_or_insert(Car::ByItself);
                }
            }
            self.settle_car();
            self.start_if_ready(at, effects);
        }
        self.read_if_due(now.mono, effects);
    }

    // --- the disk and the outbox ---

    pub(super) fn tell(&mut self, at: Wall, kind: EventKind, effects: &mut Vec<Effect>) {
        if self.outbox.len() >= MAX_OUTBOX
            && let Some(oldest) = self.outbox.pop_front()
        {
            effects.extend([Effect::Save(Write::EventGone(oldest)), Effect::OutboxOverflow(1)]);
        }
        let id = self.next_event;
        self.next_event += 1;
        self.outbox.push_back(id);
        effects.push(Effect::Save(Write::Event(Event { id, at, kind })));
    }

    fn delivered(&mut self, ids: &[u64], effects: &mut Vec<Effect>) {
        for id in ids {
            if let Ok(place) = self.outbox.binary_search(id) {
                self.outbox.remove(place);
                effects.push(Effect::Save(Write::EventGone(*id)));
            }
        }
    }

    fn save(&mut self, effects: &mut Vec<Effect>) {
        if !std::mem::take(&mut self.unsaved) {
            return;
        }
        let current = match &self.current {
            Current::Running(running) => Some(running.record.clone()),
            Current::Nothing | Current::Held(_) => None,
        };
        effects.push(Effect::Save(Write::Engine { highest: self.highest, current }));
    }
}

/// What happens by itself.
#[derive(Debug, Clone, Copy)]
enum Due {
    Full,
    TimeOver,
    MonitorLost,
    HeldOver,
    PlugIn,
}
