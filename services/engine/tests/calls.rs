//! The engine's calls over gRPC, with a real store, and without Kafka: no supply needs it.

#![allow(clippy::unwrap_used)] // clippy's exception for tests does not cover what they share

mod common;

use common::{DEADLINE, Engine, Monitor, no_kafka, options};
use engine::{Error, PlugIn, Service};
use evmesh_proto::engine::{
    AuthorizeSupplyRequest, CallResult, ClearFaultRequest, ConfirmSettledRequest, GetEngineStateRequest,
    GetPanelRequest, InjectFaultRequest, PlugInRequest, RevokeAuthorizationRequest, RevokeOutcome,
    StopSupplyRequest, SupplyEnd, SupplyState, TelemetryKey, UnplugRequest,
};
use mesh::{grpc::reason, store::MemoryStore};
use prost_types::Duration as ProtoDuration;
use std::time::Duration;
use tempfile::tempdir;
use tonic::{Code, Status};

#[tokio::test]
async fn a_supply_runs_ends_and_is_settled_without_kafka() {
    let folder = tempdir().unwrap();
    let engine = Engine::start(options(folder.path(), no_kafka())).await;
    assert_eq!(engine.authorize(1, "s1").await.result(), CallResult::Unattended);
    let _monitor = engine.attended(1).await;

    let answer = engine.authorize(2, "s2").await;
    assert_eq!(answer.result(), CallResult::Done);
    let state = answer.state.unwrap();
    assert_eq!((state.highest_authorization, state.instance_id.as_str()), (2, engine.instance.as_str()));
    assert_eq!(state.current.unwrap().state(), SupplyState::Authorized);

    let reading = engine.supplying("s2", 2).await;
    assert_eq!((reading.power_w, reading.driver_id.as_str()), (36_000, "ana"));
    assert!((10..25).contains(&reading.energy_wh), "{reading:?}");
    assert_eq!(engine.authorize(3, "s3").await.result(), CallResult::Busy);

    let record = engine.ended("s2").await;
    assert_eq!((record.end(), record.energy_wh, record.seq), (SupplyEnd::Completed, 25, 4));
    assert!(record.start_time.is_some() && record.end_time.is_some());
    assert_eq!(record.signature, b"s2", "as it came");
    let confirm = ConfirmSettledRequest { session_ids: vec!["s2".into()], ..engine.confirmation() };
    for _ in 0..2 {
        let answer = engine.central().confirm_settled(confirm.clone()).await.unwrap().into_inner();
        assert_eq!((answer.result(), answer.state.unwrap().unsettled), (CallResult::Done, vec![]));
    }
    engine.stop().await;
}

#[tokio::test]
async fn orders_are_carried_out_once() {
    let folder = tempdir().unwrap();
    let mut options = options(folder.path(), no_kafka());
    options.plug_in_after = PlugIn::Never;
    let engine = Engine::start(options).await;
    let _monitor = engine.attended(1).await;
    let revoke = |number, session: &str| RevokeAuthorizationRequest {
        instance_id: engine.instance.clone(),
        authorization_number: number,
        session_id: session.into(),
        ..Default::default()
    };
    let outcome = async |number, session| {
        let answer = engine.central().revoke_authorization(revoke(number, session)).await.unwrap();
        answer.into_inner().outcome()
    };
    engine.granted(1, "s1").await;
    assert_eq!(outcome(1, "s1").await, RevokeOutcome::Revoked);
    assert_eq!(engine.authorize(1, "s1").await.result(), CallResult::NumberStale);
    engine.granted(2, "s2").await;
    engine.panel().plug_in(PlugInRequest {}).await.unwrap();
    assert_eq!(outcome(2, "s2").await, RevokeOutcome::Supplying);
    let stop = StopSupplyRequest {
        instance_id: engine.instance.clone(),
        session_id: "s2".into(),
        ..Default::default()
    };
    for _ in 0..2 {
        let answer = engine.central().stop_supply(stop.clone()).await.unwrap().into_inner();
        let unsettled = answer.state.as_ref().unwrap().unsettled.clone();
        assert_eq!((answer.result(), unsettled.len()), (CallResult::Done, 1));
        assert_eq!(unsettled[0].end(), SupplyEnd::Stopped);
    }
    assert_eq!(outcome(2, "s2").await, RevokeOutcome::Ended);
    // Who only asks whose engine it is, hears of no session.
    let instance_id = engine.instance.clone();
    let ask = GetEngineStateRequest { instance_id, without_sessions: true, ..Default::default() };
    let state = engine.central().get_engine_state(ask).await.unwrap().into_inner().state.unwrap();
    assert_eq!((state.current, state.unsettled), (None, vec![]));
    assert_eq!((state.charge_point_id.as_str(), engine.state().await.unsettled.len()), ("MAD-01", 1));
    engine.stop().await;
}

