//! Which charge points gateways serve.

use super::desk::{At, How, client};
use crate::{
    exit::Failure,
    json,
    output::{self, Output},
};
use domain::{ChargePointId, Name};
use evmesh_proto::registry::{
    AddGatewayChargePointsRequest, GatewayChargePoint, ListGatewayChargePointsRequest,
    RemoveGatewayChargePointsRequest,
};
use mesh::convert::MAX_PAGE_SIZE;
use std::collections::BTreeMap;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Gateway {
    /// A gateway serves these charge points too: all of them, or none. It need not be enrolled yet.
    ///
    /// Central takes gateway/NAME for them within two seconds (started with '--registry'), and nobody else: a charge
    /// point's own engine and monitor are refused from then on. A supply that runs there ends first, in 30 seconds at
    /// most. A gateway serves 1,000 at most, and a charge point is at one gateway at most.
    Add(Points),

    /// A gateway serves these charge points no more: central refuses it for them within two seconds, or once a supply
    /// that runs there has ended, in 30 seconds at most.
    Remove(Points),

    /// Every gateway, and the charge points that it serves.
    List {
        #[command(flatten)]
        at: At,

        #[command(flatten)]
        how: How,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Points {
    /// The gateway's name: site-7 of gateway/site-7.
    #[arg(value_name = "NAME")]
    gateway: Name,

    /// Which charge points.
    #[arg(value_name = "CHARGE_POINT_ID", required = true)]
    charge_points: Vec<ChargePointId>,

    #[command(flatten)]
    at: At,
}

impl Points {
    fn said(&self) -> (String, Vec<String>) {
        (self.gateway.to_string(), self.charge_points.iter().map(ToString::to_string).collect())
    }
}

pub(super) async fn run(gateway: Gateway) -> Result<(), Failure> {
    match gateway {
        Gateway::Add(points) => {
            let remote = points.at.remote()?;
            let (gateway, charge_point_ids) = points.said();
            let request = AddGatewayChargePointsRequest { gateway, charge_point_ids };
            let added = remote.waited(client(&remote).add_gateway_charge_points(request)).await;
            let count = remote.answer(added)?.changed_count;
            output::line(&format!("gateway/{} serves them, {count} of them newly", points.gateway))
        }
        Gateway::Remove(points) => {
            let remote = points.at.remote()?;
            let (gateway, charge_point_ids) = points.said();
            let request = RemoveGatewayChargePointsRequest { gateway, charge_point_ids };
            let removed = remote.waited(client(&remote).remove_gateway_charge_points(request)).await;
            let count = remote.answer(removed)?.changed_count;
            output::line(&format!("gateway/{} serves none of them, {count} of them no more", points.gateway))
        }
        Gateway::List { at, how } => list(&at, &how).await,
    }
}

async fn list(at: &At, how: &How) -> Result<(), Failure> {
    let remote = at.remote()?;
    let page_size = i32::try_from(MAX_PAGE_SIZE).unwrap_or_default();
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListGatewayChargePointsRequest { page_size, page_token };
        let page = remote.answer(client(&remote).list_gateway_charge_points(request).await)?;
        all.extend(page.charge_points);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    match how.output {
        Output::Text if all.is_empty() => output::line("No gateway serves a charge point."),
        Output::Text => by_gateway(&all).iter().try_for_each(|(gateway, points)| {
            output::line(&format!("gateway/{gateway}  {}", points.join(" ")))
        }),
        Output::Json => output::json(&all.iter().map(json::of).collect::<Vec<_>>()),
    }
}

fn by_gateway(all: &[GatewayChargePoint]) -> BTreeMap<&str, Vec<&str>> {
    let mut gateways: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for served in all {
        gateways.entry(&served.gateway).or_default().push(&served.charge_point_id);
    }
    gateways
}
