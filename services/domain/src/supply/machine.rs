//! The machine itself: what it holds, how time passes in it, and what it leaves on disk.

use super::{
    current::Current,
    effect::{Effect, Obstacle, StaleEpoch, Write},
    event::{Cause, Event, EventKind},
    input::{Happened, Ping},
    manual::Asking,
    metered::Metered,
    watch::Watch,
};
use crate::{ChargePointId, InstanceId, Mono, Now, Power, SupplyRecord, Wall};
use std::{collections::VecDeque, fmt::Debug, time::Duration};

/// The most ended sessions kept for central, which it must confirm: with more, no new supply is authorised. An answer
/// that carries them all stays well below a megabyte.
pub const MAX_UNSETTLED: usize = 1_000;

/// The most rows that wait for Kafka: months of one charge point. Beyond it the oldest go; what they said of a
/// session is in its record, which central asks for.
pub const MAX_OUTBOX: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Whose engine it is.
    pub charge_point: ChargePointId,
    /// The random id of the store.
    pub instance: InstanceId,
    /// The highest authorisation number seen; 0: none.
    pub highest: u64,
    pub current: Option<SupplyRecord>,
    /// Ended sessions that central has not confirmed, oldest first.
    pub unsettled: Vec<SupplyRecord>,
    /// The ids of the outbox's rows, rising.
    pub outbox: VecDeque<u64>,
}

/// The engine as it looks from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Whose engine it is.
    pub charge_point: ChargePointId,
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
    pub obstacle: Option<Obstacle>,
    pub plugged_in: bool,
    pub attended: bool,
    /// That monitor reaches central.
    pub central_reachable: bool,
    /// The most that it delivers; `None`: nobody has said.
    pub rated: Option<Power>,
}

/// The engine's rules. See the [module](super).
#[derive(Debug, Clone)]
pub struct Supply {
    /// How long the monitor may be silent before it counts as lost.
    monitor_grace: Duration,
    pub(super) charge_point: ChargePointId,
    pub(super) instance: InstanceId,
    pub(super) highest: u64,
    pub(super) current: Current,
    pub(super) unsettled: Vec<SupplyRecord>,
    pub(super) last: Option<SupplyRecord>,
    outbox: VecDeque<u64>,
    next_event: u64,
    pub(super) watch: Watch,
    pub(super) fault: Option<String>,
    pub(super) plugged_in: bool,
    /// The requests for a supply here that wait for central.
    pub(super) asking: Asking,
    /// The engine's own row on disk is older than what is here.
    pub(super) unsaved: bool,
}

/// Something that comes to the engine, and what it is answered. Its kinds are those of this module: no other can name a
/// [`Moment`].
pub trait Input: Send + 'static {
    type Answer: Debug + Send + 'static;

    /// What of it comes before things that are due at this very moment.
    fn ahead(&self, _: &mut Supply, _: Moment, _: &mut Vec<Effect>) {}

    /// The thing itself; [`Supply::apply`] does what is due around it.
    fn take(self, supply: &mut Supply, now: Moment, effects: &mut Vec<Effect>) -> Self::Answer;
}

/// The moment of an input, and what the meter shows at it.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub(super) mono: Mono,
    pub(super) wall: Wall,
    pub(super) metered: Metered,
}

/// By what the charge point is taken, as a car sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenBy {
    Nobody,
    /// The authorisation with this number, which no car has taken up yet.
    Authorization(u64),
    Supply,
}

impl Supply {
    /// From what was on disk. A supply that ran is closed at its last persisted reading; the effects say so, and are
    /// to be carried out like those of any input.
    pub fn restore(now: Now, monitor_grace: Duration, stored: Stored) -> (Self, Vec<Effect>) {
        let mut supply = Self {
            monitor_grace,
            charge_point: stored.charge_point,
            instance: stored.instance,
            highest: stored.highest,
            current: Current::Nothing,
            last: stored.unsettled.last().cloned(),
            unsettled: stored.unsettled,
            next_event: stored.outbox.back().map_or(1, |newest| newest + 1),
            outbox: stored.outbox,
            watch: Watch::default(),
            fault: None,
            plugged_in: false,
            asking: Asking::default(),
            unsaved: false,
        };
        let mut effects = Vec::new();
        if let Some(record) = stored.current {
            supply.close(now.wall, record, Cause::Interrupted, &mut effects);
        }
        supply.save(&mut effects);
        (supply, effects)
    }

