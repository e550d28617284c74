//! Whether a charge point's identity counts; what follows from that is in [`revocation`](super::revocation).

use super::session::life::Deadline;

/// How a charge point's identity stands, as the registry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Its certificates count.
    Good,
    /// Revoked, or another is to act for it: it ends what it does first.
    Draining,
    /// Revoked, and at once.
    Cut,
}

/// A charge point's identity is revoked, or is not its identity for much longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// It ends what it does, up to then.
    Draining {
        deadline: Deadline,
        /// Nobody took its identity back, but another is to act for it, and does from then on.
        moves: bool,
    },
    /// Nothing of it is listened to, and its engine is not called.
    Cut,
}

impl From<Option<Revoked>> for Standing {
    fn from(revoked: Option<Revoked>) -> Self {
        match revoked {
            None => Self::Good,
            Some(Revoked::Draining { .. }) => Self::Draining,
            Some(Revoked::Cut) => Self::Cut,
        }
    }
}
