//! What the engine's rules want done, and what they answer.

use super::event::Event;
use crate::SupplyRecord;

/// Something to do. All [`Effect::Save`]s are on disk before anything else is let out (INV-6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Put on disk, in one commit with all others of this input.
    Save(Write),
    /// Publish a reading; it may be lost, the next one says the same and more.
    Publish(SupplyRecord),
    /// The outbox was full: so many of its oldest rows were given up. Central hears of their sessions by its calls.
    OutboxOverflow(u64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// The engine itself: the highest authorisation number seen, and the supply that runs with its newest reading.
    Engine { highest: u64, current: Option<SupplyRecord> },
    /// A session ended: its final record, kept until central has it.
    Unsettled(SupplyRecord),
    /// Central has the final record of the authorisation with this number.
    Settled(u64),
    /// A new row of the outbox.
    Event(Event),
    /// The row with this id left the outbox.
    EventGone(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallResult {
    /// Done, or it already was.
    Done,
    /// The call names another instance; nothing was done.
    WrongInstance,
    /// Refused: the number is not above the highest one seen, or the session has ended here.
    NumberStale,
    /// Refused: another session is being supplied.
    Busy,
    /// Refused: the charge point is broken.
    Faulted,
    /// Refused: no monitor attends.
    Unattended,
    /// Refused: nobody is asking for this supply here.
    NotAskedFor,
}

/// What became of a revoked authorisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeOutcome {
    /// It starts nothing any more.
    Revoked,
    /// It was taken up and is being supplied.
    Supplying,
    /// It was taken up and its supply has ended; its record is unsettled.
    Ended,
}

/// The call names another instance; nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongInstance;

/// The ping names an epoch older than one that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("epoch {epoch} is older than {newest}, which was seen here: register again")]
pub struct StaleEpoch {
    /// The one it names.
    pub epoch: u64,
    pub newest: u64,
}

/// Why the charge point cannot supply, in one plain sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    #[error("The charge point is broken ({0}); repair it.")]
    Broken(String),
    #[error("No monitor attends the charge point; start its monitor.")]
    Unattended,
    #[error("Central has not confirmed the last {0} supplies; bring central back.")]
    Unsettled(usize),
}

impl Obstacle {
    pub(super) fn result(&self) -> CallResult {
        match self {
            Self::Broken(_) | Self::Unsettled(_) => CallResult::Faulted,
            Self::Unattended => CallResult::Unattended,
        }
    }
}

/// Why something cannot be done at the charge point.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("A supply is running with its car plugged in; unplug it first.")]
    AlreadyPluggedIn,
    #[error("The charge point is taken by session {0}; wait until it has ended.")]
    Busy(crate::SessionId),
    #[error("Central has not answered {0} requests for a supply here; wait until it has.")]
    Asking(usize),
    #[error(transparent)]
    Obstacle(Obstacle),
}
