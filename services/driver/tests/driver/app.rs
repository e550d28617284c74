//! The driver's app against a central that denies, dies, returns and forgets to answer.

use crate::common::*;
use domain::requests::Outcome;
use driver::{Conclusion, DriverEvent, Left, Service};
use evmesh_proto::network::SessionOutcome;
use std::collections::HashSet;
use testing::free_address;

fn readings(events: &[DriverEvent]) -> Vec<u64> {
    let readings = events.iter().filter_map(|event| match event {
        DriverEvent::Consumption { energy, .. } => Some(energy.wh()),
        _ => None,
    });
    readings.collect()
}

#[tokio::test]
async fn a_file_with_a_denial_and_a_fault_is_served_to_its_end() {
    let (central, folder) = (Central::new(), tempfile::tempdir().unwrap());
    let running = central.start(anywhere()).await;
    let mut options = options(running.address);
    let text = "# four requests\nMAD-01\nGONE-1 expect=denied:CHARGE_POINT_UNKNOWN\n\nBROKEN expect=fault\nany \
      Madrid\n";
    options.requests = Some(file(&folder, text));
    let (summary, events) = App::start(options).await.ended().await;

    assert!(summary.all_as_expected(), "{summary:#?}");
    let rows: Vec<_> = summary
        .rows
        .iter()
        .map(|row| {
            let ticket = row.ticket().map(|ticket| (ticket.energy.wh(), ticket.amount.to_string()));
            let at = row.charge_point.as_ref().map(ToString::to_string);
            (row.line.number, at, ticket)
        })
        .collect();
    let billed = Some((300, "0.12 EUR".to_owned()));
    assert_eq!(
        rows,
        [
            (2, Some("MAD-01".into()), billed.clone()),
            (3, None, None),
            (5, Some("BROKEN".into()), billed.clone()),
            (6, Some("CHEAPEST".into()), billed),
        ]
    );
    assert_eq!(readings(&events), [100, 200, 300].repeat(3));
    let count = |like: fn(&DriverEvent) -> bool| events.iter().filter(|event| like(event)).count();
    assert_eq!(count(|event| matches!(event, DriverEvent::Authorized { .. })), 3);
    assert_eq!(count(|event| matches!(event, DriverEvent::Denied { .. })), 1);
    assert_eq!(count(|event| matches!(event, DriverEvent::SupplyError { .. })), 1);
    assert_eq!(count(|event| matches!(event, DriverEvent::Ticket(_))), 3);
    assert_eq!(count(|event| matches!(event, DriverEvent::Concluded(_))), 4);
    assert_eq!(events.last(), Some(&DriverEvent::Finished));

    let asked = central.asked();
    let ids: HashSet<_> = asked.iter().map(|(_, request)| request.request_id.clone()).collect();
    assert_eq!((asked.len(), ids.len()), (4, 4), "one call a line, each under its own id");
    assert_eq!(asked[3].1.location_prefix, "Madrid");
    for pair in asked.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= PAUSE, "the pause was cut short");
    }
}

#[tokio::test]
async fn what_was_not_expected_is_told() {
    let (central, folder) = (Central::new(), tempfile::tempdir().unwrap());
    let running = central.start(anywhere()).await;
    let mut options = options(running.address);
    options.requests = Some(file(&folder, "BROKEN\nMAD-01 expect=denied"));
    let (summary, _) = App::start(options).await.ended().await;
    let met: Vec<_> = summary.rows.iter().map(|row| row.is_as_expected()).collect();
    assert_eq!((met, summary.all_as_expected()), (vec![false, false], false));
}

#[tokio::test]
async fn while_central_is_away_it_retries_and_says_so_once() {
    let (central, address) = (Central::new(), free_address());
    let app = App::start(options(address)).await;
    app.told("central is away", |event| match event {
        DriverEvent::Unreachable { .. } => Some(()),
        _ => None,
    })
    .await;
    central.state.lock().unwrap().answers_to_lose = 2;
    let _running = central.start(address).await;
    let (summary, events) = app.ended().await;
    assert!(summary.all_as_expected(), "{summary:#?}");
    // Away at first; then back, and two answers lost.
    let away = events.iter().filter(|event| matches!(event, DriverEvent::Unreachable { .. })).count();
    assert_eq!(away, 2, "{events:#?}");
    let asked = central.asked();
    let ids: HashSet<_> = asked.iter().map(|(_, request)| request.request_id.clone()).collect();
    assert_eq!((asked.len(), ids.len()), (3, 1), "the same request, until it is answered");
    assert_eq!(central.state.lock().unwrap().sessions.len(), 1);
}

