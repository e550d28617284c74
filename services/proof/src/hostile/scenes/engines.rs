//! Engines that lie, and strangers who speak to true ones.

use super::requests::anywhere;
use crate::hostile::{
    liar::Liar,
    network::{BATTERY_WH, MICROS_PER_KWH, Network, OTHER, eventually},
};
use anyhow::{Context as _, ensure};
use evmesh_proto::{
    driver::{GetSessionRequest, StopChargeRequest},
    engine::{
        AttendRequest, CallResult, RevokeAuthorizationRequest, SupplyEnd, SupplyRecord, SupplyState,
        engine_service_client::EngineServiceClient,
    },
    network::{ChargePointStatus, Price},
    operations::{SettleSessionRequest, settle_session_request::Verdict},
};
use std::time::Duration;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use tonic::{codegen::tokio_stream::wrappers::ReceiverStream, transport::Channel};

/// An engine keeps so many records that central has not confirmed.
const MOST_UNSETTLED: u64 = 1_000;

/// 10 MWh at 1,000 EUR a kWh.
fn invented(session: String, driver: &str) -> SupplyRecord {
    SupplyRecord {
        session_id: session,
        driver_id: driver.into(),
        price: Some(Price { currency_code: "EUR".into(), micros_per_kwh: 1_000_000_000 }),
        authorization_number: 1,
        state: SupplyState::Ended.into(),
        end: SupplyEnd::Completed.into(),
        seq: 9,
        energy_wh: 10_000_000,
        signature: vec![7; 192],
        ..SupplyRecord::default()
    }
}

/// An engine shows a thousand invented records, and a supply of the honest driver's that it never ends, under another
/// id each time: told again with each of central's questions.
pub(super) async fn invented_records(network: &Network) -> anyhow::Result<String> {
    const ID: &str = "LIE-01";
    let liar = Liar::start(ID, "store-of-a-liar").await?;
    {
        let mut inside = liar.inside();
        let driver = |n: u64| if n.is_multiple_of(2) { "honest" } else { "victim" };
        let records = (0..MOST_UNSETTLED).map(|n| invented(format!("lie-{n}"), driver(n)));
        inside.restless = true;
        inside.state.unsettled = records.collect();
        inside.state.highest_authorization = u64::MAX;
        let supplying = SupplyState::Supplying.into();
        inside.state.current =
            Some(SupplyRecord { state: supplying, end: 0, ..invented("lie-now".into(), "honest") });
    }
    let began = Instant::now();
    let attended = liar.attend(network, MICROS_PER_KWH).await?;
    sleep(Duration::from_secs(4)).await;
    // Whom it names is neither held nor billed.
    network.charges("victim", OTHER).await?;
    let (told, stops) = {
        let inside = liar.inside();
        (inside.calls * MOST_UNSETTLED, inside.stop_calls)
    };
    ensure!(
        told >= 3 * MOST_UNSETTLED && stops >= 1,
        "only {told} records were told, and {stops} stops asked for"
    );
    let most = 40 + 20 * began.elapsed().as_secs();
    ensure!(told <= most * MOST_UNSETTLED, "it was called {} times", told / MOST_UNSETTLED);
    ensure!(network.tickets("", ID).await?.is_empty(), "what an engine invents is billed");
    drop((attended, liar));
    network.forget(ID).await?;
    Ok(format!("an engine told {told} invented records of 10,000,000 EUR each, and ignored {stops} stops"))
}

