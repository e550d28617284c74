use super::*;
use domain::{
    Wall,
    network::{CallId, EngineRequest},
};
use evmesh_proto::engine::{
    self as proto,
    engine_service_server::{EngineService, EngineServiceServer},
};
use tokio::sync::watch;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request as Asked, Response as Answer, Status, Streaming};

fn call(charge_point: &str, address: &str) -> EngineCall {
    EngineCall {
        charge_point: charge_point.parse().unwrap(),
        address: address.to_owned(),
        call: CallId(1),
        instance: "store-1".parse().unwrap(),
        epoch: 4,
        request: EngineRequest::GetState,
        provisional: false,
        trace: None,
    }
}

fn told(count: usize) -> Told {
    let list = (0..count).map(|n| (n.to_string().into(), Wall(1)));
    Told::new(list, &Arc::default())
}

#[test]
fn an_engine_that_does_not_say_what_it_refuses_has_heard_what_it_once_said_in_that_store_and_registration() {
    let known = Refused::default();
    let mut call = call("MAD-01", "");
    let judge = |call: &EngineCall, count: usize, says| known.judge(call, &told(count))(says);
    assert_eq!(
        [judge(&call, 1, None), judge(&call, 1, Some(true)), judge(&call, 1, None)],
        [false, true, true]
    );
    assert!(judge(&call, 0, None) && judge(&call, 0, Some(false)), "there is nothing to refuse");
    assert!(judge(&call, 1, None));
    assert_eq!(
        [judge(&call, 2, None), judge(&call, 2, Some(true)), judge(&call, 2, None)],
        [false, true, true]
    );
    assert_eq!([judge(&call, 2, Some(false)), judge(&call, 2, None)], [false, false], "it has another store");
    judge(&call, 2, Some(true));
    call.epoch = 5;
    assert_eq!(
        [judge(&call, 2, None), judge(&call, 2, Some(true)), judge(&call, 2, None)],
        [false, true, true]
    );
    call.instance = "store-2".parse().unwrap();
    assert!(!judge(&call, 2, None));
}

/// An engine that keeps whoever names certificates waiting.
struct Slow {
    /// How many wait, and how many did at most.
    waiting: watch::Sender<(usize, usize)>,
    /// So many may go.
    go: Arc<Semaphore>,
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.unwrap()
}

type Answered<T> = Result<Answer<T>, Status>;

#[tonic::async_trait]
impl EngineService for Slow {
    type AttendStream = ReceiverStream<Result<proto::AttendResponse, Status>>;

    async fn get_engine_state(
        &self,
        request: Asked<proto::GetEngineStateRequest>,
    ) -> Answered<proto::GetEngineStateResponse> {
        if !request.get_ref().refused_certificates.is_empty() {
            self.waiting.send_modify(|(now, most)| (*now, *most) = (*now + 1, (*most).max(*now + 1)));
            self.go.acquire().await.unwrap().forget();
            self.waiting.send_modify(|(now, _)| *now -= 1);
        }
        Err(Status::unavailable("that is all"))
    }

    async fn authorize_supply(
        &self,
        _: Asked<proto::AuthorizeSupplyRequest>,
    ) -> Answered<proto::AuthorizeSupplyResponse> {
        Err(Status::unimplemented(""))
    }

    async fn revoke_authorization(
        &self,
        _: Asked<proto::RevokeAuthorizationRequest>,
    ) -> Answered<proto::RevokeAuthorizationResponse> {
        Err(Status::unimplemented(""))
    }

    async fn stop_supply(&self, _: Asked<proto::StopSupplyRequest>) -> Answered<proto::StopSupplyResponse> {
        Err(Status::unimplemented(""))
    }

    async fn confirm_settled(
        &self,
        _: Asked<proto::ConfirmSettledRequest>,
    ) -> Answered<proto::ConfirmSettledResponse> {
        Err(Status::unimplemented(""))
    }

    async fn attend(&self, _: Asked<Streaming<proto::AttendRequest>>) -> Answered<Self::AttendStream> {
        Err(Status::unimplemented(""))
    }
}

