//! An engine that lies: what it claims costs nobody anything, and what central signed is known again after every loss.

use crate::{
    engine::Engine,
    running_central::{Central, Monitor, PATIENCE, no_kafka, options, registration},
};
use evmesh_proto::{
    engine::{SupplyEnd, SupplyRecord, SupplyState},
    network::{ChargePointStatus, Price, SessionState},
    operations::{self, settle_session_request::Verdict},
};
use mesh::grpc::reason;
use tonic::Code;

/// 10 MWh at 1,000 EUR a kWh.
fn invented(session: &str, driver: &str) -> SupplyRecord {
    SupplyRecord {
        session_id: session.into(),
        driver_id: driver.into(),
        price: Some(Price { currency_code: "EUR".into(), micros_per_kwh: 1_000_000_000 }),
        authorization_number: 1,
        state: SupplyState::Ended.into(),
        end: SupplyEnd::Completed.into(),
        seq: 9,
        energy_wh: 10_000_000,
        ..SupplyRecord::default()
    }
}

async fn stops(engine: &Engine, before: usize) {
    testing::eventually("the engine is told to stop", PATIENCE, || async {
        let stops = engine.inside().traces.iter().filter(|(call, _)| *call == "StopSupply").count();
        (stops > before).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_engine_that_is_not_known_yet_little_is_read() {
    let central = Central::start(no_kafka()).await;
    let engine = Engine::start("store").await;
    engine.inside().unsettled.extend((0..1_000).map(|n| invented(&format!("session-{n:050}"), "9001")));
    engine.inside().older = true;
    let refused = central.points.clone().register_charge_point(registration("MAD-01", &engine)).await;
    assert_eq!(reason(&refused.unwrap_err()).as_deref(), Some("ENGINE_SILENT"));
    engine.inside().older = false;
    let _monitor = Monitor::connect(&central, "MAD-01", &engine).await;
    central.says("its engine claims 1000 sessions that central never authorised").await;
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_engine_invents_is_billed_to_nobody_and_holds_nobody() {
    let central = Central::start(no_kafka()).await;
    let (liar, monitor) = central.charge_point("MAD-01").await;
    let (honest, _monitor) = central.charge_point("MAD-02").await;
    liar.inside().unsettled.push(invented("lie-1", "9001"));
    let supplying =
        SupplyRecord { state: SupplyState::Supplying.into(), end: 0, ..invented("lie-2", "9001") };
    liar.inside().stubborn = true;
    liar.inside().current = Some(supplying);
    drop(monitor); // its monitor comes back: the engine is asked
    let _monitor = Monitor::connect(&central, "MAD-01", &liar).await;
    central.says("its engine claims 2 sessions that central never authorised: lie-2, lie-1").await;
    stops(&liar, 1).await;
    assert_eq!(liar.inside().unsettled.len(), 1, "it is not confirmed away");

    let session = central.request("9001", "MAD-02").await.unwrap();
    honest.supply(1_000);
    honest.end(SupplyEnd::Completed);
    let ticket = central.ticket("9001").await; // the only one
    assert_eq!(
        (ticket.session_id, ticket.amount.unwrap().micros),
        (session.session_id.clone(), 300_000),
        "billed at the price that central fixed"
    );
    assert_eq!(central.session("9001", "lie-1").await.unwrap_err().code(), Code::NotFound);

    // A person wants to see it all the same.
    let (charge_point_id, session_ids) = ("MAD-01".to_owned(), vec!["lie-1".to_owned()]);
    let adopt = operations::AdoptSessionsRequest { charge_point_id, session_ids, ..Default::default() };
    let adopted = central.operators.clone().adopt_sessions(adopt).await.unwrap().into_inner();
    assert_eq!(adopted.session_count, 1);
    central.says("session lie-1 of driver 9001 at MAD-01 is under review").await;
    let found = central.session("9001", "lie-1").await.unwrap();
    assert_eq!((found.energy_wh, found.reported_energy_wh), (0, 10_000_000));
    assert_eq!(found.price.unwrap().micros_per_kwh, 300_000, "the charge point's own");
    assert_eq!(central.tickets("9001").await.len(), 1);
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_cannot_change_what_it_was_authorised_for() {
    let central = Central::start(no_kafka()).await;
    let (liar, _monitor) = central.charge_point("MAD-01").await;
    central.request("101", "MAD-01").await.unwrap();
    {
        let mut inside = liar.inside();
        let record = inside.current.as_mut().unwrap();
        assert!((100..=256).contains(&record.signature.len()));
        (record.price, record.driver_id) = (invented("s", "d").price, "9001".into());
        record.authorization_number += 1;
    }
    liar.supply(1_000);
    liar.end(SupplyEnd::Completed);
    let ticket = central.ticket("101").await;
    assert_eq!((ticket.energy_wh, ticket.amount.unwrap().micros), (1_000, 300_000));
    assert!(central.tickets("9001").await.is_empty());
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_put_back_knows_what_was_signed_by_its_keys_and_takes_others_from_its_operator() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let central = Central::with(options(folder.path(), no_kafka())).await;
    let (engine, monitor) = central.charge_point("MAD-01").await;
    let session = central.request("101", "MAD-01").await.unwrap();
    engine.supply(1_000);
    engine.end(SupplyEnd::Completed);
    let signed = engine.inside().unsettled[0].clone();
    let ticket = central.ticket("101").await;
    assert_eq!(ticket.session_id, session.session_id);
    drop(monitor);
    central.stop().await;
    let central = Central::with(options(folder.path(), no_kafka())).await;
    let keys = central.signing_keys().await;
    assert_eq!(keys.len(), 2, "one for each start");
    assert_eq!(keys[0].network_id, keys[1].network_id);
    assert_ne!(keys[0].public_key, keys[1].public_key);
    central.stop().await;

    // A new store, and another charge point's engine beside the honest one: both show the same signed record.
    let central = Central::with(options(other.path(), no_kafka())).await;
    let thief = Engine::start("store-of-MAD-02").await;
    thief.inside().unsettled.push(signed.clone());
    let _thief = Monitor::connect(&central, "MAD-02", &thief).await;
    central.says("MAD-02: its engine claims a session").await;
    engine.inside().unsettled = vec![invented("lie-1", "9001"), signed];
    let _monitor = Monitor::connect(&central, "MAD-01", &engine).await;
    central.says("MAD-01: its engine claims 2 sessions").await;
    let mut broken = keys.clone();
    broken[0].public_key.pop();
    let request = operations::TrustSigningKeysRequest { keys: broken };
    let refused = central.operators.clone().trust_signing_keys(request).await.unwrap_err();
    assert_eq!(refused.message(), "keys[0].public_key must be the 32 bytes of an Ed25519 key");
    assert!(central.tickets("101").await.is_empty());
    assert_eq!(central.trust(keys.clone()).await, 2);
    assert_eq!(central.trust(keys).await, 0);
    let again = central.ticket("101").await;
    assert_eq!((again.session_id, again.charge_point_id), (ticket.session_id, "MAD-01".to_owned()));
    assert_eq!(again.amount, ticket.amount);
    assert!(central.tickets("9001").await.is_empty());
    central.status("MAD-01", ChargePointStatus::Available).await;
    central.stop().await;

    // Trusted once, trusted for ever.
    let central = Central::with(options(other.path(), no_kafka())).await;
    assert_eq!(central.signing_keys().await.len(), 4);
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_believed_is_billed_by_a_persons_word_only() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), no_kafka());
    (options.rules.charge_point_power_max, options.rules.session_energy_max) = (1_000, 300);
    options.changelog = false; // an engine may forget what is settled here
    let central = Central::with(options.clone()).await;
    let (liar, _monitor) = central.charge_point("MAD-01").await;
    let session = central.request("101", "MAD-01").await.unwrap().session_id;
    liar.supply(500);
    central.session_is("101", &session, "is supplied", |now| now.state() == SessionState::Supplying).await;
    liar.supply(900_000);
    liar.end(SupplyEnd::Completed);
    central.says("is under review: 900.000 kWh is reported").await;
    let found = central.session("101", &session).await.unwrap();
    assert!(!found.review.is_empty() && !found.settled && found.ticket.is_none(), "{found:?}");
    assert_eq!((found.energy_wh, found.reported_energy_wh), (500, 900_000));
    assert_eq!(liar.inside().unsettled.len(), 1, "its engine keeps the record");
    let next = central.request("101", "MAD-01").await.unwrap().session_id; // driver and charge point are free
    let ended = operations::EndSessionRequest { session_id: next.clone(), ..Default::default() };
    let ended = central.operators.clone().end_session(ended).await.unwrap().into_inner().session.unwrap();
    assert_eq!((ended.session_id.as_str(), ended.state()), (next.as_str(), SessionState::Ended));

    let settle = async |verdict: Option<Verdict>, reason: &str, request_id: &str| {
        let (session_id, reason) = (session.clone(), reason.to_owned());
        let request = operations::SettleSessionRequest {
            session_id,
            verdict,
            reason,
            request_id: request_id.to_owned(),
        };
        let settled = central.operators.clone().settle_session(request).await;
        settled.map(|settled| settled.into_inner().session.unwrap()).map_err(|refused| refused.code())
    };
    let seen = "the car's own meter says so";
    for (verdict, reason, code) in [
        (None, seen, Code::InvalidArgument),
        (Some(Verdict::Accept(false)), seen, Code::InvalidArgument),
        (Some(Verdict::Accept(true)), " ", Code::InvalidArgument),
        (Some(Verdict::EnergyWh(900_001)), seen, Code::FailedPrecondition),
    ] {
        assert_eq!(settle(verdict, reason, "").await, Err(code), "{verdict:?}");
    }
    for _ in 0..2 {
        let settled = settle(Some(Verdict::EnergyWh(700)), seen, "r1").await.unwrap();
        let ticket = settled.ticket.unwrap();
        assert_eq!(
            (ticket.energy_wh, ticket.amount.unwrap().micros, ticket.estimated),
            (700, 210_000, false)
        );
        let who = (ticket.settled_by.as_str(), ticket.settle_reason.as_str());
        assert_eq!(who, ("127.0.0.1 (unverified)", seen));
    }
    let again = settle(Some(Verdict::Accept(true)), seen, "r2").await;
    assert_eq!(again, Err(Code::FailedPrecondition), "the first word counts");
    testing::eventually("its engine forgets the record", PATIENCE, || async {
        liar.inside().unsettled.is_empty().then_some(())
    })
    .await;
    central.stop().await;
    let central = Central::with(options).await;
    let ticket = central.ticket("101").await;
    assert_eq!((ticket.energy_wh, ticket.settle_reason.as_str()), (700, seen), "on disk");
    central.stop().await;
}
