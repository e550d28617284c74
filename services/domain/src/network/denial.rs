//! Why something is denied, or came to nothing: for programs and for people.

use std::time::Duration;

/// Why a caller is denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// For programs.
    pub reason: Reason,
    /// For people: one plain sentence with its subject and, where there is one, the next step.
    pub text: String,
    /// When the same may be granted; `None`: time alone changes nothing, or nobody knows.
    pub retry_after: Option<Duration>,
}

impl Denial {
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into(), retry_after: None }
    }
}

super::words! {
    /// Why a caller is denied, as in `google.rpc.ErrorInfo`.
    Reason:
    /// No such charge point is registered.
    ChargePointUnknown = "CHARGE_POINT_UNKNOWN",
    /// Its monitor is not connected.
    ChargePointDisconnected = "CHARGE_POINT_DISCONNECTED",
    /// Its engine is broken, or does not answer.
    ChargePointFaulted = "CHARGE_POINT_FAULTED",
    /// The operator took it out of service, or its identity is revoked.
    ChargePointOutOfOrder = "CHARGE_POINT_OUT_OF_ORDER",
    /// It has a session already.
    ChargePointBusy = "CHARGE_POINT_BUSY",
    /// Its monitor is connected, where it must not be.
    ChargePointConnected = "CHARGE_POINT_CONNECTED",
    /// It costs more than its driver, or the operator, allows.
    PriceAboveMax = "PRICE_ABOVE_MAX",
    /// None is free, where central was to choose.
    NoChargePointFree = "NO_CHARGE_POINT_FREE",
    /// The driver has an open session.
    DriverBusy = "DRIVER_BUSY",
    /// The driver let too many reservations go unused a while ago.
    DriverCoolingDown = "DRIVER_COOLING_DOWN",
    /// At a charge point a driver's id alone says nothing.
    CardRequired = "CARD_REQUIRED",
    /// No card can be looked up: the registry was not heard yet.
    CardsNotHeard = "CARDS_NOT_HEARD",
    /// There is no such card, or the driver has none.
    CardUnknown = "CARD_UNKNOWN",
    /// The registry, or its driver, has blocked it.
    CardBlocked = "CARD_BLOCKED",
    /// Its time is over.
    CardExpired = "CARD_EXPIRED",
    /// Too many cards that nobody knows were shown at the charge point.
    TooManyCardsTried = "TOO_MANY_CARDS_TRIED",
    EngineRefused = "ENGINE_REFUSED",
    /// The engine did not answer in time.
    EngineSilent = "ENGINE_SILENT",
    /// It was stopped while it was being authorised.
    ChargeStopped = "CHARGE_STOPPED",
    /// The driver, or the network, has no such session.
    SessionUnknown = "SESSION_UNKNOWN",
    /// The session is one that central authorised: it ends with its ticket, or as it did.
    SessionAuthorized = "SESSION_AUTHORIZED",
    /// Nobody is waited for to say what the session bills: it has its ticket, or waits for its final reading.
    SessionNotUnderReview = "SESSION_NOT_UNDER_REVIEW",
    /// More than its engine reported is billed to nobody.
    EnergyAboveReported = "ENERGY_ABOVE_REPORTED",
    /// The `request_id` was used with another payload.
    RequestIdReused = "REQUEST_ID_REUSED",
    /// The engine at the registered address is another charge point's.
    ChargePointMismatch = "CHARGE_POINT_MISMATCH",
    /// Too many registrations wait for their engines.
    Overloaded = "OVERLOADED",
    /// The charge point's identity was taken back.
    IdentityRevoked = "IDENTITY_REVOKED",
    /// Central takes no new charge points.
    RegistrationClosed = "REGISTRATION_CLOSED",
    /// One address has as many charge points as it may.
    TooManyAtAddress = "TOO_MANY_AT_ADDRESS",
    /// Another monitor holds the charge point.
    MonitorAlreadyConnected = "MONITOR_ALREADY_CONNECTED",
    /// Another engine store holds the charge point.
    InstanceAlreadyConnected = "INSTANCE_ALREADY_CONNECTED",
    /// A newer registration holds the charge point.
    EpochStale = "EPOCH_STALE",
    /// Another engine store is registered for the charge point.
    InstanceStale = "INSTANCE_STALE",
}

super::words! {
    /// Why a supply failed or a reservation came to nothing, in the words of [`Reason`] where they fit.
    SupplyFailure:
    /// Nobody plugged in before the reservation's end.
    ReservationExpired = "RESERVATION_EXPIRED",
    /// The driver gave the reservation back.
    ChargeStopped = "CHARGE_STOPPED",
    /// The operator took the charge point out of service, or its identity back, and the reservation with it.
    ChargePointOutOfOrder = "CHARGE_POINT_OUT_OF_ORDER",
    ChargePointFaulted = "CHARGE_POINT_FAULTED",
    /// The engine lost its monitor.
    ChargePointDisconnected = "CHARGE_POINT_DISCONNECTED",
    /// The engine's process ended in mid-supply.
    SupplyInterrupted = "SUPPLY_INTERRUPTED",
    /// The engine does not answer, was silent for too long, or lost its store.
    EngineSilent = "ENGINE_SILENT",
    /// What its engine reports is not believed: a person says what is billed, and the ticket waits for that.
    UnderReview = "UNDER_REVIEW",
}
