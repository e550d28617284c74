//! Who acts: what is known of whoever made a connection, and what that one may do.

use super::{error_details::Failure, uniform};
use domain::{ChargePointId, DriverId, Wall};
use identity::{
    Certified, Identity, Role,
    permissions::{self, Callers},
};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use tonic::Code;

/// No timer waits for longer.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Who acts: a request extension that the server sets, see [`Actor::of`].
///
/// Which method somebody may call at all is decided before the handler; what each message names, by the handler:
/// [`Actor::acts_for_driver`], [`Actor::acts_for_charge_point`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Nobody was asked, in plain text on loopback or where that was said out loud: everybody may do everything.
    Unchecked,
    /// Shows no identity to a server that asks for one.
    Stranger,
    Known(Known),
}

/// Whoever had a handshake, with a certificate or without.
impl From<Option<Certified>> for Actor {
    fn from(certified: Option<Certified>) -> Self {
        certified.map_or(Self::Stranger, |Certified { identity, serial, not_after }| {
            Self::Known(Known { identity: Arc::new(identity), expires: not_after, serial: serial.into() })
        })
    }
}

/// Somebody with a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub identity: Arc<Identity>,
    /// From then on the certificate says nothing.
    pub expires: Wall,
    /// The certificate's serial number.
    pub serial: Arc<str>,
}

impl Actor {
    /// Who acts in a request that came in. One that the server's stack has not seen is a stranger's.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or(Self::Stranger)
    }

    /// As its certificate says; `None` where nobody showed one.
    pub fn role(&self) -> Option<&Role> {
        match self {
            Self::Known(known) => Some(&known.identity.role),
            Self::Unchecked | Self::Stranger => None,
        }
    }

    /// Does it ask for many, each of whom has a name of its own? A bridge does, and a gateway.
    pub fn asks_for_many(&self) -> bool {
        matches!(self.role(), Some(Role::Bridge(_) | Role::Gateway(_)))
    }

    /// May it call the method with this path? What its messages name is for the handler.
    pub(super) fn may_call(&self, path: &str, now: Wall) -> Result<(), Failure> {
        let row = permissions::row_of(path);
        if row.is_some_and(|row| row.callers == Callers::Anyone) {
            return Ok(());
        }
        let known = match self {
            Self::Unchecked => return Ok(()),
            Self::Stranger => return Err(identity_required()),
            Self::Known(known) => known,
        };
        let role = &known.identity.role;
        if known.expires <= now {
            return Err(expired(role));
        }
        let callers = row.ok_or_else(uniform::no_such_method)?.callers;
        if callers.include(role) {
            return Ok(());
        }
        let method = path.rsplit('/').next().unwrap_or(path);
        let message = format!("{role} may not call {method}, which is for {callers}");
        Err(refused("not_allowed", Failure::new(Code::PermissionDenied, "NOT_ALLOWED", message)))
    }

    /// For how long it may go on with what it may do now, and who it is; `None`: without end.
    pub(super) fn lasts(&self, now: Wall) -> Option<(Duration, Role)> {
        match self {
            Self::Known(known) => {
                let left = u64::try_from(known.expires.0.saturating_sub(now.0)).unwrap_or(0);
                Some((Duration::from_millis(left).min(A_YEAR), known.identity.role.clone()))
            }
            Self::Unchecked | Self::Stranger => None,
        }
    }

    /// `PERMISSION_DENIED` `NOT_YOURS` unless it may name this driver. It says nothing of whether there is such a one.
    pub fn acts_for_driver(&self, driver: &DriverId) -> Result<(), Failure> {
        self.acts_for("driver", |role| permissions::acts_for_driver(role, driver))
    }

    /// `PERMISSION_DENIED` `NOT_YOURS` unless it may name this charge point. It says nothing of whether there is one.
    pub fn acts_for_charge_point(&self, charge_point: &ChargePointId) -> Result<(), Failure> {
        self.acts_for("charge point", |role| permissions::acts_for_charge_point(role, charge_point))
    }

    fn acts_for(&self, what: &str, may: impl FnOnce(&Role) -> bool) -> Result<(), Failure> {
        let role = match self {
            Self::Unchecked => return Ok(()),
            Self::Stranger => return Err(identity_required()),
            Self::Known(known) => &known.identity.role,
        };
        if may(role) {
            return Ok(());
        }
        let message = format!("{role} does not act for another {what}");
        Err(refused("not_yours", Failure::new(Code::PermissionDenied, "NOT_YOURS", message)))
    }
}

fn identity_required() -> Failure {
    let message = "this server asks who calls, and no identity was shown: call with a certificate, which 'evmesh enrol \
                   TOKEN --identity DIR' gets, or with a driver's token; who runs the network gives either";
    refused("no_identity", Failure::new(Code::Unauthenticated, "IDENTITY_REQUIRED", message))
}

pub(super) fn expired(role: &Role) -> Failure {
    let message = format!("the certificate of {role} has expired; renew it, or enrol again");
    refused("expired", Failure::new(Code::Unauthenticated, "CERTIFICATE_EXPIRED", message))
}

fn refused(why: &'static str, failure: Failure) -> Failure {
    metrics::counter!("evmesh_server_refused_total", "why" => why).increment(1);
    failure
}

/// Who acts on a connection, as soon as that is known: once, before its first call. Until then a stranger.
#[derive(Debug, Default)]
pub(super) struct Shown(OnceLock<Actor>);

impl Shown {
    /// A later word counts for nothing.
    pub(super) fn set(&self, actor: Actor) {
        let _ = self.0.set(actor);
    }

    pub(super) fn actor(&self) -> Actor {
        self.0.get().cloned().unwrap_or(Actor::Stranger)
    }
}
