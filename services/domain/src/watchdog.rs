//! What a charge point's monitor decides: when to reach for the engine and for central, what to report, what to say.
//!
//! - One link to the engine (its stream of pings) and one to central (a registration, then the stream of reports). Each
//!   attempt at a link has a number, and what comes in for an older one changes nothing (INV-8).
//! - A link that broke is tried again for ever. How long an attempt waits is the carrier's affair: it knows the
//!   attempt's number, and draws the jitter.
//! - Each change is said once, however often an attempt repeats it.
//!
//! Deliberately absent: sockets, clocks, wording. Streams and words belong to the service `monitor`.

mod command;
#[cfg(test)]
mod tests;

pub use command::{CentralStatus, Effect, Health, Input, Link, Notice, Status, Trouble};

use crate::{InstanceId, Mono, text::cut_reason};
use std::time::Duration;

/// A side that was silent for so many of its intervals is lost.
pub const LOST_AFTER_INTERVALS: u32 = 3;

/// The shortest and the longest interval between reports that is taken from central. Outside them a mistaken answer
/// would flood central, or hide a dead engine for hours.
pub const REPORT_INTERVAL_BOUNDS: (Duration, Duration) =
    (Duration::from_millis(50), Duration::from_secs(300));

fn bounded(interval: Duration) -> Duration {
    let (shortest, longest) = REPORT_INTERVAL_BOUNDS;
    interval.clamp(shortest, longest)
}

/// How often to ping, and when to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Between two pings of the engine.
    pub ping_interval: Duration,
    /// An engine that left so many pings in a row unanswered is lost; at least 1.
    pub misses: u32,
}

#[derive(Debug)]
enum Engine {
    /// Nothing, or an attempt that waits out its delay.
    Waiting,
    /// A stream. `heard` is its last answer, or its begin.
    Open { heard: Mono, next_ping: Mono, answered: bool },
}

#[derive(Debug)]
enum Central {
    WaitingForEngine,
    Registering { trouble: Option<Trouble> },
    Reporting { interval: Duration, heard: Mono, next_report: Mono, acknowledged: bool },
}

/// The monitor of one charge point.
#[derive(Debug)]
pub struct Watchdog {
    settings: Settings,
    engine: Engine,
    engine_link: Link,
    engine_attempt: u32,
    instance: Option<InstanceId>,
    health: Option<Health>,
    supplying: bool,
    central: Central,
    central_link: Link,
    central_attempt: u32,
    epoch: u64,
    /// The newest epoch that the engine has refused an older one for.
    newest_epoch: u64,
    out_of_order: bool,
    /// What the input under way has led to.
    effects: Vec<Effect>,
}