#[tokio::test]
async fn another_instance_or_charge_point_gets_this_ones_state_and_nothing_else() {
    let folder = tempdir().unwrap();
    let sealed = engine::Options {
        telemetry: Some(engine::TelemetryForm::Sealed),
        ..options(folder.path(), no_kafka())
    };
    let engine = Engine::start(sealed).await;
    let _monitor = engine.attended(1).await;
    for (instance, charge_point) in [("another", "MAD-01"), (engine.instance.as_str(), "MAD-02")] {
        let (instance_id, charge_point_id) = (instance.to_owned(), charge_point.to_owned());
        let (other, point) = (|| instance_id.clone(), || charge_point_id.clone());
        let session_id = "s1".to_owned();
        let mut central = engine.central();
        let authorize = AuthorizeSupplyRequest {
            instance_id: other(),
            charge_point_id: point(),
            ..engine.authorization(1, "s1")
        };
        let authorized = central.authorize_supply(authorize).await.unwrap().into_inner();
        let (instance_id, charge_point_id) = (other(), point());
        // The key of telemetry that comes with it is not looked at: this one is none.
        let telemetry_key = Some(TelemetryKey::default());
        let ask = GetEngineStateRequest {
            instance_id,
            charge_point_id,
            epoch: 1,
            telemetry_key,
            ..Default::default()
        };
        let state = central.get_engine_state(ask).await.unwrap().into_inner();
        let stop = StopSupplyRequest {
            instance_id: other(),
            session_id: session_id.clone(),
            charge_point_id: point(),
            epoch: 1,
        };
        let stopped = central.stop_supply(stop).await.unwrap().into_inner();
        let confirm = ConfirmSettledRequest {
            instance_id: other(),
            session_ids: vec![session_id.clone()],
            charge_point_id: point(),
            epoch: 1,
        };
        let confirmed = central.confirm_settled(confirm).await.unwrap().into_inner();
        let revoke = RevokeAuthorizationRequest {
            instance_id: other(),
            authorization_number: 1,
            session_id,
            charge_point_id: point(),
            epoch: 1,
        };
        let revoked = central.revoke_authorization(revoke).await.unwrap().into_inner();
        assert_eq!(revoked.outcome(), RevokeOutcome::Unspecified);
        for (result, state) in [
            (authorized.result(), authorized.state),
            (state.result(), state.state),
            (stopped.result(), stopped.state),
            (confirmed.result(), confirmed.state),
            (revoked.result(), revoked.state),
        ] {
            let state = state.unwrap();
            assert_eq!(result, CallResult::WrongInstance);
            assert_eq!((state.instance_id, state.highest_authorization), (engine.instance.clone(), 0));
            assert_eq!(state.charge_point_id, "MAD-01", "whose engine it is");
        }
    }
    engine.stop().await;
}

#[tokio::test]
async fn a_malformed_call_names_its_field_and_does_nothing() {
    let folder = tempdir().unwrap();
    let engine = Engine::start(options(folder.path(), no_kafka())).await;
    let _monitor = engine.attended(1).await;
    type Spoil = fn(&mut AuthorizeSupplyRequest);
    let cases: [(&str, Spoil); 10] = [
        ("instance_id", |r| r.instance_id.clear()),
        ("authorization_number", |r| r.authorization_number = 0),
        ("authorization_number", |r| r.authorization_number = (1 << 53) + 1), // it would leave no room above it
        ("session_id", |r| r.session_id = "a b".into()),
        ("driver_id", |r| r.driver_id = "x".repeat(65)),
        ("price", |r| r.price = None),
        ("price.micros_per_kwh", |r| r.price.as_mut().unwrap().micros_per_kwh = -1),
        ("duration", |r| r.duration = None),
        ("duration", |r| r.duration = Some(ProtoDuration { seconds: 86_401, nanos: 0 })),
        ("signature", |r| r.signature = vec![7; 257]),
    ];
    for (field, spoil) in cases {
        let mut request = engine.authorization(1, "s1");
        spoil(&mut request);
        invalid(engine.central().authorize_supply(request).await.unwrap_err(), field);
    }
    let empty = GetEngineStateRequest::default();
    invalid(engine.central().get_engine_state(empty).await.unwrap_err(), "instance_id");
    let many = ConfirmSettledRequest { session_ids: vec!["s".into(); 1_001], ..engine.confirmation() };
    invalid(engine.central().confirm_settled(many).await.unwrap_err(), "session_ids");
    let long = InjectFaultRequest { reason: "x".repeat(257) };
    invalid(engine.panel().inject_fault(long).await.unwrap_err(), "reason");
    let mut monitor = Monitor::start(&engine, u64::MAX).await.unwrap();
    invalid(monitor.answer().await.unwrap_err(), "epoch");
    assert_eq!(engine.state().await.highest_authorization, 0);
    engine.stop().await;
}

