//! What Kafka's messages say: `cp_telemetry` as it comes in, dead letters and notifications as they go out. Nothing
//! here sends.

mod decode;
mod incoming;
mod notification;
mod unreadable;

pub use decode::decode;
pub use incoming::Incoming;
pub use notification::payload;
pub(crate) use notification::row;