impl Watchdog {
    /// A monitor that knows nothing yet. It acts from [`Input::Started`] on.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            engine: Engine::Waiting,
            engine_link: Link(0),
            engine_attempt: 0,
            instance: None,
            health: None,
            supplying: false,
            central: Central::WaitingForEngine,
            central_link: Link(0),
            central_attempt: 0,
            epoch: 0,
            newest_epoch: 0,
            out_of_order: false,
            effects: Vec::new(),
        }
    }

    pub fn status(&self) -> Status {
        let central = match &self.central {
            Central::WaitingForEngine => CentralStatus::WaitingForEngine,
            Central::Registering { trouble } => CentralStatus::Registering(trouble.clone()),
            Central::Reporting { acknowledged: false, .. } => CentralStatus::Registering(None),
            Central::Reporting { acknowledged: true, .. } => {
                CentralStatus::Connected { epoch: self.epoch, out_of_order: self.out_of_order }
            }
        };
        Status {
            engine: self.health.clone(),
            instance: self.instance.clone(),
            supplying: self.supplying,
            central,
        }
    }

    /// When [`Input::Tick`] is due next; `None` while nothing waits for time.
    pub fn wake_at(&self) -> Option<Mono> {
        let engine = match self.engine {
            Engine::Waiting => None,
            Engine::Open { heard, next_ping, .. } => Some(next_ping.min(heard + self.silence())),
        };
        let central = match self.central {
            Central::WaitingForEngine | Central::Registering { .. } => None,
            Central::Reporting { interval, heard, next_report, .. } => {
                Some(next_report.min(heard + interval * LOST_AFTER_INTERVALS))
            }
        };
        engine.into_iter().chain(central).min()
    }

    /// Takes in what happened and says what to do.
    pub fn apply(&mut self, now: Mono, input: Input) -> Vec<Effect> {
        match input {
            Input::Started => self.attend(),
            Input::Tick => self.tick(now),
            Input::AttendStarted { link } if link == self.engine_link => {
                self.engine = Engine::Open {
                    heard: now,
                    next_ping: now + self.settings.ping_interval,
                    answered: false,
                };
                self.effects.push(self.ping());
            }
            Input::EngineAnswered { link, instance, fault, supplying } if link == self.engine_link => {
                self.answered(now, instance, fault, supplying);
            }
            Input::EngineEnded { link, why, stale } if link == self.engine_link => {
                self.engine_lost(now, why);
                // A newer registration than ours was seen there; ours must become the newest, or be refused. Until then
                // it counts as none, under which the engine answers: it may have another store to register.
                if let Some(newest) = stale {
                    self.newest_epoch = self.newest_epoch.max(newest);
                    self.epoch = 0;
                    if matches!(self.central, Central::Reporting { .. }) {
                        self.register(None);
                    }
                }
            }
            Input::Registered { link, epoch, report_interval } if link == self.central_link => {
                self.registered(now, epoch, report_interval);
            }
            Input::Acknowledged { link, out_of_order, report_interval } if link == self.central_link => {
                self.acknowledged(now, out_of_order, report_interval);
            }
            Input::CentralEnded { link, trouble } if link == self.central_link => {
                self.central_lost(trouble);
            }
            // Of an older attempt.
            Input::AttendStarted { .. }
            | Input::EngineAnswered { .. }
            | Input::EngineEnded { .. }
            | Input::Registered { .. }
            | Input::Acknowledged { .. }
            | Input::CentralEnded { .. } => {}
        }
        std::mem::take(&mut self.effects)
    }

    fn silence(&self) -> Duration {
        self.settings.ping_interval * self.settings.misses.max(1)
    }

    fn tick(&mut self, now: Mono) {
        let silence = self.silence();
        if let Engine::Open { heard, next_ping, .. } = &mut self.engine {
            if now >= *heard + silence {
                let why = format!("no answer for {silence:?}");
                self.engine_lost(now, why);
            } else if now >= *next_ping {
                *next_ping = now + self.settings.ping_interval;
                self.effects.push(self.ping());
            }
        }
        if let Central::Reporting { interval, heard, next_report, .. } = self.central {
            let patience = interval * LOST_AFTER_INTERVALS;
            if now >= heard + patience {
                self.central_lost(Trouble::Unreachable { why: format!("no answer for {patience:?}") });
            } else if now >= next_report {
                self.report(now);
            }
        }
    }

    /// Opens the next stream to the engine.
    fn attend(&mut self) {
        self.engine = Engine::Waiting;
        self.engine_link.0 += 1;
        self.effects.push(Effect::Attend { link: self.engine_link, attempt: self.engine_attempt });
        self.engine_attempt = self.engine_attempt.saturating_add(1);
    }

    fn ping(&self) -> Effect {
        Effect::Ping {
            link: self.engine_link,
            epoch: self.epoch,
            central_reachable: matches!(self.central, Central::Reporting { acknowledged: true, .. }),
        }
    }

    /// The engine need not wait for the next ping to hear of a new epoch, or of central's loss.
    fn ping_now(&mut self) {
        if matches!(self.engine, Engine::Open { .. }) {
            self.effects.push(self.ping());
        }
    }

    fn answered(&mut self, now: Mono, instance: InstanceId, fault: String, supplying: bool) {
        let Engine::Open { heard, answered, .. } = &mut self.engine else {
            return;
        };
        *heard = now;
        let first = !std::mem::replace(answered, true);
        self.engine_attempt = 1;
        self.supplying = supplying;

        let known = self.instance.replace(instance.clone());
        let changed = known.as_ref() != Some(&instance);
        if changed && known.is_some() {
            self.effects.push(Effect::Say(Notice::EngineChanged { instance: instance.clone() }));
        }
        if first && self.health.as_ref().is_none_or(|health| matches!(health, Health::Unreachable(_))) {
            self.effects.push(Effect::Say(Notice::EngineReached { instance }));
        }
        // First the registration: under the one before, a store's good health would be taken for that of another
        // (INV-8).
        if changed {
            self.central_attempt = 0;
            self.register(None);
        }
        let health = if fault.is_empty() { Health::Ok } else { Health::Faulted(cut_reason(&fault)) };
        self.health_is(now, health);
    }

    fn engine_lost(&mut self, now: Mono, why: String) {
        self.supplying = false;
        // The first cause stands: what the attempts after it met is not news.
        if !matches!(self.health, Some(Health::Unreachable(_))) {
            self.effects.push(Effect::Say(Notice::EngineUnreachable {
                why: why.clone(),
                never_reached: self.instance.is_none(),
            }));
            self.health_is(now, Health::Unreachable(cut_reason(&why)));
        }
        self.attend();
    }

    fn health_is(&mut self, now: Mono, health: Health) {
        let before = self.health.replace(health.clone());
        if before.as_ref() == Some(&health) {
            return;
        }
        match (health, before) {
            (Health::Faulted(fault), _) => self.effects.push(Effect::Say(Notice::EngineFaulted { fault })),
            (Health::Ok, Some(Health::Faulted(_))) => self.effects.push(Effect::Say(Notice::EngineWell)),
            // Said as reached, or as unreachable, where that was found.
            (Health::Ok, None | Some(Health::Ok | Health::Unreachable(_))) | (Health::Unreachable(_), _) => {}
        }
        if matches!(self.central, Central::Reporting { .. }) {
            self.report(now);
        }
    }

    /// Registers the engine's store anew; the registration before, and its stream, are void.
    fn register(&mut self, trouble: Option<Trouble>) {
        let Some(instance) = self.instance.clone() else {
            return;
        };
        let retry_after = match &trouble {
            Some(Trouble::Refused { retry_after: Some(after), .. }) => *after,
            Some(Trouble::Refused { retry_after: None, .. } | Trouble::Unreachable { .. }) | None => {
                Duration::ZERO
            }
        };
        self.central = Central::Registering { trouble };
        self.central_link.0 += 1;
        self.effects.push(Effect::Register {
            link: self.central_link,
            instance,
            attempt: self.central_attempt,
            retry_after,
            newest_epoch: self.newest_epoch,
        });
        self.central_attempt = self.central_attempt.saturating_add(1);
    }

    fn registered(&mut self, now: Mono, epoch: u64, interval: Duration) {
        self.epoch = epoch;
        self.central = Central::Reporting {
            interval: bounded(interval),
            heard: now,
            next_report: now,
            acknowledged: false,
        };
        self.effects.push(Effect::Say(Notice::Registered { epoch }));
        self.report(now);
        self.ping_now();
    }

    fn report(&mut self, now: Mono) {
        if let (Central::Reporting { interval, next_report, .. }, Some(health)) =
            (&mut self.central, &self.health)
        {
            *next_report = now + *interval;
            self.effects.push(Effect::Report {
                link: self.central_link,
                epoch: self.epoch,
                health: health.clone(),
            });
        }
    }

    fn acknowledged(&mut self, now: Mono, out_of_order: bool, report_interval: Option<Duration>) {
        let Central::Reporting { interval, heard, acknowledged, .. } = &mut self.central else {
            return;
        };
        *interval = report_interval.map_or(*interval, bounded); // from the next report on
        *heard = now;
        let first = !std::mem::replace(acknowledged, true);
        self.central_attempt = 1;
        if std::mem::replace(&mut self.out_of_order, out_of_order) != out_of_order {
            self.effects.push(Effect::Say(if out_of_order { Notice::OutOfOrder } else { Notice::InService }));
        }
        if first {
            self.ping_now();
        }
    }

    fn central_lost(&mut self, trouble: Trouble) {
        let said = match &self.central {
            Central::Registering { trouble: Some(before) } => same_trouble(before, &trouble),
            Central::Registering { trouble: None }
            | Central::WaitingForEngine
            | Central::Reporting { .. } => false,
        };
        if !said {
            self.effects.push(Effect::Say(match trouble.clone() {
                Trouble::Unreachable { why } => Notice::CentralUnreachable { why },
                Trouble::Refused { why, retry_after, .. } => Notice::CentralRefuses { why, retry_after },
            }));
        }
        let stood = matches!(self.central, Central::Reporting { acknowledged: true, .. });
        self.register(Some(trouble));
        if stood {
            self.ping_now();
        }
    }
}

fn same_trouble(a: &Trouble, b: &Trouble) -> bool {
    match (a, b) {
        (Trouble::Unreachable { .. }, Trouble::Unreachable { .. }) => true,
        (Trouble::Refused { reason: a, .. }, Trouble::Refused { reason: b, .. }) => a == b,
        (Trouble::Unreachable { .. }, Trouble::Refused { .. })
        | (Trouble::Refused { .. }, Trouble::Unreachable { .. }) => false,
    }
}
