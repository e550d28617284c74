//! Who acts: what is known of whoever made a connection, or a call with a token, and what that one may do.

use super::{error_details::Failure, refused::Refused, uniform};
use domain::{ChargePointId, DriverId, Name, Wall};
use identity::{
    Certified, Identity, Role,
    permissions::{self, Callers},
    token::InvalidToken,
};
use std::{
    future::Future,
    pin::Pin,
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

/// Somebody with a certificate, or with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub identity: Arc<Identity>,
    /// From then on the certificate, or the token, says nothing.
    pub expires: Wall,
    /// The certificate's serial number; `None` of whom a token names.
    pub serial: Option<Arc<str>>,
    /// Whose certificates are refused; this one among them, its word counts for nothing.
    pub refused: Refused,
}

impl Known {
    fn is_revoked(&self) -> bool {
        self.serial.as_ref().is_some_and(|serial| self.refused.has(serial))
    }

    /// Until its certificate is refused: for ever, mostly.
    async fn revoked(&self) {
        match &self.serial {
            Some(serial) => self.refused.refuses(serial.clone()).await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn expired(&self) -> Failure {
        match self.serial {
            Some(_) => expired(&self.identity.role),
            None => bearer_refused(InvalidToken::Expired),
        }
    }
}

/// May whoever reaches the server call the method with this path? Then nobody is asked who it is.
pub(super) fn is_open(path: &str) -> bool {
    permissions::row_of(path).is_some_and(|row| row.callers == Callers::Anyone)
}

/// What is said once somebody may not go on.
pub(super) type Ends = Pin<Box<dyn Future<Output = Failure> + Send>>;

impl Actor {
    /// Whoever had a handshake, with a certificate or without.
    pub(super) fn of_handshake(certified: Option<Certified>, refused: Refused) -> Self {
        certified.map_or(Self::Stranger, |Certified { identity, serial, not_after: expires }| {
            let serial = Some(serial.into());
            Self::Known(Known { identity: Arc::new(identity), expires, serial, refused })
        })
    }

    /// Who acts in a request that came in. One that the server's stack has not seen is a stranger's.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or(Self::Stranger)
    }

    /// As its certificate or its token says; `None` where nobody showed one.
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
        if is_open(path) {
            return Ok(());
        }
        let known = match self {
            Self::Unchecked => return Ok(()),
            Self::Stranger => return Err(identity_required()),
            Self::Known(known) => known,
        };
        let role = &known.identity.role;
        if known.is_revoked() {
            return Err(refused("revoked", revoked(role)));
        }
        if known.expires <= now {
            let failure = known.expired();
            return Err(match known.serial {
                Some(_) => refused("expired", failure),
                None => failure,
            });
        }
        let callers = permissions::row_of(path).ok_or_else(uniform::no_such_method)?.callers;
        if callers.include(role) {
            return Ok(());
        }
        let method = path.rsplit('/').next().unwrap_or(path);
        let message = format!("{role} may not call {method}, which is for {callers}");
        Err(refused("not_allowed", Failure::new(Code::PermissionDenied, "NOT_ALLOWED", message)))
    }

    /// Waits until it may not go on with what it may do now; `None`: it may without end.
    pub(super) fn ends(&self, now: Wall) -> Option<Ends> {
        let Self::Known(known) = self else { return None };
        let left = u64::try_from(known.expires.0.saturating_sub(now.0)).unwrap_or(0);
        let (left, known) = (Duration::from_millis(left).min(A_YEAR), known.clone());
        Some(Box::pin(async move {
            match tokio::time::timeout(left, known.revoked()).await {
                Ok(()) => revoked(&known.identity.role),
                Err(_) => known.expired(),
            }
        }))
    }

    /// `PERMISSION_DENIED` `NOT_YOURS` unless it may name this driver. It says nothing of whether there is such a one.
    pub fn acts_for_driver(&self, driver: &DriverId) -> Result<(), Failure> {
        self.acts_for("driver", |role| permissions::acts_for_driver(role, driver))
    }

    /// `PERMISSION_DENIED` `NOT_YOURS` unless it may name this charge point, which is served by this gateway, if by
    /// one. It says nothing of whether there is one. Its own engine, or monitor, is told of the gateway:
    /// `SERVED_BY_GATEWAY`.
    pub fn acts_for_charge_point(
        &self,
        charge_point: &ChargePointId,
        gateway: Option<&Name>,
    ) -> Result<(), Failure> {
        if let (Some(Role::Engine(own) | Role::Monitor(own)), Some(gateway)) = (self.role(), gateway)
            && own == charge_point
        {
            let message = format!(
                "gateway/{gateway} serves {own}, and nobody else acts for it: start its engine and its monitor with \
                 that identity, or take it from there: 'evmesh registry gateway remove {gateway} {own}'"
            );
            return Err(refused(
                "not_yours",
                Failure::new(Code::PermissionDenied, "SERVED_BY_GATEWAY", message),
            ));
        }
        let may = |role: &Role| permissions::acts_for_charge_point(role, charge_point, gateway);
        self.acts_for("charge point", may)
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
                   TOKEN --identity DIR' gets, or, at central alone, with a driver's or an operator's token ('evmesh \
                   driver login'); who runs the network gives either";
    refused("no_identity", Failure::new(Code::Unauthenticated, "IDENTITY_REQUIRED", message))
}

fn revoked(role: &Role) -> Failure {
    let message = format!(
        "the certificate of {role} was revoked; enrol again, into an empty folder, with a new token of who runs the \
         network"
    );
    Failure::new(Code::Unauthenticated, "IDENTITY_REVOKED", message)
}

fn expired(role: &Role) -> Failure {
    let message = format!("the certificate of {role} has expired; renew it, or enrol again");
    Failure::new(Code::Unauthenticated, "CERTIFICATE_EXPIRED", message)
}

pub(super) fn bearer_not_taken() -> Failure {
    let message = "this server takes no tokens; call it with a certificate";
    refused("bearer", Failure::new(Code::Unauthenticated, "BEARER_NOT_TAKEN", message))
}

pub(super) fn bearer_refused(why: InvalidToken) -> Failure {
    use InvalidToken::{Early, Expired, Foreign, Form, Nobody, Signature};
    let (code, reason) = match why {
        Form | Signature | Nobody => (Code::Unauthenticated, "BEARER_INVALID"),
        Foreign => (Code::Unauthenticated, "BEARER_FOREIGN"),
        Expired => (Code::Unauthenticated, "BEARER_EXPIRED"),
        Early => (Code::Unauthenticated, "BEARER_EARLY"),
    };
    let advice = match why {
        Form | Signature => "get another one from who gives them, and pass it on whole",
        Nobody => "ask who gives the tokens",
        Foreign => "use the one that was given for this network",
        Expired => "get another one, and log in again",
        Early => "wait, or see to the clocks",
    };
    let message = format!("the token that this call came with {why}; {advice}");
    refused("bearer", Failure::new(code, reason, message))
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
