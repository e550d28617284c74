//! What callers do, for who reads later who did what: each mutation that was asked for, once, with what came of it.
//! Central and the registry keep it in their audits.

use crate::Context;
use std::time::Duration;

/// How long it is kept who did what, at central unless told otherwise, and at the registry: 400 days.
pub const AUDIT_KEPT: Duration = Duration::from_secs(AUDIT_DAYS as u64 * 24 * 3600);
/// See [`AUDIT_KEPT`].
pub const AUDIT_DAYS: u32 = 400;

/// Something that a caller did, or was denied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deed {
    /// Who, as it has proven: `operator/ana`; empty where nobody was asked.
    pub actor: String,
    /// The host that it came from; empty where that is not known.
    pub address: String,
    /// The call, by its name in the contract.
    pub method: String,
    /// What it was about, as identities are named: `driver/101`, `charge-point/MAD-01`, `session/…`; several with
    /// spaces between.
    pub subject: String,
    /// What else matters of it, as `name=value`; several with `, ` between.
    pub parameters: String,
    pub came: Came,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Came {
    /// It goes on, and has changed something already: another deed of the same subject says what came of it.
    #[default]
    Begun,
    /// It is done; with what was answered besides the parameters, as `name=value`.
    Done(String),
    /// It had begun, and came to nothing, for this reason.
    Failed(String),
    /// It was denied, for this reason, and nothing has changed.
    Denied(String),
}

impl Deed {
    /// Of somebody's call; what came of it is not known yet.
    pub fn by(context: &Context, method: &str, subject: String, parameters: String) -> Self {
        let (actor, address) = (context.identity.clone(), context.address.clone());
        Self { actor, address, method: method.to_owned(), subject, parameters, came: Came::Begun }
    }
}