#[tokio::test]
async fn however_many_engines_are_told_at_once_few_lists_are_made_and_no_other_call_waits_for_one() {
    const MORE: usize = 40;
    let (waiting, mut seen) = watch::channel((0, 0));
    let go = Arc::new(Semaphore::new(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let slow = EngineServiceServer::new(Slow { waiting, go: go.clone() });
    let serving = tonic::transport::Server::builder()
        .add_service(slow)
        .serve_with_incoming(TcpListenerStream::new(listener));
    let serving = tokio::spawn(serving);
    let (handle, _inboxes) = crate::writer::queues();
    let keys = Arc::new(Keys::new(&[7; 32], mesh::now(), &[]));
    let (timeout, runtime) = (Duration::from_secs(600), runtime::Handle::current());
    let mut calls = Calls::new(handle, keys, timeout, Peers::default(), runtime);
    calls.secured = true;
    for n in 0..LISTS + MORE {
        calls.start(call(&format!("P{n}"), &address), Telling::Tells(told(9)));
    }
    within(seen.wait_for(|(now, _)| *now == LISTS)).await.unwrap();
    // The others' tasks have all been begun: they wait, and this one does not.
    let (done, mut other) =
        (calls.peers.len(), calls.connect(Expected::Engine("P0".parse().unwrap()), &address));
    let client = EngineServiceClient::new(other.as_mut().unwrap().clone());
    let asked = Request::of(&calls.keys, &call("P0", &address));
    within(ask(client, asked)).await.unwrap_err();
    assert_eq!((done, *seen.borrow()), (LISTS + MORE, (LISTS, LISTS)));
    go.add_permits(LISTS + MORE);
    within(seen.wait_for(|(now, _)| *now == 0)).await.unwrap();
    within(calls.places.acquire_many(LISTS as u32)).await.unwrap().forget(); // all are over
    assert_eq!(seen.borrow().1, LISTS, "never more at once");
    serving.abort();
}

#[tokio::test]
async fn an_engine_behind_a_gateway_is_expected_to_have_the_gateways_name_from_the_next_call_on() {
    let (handle, _inboxes) = crate::writer::queues();
    let keys = Arc::new(Keys::new(&[7; 32], mesh::now(), &[]));
    let (ways, runtime) = (Peers::default(), runtime::Handle::current());
    let mut calls = Calls::new(handle.clone(), keys, Duration::from_secs(1), ways, runtime);
    let id: ChargePointId = "MAD-01".parse().unwrap();
    let mut called = |gateway: Option<&str>| {
        let told = vec![(id.clone(), gateway.map(|name| name.parse().unwrap()))];
        handle.served().hear(domain::gateways::News { told, ..Default::default() });
        handle.served().counts(&id);
        calls.peer(&id, "127.0.0.1:1").unwrap();
        (calls.peers[&id].expected.clone(), calls.peers.len())
    };
    let gateway = |name: &str| Expected::Gateway(name.parse().unwrap());
    assert_eq!(called(None), (Expected::Engine(id.clone()), 1));
    assert_eq!(called(Some("site-7")), (gateway("site-7"), 1));
    assert_eq!(called(Some("site-8")), (gateway("site-8"), 1));
    assert_eq!(called(None), (Expected::Engine(id.clone()), 1));
}

#[tokio::test(start_paused = true)]
async fn the_way_to_an_engine_without_calls_is_let_go_after_an_hour() {
    let (handle, _inboxes) = crate::writer::queues();
    let keys = Arc::new(Keys::new(&[7; 32], mesh::now(), &[]));
    let mut calls =
        Calls::new(handle, keys, Duration::from_secs(1), Peers::default(), runtime::Handle::current());
    let mut call = async |id: &str, after: Duration| {
        tokio::time::advance(after).await;
        calls.peer(&id.parse().unwrap(), "127.0.0.1:1").unwrap();
        let mut known: Vec<_> = calls.peers.keys().map(ToString::to_string).collect();
        known.sort();
        known.join(" ")
    };
    assert_eq!(call("A", Duration::ZERO).await, "A");
    assert_eq!(call("B", IDLE / 2).await, "A B");
    assert_eq!(call("C", IDLE / 2 - LOOK_EVERY / 2).await, "A B C");
    assert_eq!(call("C", LOOK_EVERY / 2).await, "A B C", "they were looked through a moment ago");
    assert_eq!(call("C", LOOK_EVERY / 2).await, "B C");
    assert_eq!(call("B", Duration::ZERO).await, "B C");
    assert_eq!(call("C", IDLE - LOOK_EVERY).await, "B C", "its calls keep it");
    assert_eq!(call("B", 2 * IDLE).await, "B");
}
