//! What people do: the operator's orders, and hands at the charge points.

use super::{
    clients::{Desk, definitive, reason},
    journal::{Granted, Priced},
    watch::{BROKEN_BY_HAND, channel, millis},
    world::Point,
};
use evmesh_proto::{
    engine::{
        ClearFaultRequest, GetPanelRequest, InjectFaultRequest, PlugInRequest, StartManualSupplyRequest,
        SupplyState, UnplugRequest, engine_panel_service_client::EnginePanelServiceClient,
    },
    network::{ChargePointStatus, Price},
    operations::{
        GetNetworkStatusRequest, ResumeChargePointsRequest, SetPriceRequest, StopChargePointsRequest,
        operator_service_client::OperatorServiceClient,
    },
};
use std::{future::Future, time::Duration};
use tokio::time::timeout;
use tonic::{Status, transport::Channel};

/// One look at a panel, or one push of a button.
const TOUCH: Duration = Duration::from_secs(2);
/// Tries of an order: longer than any fault lasts.
const TRIES: u32 = 60;
/// Clocks are read before and after an order is under way; both are of this machine.
const SLACK_MS: i64 = 20;

/// The operator: one order at a time, so that what must be true after each is known.
pub(super) async fn operator(desk: Desk, mut random: fastrand::Rng) {
    let client = OperatorServiceClient::new(channel(desk.world.central_address));
    let mut order = 0_u32;
    let prices = desk.world.points.iter().map(|point| (point.price.clone(), mesh::now().wall.0));
    let mut prices: Vec<_> = prices.collect();
    while !*desk.closing.borrow() {
        tokio::time::sleep(Duration::from_millis(random.u64(1500..5000))).await;
        order += 1;
        let index = random.usize(0..desk.world.points.len());
        let id = desk.world.points[index].id.clone();
        if random.bool() {
            let ((currency, _), _) = &prices[index];
            let new = (currency.clone(), random_price(currency, &mut random));
            close_price(&desk, &id, &prices[index]);
            match set_price(&client, &id, &new, order).await {
                Some(Ok(())) => prices[index] = (new, mesh::now().wall.0 + SLACK_MS),
                Some(Err(status)) => refused(&desk, &id, &status),
                None => prices[index].1 = i64::MAX, // either price may hold from here on
            }
            desk.journal.count("prices set");
        } else {
            out_of_order(&desk, &client, &id, order, &mut random).await;
            desk.journal.count("charge points stopped and resumed");
        }
    }
    for (point, price) in desk.world.points.iter().zip(&prices) {
        close_price(&desk, &point.id, price);
    }
}

fn random_price(currency: &str, random: &mut fastrand::Rng) -> i64 {
    match currency {
        "JPY" => random.i64(20_000_000..60_000_000),
        "KWD" => random.i64(20_000..90_000),
        _ => random.i64(100_000..900_000),
    }
}

/// The price was in force from its acknowledgement until now.
fn close_price(desk: &Desk, id: &str, ((currency, micros), from): &((String, i64), i64)) {
    let price = Price { currency_code: currency.clone(), micros_per_kwh: *micros };
    let until = mesh::now().wall.0 - SLACK_MS;
    if *from < until {
        desk.journal.facts().prices.push(Priced { charge_point: id.to_owned(), price, from: *from, until });
    }
}

fn refused(desk: &Desk, id: &str, status: &Status) {
    // Before its monitor's first registration a charge point is not known; later it always is.
    let why = reason(status);
    desk.journal.violated(
        "INV-6",
        None,
        format!("an order for {id}, which is registered, was refused: {why}"),
    );
}

async fn set_price(
    client: &OperatorServiceClient<Channel>,
    id: &str,
    (currency, micros): &(String, i64),
    order: u32,
) -> Option<Result<(), Status>> {
    let price = Price { currency_code: currency.clone(), micros_per_kwh: *micros };
    let request = SetPriceRequest {
        charge_point_id: id.to_owned(),
        price: Some(price),
        request_id: format!("price-{order}"),
    };
    let ask = || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.set_price(request).await.map(|_| ()) }
    };
    definitive(ask, TRIES).await
}

/// Takes a charge point out of service, looks whether it is, and puts it back.
async fn out_of_order(
    desk: &Desk,
    client: &OperatorServiceClient<Channel>,
    id: &str,
    order: u32,
    random: &mut fastrand::Rng,
) {
    let stop = StopChargePointsRequest {
        charge_point_ids: vec![id.to_owned()],
        all: false,
        request_id: format!("stop-{order}"),
    };
    let ask = || {
        let (mut client, request) = (client.clone(), stop.clone());
        async move { client.stop_charge_points(request).await.map(|_| ()) }
    };
    match definitive(ask, TRIES).await {
        Some(Ok(())) => {
            desk.journal.deed(format!("operator: {id} was stopped"));
            holds(desk, client, id, true).await;
        }
        Some(Err(status)) => refused(desk, id, &status),
        None => {}
    }
    tokio::time::sleep(Duration::from_millis(random.u64(200..3000))).await;
    holds(desk, client, id, true).await;
    let resume = ResumeChargePointsRequest {
        charge_point_ids: vec![id.to_owned()],
        all: false,
        request_id: format!("resume-{order}"),
    };
    let ask = || {
        let (mut client, request) = (client.clone(), resume.clone());
        async move { client.resume_charge_points(request).await.map(|_| ()) }
    };
    // It must not stay out of service: that would make the run idle.
    for _ in 0..TRIES {
        if let Some(Ok(())) = definitive(ask, TRIES).await {
            holds(desk, client, id, false).await;
            break;
        }
    }
}

