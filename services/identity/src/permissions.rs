//! The one table: who may call which method, and in whose name. `docs/PERMISSIONS.md` is printed from it.
//!
//! A method without a row does not build. A server refuses whoever the row does not name before a handler runs; the
//! handler holds the subject of every message against [`acts_for_driver`] or [`acts_for_charge_point`].

use crate::Role;
use domain::{ChargePointId, DriverId, Name};
use evmesh_proto::Method;
use std::fmt;

/// A kind of caller that rows name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Central,
    Engine,
    Monitor,
    /// Of a charge point that it serves.
    Gateway,
    Bridge,
    Driver,
    /// And whoever may do more: operators and admins.
    Viewer,
    /// And admins.
    Operator,
    Admin,
}

impl Kind {
    fn has(self, role: &Role) -> bool {
        match self {
            Self::Central => matches!(role, Role::Central(_)),
            Self::Engine => matches!(role, Role::Engine(_)),
            Self::Monitor => matches!(role, Role::Monitor(_)),
            Self::Gateway => matches!(role, Role::Gateway(_)),
            Self::Bridge => matches!(role, Role::Bridge(_)),
            Self::Driver => matches!(role, Role::Driver(_)),
            Self::Viewer => matches!(role, Role::Viewer(_) | Role::Operator(_) | Role::Admin(_)),
            Self::Operator => matches!(role, Role::Operator(_) | Role::Admin(_)),
            Self::Admin => matches!(role, Role::Admin(_)),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Central => "central",
            Self::Engine => "the charge point's engine",
            Self::Monitor => "the charge point's monitor",
            Self::Gateway => "its gateway",
            Self::Bridge => "a bridge",
            Self::Driver => "the driver",
            Self::Viewer => "a viewer",
            Self::Operator => "an operator",
            Self::Admin => "an admin",
        })
    }
}

/// Who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callers {
    /// Whoever reaches the server, without an identity too.
    Anyone,
    /// Whoever has an identity.
    Identified,
    /// Whoever is of one of these kinds.
    Of(&'static [Kind]),
}

impl Callers {
    pub fn include(self, role: &Role) -> bool {
        match self {
            Self::Anyone | Self::Identified => true,
            Self::Of(kinds) => kinds.iter().any(|kind| kind.has(role)),
        }
    }
}

/// In words: `the driver or a bridge`.
impl fmt::Display for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::Identified => f.write_str("whoever has an identity"),
            Self::Of(kinds) => {
                for (at, kind) in kinds.iter().enumerate() {
                    write!(f, "{}{kind}", if at == 0 { "" } else { " or " })?;
                }
                Ok(())
            }
        }
    }
}

/// What a method's messages name, that is not everybody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Nothing: whoever may call it may name what they like.
    Any,
    /// A driver: one who drives names nobody else, see [`acts_for_driver`].
    OwnDriver,
    /// A charge point: what stands at one names no other, see [`acts_for_charge_point`].
    OwnChargePoint,
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub callers: Callers,
    pub subject: Subject,
}

const fn any(callers: Callers) -> Row {
    Row { callers, subject: Subject::Any }
}

const fn of_driver(kinds: &'static [Kind]) -> Row {
    Row { callers: Callers::Of(kinds), subject: Subject::OwnDriver }
}

const fn of_charge_point(kinds: &'static [Kind]) -> Row {
    Row { callers: Callers::Of(kinds), subject: Subject::OwnChargePoint }
}

const fn of_any(kinds: &'static [Kind]) -> Row {
    any(Callers::Of(kinds))
}

/// The row of the method with this path, those of health and reflection too; `None` for a method that no server has.
pub fn row_of(path: &str) -> Option<Row> {
    match path.rsplit_once('/')?.0 {
        // What restarts a server, or puts callers before it, has no identity; it learns nothing but that it serves.
        "/grpc.health.v1.Health" if path.ends_with("/Check") => Some(any(Callers::Anyone)),
        // It goes on for ever, and there are places for so many.
        "/grpc.health.v1.Health" => Some(any(Callers::Identified)),
        // What can be called is no secret from whoever may call anything.
        "/grpc.reflection.v1.ServerReflection" | "/grpc.reflection.v1alpha.ServerReflection" => {
            Some(any(Callers::Identified))
        }
        _ => Method::of(path).map(row),
    }
}