/// An engine that is authorised, and then supplies on whatever it is told.
pub(super) async fn ignored_stops(network: &Network) -> anyhow::Result<String> {
    const ID: &str = "LIE-02";
    /// Where its driver would go.
    const FREE: &str = "FREE-01";
    const WH: u64 = 10;
    /// Nobody who may go anywhere goes here.
    const DEAR: i64 = 3 * MICROS_PER_KWH;
    /// It does not obey for so long, and some.
    const OBEYED_WITHIN: Duration = Duration::from_secs(33);
    let liar = Liar::start(ID, "store-of-a-stubborn-one").await?;
    liar.inside().supplies = true;
    let attended = liar.attend(network, DEAR).await?;
    let other = Liar::start(FREE, "store-of-an-obedient-one").await?;
    let _other = other.attend(network, DEAR).await?;
    network.is_free(FREE).await?;
    let session = free(network, ID, "held").await?;
    liar.inside().state.current.as_mut().context("it was authorised")?.energy_wh = WH;
    let stop = StopChargeRequest { driver_id: "held".into(), ..Default::default() };
    let stopped = Instant::now();
    network.drivers().await?.stop_charge(stop).await?;
    let held = loop {
        match network.request("held", FREE).await {
            Ok(_) => break stopped.elapsed(),
            Err(status) => ensure!(stopped.elapsed() < OBEYED_WITHIN, "still held: {status}"),
        }
        sleep(Duration::from_millis(250)).await;
    };
    let status = network.status(ID).await;
    ensure!(status != Some(ChargePointStatus::Available), "drivers are sent there again: {status:?}");
    let stops = liar.inside().stop_calls;
    ensure!(stops >= 5, "only {stops} stops were asked for");
    // At last it tells what its meter shows, and that is billed.
    liar.inside().stops = true;
    let ticket = eventually("its ticket", async || network.tickets("held", ID).await.ok()?.pop()).await?;
    ensure!((&ticket.session_id, ticket.energy_wh) == (&session, WH), "not what was metered: {ticket:?}");
    drop((attended, liar));
    network.forget(ID).await?;
    let held = held.as_secs_f64();
    Ok(format!("an engine ignored {stops} stops; its driver was held {held:.1} s, and billed by the meter"))
}

/// An engine that was authorised, and reports what cannot be: its driver is free, and a person decides.
pub(super) async fn implausible_readings(network: &Network) -> anyhow::Result<String> {
    const ID: &str = "LIE-04";
    const REPORTED: u64 = 9_999_000;
    const SETTLED: u64 = 500;
    let liar = Liar::start(ID, "store-of-a-fraud").await?;
    {
        let mut inside = liar.inside();
        (inside.supplies, inside.stops) = (true, true);
    }
    let attended = liar.attend(network, MICROS_PER_KWH).await?;
    let session = free(network, ID, "cheated").await?;
    liar.inside().state.current.as_mut().context("it was authorised")?.energy_wh = REPORTED;
    let stop = StopChargeRequest { driver_id: "cheated".into(), ..Default::default() };
    network.drivers().await?.stop_charge(stop).await?;
    let get = GetSessionRequest { driver_id: "cheated".into(), session_id: session.clone() };
    let mut drivers = network.drivers().await?;
    eventually("it is under review", async || {
        let found = drivers.get_session(get.clone()).await.ok()?.into_inner().session?;
        (!found.review.is_empty() && found.ticket.is_none()).then_some(())
    })
    .await?;
    network.charges("cheated", OTHER).await?;
    ensure!(network.tickets("cheated", ID).await?.is_empty(), "what cannot be is billed");
    let settle = SettleSessionRequest {
        session_id: session,
        verdict: Some(Verdict::EnergyWh(SETTLED)),
        reason: "as the driver has it".into(),
        ..Default::default()
    };
    network.operators().await?.settle_session(settle).await?;
    let ticket = eventually("its ticket", async || network.tickets("cheated", ID).await.ok()?.pop()).await?;
    ensure!(ticket.energy_wh == SETTLED, "not what was settled: {ticket:?}");
    drop((attended, liar));
    network.forget(ID).await?;
    Ok(format!(
        "an engine reported {REPORTED} Wh within a second; its driver was free, and a person settled {SETTLED} Wh"
    ))
}

/// Charges at a charge point of the scene's own, as soon as it is free.
async fn free(network: &Network, id: &str, driver: &str) -> anyhow::Result<String> {
    let session = eventually("it is granted", async || network.request(driver, id).await.ok()).await?;
    Ok(session.session_id)
}

