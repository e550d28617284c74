//! The messages on Kafka: JSON, in the vocabulary of the system that evmesh replaces.
//!
//! The field names and the values of `type` and `status` are those of the old system's documents, to the letter; their
//! Rust names are English. Fields that evmesh adds are optional when read, so that a *bare* message, with only the old
//! fields, is valid. Fields that are unknown are ignored.

use crate::{engine::SupplyEnd, network::ChargePointStatus};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _},
};

/// From engines to central, keyed by charge point. Fast, not final: whoever can write there can write any message.
pub const CP_TELEMETRY: &str = "cp_telemetry";
/// What central could not use of [`CP_TELEMETRY`], with the reason in the header `reason`.
pub const CP_TELEMETRY_DLQ: &str = "cp_telemetry.dlq";
/// From central to drivers, keyed by driver. The bridge denies there what it does not ask central for.
pub const DRIVER_NOTIFICATIONS: &str = "driver_notifications";
/// From drivers of the old system, without a key, to the bridge, which asks central for each message.
pub const DRIVER_REQUESTS: &str = "driver_requests";
/// So begins the `request_id` of a call that the bridge makes: central knows by it that there is a bridge.
pub const BRIDGE_REQUEST_ID: &str = "bridge-";
/// From central to anyone, under the constant key [`NETWORK_STATUS_KEY`].
pub const NETWORK_STATUS: &str = "network_status";
/// The constant key of [`NETWORK_STATUS`], so that the parts of one broadcast stay in order.
pub const NETWORK_STATUS_KEY: &str = "network";
/// Central's own: the newest of each row of its store, from which a lost store is rebuilt. Compacted, and no JSON:
/// the keys and values are those of the store (`evmesh.store.v1`).
pub const CENTRAL_CHANGELOG: &str = "central_changelog";
/// From central, keyed by its store's id, in one partition that keeps everything for ever: how far the audit's chain
/// is, so that whoever owns central's disk cannot rewrite it unseen.
pub const AUDIT_ANCHORS: &str = "audit_anchors";

/// The `reason` of a `SUPPLY_END` that central asked for; any other is a supply that was completed.
pub const REASON_STOPPED: &str = "stopped";
/// The `reason` of a `FAULT` that closes a supply whose engine's process ended in its middle.
pub const REASON_INTERRUPTED: &str = "interrupted";

/// What happened at a charge point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum TelemetryType {
    #[default]
    #[serde(rename = "SESSION_STARTED")]
    SessionStarted,
    /// A reading, every second of a supply.
    #[serde(rename = "CONSUMO")]
    Consumption,
    /// The supply ended as it should. Carries the final reading.
    #[serde(rename = "SUPPLY_END")]
    SupplyEnd,
    /// The engine broke. Carries the final reading, if a supply ran.
    #[serde(rename = "AVERIADO")]
    EngineFault,
    /// The engine lost its monitor. Carries the final reading, if a supply ran.
    #[serde(rename = "CONEXION_PERDIDA")]
    MonitorLost,
    /// Anything else that broke, a process that died in mid-supply included. Carries the final reading, if a supply
    /// ran.
    #[serde(rename = "FAULT")]
    Fault,
}

impl TelemetryType {
    /// Each of them, in the order of the papers.
    pub const ALL: [Self; 6] = [
        Self::SessionStarted,
        Self::Consumption,
        Self::SupplyEnd,
        Self::EngineFault,
        Self::MonitorLost,
        Self::Fault,
    ];

    /// Its word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::SessionStarted => "SESSION_STARTED",
            Self::Consumption => "CONSUMO",
            Self::SupplyEnd => "SUPPLY_END",
            Self::EngineFault => "AVERIADO",
            Self::MonitorLost => "CONEXION_PERDIDA",
            Self::Fault => "FAULT",
        }
    }

    /// The fields that a message of this type needs beside `type` and `cp_id`; `seq` beside `session_id` comes on top.
    pub const fn needs(self) -> &'static [&'static str] {
        match self {
            Self::SessionStarted => &["user_id"],
            Self::Consumption | Self::SupplyEnd => &["user_id", "kwh"],
            Self::EngineFault | Self::MonitorLost | Self::Fault => &[],
        }
    }
}

