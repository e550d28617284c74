//! What comes into the network, as plain data, and which rule takes it.

use super::{
    charge_point::Health,
    engine::{CallFailed, CallId, EngineAnswer},
    gauges::Gauges,
    orders::Order,
    provisional::Registration,
    reply::{CardBlocked, Ordered, Registered, Reported},
    request::Asked,
    session::{Session, Source, life::Outcome},
    standing::Standing,
    step::Step,
};
use crate::{
    CardId, ChargePointId, DriverId, Energy, InstanceId, Location, Mono, Price, SessionId, SupplyEnd, Trace,
    Wall,
    cards::held::{News, Shown},
};

/// Where a driver wants to charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Named(ChargePointId),
    /// Wherever it is free, among the places that start with this.
    Any {
        /// Empty: everywhere.
        location_prefix: Location,
    },
}

/// What Kafka's reader says of Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broker {
    /// Everything that was there at this moment has been read.
    ReadTo(Mono),
    /// It does not answer.
    Away,
    /// Messages are missing: another cluster, or offsets that no longer exist.
    Gap,
}

/// Something that happened, or is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// A driver asks for a charge.
    RequestCharge {
        /// Who waits for the answer.
        asked: Asked<Box<Session>>,
        /// A fresh id, for the session.
        session: SessionId,
        driver: DriverId,
        target: Target,
        /// No kWh may cost more; `None`: whatever it costs.
        max_price: Option<Price>,
    },
    /// A supply is asked for at the charge point itself.
    RequestManualSupply {
        /// Who waits for the answer.
        asked: Asked<Box<Session>>,
        /// A fresh id, for the session.
        session: SessionId,
        charge_point: ChargePointId,
        instance: InstanceId,
        /// What says whose it is.
        shown: Shown,
    },
    /// A driver wants a card of its own to be good for nothing.
    BlockCard {
        /// Who waits for the answer.
        asked: Asked<CardBlocked>,
        driver: DriverId,
        card: CardId,
    },
    /// A driver ends its session.
    StopCharge {
        /// Who waits for the answer.
        asked: Asked<Box<Session>>,
        driver: DriverId,
        /// Which; `None`: the open one.
        session: Option<SessionId>,
    },
    /// The operator orders something.
    Order {
        /// Who waits for the answer.
        asked: Asked<Ordered>,
        order: Order,
    },
    /// A monitor registers its charge point.
    Register {
        /// Who waits for the answer.
        asked: Asked<Registered>,
        registration: Registration,
    },
    Report {
        /// Who waits for the answer.
        asked: Asked<Reported>,
        charge_point: ChargePointId,
        /// Of which registration.
        epoch: u64,
        health: Health,
        /// Why it is not well.
        reason: String,
    },
    /// Reports that said what the one before had said, under the same registration: their monitors were answered at
    /// once.
    Seen(Vec<Seen>),
    /// A monitor's stream ended.
    MonitorGone {
        charge_point: ChargePointId,
        /// Of which registration.
        epoch: u64,
    },
    /// A call to an engine came back, or did not.
    EngineAnswered { charge_point: ChargePointId, call: CallId, result: Result<EngineAnswer, CallFailed> },
    /// A message came on `cp_telemetry`.
    Telemetry {
        message: Message,
        /// Where it stood; `None` in tests without Kafka.
        source: Option<Source>,
    },
    /// A message on `cp_telemetry` could not be read: its place counts.
    Unreadable {
        source: Source,
        /// It is sealed: in whose name, and why it was refused.
        sealed: Option<(ChargePointId, String)>,
    },
    /// News of Kafka itself.
    Broker(Broker),
    /// Copies of these sessions, as they were before this step, are kept outside the store.
    Copied(Vec<SessionId>),
    /// More of central's signatures can be verified than before.
    KeysTrusted,
    /// Every engine is to refuse more certificates than before: they are told in turns, so many a step.
    PeopleRevoked,
    /// The registry says how a charge point's identity stands. Said again, it changes nothing; nor does it where no
    /// such charge point is registered.
    Identity {
        charge_point: ChargePointId,
        standing: Standing,
        /// Neither its engine was revoked, nor its gateway: that engine is told whom to refuse, however the charge
        /// point stands.
        engine_stands: bool,
    },
    /// The registry says that somebody else is to act for a charge point. It does from now on, unless that is
    /// [`Draining`](Standing::Draining) after this: then once it is not any more.
    Moves {
        charge_point: ChargePointId,
        /// Who acts for it now is known. Where it is not, all that the registry says is news.
        known: bool,
    },
    /// The registry says which cards there are.
    Cards(News),
    /// Time passes. Comes several times a second.
    Tick,
}

