//! What callers do, for who reads later who did what: each mutation that was asked for, once, with what came of it.
//!
//! What rules do by themselves is no deed, nor what changes nothing: a repeat, a registration that goes on being refused.

use super::{
    command::{Command, Target},
    denial::Denial,
    orders::{Order, Which},
    reply::Answer,
    request::{Asked, Method, Token},
    review::Verdict,
};
use crate::Context;
use std::{collections::BTreeMap, fmt::Display};

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
    /// It is done; with what was answered, as `name=value`.
    Done(String),
    /// It had begun, and came to nothing, for this reason.
    Failed(String),
    /// It was denied, for this reason, and nothing has changed.
    Denied(String),
}

/// What was asked for and has no answer yet, and what is to be written down.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    /// By their tokens' numbers: as many as there are callers who wait.
    waiting: BTreeMap<u64, Waiting>,
    new: Vec<Deed>,
}

#[derive(Debug)]
struct Waiting {
    deed: Deed,
    begun: bool,
}

impl Deeds {
    pub(super) fn asked(&mut self, asked: Option<(u64, Deed)>) {
        let asked = asked.map(|(token, deed)| (token, Waiting { deed, begun: false }));
        self.waiting.extend(asked);
    }

    /// It is a repeat, or of what is so already.
    pub(super) fn changes_nothing<A>(&mut self, token: Token<A>) {
        self.waiting.remove(&token.number);
    }

    pub(super) fn answered<A: Answer>(&mut self, token: Token<A>, answer: &Result<A, Denial>) {
        let Some(Waiting { deed, begun }) = self.waiting.remove(&token.number) else { return };
        let came = match answer {
            Ok(answer) => Came::Done(answer.told()),
            Err(Denial { reason, .. }) if begun => Came::Failed(reason.as_str().to_owned()),
            Err(Denial { reason, .. }) => Came::Denied(reason.as_str().to_owned()),
        };
        self.new.push(Deed { came, ..deed });
    }

    /// The step is over. What has no answer by now has a session in the store if it is for a charge; a registration
    /// that waits for its engine is in memory only.
    pub(super) fn goes_on(&mut self, token: Option<u64>) {
        let Some(Waiting { deed, begun }) = token.and_then(|token| self.waiting.get_mut(&token)) else {
            return;
        };
        if deed.method != REGISTER {
            *begun = true;
            self.new.push(deed.clone());
        }
    }

    pub(super) fn take(&mut self) -> Vec<Deed> {
        std::mem::take(&mut self.new)
    }
}

/// A call whose answers are not kept for repeats.
const REGISTER: &str = "RegisterChargePoint";

impl Deed {
    /// Of somebody's call; what came of it is not known yet.
    pub fn by(context: &Context, method: &str, subject: String, parameters: String) -> Self {
        let (actor, address) = (context.identity.clone(), context.address.clone());
        Self { actor, address, method: method.to_owned(), subject, parameters, came: Came::Begun }
    }

    /// What a caller asks for by a command, and its token's number.
    pub(super) fn of(command: &Command) -> Option<(u64, Self)> {
        match command {
            Command::RequestCharge { asked, session, driver, target, max_price } => {
                let place = match target {
                    Target::Named(id) => format!("charge_point={id}"),
                    Target::Any { location_prefix } => format!("location_prefix={location_prefix}"),
                };
                let parameters =
                    [Some(format!("session={session}")), Some(place), named("max_price", *max_price)];
                Some(deed(asked, Method::RequestCharge.as_str(), format!("driver/{driver}"), parameters))
            }
            Command::RequestManualSupply { asked, session, charge_point, driver, .. } => {
                let parameters = [Some(format!("session={session}")), Some(format!("driver={driver}"))];
                let method = Method::RequestManualSupply.as_str();
                Some(deed(asked, method, format!("charge-point/{charge_point}"), parameters))
            }
            Command::StopCharge { asked, driver, session } => {
                let parameters = [named("session", session.as_ref())];
                Some(deed(asked, Method::StopCharge.as_str(), format!("driver/{driver}"), parameters))
            }
            Command::Order { asked, order } => {
                let (method, subject, parameters) = ordered(order);
                Some(deed(asked, method.as_str(), subject, parameters))
            }
            Command::Register { asked, registration } => {
                let parameters = [
                    Some(format!("engine_address={}", registration.engine_address)),
                    Some(format!("instance={}", registration.instance)),
                    Some(format!("monitor={}", registration.monitor)),
                ];
                Some(deed(asked, REGISTER, format!("charge-point/{}", registration.charge_point), parameters))
            }
            Command::Report { .. }
            | Command::MonitorGone { .. }
            | Command::EngineAnswered { .. }
            | Command::Telemetry { .. }
            | Command::Unreadable { .. }
            | Command::Broker(_)
            | Command::Copied(_)
            | Command::KeysTrusted
            | Command::Tick => None,
        }
    }
}

fn ordered(order: &Order) -> (Method, String, [Option<String>; 3]) {
    let none = || [None, None, None];
    match order {
        Order::Service { which, out_of_order } => {
            let method = if *out_of_order { Method::StopChargePoints } else { Method::ResumeChargePoints };
            let subject = match which {
                Which::All => "charge-points".to_owned(),
                Which::Some(ids) => all("charge-point", ids),
            };
            (method, subject, none())
        }
        Order::SetPrice { charge_point, price } => {
            let parameters = [Some(format!("price={price}")), None, None];
            (Method::SetPrice, format!("charge-point/{charge_point}"), parameters)
        }
        Order::Forget(charge_point) => {
            (Method::ForgetChargePoint, format!("charge-point/{charge_point}"), none())
        }
        Order::Refuse { charge_point, sessions } => {
            (Method::RefuseSessions, all("session", sessions), [at(charge_point), None, None])
        }
        Order::Adopt { charge_point, sessions } => {
            (Method::AdoptSessions, all("session", sessions), [at(charge_point), None, None])
        }
        Order::Settle { session, verdict, reason, .. } => {
            let verdict = match verdict {
                Verdict::Accepted => "accept=true".to_owned(),
                Verdict::Energy(energy) => format!("energy_wh={}", energy.wh()),
            };
            let parameters = [Some(verdict), named("reason", Some(reason)), None];
            (Method::SettleSession, format!("session/{session}"), parameters)
        }
        Order::End(session) => (Method::EndSession, format!("session/{session}"), none()),
    }
}

fn deed<A>(
    asked: &Asked<A>,
    method: &str,
    subject: String,
    parameters: impl IntoIterator<Item = Option<String>>,
) -> (u64, Deed) {
    let request_id = named("request_id", asked.request.as_ref().map(|(key, _)| &key.id));
    let parameters: Vec<_> = parameters.into_iter().chain([request_id]).flatten().collect();
    (asked.token.number, Deed::by(&asked.context, method, subject, parameters.join(", ")))
}

fn named(name: &str, value: Option<impl Display>) -> Option<String> {
    value.map(|value| format!("{name}={value}"))
}

fn at(charge_point: impl Display) -> Option<String> {
    named("charge_point", Some(charge_point))
}

fn all(kind: &str, ids: &[impl Display]) -> String {
    ids.iter().map(|id| format!("{kind}/{id}")).collect::<Vec<_>>().join(" ")
}
