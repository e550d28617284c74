//! The rules as examples: what goes in, what comes out.

use crate::test_point::*;
use domain::{
    Mono, Now, Power, SupplyEnd, SupplyState, Wall,
    ids::{CLOCKS_DIFFER, most_claimed},
    simulated::Settings,
    supply::*,
};
use std::time::Duration;

#[test]
fn a_supply_runs_from_authorisation_to_settlement() {
    let mut point = TestPoint::supplying(settings());
    point.attended(4_500);
    let readings: Vec<_> = point
        .out
        .iter()
        .map(|effect| match effect {
            Effect::Publish(record) => (record.seq, record.energy.wh(), record.power.w()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(readings, [(2, 10, 36_000), (3, 20, 36_000), (4, 30, 36_000), (5, 40, 36_000)]);
    assert_eq!(point.disk.current.as_ref().unwrap().energy.wh(), 40, "on disk as published");

    point.attended(10_000);
    assert_eq!(point.told(), ["s1 started 1", "s1 ended 11 100 Wh: the car is full"]);
    let record = point.disk.unsettled[&1].clone();
    assert_eq!((record.state, record.power), (SupplyState::Ended(SupplyEnd::Completed), Power::ZERO));
    assert_eq!(record.read_at.unwrap().0 - record.started_at.unwrap().0, 10_000);
    assert_eq!((point.disk.current.clone(), point.state()), (None, None));
    assert_eq!(point.engine.view().last, Some(record));

    assert_eq!(point.apply(confirm("s1")), CallResult::Done);
    assert_eq!(point.apply(confirm("s1")), CallResult::Done);
    assert!(point.disk.unsettled.is_empty());
    point.apply(Happened::Delivered(vec![1]));
    point.apply(Happened::Delivered(vec![1, 7]));
    assert_eq!(point.told(), ["s1 ended 11 100 Wh: the car is full"]);
}

#[test]
fn a_supply_ends_by_each_cause_with_its_message() {
    type Ending = fn(&mut TestPoint);
    let cases: [(&str, SupplyEnd, Ending); 7] = [
        ("s1 ended 4 25 Wh: unplugged", SupplyEnd::Completed, |b| _ = b.apply(Act::Unplug)),
        ("s1 ended 4 25 Wh: stopped", SupplyEnd::Stopped, |b| _ = b.apply(stop("s1"))),
        ("s1 ended 4 25 Wh: smoke", SupplyEnd::EngineFault, |b| _ = b.apply(Act::Break("smoke".into()))),
        ("s1 ended 6 50 Wh: monitor lost", SupplyEnd::MonitorLost, |b| b.alone(3_000)),
        ("s1 ended 9 80 Wh: the car left", SupplyEnd::Completed, |b| b.attended(9_000)),
        ("s1 ended 4 25 Wh: interrupted", SupplyEnd::Interrupted, |b| {
            b.apply(Happened::ShutDown);
        }),
        ("s1 ended 4 20 Wh: interrupted", SupplyEnd::Interrupted, TestPoint::restart),
    ];
    for (message, end, act) in cases {
        let mut point =
            TestPoint::supplying(Settings { duration: Some(Duration::from_secs(8)), ..settings() });
        point.attended(2_000);
        if end == SupplyEnd::MonitorLost {
            act(&mut point);
        } else {
            point.alone(500);
            act(&mut point);
        }
        assert_eq!(point.told()[1..], [message]);
        assert_eq!(point.disk.unsettled[&1].state, SupplyState::Ended(end));
        assert_eq!(point.state(), None);
        act(&mut point); // whatever ended it ends it once
        assert_eq!(point.disk.unsettled.len(), 1);
        let ends = point.told().iter().filter(|told| told.starts_with("s1 ended")).count();
        assert_eq!(ends, 1, "{message}");
    }
}

#[test]
fn authorisations_are_granted_or_refused() {
    type Before = fn(&mut TestPoint);
    let held: Before = |b| _ = b.apply(authorize(5, "s5"));
    let running: Before = |b| {
        b.apply(authorize(5, "s5"));
        b.apply(Act::PlugIn).unwrap();
    };
    let ended: Before = |b| {
        b.apply(authorize(5, "s5"));
        b.apply(Act::PlugIn).unwrap();
        b.apply(Act::Unplug).unwrap();
    };
    let cases: [(&str, Before, u64, &str, CallResult, u64); 17] = [
        ("free", |_| {}, 1, "a", CallResult::Done, 1),
        ("the one held, again", held, 5, "s5", CallResult::Done, 5),
        ("another session under its number", held, 5, "a", CallResult::NumberStale, 5),
        ("an older number", held, 4, "a", CallResult::NumberStale, 5),
        ("a newer one replaces it", held, 6, "a", CallResult::Done, 6),
        ("the one supplied, again", running, 5, "s5", CallResult::Done, 5),
        ("another while supplying", running, 6, "a", CallResult::Busy, 6),
        ("an older one while supplying", running, 4, "a", CallResult::Busy, 5),
        ("the session that ended here", ended, 5, "s5", CallResult::NumberStale, 5),
        ("it, under a new number", ended, 6, "s5", CallResult::NumberStale, 6),
        ("the next one", ended, 6, "a", CallResult::Done, 6),
        (
            "one that was revoked before it came",
            |b| _ = b.apply(revoke(9, "a")),
            9,
            "a",
            CallResult::NumberStale,
            9,
        ),
        ("one below it", |b| _ = b.apply(revoke(9, "a")), 8, "b", CallResult::NumberStale, 9),
        ("broken", |b| _ = b.apply(Act::Break("smoke".into())), 1, "a", CallResult::Faulted, 1),
        ("unattended", |b| b.alone(3_000), 1, "a", CallResult::Unattended, 1),
        (
            "expired",
            |b| {
                b.apply(authorize(5, "s5"));
                b.attended(60_000);
            },
            5,
            "s5",
            CallResult::NumberStale,
            5,
        ),
        (
            "after a restart",
            |b| {
                b.apply(authorize(5, "s5"));
                b.restart();
                b.ping();
            },
            5,
            "s5",
            CallResult::NumberStale,
            5,
        ),
    ];
    for (what, before, number, name, result, highest) in cases {
        let mut point = TestPoint::new(settings());
        before(&mut point);
        assert_eq!(point.apply(authorize(number, name)), result, "{what}");
        assert_eq!(point.disk.highest, highest, "{what}");
        assert_eq!(point.engine.view().highest, highest, "{what}");
    }
}

#[test]
fn a_refused_number_starts_nothing_when_a_copy_comes_later() {
    let mut point = TestPoint::new(settings());
    point.apply(Act::Break("smoke".into())).unwrap();
    assert_eq!(point.apply(authorize(1, "a")), CallResult::Faulted);
    point.apply(Act::Repair).unwrap();
    point.apply(Act::PlugIn).unwrap();
    assert_eq!(point.apply(authorize(1, "a")), CallResult::NumberStale);
    assert_eq!(point.state(), None);
}

#[test]
fn a_repeat_does_not_prolong_an_authorisation() {
    let mut point = TestPoint::new(settings());
    point.apply(authorize(1, "s1"));
    point.attended(59_999);
    assert_eq!(point.apply(authorize(1, "s1")), CallResult::Done);
    point.attended(1);
    assert_eq!(point.state(), None);
    point.apply(Act::PlugIn).unwrap();
    assert_eq!(point.told(), [""; 0], "one that is over starts nothing");
}

#[test]
fn revocations_say_what_they_found() {
    let mut point = TestPoint::new(settings());
    let check = |point: &mut TestPoint, number, name, outcome| {
        assert_eq!(point.apply(revoke(number, name)), Ok(outcome), "{number} {name}");
    };
    point.apply(authorize(2, "s2"));
    check(&mut point, 1, "s1", RevokeOutcome::Revoked);
    check(&mut point, 1, "s2", RevokeOutcome::Revoked);
    assert_eq!(
        point.state(),
        Some(SupplyState::Authorized),
        "an older number does not touch a newer authorisation"
    );
    check(&mut point, 2, "s2", RevokeOutcome::Revoked);
    assert_eq!(point.state(), None);
    point.apply(authorize(3, "s3"));
    point.apply(Act::PlugIn).unwrap();
    check(&mut point, 3, "s3", RevokeOutcome::Supplying);
    check(&mut point, 4, "s4", RevokeOutcome::Revoked);
    assert_eq!(point.state(), Some(SupplyState::Supplying));
    point.apply(Act::Unplug).unwrap();
    check(&mut point, 3, "s3", RevokeOutcome::Ended);
    assert_eq!(point.apply(authorize(4, "s4")), CallResult::NumberStale);
}

#[test]
fn another_instance_and_another_charge_point_are_refused_and_touch_nothing() {
    let mut point = TestPoint::supplying(settings());
    let before = point.engine.view();
    let store = Addressee { instance: "there".parse().unwrap(), ..here() };
    let charge_point = Addressee { charge_point: Some("MAD-02".parse().unwrap()), epoch: 9, ..here() };
    for other in [store, charge_point] {
        for call in [
            Call::Authorize(authorization(9, "x")),
            Call::Stop(session("s1")),
            Call::Query,
            Call::ConfirmSettled(vec![session("s1")]),
        ] {
            assert_eq!(point.apply((other.clone(), call)), CallResult::WrongInstance);
        }
        let revoke = Revoke { number: 9, session: session("s1") };
        assert_eq!(point.apply((other, revoke)), Err(WrongInstance));
    }
    assert_eq!(point.engine.view(), before);
    let older = Addressee { charge_point: None, epoch: 0, ..here() };
    assert_eq!(point.apply((older, Call::Query)), CallResult::Done, "a central that does not say");
}

#[test]
fn an_epoch_that_central_has_not_named_keeps_no_honest_monitor_out() {
    let mut point = TestPoint::new(settings());
    let ping = |link, epoch| Ping { link, epoch, central_reachable: true };
    point.apply((here(), Call::Query)); // epoch 1
    assert_eq!(point.apply(ping(2, 1 << 53)), Ok(()), "answered, as one that has not registered");
    assert_eq!(point.apply(ping(3, 1)), Ok(()));
    point.apply((Addressee { epoch: 2, ..here() }, Call::Query));
    assert_eq!(point.apply(ping(4, 2)), Ok(()));
    assert_eq!(point.apply(ping(3, 1)), Err(StaleEpoch { epoch: 1, newest: 2 }));
}

#[test]
fn an_epoch_that_a_stranger_named_in_central_s_place_keeps_nobody_out_for_long() {
    let mut point = TestPoint::new(settings());
    let ping = |epoch| Ping { link: 2, epoch, central_reachable: true };
    let name = |point: &mut TestPoint, epoch| point.apply((Addressee { epoch, ..here() }, Call::Query));
    name(&mut point, 1 << 53);
    assert_eq!(point.apply(ping(1 << 53)), Ok(()));
    name(&mut point, 7);
    let stale = StaleEpoch { epoch: 7, newest: 1 << 53 };
    assert_eq!(point.apply(ping(7)), Err(stale), "a late call of central's names an older one, too");
    point.alone(30_001);
    name(&mut point, 7);
    assert_eq!(point.apply(ping(7)), Ok(()));
    point.alone(2_999);
    assert!(point.engine.view().attended, "it attends");
}

#[test]
fn a_number_that_no_central_gives_is_not_seen_and_the_next_one_always_is() {
    let most = |point: &TestPoint| most_claimed(now(point.ms).wall + CLOCKS_DIFFER);
    let mut point = TestPoint::new(settings());
    for far in [1 << 53, most(&point) + 1] {
        assert_eq!(point.apply(authorize(far, "a")), CallResult::NumberStale);
        assert_eq!(point.apply(revoke(far, "a")), Ok(RevokeOutcome::Revoked));
    }
    assert_eq!(point.disk.highest, 0);
    assert_eq!(point.apply(authorize(1, "s1")), CallResult::Done);
    // One that a clock a day ahead may give counts; central hears of it, and goes on above.
    let highest = most(&point);
    assert_eq!(point.apply(revoke(highest, "a")), Ok(RevokeOutcome::Revoked));
    assert_eq!(point.disk.highest, highest);
    assert_eq!(point.apply(authorize(highest + 2, "s2")), CallResult::NumberStale);
    assert_eq!(point.apply(authorize(highest + 1, "s2")), CallResult::Done);
    point.attended(10_000);
    assert_eq!(point.apply(authorize(highest + 9_000, "s3")), CallResult::Done, "there is more room by then");
}

#[test]
fn stop_ends_only_its_own_session() {
    let mut point = TestPoint::supplying(settings());
    point.apply(stop("another"));
    assert_eq!(point.state(), Some(SupplyState::Supplying));
    point.apply(stop("s1"));
    point.apply(Act::Unplug).unwrap();
    point.apply(authorize(2, "s2"));
    point.apply(stop("another"));
    assert_eq!(point.state(), Some(SupplyState::Authorized));
    point.apply(stop("s2"));
    assert_eq!(point.state(), None);
}

#[test]
fn faults_without_a_supply_are_told_once_and_block_until_mended() {
    let mut point = TestPoint::new(settings());
    point.apply(Act::PlugIn).unwrap();
    point.apply(Act::Break("smoke".into())).unwrap();
    point.apply(Act::Break("more smoke".into())).unwrap();
    point.alone(10_000);
    assert_eq!(point.told(), ["broke: smoke", "monitor lost"]);
    assert!(point.engine.view().obstacle.unwrap().to_string().contains("smoke"));
    point.apply(Act::Repair).unwrap();
    assert_eq!(point.engine.view().obstacle, Some(Obstacle::Unattended));
    assert_eq!(point.apply(ask_manual("r1", "ana", 5_000)), Err(Refusal::Obstacle(Obstacle::Unattended)));
    point.ping();
    assert_eq!(point.engine.view().obstacle, None);
    assert_eq!(point.apply(ask_manual("r1", "ana", 5_000)), Ok(()));
    assert_eq!(point.apply(authorize(1, "s1")), CallResult::Done);
    assert_eq!(point.state(), Some(SupplyState::Supplying), "the car was plugged in already");
    assert_eq!(point.apply(ask_manual("r1", "ana", 5_000)), Err(Refusal::Busy(session("s1"))));
    assert_eq!(point.apply(Act::PlugIn), Err(Refusal::AlreadyPluggedIn));
}

#[test]
fn an_authorisation_survives_a_fault_and_starts_when_it_is_mended() {
    let mut point = TestPoint::new(settings());
    point.apply(authorize(1, "s1"));
    point.apply(Act::Break("smoke".into())).unwrap();
    point.apply(Act::PlugIn).unwrap();
    assert_eq!(point.state(), Some(SupplyState::Authorized));
    point.apply(Act::Repair).unwrap();
    assert_eq!(point.state(), Some(SupplyState::Supplying));
}

#[test]
fn a_car_that_comes_by_itself_leaves_by_itself() {
    let by_itself = Settings { plug_in_after: Some(Duration::from_secs(1)), ..settings() };
    let mut point = TestPoint::new(by_itself.clone());
    point.apply(authorize(1, "s1"));
    point.attended(999);
    assert!(!point.engine.view().plugged_in);
    point.attended(1);
    assert_eq!((point.engine.view().plugged_in, point.state()), (true, Some(SupplyState::Supplying)));
    point.attended(10_000);
    assert_eq!((point.engine.view().plugged_in, point.state()), (false, None));

    let mut point = TestPoint::supplying(by_itself);
    point.attended(20_000);
    assert!(point.engine.view().plugged_in, "one plugged in by hand stays");
}

#[test]
fn the_end_of_a_monitors_stream_alone_ends_nothing() {
    let mut point = TestPoint::supplying(settings());
    point.alone(1_000);
    point.apply(Happened::AttendEnded { link: 1 });
    point.alone(1_500);
    point.apply(Ping { link: 2, epoch: 0, central_reachable: false }).unwrap();
    point.apply(Happened::AttendEnded { link: 1 });
    point.alone(2_999);
    assert_eq!(point.state(), Some(SupplyState::Supplying));
    point.alone(1);
    assert_eq!(point.told()[1..], ["s1 ended 7 55 Wh: monitor lost"]);
}

#[test]
fn what_was_due_during_a_stall_happens_at_its_own_time() {
    let mut point = TestPoint::supplying(settings());
    point.attended(1_000);
    point.ms += 60_000; // nobody ticked, no ping came: the monitor was lost 3 s in
    point.apply(Happened::Tick);
    assert_eq!(point.told()[1..], ["s1 ended 3 40 Wh: monitor lost"]);
    assert_eq!(point.disk.unsettled[&1].read_at.unwrap(), now(4_000).wall);
}

#[test]
fn a_jump_of_the_wall_clock_changes_no_reading_and_no_end() {
    let mut point = TestPoint::supplying(settings());
    point.attended(1_000);
    let jumped = Now { mono: Mono(point.ms), wall: Wall(5) };
    let (answer, effects) = point.engine.apply(jumped, Act::Unplug);
    assert_eq!(answer, Ok(()));
    point.carry_out(effects);
    let record = &point.disk.unsettled[&1];
    assert_eq!((record.energy.wh(), record.read_at.unwrap()), (10, now(1_000).wall));
}

#[test]
fn unsettled_records_are_bounded() {
    let mut point = TestPoint::new(settings());
    for number in 1..=MAX_UNSETTLED as u64 {
        assert_eq!(point.apply(authorize(number, &format!("s{number}"))), CallResult::Done);
        point.apply(Act::PlugIn).unwrap();
        point.apply(Act::Unplug).unwrap();
    }
    assert_eq!(point.apply(authorize(2_000, "more")), CallResult::Faulted);
    point.apply(confirm("s7"));
    assert_eq!(point.apply(authorize(2_001, "more")), CallResult::Done);
}

#[test]
fn the_outbox_is_bounded_and_gives_up_its_oldest() {
    let mut point = TestPoint::new(settings());
    for _ in 0..=MAX_OUTBOX {
        point.apply(Act::Break("smoke".into())).unwrap();
        point.apply(Act::Repair).unwrap();
    }
    assert_eq!(point.disk.events.len(), MAX_OUTBOX);
    assert_eq!(*point.disk.events.keys().next().unwrap(), 2);
    assert_eq!(point.out, [Effect::OutboxOverflow(1)]);
}