/// A report that brought no news.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub charge_point: ChargePointId,
    /// Of which registration.
    pub epoch: u64,
    pub health: Health,
    /// Why it is not well.
    pub reason: String,
    /// When it came.
    pub at: Mono,
}

/// What a message on `cp_telemetry` says.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub kind: MessageKind,
    pub charge_point: ChargePointId,
    /// Whose; absent in a fault without a session.
    pub driver: Option<DriverId>,
    /// Which session, and the number of the message in it; `None`: the message is bare.
    pub session: Option<(SessionId, u64)>,
    /// Energy so far.
    pub energy: Option<Energy>,
    /// What is only shown.
    pub gauges: Gauges,
    pub reason: String,
    /// It was sealed with a key that central gave the charge point's engine in this epoch; `None`: in plain text.
    pub sealed: Option<u64>,
    /// When, by the sender's clock.
    pub at: Option<Wall>,
}

/// What happened at a charge point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// `SESSION_STARTED`.
    Started,
    /// `CONSUMO`.
    Reading,
    /// `SUPPLY_END`, or a fault: `AVERIADO`, `CONEXION_PERDIDA`, `FAULT`.
    Ended(SupplyEnd),
}

impl Message {
    /// The charge point is broken, whether a supply ran there or not.
    pub(super) fn is_fault(&self) -> bool {
        matches!(self.kind, MessageKind::Ended(end) if Outcome::from(end) == Outcome::Faulted)
    }
}

impl Command {
    /// The trace of the call that brought it, which what follows from it at once belongs to.
    pub(super) fn trace(&self) -> Option<Trace> {
        match self {
            Self::RequestCharge { asked, .. }
            | Self::RequestManualSupply { asked, .. }
            | Self::StopCharge { asked, .. } => asked.context.trace,
            Self::Order { asked, .. } => asked.context.trace,
            Self::Register { asked, .. } => asked.context.trace,
            Self::Report { asked, .. } => asked.context.trace,
            Self::BlockCard { asked, .. } => asked.context.trace,
            Self::Seen(_)
            | Self::MonitorGone { .. }
            | Self::EngineAnswered { .. }
            | Self::Telemetry { .. }
            | Self::Unreadable { .. }
            | Self::Broker(_)
            | Self::Copied(_)
            | Self::KeysTrusted
            | Self::PeopleRevoked
            | Self::Identity { .. }
            | Self::Moves { .. }
            | Self::Cards(_)
            | Self::Tick => None,
        }
    }
}

impl Step<'_> {
    pub(super) fn run(&mut self, command: Command) {
        match command {
            Command::RequestCharge { asked, session, driver, target, max_price } => {
                self.request_charge(asked, session, driver, target, max_price);
            }
            Command::RequestManualSupply { asked, session, charge_point, instance, shown } => {
                self.request_manual_supply(asked, session, charge_point, &instance, &shown);
            }
            Command::BlockCard { asked, driver, card } => self.block_card(&asked, &driver, &card),
            Command::StopCharge { asked, driver, session } => self.stop_charge(&asked, &driver, session),
            Command::Order { asked, order } => self.order(&asked, order),
            Command::Register { asked, registration } => self.register(asked, registration),
            Command::Report { asked, charge_point, epoch, health, reason } => {
                self.report(asked.token, &charge_point, epoch, health, reason);
            }
            Command::Seen(reports) => reports.into_iter().for_each(|report| self.seen(report)),
            Command::MonitorGone { charge_point, epoch } => self.monitor_gone(&charge_point, epoch),
            Command::EngineAnswered { charge_point, call, result } => {
                self.engine_answered(&charge_point, call, result);
            }
            Command::Telemetry { message, source } => self.telemetry(&message, source),
            Command::Unreadable { source, sealed } => {
                self.net.read_past(source);
                if let Some((id, reason)) = sealed {
                    self.refuses_telemetry(&id, &reason);
                }
            }
            Command::Broker(news) => self.broker(news),
            Command::Copied(sessions) => self.copied(&sessions),
            Command::KeysTrusted => self.keys_trusted(),
            Command::PeopleRevoked => self.tell_all(),
            Command::Identity { charge_point, standing, engine_stands } => {
                self.identity(&charge_point, standing, engine_stands);
            }
            Command::Moves { charge_point, known } => self.moves(&charge_point, known),
            Command::Cards(news) => self.net.cards.hear(news),
            Command::Tick => self.tick(),
        }
    }
}
