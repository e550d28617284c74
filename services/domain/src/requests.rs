//! What a driver's app decides: when to ask for the next charge, which news to believe, when a request has concluded.
//!
//! - A line of the file is asked for once, under its own request id, however often the call has to be repeated; the
//!   next one follows a pause after its conclusion. Each line has exactly one conclusion.
//! - What concludes is central's word on the session. Kafka's messages move the live view, and make the app ask.
//! - A supply goes on without its driver: a session that is still open at the start is followed to its end first. It
//!   counts as the line that asks for its charge point: what a run asked for that was cut off is not asked for twice.
//!
//! Deliberately absent: the calls, their backoff, the wording. Those belong to the service `driver`.

mod broadcast;
mod command;
mod events;
mod file;
mod followed;
mod following;
mod inbox;
mod machine;
mod session;
#[cfg(test)]
mod tests;

pub use crate::network::{Outcome, State, Target};
pub use broadcast::{Broadcasts, MAX_PARTS, Part};
pub use command::{Effect, Input};
pub use events::{Conclusion, Event, FreePoint, Left, Row, Summary};
pub use file::{Expectation, FileError, Line, MAX_LINES, parse};
pub use inbox::{Inbox, News, Notification};
pub use machine::{COLLECT_INTERVAL, PAUSE, Requests, Settings};
pub use session::{Session, Ticket};
