//! Who does not read what it asked for is dropped, and keeps no place.

use crate::running_central::{Central, PATIENCE, no_kafka, options};
use evmesh_proto::{
    driver::{self, driver_service_client::DriverServiceClient},
    operations::{self, operator_service_client::OperatorServiceClient},
};
use mesh::grpc::reason;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};

/// A connection whose streams take a few bytes, unless they are read.
fn narrow(central: &Central) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", central.address)).unwrap();
    endpoint.initial_stream_window_size(32).connect_lazy()
}

/// Reads a stream to its end, which has to be a clear word to a slow reader.
async fn is_told<T: std::fmt::Debug>(mut stream: tonic::Streaming<T>) {
    let reading = async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended without a word"),
                Err(status) => break status,
            }
        }
    };
    let ended = tokio::time::timeout(PATIENCE, reading).await.expect("it has ended");
    let why = reason(&ended);
    assert_eq!((ended.code(), why.as_deref()), (Code::ResourceExhausted, Some("SLOW_READER")), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_a_stream_is_dropped_with_a_clear_status_and_keeps_no_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), no_kafka());
    options.server.slow_reader_timeout = Duration::from_millis(400);
    options.server.max_streams = 2; // and the monitor's, which is counted apart
    let central = Central::with(options).await;
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    let session_id = central.request("101", "MAD-01").await.unwrap().session_id;
    let session = driver::WatchSessionRequest { driver_id: "101".into(), session_id };
    let network = operations::WatchNetworkRequest {};
    let unread = DriverServiceClient::new(narrow(&central)).watch_session(session.clone()).await.unwrap();
    let unread_too = OperatorServiceClient::new(narrow(&central)).watch_network(network).await.unwrap();
    let refused = central.drivers.clone().watch_session(session.clone()).await.unwrap_err();
    assert_eq!(reason(&refused).as_deref(), Some("OVERLOADED"), "every place is taken: {refused:?}");

    // Their places are free once they are dropped, although they have not read a word of it.
    let energy_wh = AtomicU64::new(0);
    let mut watches = testing::eventually("there is room for two", PATIENCE, || async {
        engine.supply(energy_wh.fetch_add(1, Ordering::Relaxed)); // there is news for them
        let session = central.drivers.clone().watch_session(session.clone()).await.ok()?.into_inner();
        let network = central.operators.clone().watch_network(network).await.ok()?.into_inner();
        Some((session, network))
    })
    .await;
    is_told(unread.into_inner()).await;
    is_told(unread_too.into_inner()).await;
    // Who reads is not dropped, however little there is to read.
    assert!(watches.0.message().await.unwrap().is_some() && watches.1.message().await.unwrap().is_some());
    let quiet = tokio::time::timeout(Duration::from_millis(1500), watches.0.message()).await;
    assert!(!matches!(quiet, Ok(Err(_) | Ok(None))), "{quiet:?}");
    central.stop().await;
}
