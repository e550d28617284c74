//! What Kafka's messages say: `cp_telemetry` as it comes in, dead letters and notifications as they go out. Nothing
//! here sends.

mod dead_letter;
mod decode;
mod notification;
mod unreadable;

pub use dead_letter::Incoming;
pub use decode::decode;
pub use notification::payload;
pub(crate) use notification::row;
