//! The rules of every role, as plain functions on plain data.
//!
//! Time and ids come in, decisions go out. Nothing here does I/O, reads a clock or draws a random number, so that one
//! test can drive the whole network. Deliberately absent: async, gRPC, Kafka, the store, logging.

pub mod cards;
pub mod context;
mod deed;
pub mod energy;
pub mod enrolment;
pub mod gateways;
pub mod ids;
pub mod money;
pub mod network;
pub mod refusals;
pub mod requests;
pub mod revocations;
pub mod simulated;
pub mod supply;
mod supply_record;
pub mod text;
pub mod time;
pub mod watchdog;

pub use context::{Context, Trace};
pub use deed::{AUDIT_DAYS, AUDIT_KEPT, Came, Deed};
pub use energy::{Energy, Power};
pub use ids::{
    CardId, ChargePointId, DriverId, InstanceId, MonitorId, Name, NetworkId, RequestId, SessionId,
};
pub use money::{Currency, Money, Price};
pub use supply_record::{Signature, SignatureTooLong, SupplyEnd, SupplyRecord, SupplyState};
pub use text::Location;
pub use time::{Mono, Now, Wall};
