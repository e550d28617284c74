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
    let known = Known::default();
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

/// Engines that keep whoever names certificates waiting, and those called `silent-` everybody.
struct Slow {
    /// So often they were called without.
    asked: Arc<AtomicU64>,
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
        let proto::GetEngineStateRequest { charge_point_id, instance_id, refused_certificates, .. } =
            request.into_inner();
        if charge_point_id.starts_with("silent-") {
            return std::future::pending().await;
        }
        if refused_certificates.is_empty() {
            self.asked.fetch_add(1, Ordering::Relaxed);
        } else {
            self.waiting.send_modify(|(now, most)| (*now, *most) = (*now + 1, (*most).max(*now + 1)));
            self.go.acquire().await.unwrap().forget();
            self.waiting.send_modify(|(now, _)| *now -= 1);
        }
        let state = Some(proto::EngineState { instance_id, charge_point_id, ..Default::default() });
        let result = proto::CallResult::Done.into();
        Ok(Answer::new(proto::GetEngineStateResponse { result, state, ..Default::default() }))
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

/// Central's calls to them, their address, who waits, who may go, and how often they were called without a list.
async fn slow() -> (Calls, String, watch::Receiver<(usize, usize)>, Arc<Semaphore>, Arc<AtomicU64>) {
    let (waiting, seen) = watch::channel((0, 0));
    let (go, asked) = (Arc::new(Semaphore::new(0)), Arc::<AtomicU64>::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let slow = EngineServiceServer::new(Slow { asked: asked.clone(), waiting, go: go.clone() });
    let serving = tonic::transport::Server::builder()
        .add_service(slow)
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(serving);
    let (handle, _) = crate::writer::queues(); // nobody listens
    let keys = Arc::new(Keys::new(&[7; 32], mesh::now(), &[]));
    let (timeout, runtime) = (Duration::from_secs(600), runtime::Handle::current());
    let mut calls = Calls::new(handle, keys, timeout, Peers::default(), runtime);
    calls.secured = true;
    (calls, address, seen, go, asked)
}

#[tokio::test]
async fn however_many_engines_are_told_at_once_few_lists_are_made_and_no_other_call_waits_for_one() {
    const MORE: usize = 40;
    let (mut calls, address, mut seen, go, asked) = slow().await;
    for n in 0..LISTS + MORE {
        calls.start(call(&format!("P{n}"), &address), Telling::Tells(told(9)));
    }
    within(seen.wait_for(|(now, _)| *now == LISTS)).await.unwrap();
    let all_answer = async {
        while asked.load(Ordering::Relaxed) < (LISTS + MORE) as u64 {
            tokio::task::yield_now().await;
        }
    };
    within(all_answer).await;
    // The others have all answered: they wait to be told, and this call does not.
    let (done, mut other) =
        (calls.peers.len(), calls.connect(Expected::Engine("P0".parse().unwrap()), &address));
    let client = EngineServiceClient::new(other.as_mut().unwrap().clone());
    let asked = Request::of(&calls.keys, &call("P0", &address));
    within(ask(client, asked)).await.unwrap();
    assert_eq!((done, *seen.borrow()), (LISTS + MORE, (LISTS, LISTS)));
    go.add_permits(LISTS + MORE);
    within(seen.wait_for(|(now, _)| *now == 0)).await.unwrap();
    within(calls.places[0].acquire_many(LISTS as u32)).await.unwrap().forget(); // all are over
    assert_eq!(seen.borrow().1, LISTS, "never more at once");
}

#[tokio::test]
async fn silent_engines_keep_no_place_from_one_that_answers_and_who_has_answered_lately_is_not_asked_before()
{
    let (mut calls, address, mut seen, go, asked) = slow().await;
    for n in 0..2 * LISTS {
        calls.start(call(&format!("silent-{n}"), &address), Telling::Tells(told(9)));
    }
    for time in ["after so many silent ones", "a moment later"] {
        calls.start(call("MAD-01", &address), Telling::Tells(told(9)));
        let told = seen.wait_for(|(now, _)| *now == 1);
        assert!(tokio::time::timeout(Duration::from_secs(20), told).await.is_ok(), "{time}");
        go.add_permits(1);
        within(calls.places[0].acquire_many(LISTS as u32)).await.unwrap().forget(); // it is over
        calls.places[0].add_permits(LISTS);
        assert_eq!(asked.load(Ordering::Relaxed), 1, "{time}");
    }
    calls.peers["MAD-01"].known.comes_of(&Err(CallFailed("silent".into())));
    calls.start(call("MAD-01", &address), Telling::Tells(told(9)));
    within(seen.wait_for(|(now, _)| *now == 1)).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2, "after a call that failed");
}

#[tokio::test]
async fn engines_that_answer_and_hang_on_lists_keep_no_place_from_one_that_takes_its_own() {
    let (mut calls, address, mut seen, go, _) = slow().await;
    (calls.timeout, calls.ways) = (Duration::from_millis(400), Peers::default());
    calls.start(call("hangs-0", &address), Telling::Tells(told(9)));
    let doubted = async {
        while !calls.peers["hangs-0"].known.is_doubtful.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
    };
    within(doubted).await;
    within(seen.wait_for(|(now, _)| *now == 1)).await.unwrap(); // it is there still
    calls.timeout = Duration::from_secs(600);
    for n in 1..=LISTS {
        let id = format!("hangs-{n}");
        let (_, known) = calls.peer(&id.parse().unwrap(), &address).unwrap();
        known.is_doubtful.store(true, Ordering::Relaxed);
        calls.start(call(&id, &address), Telling::Tells(told(9)));
    }
    calls.start(call("MAD-01", &address), Telling::Tells(told(9)));
    within(seen.wait_for(|(now, _)| *now == 1 + LISTS_OF_DOUBTFUL + 1)).await.unwrap();
    assert_eq!(calls.places[0].available_permits(), LISTS - 1, "it has one of the honest's");
    go.add_permits(1 + LISTS + 1);
    let good = async {
        while calls.peers[&*format!("hangs-{LISTS}")].known.is_doubtful.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
    };
    within(good).await; // it has answered one
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
        handle.served().count(std::slice::from_ref(&id));
        calls.peer(&id, "127.0.0.1:1").unwrap();
        (calls.peers[&id].expected.clone(), calls.peers.len())
    };
    let gateway = |name: &str| Expected::Gateway(name.parse().unwrap());
    assert_eq!(called(None), (Expected::Engine(id.clone()), 1));
    assert_eq!(called(Some("site-7")), (gateway("site-7"), 1));
    assert_eq!(called(Some("site-8")), (gateway("site-8"), 1));
    assert_eq!(called(None), (Expected::Engine(id.clone()), 1));
}