/// An acknowledged order is true from its answer on, across any number of starts of central.
async fn holds(desk: &Desk, client: &OperatorServiceClient<Channel>, id: &str, out_of_order: bool) {
    let request = GetNetworkStatusRequest { page_size: 500, ..Default::default() };
    let Ok(Ok(answer)) = timeout(TOUCH, client.clone().get_network_status(request)).await else { return };
    let points = answer.into_inner().charge_points.into_iter().filter_map(|detail| detail.charge_point);
    for point in points.filter(|point| point.charge_point_id == id) {
        let broken = match point.status() {
            ChargePointStatus::Available | ChargePointStatus::Reserved => out_of_order,
            ChargePointStatus::OutOfOrder => !out_of_order,
            ChargePointStatus::Unspecified
            | ChargePointStatus::Disconnected
            | ChargePointStatus::Faulted
            | ChargePointStatus::Supplying => false,
        };
        if broken {
            let (order, status) =
                (if out_of_order { "stop" } else { "resume" }, point.status().as_str_name());
            desk.journal.violated("INV-6", None, format!("{id} is {status} after an acknowledged {order}"));
        }
    }
}

fn panel(point: &Point) -> EnginePanelServiceClient<Channel> {
    EnginePanelServiceClient::new(channel(point.engine_address))
}

/// `None` while the engine is away.
async fn touch<T>(call: impl Future<Output = Result<tonic::Response<T>, Status>>) -> Option<T> {
    timeout(TOUCH, call).await.ok()?.ok().map(tonic::Response::into_inner)
}

/// Where no car plugs itself in: a person does, after a while, or never.
pub(super) async fn plug_in_by_hand(desk: Desk, index: usize, mut random: fastrand::Rng) {
    let point = &desk.world.points[index];
    let mut client = panel(point);
    let mut decided = String::new();
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let Some(answer) = touch(client.get_panel(GetPanelRequest {})).await else { continue };
        let panel = answer.panel.unwrap_or_default();
        match panel.current {
            Some(record) if record.state() == SupplyState::Authorized => {
                if std::mem::replace(&mut decided, record.session_id.clone()) == record.session_id {
                    continue;
                }
                if random.u32(0..5) < 2 {
                    desk.journal.count("cars that never came");
                    continue;
                }
                tokio::time::sleep(Duration::from_millis(random.u64(0..4500))).await;
                touch(client.plug_in(PlugInRequest {})).await;
            }
            Some(_) => {}
            None if panel.plugged_in => {
                touch(client.unplug(UnplugRequest {})).await;
            }
            None => {}
        }
    }
}

/// Hands at the charge points: cables pulled in mid-supply, faults that are repaired, supplies asked for on the spot.
pub(super) async fn people(desk: Desk, mut random: fastrand::Rng) {
    for request in 1_u32.. {
        if *desk.closing.borrow() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(random.u64(500..2500))).await;
        let point = &desk.world.points[random.usize(0..desk.world.points.len())];
        // One that a late call broke is repaired by the next to come by.
        touch(panel(point).clear_fault(ClearFaultRequest {})).await;
        match random.u32(0..10) {
            0..2 => {
                touch(panel(point).unplug(UnplugRequest {})).await;
                desk.journal.count("cables pulled");
            }
            2..4 => fault(&desk, point, Duration::from_millis(random.u64(200..2500))).await,
            _ => {
                let driver = if random.u32(0..3) == 0 { "" } else { "walk-in" };
                manual(&desk, point, driver, request).await;
            }
        }
    }
}

async fn fault(desk: &Desk, point: &Point, lasts: Duration) {
    let _disturbance = desk.world.disturb(&point.id);
    let mut client = panel(point);
    let reason = BROKEN_BY_HAND.to_owned();
    if touch(client.inject_fault(InjectFaultRequest { reason })).await.is_some() {
        desk.journal.count("faults injected");
        desk.journal.deed(format!("{} was broken by hand", point.id));
    }
    tokio::time::sleep(lasts).await;
    repair(point).await;
    desk.journal.deed(format!("{} was repaired by hand", point.id));
}

/// Whether a fault arrived or not: it is repaired, however long that takes.
pub(super) async fn repair(point: &Point) {
    while touch(panel(point).clear_fault(ClearFaultRequest {})).await.is_none() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn manual(desk: &Desk, point: &Point, driver: &str, request: u32) {
    let client = panel(point);
    let message = StartManualSupplyRequest {
        driver_id: driver.to_owned(),
        request_id: format!("manual-{request}"),
        ..Default::default()
    };
    let ask = || {
        let (mut client, message) = (client.clone(), message.clone());
        async move { client.start_manual_supply(message).await.map(tonic::Response::into_inner) }
    };
    // An engine without a monitor refuses before central hears of it: that is an answer too.
    let Some(Ok(answer)) = definitive(ask, 8).await else { return };
    desk.journal.count("manual supplies granted");
    desk.journal.note(&answer.session_id, format!("manual supply granted for '{driver}'"));
    let driver = if driver.is_empty() { "INVITADO" } else { driver };
    desk.journal.facts().granted.push(Granted {
        at: mesh::now().wall.0,
        driver: driver.to_owned(),
        charge_point: point.id.clone(),
        session_id: answer.session_id,
        session: None,
    });
}

/// What a charge point's price was, for sure, when a session there was created.
pub(super) fn price_at<'a>(prices: &'a [Priced], charge_point: &str, created: i64) -> Option<&'a Price> {
    prices
        .iter()
        .find(|priced| priced.charge_point == charge_point && (priced.from..priced.until).contains(&created))
        .map(|priced| &priced.price)
}

/// When a session was asked for (ms).
pub(super) fn created(session: &evmesh_proto::network::Session) -> i64 {
    millis(session.create_time.as_ref())
}
