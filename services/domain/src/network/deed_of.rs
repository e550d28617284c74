//! What a command is as a deed: who asks for what, and what else of it is written down.

use super::{
    command::{Command, Target},
    deeds::{BLOCK_CARD, REGISTER},
    orders::{Order, Which},
    request::{Asked, Method},
    review::Verdict,
};
use crate::{
    Deed, DriverId,
    cards::held::{Cards, Shown},
};
use std::fmt::Display;

/// What a caller asks for by a command, and its token's number.
pub(super) fn deed_of(command: &Command, cards: &Cards) -> Option<(u64, Deed)> {
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
        Command::RequestManualSupply { asked, session, charge_point, shown, .. } => {
            let whose = match shown {
                Shown::Guest => format!("driver={}", DriverId::guest()),
                Shown::Driver(driver) => format!("driver={driver}"),
                // Never the number, nor what is made of it.
                Shown::Card(hash) => match hash.and_then(|hash| cards.find(&hash)) {
                    Some(id) => format!("card={id}"),
                    None => "card=unknown".to_owned(),
                },
            };
            let parameters = [Some(format!("session={session}")), Some(whose)];
            let method = Method::RequestManualSupply.as_str();
            Some(deed(asked, method, format!("charge-point/{charge_point}"), parameters))
        }
        Command::BlockCard { asked, driver, card } => {
            Some(deed(asked, BLOCK_CARD, format!("driver/{driver}"), [named("card", Some(card))]))
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
        | Command::Seen(_)
        | Command::MonitorGone { .. }
        | Command::EngineAnswered { .. }
        | Command::Telemetry { .. }
        | Command::Unreadable { .. }
        | Command::Broker(_)
        | Command::Copied(_)
        | Command::KeysTrusted
        | Command::PeopleRevoked
        | Command::Identity { .. }
        | Command::Moves { .. }
        | Command::Cards(_)
        | Command::Tick => None,
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
