//! Identities that are none, or are not what they are used for: where everybody has one.

mod certificates;
mod enrolments;
mod gateways;
mod kept;
mod revoked;
mod tokens;

use super::{Scene, scene};
use crate::hostile::secured::{SITE, Secured, why};
use anyhow::Context as _;
use evmesh_proto::driver::{ListChargePointsRequest, driver_service_client::DriverServiceClient};
use tonic::{Request, Status, transport::Channel};

pub(in crate::hostile) static SCENES: [Scene<Secured>; 8] = [
    scene("bad-certificates", |network| Box::pin(certificates::bad_certificates(network))),
    scene("stolen-engine", |network| Box::pin(certificates::stolen_engine(network))),
    Scene {
        charges_at: SITE,
        ..scene("stolen-gateway", |network| Box::pin(gateways::stolen_gateway(network)))
    },
    scene("bad-enrolments", |network| Box::pin(enrolments::bad_enrolments(network))),
    scene("bad-tokens", |network| Box::pin(tokens::bad_tokens(network))),
    scene("revoked-and-holding", |network| Box::pin(revoked::revoked_and_holding(network))),
    Scene {
        charges_at: SITE,
        ..scene("revoked-gateway", |network| Box::pin(revoked::revoked_gateway(network)))
    },
    // The last: of so many refusals the audit of its minute has but a count.
    scene("refused-in-bulk", |network| Box::pin(tokens::refused_in_bulk(network))),
];

/// What any identity may call, with this token if there is one.
async fn call(channel: Channel, token: Option<&str>) -> Result<(), Status> {
    let mut request = Request::new(ListChargePointsRequest::default());
    if let Some(token) = token {
        let word = format!("Bearer {token}").parse();
        request.metadata_mut().insert("authorization", word.map_err(|_| Status::internal("no word"))?);
    }
    DriverServiceClient::new(channel).list_charge_points(request).await.map(drop)
}

/// It is refused, for this reason: the sentence. What a stranger hears has nothing of the network's in it.
fn refused(what: &str, answer: Result<(), Status>, reason: &str) -> anyhow::Result<String> {
    let status = answer.err().with_context(|| format!("{what} is let in"))?;
    let found = why(&status);
    anyhow::ensure!(found == reason, "{what} is refused as {found:?} ({status}), and not as {reason}");
    let said = status.message().to_owned();
    anyhow::ensure!(!said.is_empty() && !said.contains("spiffe"), "{what} hears: '{said}'");
    Ok(said)
}
