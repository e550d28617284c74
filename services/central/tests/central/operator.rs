//! The operator's calls.

use crate::running_central::{Central, PATIENCE, no_kafka, options};
use evmesh_proto::{
    network::{ChargePointStatus, Price, SessionOutcome},
    operations as proto,
};
use mesh::grpc::reason;
use tonic::Code;

fn these(ids: &[&str]) -> proto::StopChargePointsRequest {
    let charge_point_ids = ids.iter().map(|id| (*id).to_owned()).collect();
    proto::StopChargePointsRequest { charge_point_ids, all: false, request_id: String::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_a_supply_with_its_ticket_and_revokes_a_reservation() {
    let central = Central::start(no_kafka()).await;
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    let (other, _monitor) = central.charge_point("MAD-02").await;
    central.request("101", "MAD-01").await.unwrap();
    central.request("102", "MAD-02").await.unwrap();
    engine.supply(2_000);
    central.status("MAD-01", ChargePointStatus::Supplying).await;
    let mut operators = central.operators.clone();
    let stopped = operators.stop_charge_points(these(&["MAD-01", "MAD-02"])).await.unwrap().into_inner();
    assert_eq!(stopped.charge_point_count, 2);
    let ticket = central.ticket("101").await;
    assert_eq!((ticket.energy_wh, ticket.outcome()), (2_000, SessionOutcome::Stopped));
    for id in ["MAD-01", "MAD-02"] {
        central.status(id, ChargePointStatus::OutOfOrder).await;
        let denied = central.request("103", id).await.unwrap_err();
        assert_eq!(reason(&denied).as_deref(), Some("CHARGE_POINT_OUT_OF_ORDER"));
    }
    assert!(!engine.supplies() && other.inside().current.is_none());
    assert!(central.tickets("102").await.is_empty());
    let all = proto::ResumeChargePointsRequest { all: true, ..Default::default() };
    assert_eq!(operators.resume_charge_points(all).await.unwrap().into_inner().charge_point_count, 2);
    central.status("MAD-01", ChargePointStatus::Available).await;
    let unknown = operators.stop_charge_points(these(&["MAD-01", "MAD-99"])).await.unwrap_err();
    assert_eq!((unknown.code(), reason(&unknown).as_deref()), (Code::NotFound, Some("CHARGE_POINT_UNKNOWN")));
    central.status("MAD-01", ChargePointStatus::Available).await; // nothing was applied
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_to_all_reaches_more_than_one_part_and_its_repeat_orders_nothing() {
    let central = Central::start(no_kafka()).await;
    // With a thousand that nobody attends: three parts.
    let (engine, _monitor) = central.charge_point("AAA-01").await;
    central.register(1050, &engine).await;
    let mut operators = central.operators.clone();
    let stop = proto::StopChargePointsRequest { all: true, request_id: "once".into(), ..Default::default() };
    let resume = proto::ResumeChargePointsRequest { all: true, ..Default::default() };
    let stopped = operators.stop_charge_points(stop.clone()).await.unwrap().into_inner();
    assert_eq!(stopped.charge_point_count, 1051);
    central.status("AAA-01", ChargePointStatus::OutOfOrder).await;
    operators.resume_charge_points(resume).await.unwrap();
    central.status("AAA-01", ChargePointStatus::Available).await;
    let repeated = operators.stop_charge_points(stop).await.unwrap().into_inner();
    assert_eq!(repeated.charge_point_count, 1051, "the first answer");
    central.status("AAA-01", ChargePointStatus::Available).await;
    central.request("101", "AAA-01").await.expect("it is in service");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_holds_for_new_sessions_only() {
    let central = Central::start(no_kafka()).await;
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    central.request("101", "MAD-01").await.unwrap();
    let price = Some(Price { currency_code: "EUR".into(), micros_per_kwh: 1_000_000 });
    let request = proto::SetPriceRequest {
        charge_point_id: "MAD-01".into(),
        price: price.clone(),
        request_id: "raise".into(),
    };
    for _ in 0..2 {
        let set = central.operators.clone().set_price(request.clone()).await.unwrap().into_inner();
        assert_eq!(set.charge_point.unwrap().price, price);
    }
    engine.supply(1_000);
    engine.end(evmesh_proto::engine::SupplyEnd::Completed);
    assert_eq!(central.ticket("101").await.amount.unwrap().micros, 300_000);
    central.status("MAD-01", ChargePointStatus::Available).await;
    assert_eq!(central.request("102", "MAD-01").await.unwrap().price, price);
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_is_watched_whole_and_then_what_changes() {
    let central = Central::start(no_kafka()).await;
    let (_engine, _monitor) = central.charge_point("MAD-01").await;
    let (_other, _another) = central.charge_point("MAD-02").await;
    let mut watch =
        central.operators.clone().watch_network(proto::WatchNetworkRequest {}).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert!(first.complete);
    let ids = |message: &proto::WatchNetworkResponse| -> Vec<String> {
        let point = |detail: &evmesh_proto::network::ChargePointDetail| detail.charge_point.clone().unwrap();
        message.charge_points.iter().map(|detail| point(detail).charge_point_id).collect()
    };
    assert_eq!(ids(&first), ["MAD-01", "MAD-02"]);
    central.request("101", "MAD-02").await.unwrap();
    let changed = tokio::time::timeout(PATIENCE, watch.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(ids(&changed), ["MAD-02"]);
    let live = changed.charge_points[0].live.clone().unwrap();
    assert_eq!(live.driver_id, "101");
    central.stop().await;
    let to_the_end = async { while watch.message().await.is_ok_and(|more| more.is_some()) {} };
    tokio::time::timeout(PATIENCE, to_the_end).await.expect("the stream ends with central");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages() {
    let central = Central::start(no_kafka()).await;
    let mut kept = Vec::new();
    for n in 0..5 {
        kept.push(central.charge_point(&format!("MAD-0{n}")).await);
        central.request(&format!("10{n}"), &format!("MAD-0{n}")).await.unwrap();
    }
    let mut operators = central.operators.clone();
    let (mut seen, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = proto::GetNetworkStatusRequest { page_size: 2, page_token };
        let page = operators.get_network_status(request).await.unwrap().into_inner();
        seen.extend(page.charge_points.into_iter().map(|detail| detail.live.unwrap().driver_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["100", "101", "102", "103", "104"]);
    let sessions = |page_size, page_token: &str, driver_id: &str| proto::ListSessionsRequest {
        driver_id: driver_id.into(),
        page_size,
        page_token: page_token.into(),
        ..Default::default()
    };
    let first = operators.list_sessions(sessions(3, "", "")).await.unwrap().into_inner();
    let second = operators.list_sessions(sessions(3, &first.next_page_token, "")).await.unwrap().into_inner();
    let drivers: Vec<String> =
        first.sessions.iter().chain(&second.sessions).map(|session| session.driver_id.clone()).collect();
    assert_eq!(drivers, ["100", "101", "102", "103", "104"], "oldest first");
    assert_eq!(second.next_page_token, "");
    let wrong = operators.list_sessions(sessions(3, &first.next_page_token, "101")).await.unwrap_err();
    assert_eq!((wrong.code(), reason(&wrong).as_deref()), (Code::InvalidArgument, Some("INVALID_FIELD")));

    // From the third on, but the last; the token is of this very list.
    let created = |n: usize| first.sessions.iter().chain(&second.sessions).nth(n).unwrap().create_time;
    let between = |page_token: &str| proto::ListSessionsRequest {
        from_time: created(2),
        before_time: created(4),
        ..sessions(1, page_token, "")
    };
    let third = operators.list_sessions(between("")).await.unwrap().into_inner();
    let fourth = operators.list_sessions(between(&third.next_page_token)).await.unwrap().into_inner();
    let drivers: Vec<&str> =
        third.sessions.iter().chain(&fourth.sessions).map(|session| session.driver_id.as_str()).collect();
    assert_eq!(drivers, ["102", "103"]);
    let wrong = operators.list_sessions(sessions(1, &third.next_page_token, "")).await.unwrap_err();
    assert_eq!(reason(&wrong).as_deref(), Some("INVALID_FIELD"));
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_point_is_forgotten_for_good_and_its_tickets_stay() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), no_kafka());
    options.changelog = false; // without Kafka an engine would keep its record, which is unsettled then
    let central = Central::with(options.clone()).await;
    let (engine, monitor) = central.charge_point("MAD-01").await;
    let (_other, _another) = central.charge_point("MAD-02").await;
    central.request("101", "MAD-01").await.unwrap();
    engine.supply(1_000);
    engine.end(evmesh_proto::engine::SupplyEnd::Completed);
    central.ticket("101").await;
    let mut watch =
        central.operators.clone().watch_network(proto::WatchNetworkRequest {}).await.unwrap().into_inner();
    assert!(watch.message().await.unwrap().unwrap().complete);
    let forget = async |request_id: &str| {
        let charge_point_id = "MAD-01".to_owned();
        let request = proto::ForgetChargePointRequest { charge_point_id, request_id: request_id.into() };
        central.operators.clone().forget_charge_point(request).await
    };
    let refused = forget("").await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_deref()),
        (Code::FailedPrecondition, Some("CHARGE_POINT_CONNECTED"))
    );
    drop(monitor);
    testing::eventually("it is forgotten", PATIENCE, || async { forget("").await.ok() }).await;
    let unknown = forget("again").await.unwrap_err();
    assert_eq!((unknown.code(), reason(&unknown).as_deref()), (Code::NotFound, Some("CHARGE_POINT_UNKNOWN")));
    let told = async {
        loop {
            let message = watch.message().await.unwrap().unwrap();
            if !message.forgotten_charge_point_ids.is_empty() {
                break message.forgotten_charge_point_ids;
            }
        }
    };
    assert_eq!(tokio::time::timeout(PATIENCE, told).await.unwrap(), ["MAD-01"]);
    central.stop().await;
    let central = Central::with(options).await;
    let all = proto::GetNetworkStatusRequest::default();
    let all = central.operators.clone().get_network_status(all).await.unwrap().into_inner();
    assert_eq!(all.charge_points.len(), 1, "the store has forgotten it too");
    assert_eq!(central.ticket("101").await.charge_point_id, "MAD-01");
    central.stop().await;
}
