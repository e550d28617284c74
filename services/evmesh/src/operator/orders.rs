//! The operator's orders. A new one is a variant of [`Order`] and an arm of [`Order::give`].

use super::{
    desk::Desk,
    judgement::{Settle, end},
};
use crate::{
    exit::Failure,
    output::{self, Output},
    remote::order,
};
use domain::{ChargePointId, Price, SessionId};
use evmesh_proto::operations::{
    AdoptSessionsRequest, ForgetChargePointRequest, RefuseSessionsRequest, ResumeChargePointsRequest,
    SetPriceRequest, StopChargePointsRequest,
};
use serde_json::json;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Order {
    /// Takes charge points out of service: reservations are revoked, supplies end with their tickets.
    Stop(Which),

    /// Puts charge points back into service.
    Resume(Which),

    /// Sets the price of new sessions at one charge point; sessions that are authorised keep theirs.
    Price(NewPrice),

    /// Removes a charge point that is disconnected and has nothing unsettled. Its sessions and tickets stay.
    Forget {
        /// The charge point.
        charge_point: ChargePointId,
    },

    /// Has an engine forget sessions that it claims and that central never authorised: nothing is ever billed for them.
    Refuse(Refused),

    /// Takes over what an engine claims and central never authorised, under review: 'settle' says what it bills.
    Adopt(Refused),

    /// Says what a session under review bills: its ticket is issued, and never changes.
    Settle(Settle),

    /// Ends an open session at once, whether its engine hears it or not. A charge point that hears it and supplies on
    /// for 30 s is out of service until it is resumed.
    End {
        /// The session, by its whole id.
        session: SessionId,
    },
}

/// Which charge points an order is for.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// Their ids: one, or several (at most 1,000).
    #[arg(value_name = "CHARGE_POINT", num_args = 1..=1000)]
    charge_points: Vec<ChargePointId>,

    /// Every charge point that is registered.
    #[arg(long)]
    all: bool,
}

/// A new price.
#[derive(Debug, clap::Args)]
pub(super) struct NewPrice {
    /// The charge point.
    charge_point: ChargePointId,

    /// What a kWh costs from the next authorisation on, and its currency: 0.35 EUR.
    #[arg(value_name = "PRICE", num_args = 1..=2, required = true)]
    price: Vec<String>,
}

/// What an engine claims.
#[derive(Debug, clap::Args)]
pub(super) struct Refused {
    /// The charge point whose engine claims them.
    charge_point: ChargePointId,

    /// The sessions: one, or several (at most 1,000).
    #[arg(value_name = "SESSION", num_args = 1..=1000, required = true)]
    sessions: Vec<SessionId>,
}

impl Which {
    fn ids(&self) -> Vec<String> {
        self.charge_points.iter().map(ToString::to_string).collect()
    }
}

impl Order {
    /// Gives it to central, and prints what holds now.
    pub(super) async fn give(self, desk: &Desk, output: Output) -> Result<(), Failure> {
        let (mut client, central) = (desk.client(), &desk.central);
        match self {
            Self::Stop(which) => {
                let (charge_point_ids, all) = (which.ids(), which.all);
                let stop = order(|request_id| StopChargePointsRequest { charge_point_ids, all, request_id });
                let answer = central.answer(client.stop_charge_points(stop).await)?;
                reached(output, answer.charge_point_count, "out of service")
            }
            Self::Resume(which) => {
                let (charge_point_ids, all) = (which.ids(), which.all);
                let resume =
                    order(|request_id| ResumeChargePointsRequest { charge_point_ids, all, request_id });
                let answer = central.answer(client.resume_charge_points(resume).await)?;
                reached(output, answer.charge_point_count, "in service")
            }
            Self::Forget { charge_point } => {
                let charge_point_id = charge_point.to_string();
                let forget = order(|request_id| ForgetChargePointRequest { charge_point_id, request_id });
                central.answer(client.forget_charge_point(forget).await)?;
                match output {
                    Output::Text => {
                        output::line(&format!("{charge_point} is forgotten; its sessions and tickets stay"))
                    }
                    Output::Json => output::json(&json!({ "charge_point_id": charge_point.as_str() })),
                }
            }
            Self::Refuse(Refused { charge_point, sessions }) => {
                let refuse = order(|request_id| RefuseSessionsRequest {
                    charge_point_id: charge_point.to_string(),
                    session_ids: sessions.iter().map(ToString::to_string).collect(),
                    request_id,
                });
                let count = central.answer(client.refuse_sessions(refuse).await)?.session_count;
                match output {
                    Output::Text => output::line(&format!("refused at {charge_point}: {count}")),
                    Output::Json => output::json(&json!({ "session_count": count })),
                }
            }
            Self::Adopt(Refused { charge_point, sessions }) => {
                let adopt = order(|request_id| AdoptSessionsRequest {
                    charge_point_id: charge_point.to_string(),
                    session_ids: sessions.iter().map(ToString::to_string).collect(),
                    request_id,
                });
                let count = central.answer(client.adopt_sessions(adopt).await)?.session_count;
                match output {
                    Output::Text => output::line(&format!(
                        "asked about at {charge_point}: {count}; 'evmesh operator sessions' shows what was adopted"
                    )),
                    Output::Json => output::json(&json!({ "session_count": count })),
                }
            }
            Self::Settle(settle) => settle.give(desk, output).await,
            Self::End { session } => end(session, desk, output).await,
            Self::Price(NewPrice { charge_point, price }) => {
                let text = price.join(" ");
                let price = text.parse::<Price>();
                let price = price.map_err(|wrong| Failure::Usage(format!("the price '{text}' {wrong}")))?;
                let set = order(|request_id| SetPriceRequest {
                    charge_point_id: charge_point.to_string(),
                    price: Some(mesh::convert::price_proto(price)),
                    request_id,
                });
                central.answer(client.set_price(set).await)?;
                match output {
                    Output::Text => {
                        output::line(&format!("{charge_point} costs {price} a kWh from the next session on"))
                    }
                    Output::Json => output::json(&json!({
                        "charge_point_id": charge_point.as_str(),
                        "price": {
                            "currency_code": price.currency().as_str(), "micros_per_kwh": price.micros_per_kwh()
                        },
                    })),
                }
            }
        }
    }
}

fn reached(output: Output, count: i32, now: &str) -> Result<(), Failure> {
    match output {
        Output::Text if count == 1 => output::line(&format!("1 charge point is {now}")),
        Output::Text => output::line(&format!("{count} charge points are {now}")),
        Output::Json => output::json(&json!({ "charge_point_count": count })),
    }
}