fn invalid(status: Status, field: &str) {
    assert_eq!((status.code(), reason(&status).as_deref()), (Code::InvalidArgument, Some("INVALID_FIELD")));
    assert!(status.message().starts_with(field), "{field}: {status:?}");
}

#[tokio::test]
async fn a_supply_that_was_cut_off_is_closed_at_its_persisted_reading() {
    let folder = tempdir().unwrap();
    let options = options(folder.path(), no_kafka());
    let engine = Engine::start(options.clone()).await;
    let instance = engine.instance.clone();
    let monitor = engine.attended(1).await;
    engine.granted(1, "s1").await;
    engine.supplying("s1", 2).await;
    let last = engine.view.borrow().current.clone().unwrap(); // what was told is on disk
    engine.kill().await;
    drop(monitor);

    let engine = Engine::start(options).await;
    assert_eq!(engine.instance, instance);
    let state = engine.state().await;
    assert_eq!((state.current, state.unsettled.len(), state.highest_authorization), (None, 1, 1));
    let record = &state.unsettled[0];
    assert_eq!((record.session_id.as_str(), record.end()), ("s1", SupplyEnd::Interrupted));
    assert_eq!((record.energy_wh, record.seq), (last.energy.wh(), last.seq + 1));
    let _monitor = engine.attended(1).await;
    assert_eq!(engine.authorize(1, "s1").await.result(), CallResult::NumberStale);
    engine.granted(2, "s2").await;
    engine.ended("s2").await;
    engine.stop().await;
}

#[tokio::test]
async fn a_stop_in_good_order_ends_the_supply() {
    let folder = tempdir().unwrap();
    let options = options(folder.path(), no_kafka());
    let engine = Engine::start(options.clone()).await;
    let monitor = engine.attended(1).await;
    engine.granted(1, "s1").await;
    engine.supplying("s1", 1).await;
    let view = engine.view.clone();
    engine.stop().await;
    drop(monitor);
    assert_eq!(view.borrow().unsettled.len(), 1, "it ended before the process did");
    let engine = Engine::start(options).await;
    assert_eq!(engine.ended("s1").await.end(), SupplyEnd::Interrupted);
    engine.stop().await;
}

#[tokio::test]
async fn a_lost_monitor_ends_the_supply_and_another_makes_it_good() {
    let folder = tempdir().unwrap();
    let engine = Engine::start(options(folder.path(), no_kafka())).await;
    let mut monitor = engine.attended(7).await;
    let answer = monitor.answer().await.unwrap();
    assert_eq!((answer.instance_id.as_str(), answer.fault.as_str()), (engine.instance.as_str(), ""));
    engine.granted(1, "s1").await;
    engine.supplying("s1", 1).await;
    drop(monitor);
    assert_eq!(engine.ended("s1").await.end(), SupplyEnd::MonitorLost);
    assert_eq!(engine.authorize(2, "s2").await.result(), CallResult::Unattended);
    assert!(engine.state().await.fault.contains("No monitor"));

    let mut older = Monitor::start(&engine, 6).await.unwrap();
    let refused = loop {
        if let Err(status) = older.answer().await {
            break status;
        }
    };
    assert_eq!((refused.code(), reason(&refused).as_deref()), (Code::Aborted, Some("EPOCH_STALE")));
    let _monitor = engine.attended(8).await;
    engine.granted(3, "s3").await;
    engine.stop().await;
}

#[tokio::test]
async fn the_monitor_of_another_charge_point_is_answered_and_attends_nothing() {
    let folder = tempdir().unwrap();
    let engine = Engine::start(options(folder.path(), no_kafka())).await;
    let mut mistyped = Monitor::of("MAD-02", &engine, 0).await.unwrap();
    for _ in 0..3 {
        let answer = mistyped.answer().await.unwrap();
        let told = (answer.charge_point_id.as_str(), answer.instance_id.as_str());
        assert_eq!(told, ("MAD-01", engine.instance.as_str()));
    }
    assert_eq!(engine.authorize(1, "s1").await.result(), CallResult::Unattended);
    let mut own = Monitor::of("MAD-01", &engine, 0).await.unwrap();
    own.answer().await.unwrap();
    engine.granted(2, "s2").await;
    engine.stop().await;
}

