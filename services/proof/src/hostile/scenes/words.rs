//! What others say of times, and in which letters.

use crate::hostile::{
    liar::Liar,
    network::{MICROS_PER_KWH, Network, eventually},
};
use anyhow::{Context as _, ensure};
use evmesh_proto::{
    chargepoint::{RegisterChargePointRequest, charge_point_service_client::ChargePointServiceClient},
    driver::{RequestChargeRequest, StopChargeRequest},
    topics::CP_TELEMETRY,
};
use mesh::kafka::Producer;
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;
use tonic::Code;

/// An engine whose clock shows 1970, and later 2200.
pub(super) async fn wild_clocks(network: &Network) -> anyhow::Result<String> {
    const ID: &str = "CLOCK-01";
    const CLOCKS: [i64; 3] = [0, 946_684_800, 7_258_118_400];
    let engine = Liar::start(ID, "store-of-another-time").await?;
    {
        let mut inside = engine.inside();
        (inside.supplies, inside.stops) = (true, true);
    }
    let attended = engine.attend(network, MICROS_PER_KWH).await?;
    for seconds in CLOCKS {
        let driver = format!("at-{seconds}");
        network.is_free(ID).await?;
        let session = network.request(&driver, ID).await?;
        if let Some(current) = engine.inside().state.current.as_mut() {
            current.start_time = Some(prost_types::Timestamp { seconds, nanos: 0 });
        }
        let stop = StopChargeRequest { driver_id: driver.clone(), ..Default::default() };
        network.drivers().await?.stop_charge(stop).await?;
        let ticket =
            eventually("its ticket", async || network.tickets(&driver, ID).await.ok()?.pop()).await?;
        let times = [&session.create_time, &ticket.start_time, &ticket.end_time, &ticket.issue_time];
        let of = |time: &Option<prost_types::Timestamp>| time.as_ref().map(|at| (at.seconds, at.nanos));
        let times = times.map(of);
        ensure!(times.is_sorted() && times[0].is_some(), "created, started, ended, issued: {times:?}");
    }
    drop((attended, engine));
    network.forget(ID).await?;
    Ok(format!(
        "{} supplies of an engine in 1970, 2000 and 2200 were dated by central, in their order",
        CLOCKS.len()
    ))
}

/// Letters that people cannot see, or that order a terminal about, at every door for text.
pub(super) async fn unreadable_text(network: &Network) -> anyhow::Result<String> {
    const TEXTS: [&str; 6] =
        ["\u{1b}[2J", "a\nb", "\u{202e}diraM", "\u{2028}Madrid", "Mad\u{200b}rid", "\u{0}"];
    let engine = Liar::start("TEXT-01", "store-of-a-scribe").await?;
    let mut monitors = ChargePointServiceClient::new(network.connect().await?);
    let producer = Producer::new(&network.kafka, "stranger")?;
    let mut refused = 0;
    for text in TEXTS {
        let place =
            RegisterChargePointRequest { location: text.into(), ..engine.registration(MICROS_PER_KWH) };
        let anywhere = RequestChargeRequest {
            driver_id: "scribe".into(),
            location_prefix: text.into(),
            ..Default::default()
        };
        let named = RequestChargeRequest { driver_id: text.into(), ..Default::default() };
        let answers = [
            monitors.register_charge_point(place).await.err(),
            network.drivers().await?.request_charge(anywhere).await.err(),
            network.drivers().await?.request_charge(named).await.err(),
        ];
        for answer in answers {
            let status = answer.with_context(|| format!("{text:?} is taken"))?;
            ensure!(status.code() == Code::InvalidArgument, "refused otherwise: {status}");
            ensure!(!status.message().contains(text), "it is said again: {status:?}");
            refused += 1;
        }
        let fault =
            json!({ "type": "FAULT", "cp_id": "MAD-01", "user_id": "honest", "kwh": 0.0, "reason": text });
        producer.send_lossy(CP_TELEMETRY, "MAD-01", &serde_json::to_vec(&fault)?);
    }
    sleep(Duration::from_secs(2)).await;
    let log = network.log_of_central()?;
    ensure!(!log.contains(&0x1b) && !log.contains(&0), "it is in central's log");
    Ok(format!(
        "{refused} texts with control and format characters were refused, {} put on the topic",
        TEXTS.len()
    ))
}