    /// Applies one input, with what the meter shows. Time that passed before it is dealt with first: what was due in
    /// it is metered right if whoever applies came at [`Self::due_at`] too.
    pub fn apply<I: Input>(&mut self, now: Now, metered: Metered, input: I) -> (I::Answer, Vec<Effect>) {
        let mut effects = Vec::new();
        let now = Moment { mono: now.mono, wall: now.wall, metered };
        input.ahead(self, now, &mut effects);
        self.pass(now, now.mono, &mut effects);
        self.read_if_due(now, &mut effects);
        let answer = input.take(self, now, &mut effects);
        self.start_if_ready(now, &mut effects);
        self.save(&mut effects);
        (answer, effects)
    }

    /// When [`Happened::Tick`] is due; `None`: nothing happens by itself.
    pub fn wake_at(&self) -> Option<Mono> {
        let reading = match &self.current {
            Current::Running(running) => Some(running.next_reading),
            Current::Nothing | Current::Held(_) => None,
        };
        self.due_at().into_iter().chain(reading).min()
    }

    /// When something other than a reading happens by itself.
    pub fn due_at(&self) -> Option<Mono> {
        self.due().map(|(at, _)| at)
    }

    /// By what the charge point is taken.
    pub fn taken_by(&self) -> TakenBy {
        match &self.current {
            Current::Nothing => TakenBy::Nobody,
            Current::Held(held) => TakenBy::Authorization(held.order.number),
            Current::Running(_) => TakenBy::Supply,
        }
    }

    pub fn plugged_in(&self) -> bool {
        self.plugged_in
    }

    /// The random id of the store.
    pub fn instance(&self) -> &InstanceId {
        &self.instance
    }

    /// The engine as it looks from outside.
    pub fn view(&self) -> View {
        View {
            charge_point: self.charge_point.clone(),
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
            plugged_in: self.plugged_in,
            attended: self.watch.is_attended(),
            central_reachable: self.watch.central_reachable(),
            rated: None,
        }
    }

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

    // --- time ---

    /// Whatever happens by itself next, but for readings; of several at once the first named here.
    fn due(&self) -> Option<(Mono, Due)> {
        let lost = self.watch.lost_at(self.monitor_grace).map(|at| (at, Due::MonitorLost));
        let over = match &self.current {
            Current::Held(held) => Some((held.until, Due::HeldOver)),
            Current::Nothing | Current::Running(_) => None,
        };
        lost.into_iter().chain(over).min_by_key(|(at, _)| *at)
    }

    /// Lets time pass: each thing that was due until then, at the moment at which it was.
    fn pass(&mut self, now: Moment, until: Mono, effects: &mut Vec<Effect>) {
        while let Some((mono, due)) = self.due().filter(|(at, _)| *at <= until) {
            let Now { mono, wall } = Now { mono: now.mono, wall: now.wall }.back_to(mono);
            match due {
                Due::MonitorLost => {
                    self.watch.lose();
                    if !self.end(Moment { mono, wall, ..now }, Cause::MonitorLost, effects) {
                        self.tell(wall, EventKind::MonitorLost, effects);
                    }
                }
                Due::HeldOver => self.current = Current::Nothing,
            }
        }
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

impl Input for Ping {
    type Answer = Result<(), StaleEpoch>;

    fn take(self, supply: &mut Supply, now: Moment, _: &mut Vec<Effect>) -> Self::Answer {
        supply.watch.ping(now.mono, self)
    }
}

impl Input for Happened {
    type Answer = ();

    fn ahead(&self, supply: &mut Supply, now: Moment, effects: &mut Vec<Effect>) {
        if let Self::CarTakesNoMore(cause) = self {
            // The final reading says what one just before this moment would have.
            supply.pass(now, Mono(now.mono.0.saturating_sub(1)), effects);
            supply.end(now, cause.clone(), effects);
        }
    }

    fn take(self, supply: &mut Supply, now: Moment, effects: &mut Vec<Effect>) {
        match self {
            Self::Tick | Self::CarTakesNoMore(_) => {}
            Self::AttendEnded { link } => supply.watch.ended(link),
            Self::PluggedIn => supply.plugged_in = true,
            Self::Unplugged => supply.unplugged(now, effects),
            Self::ManualAnswered(request) => supply.asking.answered(&request),
            Self::Delivered(ids) => supply.delivered(&ids, effects),
            Self::ShutDown => {
                supply.end(now, Cause::Interrupted, effects);
                supply.current = Current::Nothing;
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Due {
    MonitorLost,
    HeldOver,
}