#[tokio::test]
async fn a_person_at_the_charge_point_does_it_all() {
    let folder = tempdir().unwrap();
    let mut options = options(folder.path(), no_kafka());
    options.plug_in_after = PlugIn::Never;
    let engine = Engine::start(options).await;
    let _monitor = engine.attended(1).await;
    let mut panel = engine.panel();
    engine.granted(1, "s1").await;
    let shown = panel.get_panel(GetPanelRequest {}).await.unwrap().into_inner().panel.unwrap();
    assert_eq!((shown.charge_point_id.as_str(), shown.plugged_in, shown.attended), ("MAD-01", false, true));
    assert_eq!(shown.current.unwrap().state(), SupplyState::Authorized);

    let shown = panel.plug_in(PlugInRequest {}).await.unwrap().into_inner().panel.unwrap();
    assert_eq!(shown.current.unwrap().state(), SupplyState::Supplying);
    assert!(engine.state().await.plugged_in, "central hears of it");
    let refused = panel.plug_in(PlugInRequest {}).await.unwrap_err();
    assert_eq!(reason(&refused).as_deref(), Some("ALREADY_PLUGGED_IN"));
    let shown = panel.unplug(UnplugRequest {}).await.unwrap().into_inner().panel.unwrap();
    assert_eq!((shown.plugged_in, shown.current), (false, None));
    assert!(!engine.state().await.plugged_in);
    assert_eq!(shown.last.unwrap().end(), SupplyEnd::Completed);

    engine.granted(2, "s2").await;
    panel.plug_in(PlugInRequest {}).await.unwrap();
    let broken = panel.inject_fault(InjectFaultRequest::default()).await.unwrap().into_inner();
    let shown = broken.panel.unwrap();
    assert!(shown.fault.contains("injected fault"), "{}", shown.fault);
    assert_eq!(shown.last.unwrap().end(), SupplyEnd::EngineFault);
    assert_eq!(engine.authorize(3, "s3").await.result(), CallResult::Faulted);
    let shown = panel.clear_fault(ClearFaultRequest {}).await.unwrap().into_inner().panel.unwrap();
    assert_eq!((shown.fault.as_str(), shown.plugged_in), ("", true));
    engine.granted(4, "s4").await;
    engine.supplying("s4", 1).await;
    engine.stop().await;
}

#[tokio::test]
async fn what_is_wrong_at_the_start_is_one_plain_sentence() {
    let folder = tempdir().unwrap();
    let good = options(folder.path(), no_kafka());
    let engine = Engine::start(good.clone()).await;
    let failed = async |options| match Service::bind(options).await {
        Ok(_) => panic!("it started"),
        Err(error) => error.to_string(),
    };
    let mut taken = good.clone();
    taken.listen = engine.address.into();
    taken.data = folder.path().join("another");
    let said = failed(taken).await;
    assert!(
        said.starts_with("engine MAD-01 cannot listen on 127.0.0.1:") && said.contains("--listen"),
        "{said}"
    );
    let said = failed(good.clone()).await;
    assert!(said.contains("in use by another process"), "{said}");
    engine.stop().await;

    let mut other = good;
    other.charge_point = "BCN-01".parse().unwrap();
    let said = testing::eventually("the store is free", DEADLINE, || async {
        match Service::bind(other.clone()).await {
            Err(Error::Store(_)) => None,
            Err(error) => Some(error.to_string()),
            Ok(_) => panic!("it started"),
        }
    })
    .await;
    assert!(said.contains("is charge point MAD-01's, not BCN-01's"), "{said}");
}

#[tokio::test]
async fn two_hundred_calls_at_once_are_all_answered() {
    let folder = tempdir().unwrap();
    let engine = Engine::start(options(folder.path(), no_kafka())).await;
    let _monitor = engine.attended(1).await;
    let calls = (1..=200).map(|number| {
        let request = engine.authorization(number, &format!("s{number}"));
        let mut central = engine.central();
        tokio::spawn(async move { central.authorize_supply(request).await.unwrap().into_inner() })
    });
    let calls: Vec<_> = calls.collect();
    let mut granted = 0;
    for call in calls {
        granted += u64::from(call.await.unwrap().result() == CallResult::Done);
    }
    assert!(granted >= 1, "the highest number is always granted");
    assert_eq!(engine.state().await.highest_authorization, 200);
    let deadline = tokio::time::timeout(Duration::from_secs(1), engine.state()).await;
    assert!(deadline.is_ok(), "the next call is served within a second (INV-7)");
    engine.stop().await;
}

#[tokio::test]
async fn a_store_that_fails_is_the_end_and_nothing_is_answered() {
    let folder = tempdir().unwrap();
    let mut store = MemoryStore::new();
    store.fail_after(1); // the new store's own first commit
    let service = Service::bind_on(options(folder.path(), no_kafka()), || Ok(Box::new(store))).await;
    let engine = Engine::run(service.unwrap());
    let _monitor = engine.attended(1).await;
    let request = engine.authorization(1, "s1");
    let unanswered = engine.central().authorize_supply(request).await.unwrap_err();
    assert_eq!(unanswered.code(), Code::Unavailable);
    assert!(matches!(engine.result().await, Err(Error::Store(_))));
}