/// The row of a method. A gateway may what an engine and a monitor may: it stands for both.
pub fn row(method: Method) -> Row {
    use Kind::{Admin, Bridge, Central, Driver, Engine, Gateway, Monitor, Operator, Viewer};
    match method {
        // A bridge asks in the name of every driver of the system before, and does nothing else for them.
        Method::DriverRequestCharge => of_driver(&[Driver, Bridge]),
        // An operator has `EndSession`, which says who ended it.
        Method::DriverStopCharge => of_driver(&[Driver]),
        // An admin blocks it at the registry.
        Method::DriverBlockCard => of_driver(&[Driver]),
        Method::DriverGetSession
        | Method::DriverListSessions
        | Method::DriverWatchSession
        | Method::DriverGetTicket
        | Method::DriverListTickets => of_driver(&[Driver, Viewer]),
        // What stands at every charge point's door, and nothing of a person.
        Method::DriverListChargePoints => any(Callers::Identified),

        Method::ChargePointRegisterChargePoint | Method::ChargePointReportHealth => {
            of_charge_point(&[Monitor, Gateway])
        }
        Method::ChargePointRequestManualSupply => of_charge_point(&[Engine, Gateway]),

        Method::EngineAuthorizeSupply
        | Method::EngineRevokeAuthorization
        | Method::EngineStopSupply
        | Method::EngineGetEngineState
        | Method::EngineConfirmSettled => of_any(&[Central]),
        Method::EngineAttend => of_charge_point(&[Monitor, Gateway]),

        // Whoever stands at the charge point: the machine there has the engine's certificate, or its gateway's.
        Method::EnginePanelGetPanel => of_charge_point(&[Engine, Gateway, Viewer]),
        // From afar it is an operator who tries a charge point out.
        Method::EnginePanelPlugIn
        | Method::EnginePanelUnplug
        | Method::EnginePanelStartManualSupply
        | Method::EnginePanelInjectFault
        | Method::EnginePanelClearFault => of_charge_point(&[Engine, Gateway, Operator]),

        Method::OperatorGetNetworkStatus
        | Method::OperatorWatchNetwork
        | Method::OperatorListSessions
        | Method::OperatorListTickets => of_any(&[Viewer]),
        // Public keys: whoever keeps them safe outside need not be one who changes anything.
        Method::OperatorListSigningKeys => of_any(&[Viewer]),
        Method::OperatorStopChargePoints | Method::OperatorResumeChargePoints | Method::OperatorSetPrice => {
            of_any(&[Operator])
        }
        // What a session bills, of those that an engine claims too: a person's word, which is kept with the ticket.
        Method::OperatorEndSession
        | Method::OperatorSettleSession
        | Method::OperatorAdoptSessions
        | Method::OperatorRefuseSessions => of_any(&[Operator]),
        // Who did what, drivers too: for those who answer for it, not for whoever looks on.
        Method::OperatorListAuditEntries => of_any(&[Operator]),
        // Says who is of the network: whoever registers that id next gives its place and its price.
        Method::OperatorForgetChargePoint => of_any(&[Admin]),
        // Says whose word is central's, for ever: whoever has such a key authorises what is billed.
        Method::OperatorTrustSigningKeys => of_any(&[Admin]),

        // Its token, or its key, is the proof: it has no identity yet, or one that has expired.
        Method::RegistryEnrol | Method::RegistryRenew => any(Callers::Anyone),
        Method::RegistryCreateEnrolmentToken
        | Method::RegistryRevokeIdentity
        | Method::RegistryListIdentities
        | Method::RegistryListAuditEntries => of_any(&[Admin]),
        // Says who is billed for what is shown at a charge point.
        Method::RegistryAddCard
        | Method::RegistryListCards
        | Method::RegistryBlockCard
        | Method::RegistryUnblockCard => of_any(&[Admin]),
        // Says whose word counts for a charge point.
        Method::RegistryAddGatewayChargePoints
        | Method::RegistryRemoveGatewayChargePoints
        | Method::RegistryListGatewayChargePoints => of_any(&[Admin]),
        // It refuses them to everybody who calls it, looks cards up, and knows each gateway's charge points.
        Method::RegistryWatchIdentities => of_any(&[Central]),
    }
}

/// May this one name this driver? One who drives names itself; who drives not, and may call, whomever it likes.
pub fn acts_for_driver(role: &Role, driver: &DriverId) -> bool {
    match role {
        Role::Driver(own) => own == driver,
        Role::Bridge(_) | Role::Viewer(_) | Role::Operator(_) | Role::Admin(_) => true,
        Role::Central(_) | Role::Registry | Role::Engine(_) | Role::Monitor(_) | Role::Gateway(_) => false,
    }
}