#[tokio::test]
async fn charge_points_at_one_address_have_one_connection_unless_each_is_to_show_a_name_of_its_own() {
    for (secured, of_gateway, connections) in [(false, 0, 1), (true, 0, 4), (true, 3, 2), (true, 4, 1)] {
        let (handle, _inboxes) = crate::writer::queues();
        let keys = Arc::new(Keys::new(&[7; 32], mesh::now(), &[]));
        let (ways, runtime) = (Peers::default(), runtime::Handle::current());
        let mut calls = Calls::new(handle.clone(), keys, Duration::from_secs(1), ways, runtime);
        calls.secured = secured;
        let ids = ["A", "B", "C", "D"].map(|id| id.parse::<ChargePointId>().unwrap());
        let served = ids[..of_gateway].iter().map(|id| (id.clone(), Some("site-7".parse().unwrap())));
        handle.served().hear(domain::gateways::News { told: served.collect(), ..Default::default() });
        handle.served().count(&ids);
        for id in &ids {
            calls.peer(id, "127.0.0.1:1").unwrap();
        }
        assert_eq!(calls.sites.len(), connections, "{of_gateway} of a gateway");
        calls.peer(&ids[0], "127.0.0.1:2").unwrap();
        assert_eq!(calls.sites.len(), connections + 1, "another address");
    }
}

#[tokio::test(start_paused = true)]
async fn the_way_to_an_engine_without_calls_is_let_go_after_an_hour() {
    let (handle, _inboxes) = crate::writer::queues();
    let keys = Arc::new(Keys::new(&[7; 32], mesh::now(), &[]));
    let mut calls =
        Calls::new(handle, keys, Duration::from_secs(1), Peers::default(), runtime::Handle::current());
    let mut call = async |id: &str, after: Duration| {
        tokio::time::advance(after).await;
        calls.peer(&id.parse().unwrap(), &format!("{id}:1")).unwrap();
        let mut known: Vec<_> = calls.peers.keys().map(ToString::to_string).collect();
        known.sort();
        let mut sites: Vec<_> = calls.sites.keys().map(|(address, _)| address.replace(":1", "")).collect();
        sites.sort();
        assert_eq!(sites, known, "with its connection");
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