#[tokio::test]
async fn without_kafka_the_driver_hears_of_trouble_too() {
    let central = Central::new();
    let running = central.start(anywhere()).await;
    let mut options = options(running.address);
    options.charge_point = Some("MANUAL".parse().unwrap());
    let app = App::start(options).await;
    let session = app
        .told("authorised", |event| match event {
            DriverEvent::Authorized { session, .. } => Some(session.to_string()),
            _ => None,
        })
        .await;
    central.supply(&session, 100);
    central.change(&session, |session| session.trouble = "its engine\ndied".into());
    let reason = app
        .told("the trouble", |event| match event {
            DriverEvent::SupplyError { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .await;
    assert_eq!(reason, "its engine died");
    central.end(&session, SessionOutcome::Completed);
    let (summary, _) = app.ended().await;
    assert!(summary.all_as_expected(), "{summary:#?}");
}

#[tokio::test]
async fn a_central_that_dies_in_mid_charge_is_followed_again() {
    let central = Central::new();
    let running = central.start(anywhere()).await;
    let mut options = options(running.address);
    options.charge_point = Some("MANUAL".parse().unwrap());
    let app = App::start(options).await;
    let session = app
        .told("authorised", |event| match event {
            DriverEvent::Authorized { session, .. } => Some(session.to_string()),
            _ => None,
        })
        .await;
    central.supply(&session, 100);
    app.told("the first reading", |event| matches!(event, DriverEvent::Consumption { .. }).then_some(()))
        .await;
    let address = running.stop().await;
    app.told("central is away", |event| matches!(event, DriverEvent::Unreachable { .. }).then_some(())).await;
    central.supply(&session, 250);
    central.end(&session, SessionOutcome::Completed);
    let _running = central.start(address).await;
    let (summary, events) = app.ended().await;
    assert!(summary.all_as_expected(), "{summary:#?}");
    assert_eq!(readings(&events), [100, 250]);
}

#[tokio::test]
async fn after_a_restart_it_shows_what_it_missed_and_follows_the_open_session_first() {
    let central = Central::new();
    let running = central.start(anywhere()).await;
    // From before: one that was billed, one of another driver, and one whose app is killed in mid-charge.
    let billed = central.open("ana", "OLD");
    central.supply(&billed, 50);
    central.end(&billed, SessionOutcome::Completed);
    let others = central.open("eva", "OTHER");
    central.supply(&others, 900);

    let mut first = options(running.address);
    first.charge_point = Some("MANUAL".parse().unwrap());
    let app = App::start(first.clone()).await;
    let session = app
        .told("authorised", |event| match event {
            DriverEvent::Authorized { session, .. } => Some(session.to_string()),
            _ => None,
        })
        .await;
    central.supply(&session, 100);
    app.told("a reading", |event| matches!(event, DriverEvent::Consumption { .. }).then_some(())).await;
    let (summary, _) = app.stop().await;
    assert!(!summary.all_as_expected(), "it was stopped before its end");
    assert_eq!(summary.left, Some(Left::Open("MANUAL".parse().unwrap())), "and the charge goes on");

    let mut second = options(running.address);
    second.charge_point = Some("MAD-01".parse().unwrap());
    let app = App::start(second).await;
    let resumed = app
        .told("the open session", |event| match event {
            DriverEvent::Resumed { session, line: None } => Some(session.id.to_string()),
            _ => None,
        })
        .await;
    assert_eq!(resumed, session);
    let missed = app
        .told("the ticket from before", |event| match event {
            DriverEvent::Missed(tickets) => Some(tickets.clone()),
            _ => None,
        })
        .await;
    assert_eq!(missed.iter().map(|ticket| ticket.session.to_string()).collect::<Vec<_>>(), [billed]);
    assert_eq!(central.asked().len(), 1, "nothing new is asked for while it charges");
    central.supply(&session, 150);
    central.end(&session, SessionOutcome::Completed);
    let (summary, events) = app.ended().await;
    assert!(summary.all_as_expected(), "{summary:#?}");
    assert_eq!(summary.rows.len(), 1, "the session from before is no line's");
    assert_eq!(readings(&events), [100, 150, 100, 200, 300]);
    let tickets = events.iter().filter(|event| matches!(event, DriverEvent::Ticket(_))).count();
    assert_eq!(tickets, 2);
}

#[tokio::test]
async fn the_same_command_again_follows_what_goes_on_and_asks_for_nothing() {
    let central = Central::new();
    let running = central.start(anywhere()).await;
    let mut options = options(running.address);
    options.charge_point = Some("MANUAL".parse().unwrap());
    let app = App::start(options.clone()).await;
    app.told("authorised", |event| matches!(event, DriverEvent::Authorized { .. }).then_some(())).await;
    app.stop().await;

    let app = App::start(options).await;
    let session = app
        .told("the open session", |event| match event {
            DriverEvent::Resumed { session, line: Some(1) } => Some(session.id.to_string()),
            _ => None,
        })
        .await;
    central.supply(&session, 150);
    central.end(&session, SessionOutcome::Completed);
    let (summary, _) = app.ended().await;
    assert!(summary.all_as_expected(), "{summary:#?}");
    assert_eq!((central.asked().len(), summary.left), (1, None));
}

#[tokio::test]
async fn a_charge_is_stopped_by_its_driver_though_an_answer_is_lost() {
    let central = Central::new();
    let running = central.start(anywhere()).await;
    let mut options = options(running.address);
    options.charge_point = Some("MANUAL".parse().unwrap());
    let app = App::start(options).await;
    let session = app
        .told("authorised", |event| match event {
            DriverEvent::Authorized { session, .. } => Some(session.to_string()),
            _ => None,
        })
        .await;
    central.supply(&session, 100);
    app.told("a reading", |event| matches!(event, DriverEvent::Consumption { .. }).then_some(())).await;
    central.state.lock().unwrap().answers_to_lose = 1;
    app.stop_charge.now().await;
    let (summary, events) = app.ended().await;
    let stopped = Conclusion::Ended {
        outcome: Outcome::Stopped,
        reason: String::new(),
        ticket: summary.rows[0].ticket().cloned(),
        ticket_due: false,
    };
    assert_eq!(summary.rows[0].conclusion, stopped);
    assert_eq!(summary.rows[0].ticket().unwrap().energy.wh(), 100);
    assert!(events.iter().any(|event| matches!(event, DriverEvent::Stopping { .. })), "{events:#?}");
}

#[tokio::test]
async fn a_session_that_central_forgot_concludes() {
    let central = Central::new();
    let running = central.start(anywhere()).await;
    let mut options = options(running.address);
    options.charge_point = Some("MANUAL".parse().unwrap());
    let app = App::start(options).await;
    app.told("authorised", |event| matches!(event, DriverEvent::Authorized { .. }).then_some(())).await;
    let address = running.stop().await;
    central.state.lock().unwrap().sessions.clear();
    let _running = central.start(address).await;
    let (summary, _) = app.ended().await;
    assert!(matches!(summary.rows[0].conclusion, Conclusion::Forgotten { .. }), "{summary:#?}");
}

#[tokio::test]
async fn without_kafka_the_free_charge_points_come_from_central() {
    let central = Central::new();
    let running = central.start(anywhere()).await;
    let mut options = options(running.address);
    options.charge_point = Some("MANUAL".parse().unwrap());
    let app = App::start(options).await;
    let free = app
        .told("the free charge points", |event| match event {
            DriverEvent::FreeChargePoints(free) => Some(free.clone()),
            _ => None,
        })
        .await;
    assert_eq!((free[0].id.as_str(), free[0].price.unwrap().to_string()), ("LISTED", "0.40 EUR".into()));
    app.stop().await;
}

#[tokio::test]
async fn a_wrong_file_is_one_plain_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(free_address());
    options.requests = Some(folder.path().join("none.txt"));
    let error = Service::bind(options.clone()).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot read the requests in ") && error.contains("--requests"), "{error}");
    options.requests = Some(file(&folder, "MAD-01\nMAD 02"));
    let error = Service::bind(options).await.unwrap_err().to_string();
    assert!(error.contains("requests.txt, line 2: '02' is not understood"), "{error}");
}