/// A message on [`CP_TELEMETRY`]. Its texts are its own, or, as `Telemetry<&str>`, those of the bytes that it is read
/// from: which none can be that JSON writes with an escape.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(bound(serialize = "S: Serialize + AsRef<str>", deserialize = "S: Deserialize<'de> + Default"))]
pub struct Telemetry<S = String> {
    #[serde(rename = "type")]
    pub kind: TelemetryType,
    /// The charge point; only a sealed reading has none, whose key is its charge point's.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub cp_id: S,
    /// The driver; absent in a fault without a session, and in a sealed reading, whose session says who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<S>,
    /// Energy of the supply so far, in kilowatt-hours: a running total.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kwh: Option<f64>,
    /// Its cost so far, in the currency's unit: a running total, for display. Central never bills it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importe: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<S>,
    /// When, in seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<f64>,
    /// Added by evmesh: the session. Without it, or without a key, the message is *bare*.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<S>,
    /// Added by evmesh: rises by one with each message of the session; 1 is its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Added by evmesh: the same for each copy of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<S>,
    /// Added by evmesh: power now, in kilowatts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kw: Option<f64>,
    /// Added by evmesh: the currency of `importe`, as its ISO 4217 code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<S>,
}

impl<S: AsRef<str>> Telemetry<S> {
    /// How the supply ended or the charge point broke; `None` for a start, and for what is told while the supply goes
    /// on.
    pub fn end(&self) -> Option<SupplyEnd> {
        match (self.kind, self.reason.as_ref().map(|reason| reason.as_ref().trim())) {
            (TelemetryType::SessionStarted | TelemetryType::Consumption, _) => None,
            (TelemetryType::SupplyEnd, Some(REASON_STOPPED)) => Some(SupplyEnd::Stopped),
            (TelemetryType::SupplyEnd, _) => Some(SupplyEnd::Completed),
            (TelemetryType::MonitorLost, _) => Some(SupplyEnd::MonitorLost),
            (TelemetryType::Fault, Some(REASON_INTERRUPTED)) => Some(SupplyEnd::Interrupted),
            (TelemetryType::EngineFault | TelemetryType::Fault, _) => Some(SupplyEnd::EngineFault),
        }
    }

    /// The first field that its type needs and that is not there; `sealed`: its session says whose it is.
    pub fn missing(&self, sealed: bool) -> Option<&'static str> {
        let there = |field: &str| match field {
            "user_id" => self.user_id.is_some() || (sealed && self.session_id.is_some()),
            "kwh" => self.kwh.is_some(),
            _ => unreachable!("no type needs {field}"),
        };
        self.kind.needs().iter().find(|field| !there(field)).copied()
    }
}

impl Telemetry {
    /// A reading as it is sealed, for central alone: without what central does not read, and what its key and its
    /// session say.
    pub fn for_central(self) -> Self {
        let (cp_id, user_id) = (String::new(), None);
        Self { cp_id, user_id, importe: None, event_id: None, currency: None, ..self }
    }
}

fn is_empty<S: AsRef<str>>(text: &S) -> bool {
    text.as_ref().is_empty()
}

/// What a driver is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum NotificationType {
    /// The charge point is reserved for the driver.
    #[default]
    #[serde(rename = "AUTH_OK")]
    Authorized,
    /// The request was denied; `code` and `reason` say why.
    #[serde(rename = "AUTH_DENIED")]
    Denied,
    /// A reading of the driver's supply.
    #[serde(rename = "CONSUMO_UPDATE")]
    ConsumptionUpdate,
    /// The bill: the last message of a supply.
    #[serde(rename = "TICKET")]
    Ticket,
    /// The supply failed, or the reservation came to nothing; `code` and `reason` say why.
    #[serde(rename = "SUPPLY_ERROR")]
    SupplyError,
}

