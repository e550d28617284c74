//! One charge is one trace: the driver's call, the call to the engine, and what drivers are told.

use crate::{engine::Engine, running_central::Central, topics::with_header};
use domain::Trace;
use evmesh_proto::{
    driver::{RequestChargeRequest, StopChargeRequest},
    topics,
};
use serde_json::Value;
use std::time::Duration;
use tonic::Request;

const PATIENCE: Duration = Duration::from_secs(30);

/// The trace's id: the second part of a `traceparent`.
fn id_of(traceparent: &str) -> String {
    traceparent.split('-').nth(1).unwrap_or_default().to_owned()
}

/// The trace's id of the newest of these calls that the engine got.
fn newest(engine: &Engine, call: &str) -> Option<String> {
    let inside = engine.inside();
    inside.traces.iter().rfind(|(name, _)| *name == call).map(|(_, traceparent)| id_of(traceparent))
}

/// A call in this trace.
fn within<T>(trace: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    request.metadata_mut().insert("traceparent", traceparent.parse().unwrap());
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_an_engine_and_a_notification_carry_their_requests_trace() {
    let broker = testing::broker();
    let mut central = Central::start(broker.options()).await;
    let told = with_header(&broker.options(), topics::DRIVER_NOTIFICATIONS, "traceparent");
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    let (other, _other_monitor) = central.charge_point("MAD-02").await;

    // The caller's own trace wins.
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let charge = |driver_id: &str, charge_point_id: &str| RequestChargeRequest {
        driver_id: driver_id.into(),
        charge_point_id: charge_point_id.into(),
        ..Default::default()
    };
    central.drivers.request_charge(within(trace, charge("101", "MAD-01"))).await.unwrap();
    assert_eq!(newest(&engine, "AuthorizeSupply").as_deref(), Some(trace));

    // Without one the session's id is the trace's.
    let session = central.drivers.request_charge(charge("102", "MAD-02")).await.unwrap().into_inner();
    let session = session.session.unwrap().session_id;
    assert_eq!(newest(&other, "AuthorizeSupply").as_ref(), Some(&session));

    for (driver, expected) in [("101", trace), ("102", session.as_str())] {
        let found = testing::eventually("AUTH_OK with its trace", PATIENCE, || async {
            let told = told.lock().unwrap();
            told.iter().find_map(|(payload, trace)| {
                let message: Value = serde_json::from_slice(payload).ok()?;
                (message["type"] == "AUTH_OK" && message["user_id"] == driver).then(|| id_of(trace))
            })
        });
        assert_eq!(found.await, expected, "{driver}");
    }
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_is_asked_and_stopped_in_the_trace_of_who_caused_it() {
    let broker = testing::broker();
    let mut central = Central::start(broker.options()).await;
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    // Its state was asked for because its monitor reported it.
    assert_eq!(newest(&engine, "GetEngineState"), Some(Trace::of("MAD-01").id()));

    let session = central.request("101", "MAD-01").await.unwrap().session_id;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let stop = StopChargeRequest { driver_id: "101".into(), session_id: session, ..Default::default() };
    central.drivers.stop_charge(within(trace, stop)).await.unwrap();
    testing::eventually("the revocation", PATIENCE, || async {
        newest(&engine, "RevokeAuthorization").filter(|found| found == trace)
    })
    .await;
    central.stop().await;
}