/// May this one name this charge point, which is served by this gateway, if by one? What stands at one names that one,
/// unless a gateway serves it: then that gateway alone does. People and central name any.
pub fn acts_for_charge_point(role: &Role, charge_point: &ChargePointId, gateway: Option<&Name>) -> bool {
    match role {
        Role::Engine(own) | Role::Monitor(own) => own == charge_point && gateway.is_none(),
        Role::Gateway(own) => gateway == Some(own),
        Role::Central(_) | Role::Viewer(_) | Role::Operator(_) | Role::Admin(_) => true,
        Role::Registry | Role::Bridge(_) | Role::Driver(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(path: &str) -> Role {
        path.parse().unwrap()
    }

    fn may(path: &str, method: Method) -> bool {
        row(method).callers.include(&role(path))
    }

    #[test]
    fn a_grade_may_what_the_lower_one_may() {
        for &method in Method::ALL {
            let grades = ["viewer/ana", "operator/ana", "admin/ana"].map(|grade| may(grade, method));
            assert!(grades.is_sorted(), "{method:?}: {grades:?}");
        }
    }

    #[test]
    fn who_has_a_subject_of_its_own_is_in_no_row_without_one() {
        for &method in Method::ALL {
            let row = row(method);
            let Callers::Of(kinds) = row.callers else { continue };
            for kind in kinds {
                let own = match kind {
                    Kind::Driver => Subject::OwnDriver,
                    Kind::Engine | Kind::Monitor | Kind::Gateway => Subject::OwnChargePoint,
                    _ => row.subject,
                };
                assert_eq!(row.subject, own, "{method:?}: {kind}");
            }
        }
    }

    #[test]
    fn whoever_may_call_may_name_something() {
        let own = ["central/main", "charge-point/MAD-01/engine", "charge-point/MAD-01/monitor", "bridge/old"];
        let own = own.into_iter().chain(["gateway/site-7"]);
        let people = ["viewer/ana", "operator/ana", "admin/ana", "driver/101"];
        for &method in Method::ALL {
            for path in own.clone().chain(people).filter(|path| may(path, method)) {
                let names = match row(method).subject {
                    Subject::Any => true,
                    Subject::OwnDriver => acts_for_driver(&role(path), &"101".parse().unwrap()),
                    Subject::OwnChargePoint => {
                        let gateway = path.strip_prefix("gateway/").map(|name| name.parse().unwrap());
                        acts_for_charge_point(&role(path), &"MAD-01".parse().unwrap(), gateway.as_ref())
                    }
                };
                assert!(names, "{path} may call {method:?}, and name nothing in it");
            }
        }
    }

    #[test]
    fn nobody_names_what_is_anothers() {
        let (driver, point) = ("102".parse().unwrap(), "MAD-02".parse().unwrap());
        for (path, names) in [
            ("driver/101", [false, false]),
            ("driver/102", [true, false]),
            ("charge-point/MAD-01/engine", [false, false]),
            ("charge-point/MAD-01/monitor", [false, false]),
            ("charge-point/MAD-02/engine", [false, true]),
            ("charge-point/MAD-02/monitor", [false, true]),
            ("gateway/site-7", [false, false]),
            ("registry", [false, false]),
            ("bridge/old", [true, false]),
            ("central/main", [false, true]),
            ("viewer/ana", [true, true]),
        ] {
            let role = role(path);
            let found = [acts_for_driver(&role, &driver), acts_for_charge_point(&role, &point, None)];
            assert_eq!(found, names, "{path}");
        }
    }

    #[test]
    fn for_a_charge_point_that_a_gateway_serves_that_one_acts_alone_of_what_stands_there() {
        let (point, gateway) = ("MAD-01".parse().unwrap(), "site-7".parse().unwrap());
        for (path, may) in [
            ("gateway/site-7", true),
            ("gateway/site-8", false),
            ("charge-point/MAD-01/engine", false),
            ("charge-point/MAD-01/monitor", false),
            ("charge-point/MAD-02/monitor", false),
            ("central/main", true),
            ("operator/ana", true),
            ("bridge/old", false),
        ] {
            assert_eq!(acts_for_charge_point(&role(path), &point, Some(&gateway)), may, "{path}");
        }
    }

    #[test]
    fn what_is_no_method_has_no_row() {
        for path in
            ["", "/", "unknown", "/evmesh.driver.v1.DriverService/Nothing", "/grpc.health.v2.Health/Check"]
        {
            assert_eq!(row_of(path), None, "{path}");
        }
        assert_eq!(row_of("/grpc.health.v1.Health/Check").unwrap().callers, Callers::Anyone);
        assert_eq!(row_of("/grpc.health.v1.Health/Watch").unwrap().callers, Callers::Identified);
        let path = "/evmesh.operations.v1.OperatorService/SetPrice";
        assert_eq!(row_of(path), Some(row(Method::OperatorSetPrice)));
        assert_eq!(row(Method::OperatorSetPrice).callers.to_string(), "an operator");
        assert_eq!(row(Method::DriverRequestCharge).callers.to_string(), "the driver or a bridge");
    }
}