/// A message on [`DRIVER_NOTIFICATIONS`], with texts of its own or of what it is made from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Notification<S = String> {
    #[serde(rename = "type")]
    pub kind: NotificationType,
    /// The charge point; empty in an `AUTH_DENIED` of a request that named none.
    pub cp_id: S,
    pub user_id: S,
    /// `CONSUMO_UPDATE`, `TICKET`: energy so far, in kilowatt-hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kwh: Option<f64>,
    /// `CONSUMO_UPDATE`: cost so far; `TICKET`: the amount billed; in the currency's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importe: Option<f64>,
    /// `AUTH_DENIED`, `SUPPLY_ERROR`: why, as a sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<S>,
    /// `SUPPLY_ERROR`: energy delivered so far, in kilowatt-hours; 0 if the supply never started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kwh_partial: Option<f64>,
    /// `SUPPLY_ERROR`: what that energy costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importe_partial: Option<f64>,
    /// When central decided it, in seconds since the epoch. Central always says it; some of the old system's messages
    /// do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<f64>,
    /// Added by evmesh: the session; absent in an `AUTH_DENIED` that created none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<S>,
    /// Added by evmesh: 0 for `AUTH_OK`, and rising with each message of the session, with gaps; readers that have
    /// seen one drop what is not above it. Absent in the echo of telemetry, whose number nobody vouches for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Added by evmesh: the same for each copy of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<S>,
    /// Added by evmesh: `CONSUMO_UPDATE`: power now, in kilowatts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kw: Option<f64>,
    /// Added by evmesh: `AUTH_DENIED`, `SUPPLY_ERROR`: why, as a word for programs; for `AUTH_DENIED` that of the
    /// call's `ErrorInfo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<S>,
    /// Added by evmesh: `AUTH_OK`, `AUTH_DENIED`: the `request_id` of the `RequestCharge` that this answers, if it
    /// had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<S>,
    /// Added by evmesh: `AUTH_OK`: the id of the card that was shown for it at the charge point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card_id: Option<S>,
    /// Added by evmesh: the currency of `importe`, `importe_partial` and `amount_micros`, as its ISO 4217 code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<S>,
    /// Added by evmesh: `TICKET`, `SUPPLY_ERROR`: `kwh` or `kwh_partial` exactly, in watt-hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_wh: Option<u64>,
    /// Added by evmesh: `TICKET`, `SUPPLY_ERROR`: `importe` or `importe_partial` exactly, in millionths of the
    /// currency's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_micros: Option<u64>,
}

/// The one message on [`DRIVER_REQUESTS`]: a driver of the old system asks for a charge. It has no `type`.
///
/// A field of another type is as good as missing, so that whoever wrote it can be told what is wrong.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DriverRequest {
    /// The driver. Without it there is nobody to answer.
    #[serde(default, deserialize_with = "if_it_fits", skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The charge point.
    #[serde(default, deserialize_with = "if_it_fits", skip_serializing_if = "Option::is_none")]
    pub cp_id: Option<String>,
    /// When the driver asked, in seconds since the epoch, by its own clock.
    #[serde(default, deserialize_with = "if_it_fits", skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<f64>,
}

fn if_it_fits<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(serde_json::Value::deserialize(from)?).ok())
}

/// The one type of message on [`NETWORK_STATUS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkStatusType {
    /// A broadcast, or a part of one.
    #[serde(rename = "NETWORK_STATUS_UPDATE")]
    Update,
}

/// A message on [`NETWORK_STATUS`], every 5 s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkStatus {
    /// `NETWORK_STATUS_UPDATE`.
    #[serde(rename = "type")]
    pub kind: NetworkStatusType,
    /// The charge points of this part, by id.
    pub cps: Vec<ChargePointEntry>,
    /// Added by evmesh: when, in seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<f64>,
    /// Added by evmesh where one broadcast needs several messages: the same in each of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcast_id: Option<String>,
    /// Added by evmesh where one broadcast needs several messages: from 1 to `parts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// Added by evmesh where one broadcast needs several messages: how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<u32>,
}

/// The one type of message on [`AUDIT_ANCHORS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuditAnchorType {
    #[serde(rename = "AUDIT_ANCHOR")]
    Anchor,
}

/// A message on [`AUDIT_ANCHORS`], every hour in which somebody did something, and at a stop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditAnchor {
    /// `AUDIT_ANCHOR`.
    #[serde(rename = "type")]
    pub kind: AuditAnchorType,
    /// Whose audit; also the key.
    pub store_id: String,
    /// The newest entry.
    pub number: u64,
    /// The SHA-256 of its record: 64 hexadecimal digits, in lower case.
    pub hash: String,
    /// When, in seconds since the epoch.
    pub timestamp: f64,
}

/// A charge point in a broadcast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargePointEntry {
    pub id: String,
    pub status: ChargePointStatus,
    pub location: String,
}

impl ChargePointStatus {
    /// The old system's word for it, on Kafka and on screens; empty for the status that is never sent.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unspecified => "",
            Self::Disconnected => "DESCONECTADO",
            Self::Faulted => "AVERIADO",
            Self::Supplying => "SUMINISTRANDO",
            Self::OutOfOrder => "PARADO",
            Self::Reserved => "RESERVADO",
            Self::Available => "ACTIVADO",
        }
    }
}

/// Its word; nothing for the status that is never sent.
impl Serialize for ChargePointStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.word() {
            "" => serializer.serialize_none(),
            word => serializer.serialize_str(word),
        }
    }
}

impl<'de> Deserialize<'de> for ChargePointStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let mut sent = (1..).map_while(|number| Self::try_from(number).ok());
        sent.find(|status| status.word() == word)
            .ok_or_else(|| D::Error::custom(format_args!("unknown status `{word}`")))
    }
}