/// The cheapest engine refuses whoever wants to charge anywhere, and claims the session of the next attempt as its own,
/// with the signature of the one that it refused.
pub(super) async fn guessed_sessions(network: &Network) -> anyhow::Result<String> {
    const ID: &str = "LIE-07";
    const REQUESTS: usize = 2;
    let liar = Liar::start(ID, "store-of-a-guesser").await?;
    {
        let mut inside = liar.inside();
        (inside.refuses, inside.guesses) = (CallResult::Busy, true);
    }
    let attended = liar.attend(network, 0).await?;
    network.is_free(ID).await?;
    for n in 0..REQUESTS {
        let driver = format!("guessed-{n}");
        let (session, _) = anywhere(network, &driver).await.context("it is denied")?;
        ensure!(session.charge_point_id == OTHER, "not at the one that authorises: {session:?}");
        eventually("its ticket", async || network.tickets(&driver, OTHER).await.ok()?.pop()).await?;
        network.is_free(OTHER).await?;
        let tickets = network.tickets(&driver, "").await?;
        let exact = matches!(tickets.as_slice(), [one] if one.energy_wh == BATTERY_WH);
        ensure!(exact, "not one exact ticket: {tickets:?}");
    }
    let claimed = liar.inside().state.unsettled.len();
    ensure!(claimed >= 1, "it was never asked, and has guessed nothing");
    ensure!(network.tickets("", ID).await?.is_empty(), "what it guessed is billed");
    drop((attended, liar));
    network.forget(ID).await?;
    Ok(format!(
        "an engine claimed {claimed} sessions that others were given; {REQUESTS} charges, one exact ticket each"
    ))
}

/// Numbers at their very end: of an engine that claims to have seen them all, and of a stranger who attends a true
/// engine under the highest epoch there is. Whoever comes after is served.
pub(super) async fn impossible_numbers(network: &Network) -> anyhow::Result<String> {
    const ID: &str = "LIE-03";
    let liar = Liar::start(ID, "store-that-has-seen-all").await?;
    {
        let mut inside = liar.inside();
        inside.state.highest_authorization = u64::MAX;
        inside.refuses = CallResult::NumberStale;
    }
    let attended = liar.attend(network, MICROS_PER_KWH).await?;
    network.is_free(ID).await?;
    let mut refused = 0;
    for n in 0..5 {
        refused += u64::from(network.request(&format!("unlucky-{n}"), ID).await.is_err());
    }
    let asked = liar.inside().authorizations.len();
    ensure!(asked >= 5, "only {asked} authorisations were asked for");
    drop((attended, liar));
    let honest = Liar::start(ID, "store-of-an-honest-one").await?;
    {
        let mut inside = honest.inside();
        (inside.supplies, inside.stops) = (true, true);
    }
    let attended = honest.attend(network, MICROS_PER_KWH).await?;
    free(network, ID, "lucky").await?;
    let number = honest.inside().authorizations.last().map(|asked| asked.authorization_number);
    let stop = StopChargeRequest { driver_id: "lucky".into(), ..Default::default() };
    network.drivers().await?.stop_charge(stop).await?;
    eventually("its ticket", async || network.tickets("lucky", ID).await.ok()?.pop()).await?;
    drop((attended, honest));
    network.forget(ID).await?;

    let pings = attend_as_the_highest(network).await?;
    network.restart_monitor_of_other().await?;
    sleep(Duration::from_millis(500)).await;
    network.is_free(OTHER).await?; // its own monitor is back
    network.charges("after-the-highest", OTHER).await?;
    Ok(format!(
        "an engine claimed 2^64-1 and refused {refused} requests in {asked} calls, its successor was given number {}; \
         {pings} pings attended another's engine under epoch 2^53, where number 2^53 was revoked",
        number.unwrap_or_default()
    ))
}

/// So many answered pings of a stranger, with the highest epoch that a message may have; and the highest number.
async fn attend_as_the_highest(network: &Network) -> anyhow::Result<u64> {
    const PINGS: u64 = 40;
    let channel = Channel::from_shared(format!("http://{}", network.engines[1]))?.connect().await?;
    let (pings, stream) = mpsc::channel(1);
    let mut engine = EngineServiceClient::new(channel);
    let pinging = tokio::spawn(async move {
        let ping = AttendRequest { epoch: 1 << 53, central_reachable: false, charge_point_id: OTHER.into() };
        while pings.send(ping.clone()).await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    });
    let mut answers = engine.attend(ReceiverStream::new(stream)).await?.into_inner();
    let mut instance = String::new();
    for _ in 0..PINGS {
        instance = answers.message().await?.context("a ping is answered")?.instance_id;
    }
    pinging.abort();
    let revoke = RevokeAuthorizationRequest {
        instance_id: instance,
        charge_point_id: OTHER.into(),
        authorization_number: 1 << 53,
        session_id: "nobody-s".into(),
        ..Default::default()
    };
    engine.revoke_authorization(revoke).await?; // in central's place
    Ok(PINGS)
}
