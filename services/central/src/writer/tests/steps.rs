//! One step after the other: what is on disk when, and what leaves.

use super::*;
use crate::store::Filter;
use crate::writer::telemetry::MAX_DEAD_LETTERS;
use domain::network::{Outcome, State};
use evmesh_proto::topics;

#[test]
fn a_crash_anywhere_leaves_one_exact_ticket() {
    for crash_at in 0..6 {
        let mut bench = Bench::new();
        let crash = |bench: &mut Bench, place| {
            if place == crash_at {
                bench.crash();
                bench.connect();
            }
        };
        let session = bench.request("s1").unwrap();
        assert_eq!(session.state(), State::Reserved);
        crash(&mut bench, 0);
        bench.engine.supply(100);
        bench.message(&reading(1, 0.1));
        assert_eq!(bench.session("s1").state(), State::Supplying);
        crash(&mut bench, 1);
        bench.engine.supply(250);
        bench.message(&reading(2, 0.25));
        crash(&mut bench, 2);
        bench.engine.end(SupplyEnd::Completed);
        crash(&mut bench, 3);
        bench.message(
            r#"{"type":"SUPPLY_END","cp_id":"MAD-01","user_id":"101","kwh":0.25,"session_id":"s1","seq":3}"#,
        );
        crash(&mut bench, 4);
        bench.pass(Duration::from_secs(2));
        bench.give(Command::Tick);
        crash(&mut bench, 5);
        let session = bench.session("s1");
        assert_eq!(session.state(), State::Ended(Outcome::Completed), "crash at {crash_at}");
        let ticket = session.ticket().unwrap();
        assert_eq!((ticket.energy.wh(), ticket.amount.micros, ticket.estimated()), (250, 80_000, false));
        let tickets = bench.told().into_iter().filter(|kind| *kind == NotificationType::Ticket).count();
        assert_eq!(tickets, 1, "crash at {crash_at}");
        let repeat = bench.request("another");
        assert_eq!(repeat.unwrap().id.as_str(), "s1", "a repeat gets the first answer, over a crash too");
        assert!(bench.engine.unsettled.is_empty(), "the engine may forget what is on disk");
    }
}

#[test]
fn what_the_clock_has_shown_is_on_disk_and_costs_no_commit_of_its_own() {
    let mut bench = Bench::new();
    bench.pass(Duration::from_secs(3_600));
    let ahead = bench.now.wall;
    bench.request("s1").unwrap();
    bench.now.wall.0 -= 3_600_000;
    let commits = bench.writer.store.commits();
    bench.report();
    assert_eq!(bench.writer.store.commits(), commits);
    bench.engine.supply(100);
    bench.message(&reading(1, 0.1));
    bench.crash();
    bench.pass(Duration::from_secs(7_200));
    bench.crash(); // every date of the store is in the past by now
    let past = bench.ask(|snapshot| snapshot.network.past());
    assert_eq!((past.set_back_from, past.latest), (ahead, bench.now.wall));
}

#[test]
fn nothing_leaves_before_it_is_on_disk() {
    let mut bench = Bench::new();
    let disk = bench.writer.store.clone();
    let registration = Registration {
        charge_point: "MAD-02".parse().unwrap(),
        location: "Madrid".parse().unwrap(),
        price: "0.30 EUR".parse().unwrap(),
        engine_address: "127.0.0.1:2".into(),
        instance: "store-2".parse().unwrap(),
        monitor: "monitor-2".parse().unwrap(),
        newest_epoch: 0,
    };
    let commits = bench.writer.store.commits();
    let input = Input::Command(Command::Register { asked: asked(9), registration });
    let effects = bench.writer.step(bench.now, [input]).unwrap();
    let [Effect::Call(EngineCall { charge_point, call, instance, .. })] = &effects[..] else { panic!() };
    assert_eq!(bench.writer.store.commits(), commits, "a registration that is not confirmed is not stored");
    let mut answer = bench.engine.answer(EngineRequest::GetState);
    answer.report.charge_point = Some(charge_point.clone());
    answer.report.instance = instance.clone();
    let heard =
        Command::EngineAnswered { charge_point: charge_point.clone(), call: *call, result: Ok(answer) };
    bench.writer.store.fail_after(0);
    let result = bench.writer.step(bench.now, [Input::Command(heard)]);
    assert!(matches!(result, Err(Error::Store(_))), "no reply, no effect: {result:?}");
    let mut restored = Writer::open(disk, Config::default(), bench.now).unwrap();
    assert_eq!(restored.rules.snapshot(&restored.store).network.charge_point_count(), 1);
    assert_eq!(restored.step(bench.now, []).unwrap(), []);
}

#[test]
fn readings_change_memory_only_and_are_checkpointed_with_their_offsets() {
    let mut bench = Bench::new();
    bench.request("s1").unwrap();
    bench.engine.supply(1);
    bench.message(&reading(1, 0.001));
    bench.pass(Duration::from_secs(2));
    bench.give(Command::Tick);
    let commits = bench.writer.store.commits();
    for seq in 2..20 {
        bench.message(&reading(seq, seq as f64 / 1000.0));
    }
    bench.give(Command::Tick);
    assert_eq!(bench.writer.store.commits(), commits, "a reading costs no commit");
    let id = "s1".parse().unwrap();
    let on_disk = |bench: &Bench| crate::store::stored_session(&bench.writer.store, &id).unwrap().unwrap();
    let told = |session: Session| session.told().map(|told| told.energy.wh());
    assert_eq!((told(on_disk(&bench)), told(bench.session("s1"))), (None, Some(19)));
    let stored = bench.offset();
    assert!(stored <= Some(1), "the stored offset is not past what is not saved: {stored:?}");
    bench.pass(Duration::from_secs(1));
    bench.give(Command::Tick);
    assert_eq!((told(on_disk(&bench)), bench.offset()), (Some(19), Some(19)));
    let commits = bench.writer.store.commits();
    bench.pass(Duration::from_secs(1));
    bench.give(Command::Tick);
    assert_eq!(bench.writer.store.commits(), commits, "nothing changed: no commit");
}

#[test]
fn the_last_step_saves_what_only_lives_in_memory() {
    let mut bench = Bench::new();
    bench.request("s1").unwrap();
    bench.message(&reading(1, 0.0));
    bench.message(&reading(2, 0.5));
    bench.writer.close().unwrap();
    let position = bench.writer.rules.position();
    bench.crash();
    assert_eq!(bench.session("s1").told().unwrap().energy.wh(), 500);
    assert_eq!((bench.writer.rules.position(), bench.offset()), (position, Some(2)));
}

#[test]
fn a_session_may_close_in_the_step_in_which_kafka_is_another_cluster() {
    let mut bench = Bench::new();
    bench.request("s1").unwrap();
    bench.engine.supply(100);
    bench.message(&reading(1, 0.1));
    bench.reached = false;
    for _ in 0..10 {
        bench.pass(bench.config.supply_silence / 5);
        bench.report();
        bench.give(Command::Tick);
    }
    assert_eq!(bench.session("s1").state(), State::Ended(Outcome::Faulted));
    bench.message(&reading(2, 0.2)); // in memory only, until the next checkpoint
    bench.pass(bench.config.settlement);
    bench.step(vec![Input::Command(Command::Tick), Input::NewCluster("another".into())]);
    let ticket = bench.session("s1").ticket().unwrap();
    assert_eq!((ticket.energy.wh(), ticket.estimated()), (200, true));
    let tickets = bench.told().into_iter().filter(|kind| *kind == NotificationType::Ticket).count();
    assert_eq!((tickets, bench.offset()), (1, None));
}

#[test]
fn what_cannot_be_used_goes_to_the_dead_letters_and_stops_nothing() {
    let mut bench = Bench::new();
    let bad = [
        "{",
        r#"{"type":"CONSUMO","cp_id":"MAD-99","user_id":"101","kwh":1}"#,
        r#"{"type":"CONSUMO","cp_id":"MAD-01","user_id":"101","kwh":-1}"#,
    ];
    bad.iter().for_each(|payload| bench.message(payload));
    let letters = read_rows(&bench.writer.store, RowKind::DeadLetter, 0, 100).unwrap();
    assert_eq!(letters.len(), bad.len());
    for ((_, letter), payload) in letters.iter().zip(bad) {
        assert_eq!(
            (letter.topic.as_str(), letter.payload.as_slice()),
            (topics::CP_TELEMETRY_DLQ, payload.as_bytes())
        );
        assert!(!letter.headers["reason"].is_empty());
    }
    assert!(bench.ask(|snapshot| snapshot.network.charge_point(&"MAD-99".parse().unwrap())).is_none());
    bench.pass(Duration::from_secs(1));
    bench.give(Command::Tick);
    assert_eq!(bench.offset(), Some(3));
    bench.step(vec![Input::Delivered(RowKind::DeadLetter, vec![1, 2, 3])]);
    assert_eq!(bench.writer.rules.dead_letters.waiting(), 0);
}

#[test]
fn what_kafka_may_not_have_is_not_put_down_for_it() {
    let mut bench = Bench::new();
    bench.writer.rules.tells_kafka(false);
    bench.request("s1").unwrap();
    bench.engine.supply(100);
    for payload in ["{", r#"{"type":"CONSUMO","cp_id":"MAD-99","user_id":"101","kwh":1}"#, &reading(1, 0.1)] {
        bench.message(payload);
    }
    bench.pass(Duration::from_secs(1));
    bench.give(Command::Tick);
    assert_eq!(bench.session("s1").state(), State::Supplying, "it is heard all the same");
    let waiting = |kind| bench.writer.rules.rows_waiting(kind);
    assert_eq!((waiting(RowKind::Notification), waiting(RowKind::DeadLetter)), (0, 0));
}

#[test]
fn a_reading_never_overtakes_what_waits_for_its_driver() {
    let mut bench = Bench::new();
    bench.request("s1").unwrap();
    bench.engine.supply(100);
    let readings = |bench: &mut Bench| {
        bench.pass(Duration::from_secs(1));
        let asks = bench.writer.step(bench.now, [message(1, &reading(9, 0.2))]).unwrap();
        let Some(Effect::Call(asked)) = asks.iter().find(|effect| matches!(effect, Effect::Call(_))) else {
            return asks.iter().filter(|effect| matches!(effect, Effect::NotifyAtOnce(_))).count();
        };
        let (charge_point, call) = (asked.charge_point.clone(), asked.call);
        let result = Ok(bench.engine.answer(asked.request.clone()));
        let answered = Command::EngineAnswered { charge_point, call, result };
        let told = bench.writer.step(bench.now, [Input::Command(answered)]).unwrap();
        told.iter().filter(|effect| matches!(effect, Effect::NotifyAtOnce(_))).count()
    };
    assert_eq!(bench.told(), [NotificationType::Authorized]);
    assert_eq!(readings(&mut bench), 0, "it supplies, and AUTH_OK is not on Kafka yet");
    assert_eq!(readings(&mut bench), 0);
    bench.crash();
    bench.connect();
    assert_eq!(readings(&mut bench), 0, "nor after a restart");
    bench.step(vec![Input::Delivered(RowKind::Notification, vec![1])]);
    assert_eq!(readings(&mut bench), 1, "now it is");
}

#[test]
fn dead_letters_are_bounded() {
    let mut bench = Bench::new();
    let message = |offset| {
        Input::Messages(vec![Incoming::new(Source { partition: 0, offset }, Vec::new(), b"{".to_vec(), None)])
    };
    bench.step((0..12_000).map(message).collect());
    assert_eq!(bench.writer.rules.dead_letters.waiting(), MAX_DEAD_LETTERS);
    bench.crash();
    assert_eq!(bench.writer.rules.dead_letters.waiting(), MAX_DEAD_LETTERS);
}

#[test]
fn rows_keep_their_numbers_over_a_restart_and_go_once_delivered() {
    let mut bench = Bench::new();
    bench.request("s1").unwrap();
    assert_eq!(bench.told(), [NotificationType::Authorized]);
    bench.crash();
    bench.connect();
    bench.engine.supply(10);
    bench.engine.end(SupplyEnd::Completed);
    bench.pass(Duration::from_secs(61));
    bench.give(Command::Tick);
    bench.step(vec![Input::Delivered(RowKind::Notification, vec![1])]);
    let numbers: Vec<u64> = read_rows(&bench.writer.store, RowKind::Notification, 0, 9)
        .unwrap()
        .into_iter()
        .map(|(number, _)| number)
        .collect();
    assert_eq!(numbers.first(), Some(&2), "{numbers:?}");
}

#[test]
fn another_cluster_is_noticed_and_its_offsets_forgotten() {
    let mut bench = Bench::new();
    bench.step(vec![Input::NewCluster("cluster-a".into())]);
    bench.request("s1").unwrap();
    bench.message(&reading(1, 0.0));
    bench.message(&reading(2, 0.5));
    bench.pass(Duration::from_secs(1));
    bench.give(Command::Tick);
    assert_eq!((bench.writer.rules.position().0.as_deref(), bench.offset()), (Some("cluster-a"), Some(2)));
    bench.message(&reading(3, 0.7));
    let effects = bench.writer.step(bench.now, [Input::NewCluster("cluster-b".into())]).unwrap();
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Happened(_))), "it says so: {effects:?}");
    let calls = effects.iter().filter(|effect| matches!(effect, Effect::Call(_))).count();
    assert_eq!(calls, 1, "every engine is asked");
    bench.crash();
    assert_eq!(bench.writer.rules.position(), (Some("cluster-b".into()), BTreeMap::new()));
    let told = bench.session("s1").told().unwrap().energy;
    assert_eq!(told.wh(), 700, "what cannot be read again was saved");
}

#[test]
fn lists_see_every_answer_given_and_page_through_memory_and_disk() {
    let mut bench = Bench::new();
    for n in 0..5 {
        let session = format!("s{n}");
        bench.give(Command::RequestCharge {
            asked: asked(3),
            session: session.parse().unwrap(),
            driver: "101".parse().unwrap(),
            target: Target::Named("MAD-01".parse().unwrap()),
            max_price: None,
        });
        bench.engine.supply(10 * (n + 1));
        bench.engine.end(SupplyEnd::Completed);
        bench.pass(Duration::from_secs(61));
        bench.connect();
        bench.give(Command::Tick);
    }
    let (of_driver, at) = (Filter::of_driver("101".parse().unwrap()), Some("MAD-01".parse().unwrap()));
    let here = Filter { charge_point: at.clone(), ..Filter::default() };
    let both = Filter { charge_point: at, ..of_driver.clone() };
    let all = ["s0", "s1", "s2", "s3", "s4"];
    for with_ticket in [false, true] {
        // Each was asked for, and got its ticket, a minute after the one before.
        let part = bench.ask(|snapshot| snapshot.sessions(&Filter::default(), with_ticket, None, 9).unwrap());
        let at = |one: &Session| one.ticket().filter(|_| with_ticket).map_or(one.created, |one| one.issued);
        let at: Vec<Wall> = part.sessions.iter().map(at).collect();
        assert!(at[1] < at[2] && at[3] < at[4], "{at:?}");
        let between = Filter { from: Some(at[1]), before: Some(at[4]), ..Filter::default() };
        let since = Filter { from: Some(at[3]), ..both.clone() };
        let elsewhere = Filter { charge_point: Some("MAD-02".parse().unwrap()), ..of_driver.clone() };
        for (filter, ids) in [
            (&Filter::default(), &all[..]),
            (&of_driver, &all),
            (&here, &all),
            (&both, &all),
            (&between, &all[1..4]),
            (&since, &all[3..]),
            (&elsewhere, &[]),
            (&Filter::of_driver("102".parse().unwrap()), &[]),
        ] {
            assert_eq!(listed(&bench, filter, with_ticket), ids, "{filter:?} {with_ticket}");
        }
    }
}

/// Every session that passes, by pages of two.
fn listed(bench: &Bench, filter: &Filter, with_ticket: bool) -> Vec<String> {
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let part = bench.ask(|snapshot| snapshot.sessions(filter, with_ticket, after.as_ref(), 2).unwrap());
        assert!(part.sessions.len() <= 2);
        seen.extend(part.sessions.into_iter().map(|session| session.id.to_string()));
        after = part.next;
        if after.is_none() {
            return seen;
        }
    }
}

#[test]
fn a_newer_older_or_damaged_store_is_refused_in_plain_words() {
    let open = |key: Vec<u8>, value: Vec<u8>| {
        let mut store = MemoryStore::new();
        let mut batch = Batch::default();
        batch.put(key, value);
        store.commit(batch).unwrap();
        Writer::open(store, Config::default(), Now::default()).map(drop).unwrap_err().to_string()
    };
    let of = |format| codec::encode(&StoredMeta { format, ..StoredMeta::default() });
    assert_eq!(
        open(keys::META.to_vec(), of(3)),
        "central's store has format 3, and this version knows 2 only; use a newer version of evmesh"
    );
    let older = open(keys::META.to_vec(), of(1));
    assert!(
        older.starts_with("central's store has format 1, and this version knows 2 only: start"),
        "{older}"
    );
    assert!(
        older.contains("export its tickets") && older.contains("begin with an empty data folder"),
        "{older}"
    );
    let damaged = open(keys::charge_point(&"A".parse().unwrap()), b"\xff".to_vec());
    assert!(damaged.starts_with("central's store is damaged: a charge point cannot be read"), "{damaged}");
    let missing = open(keys::active(&"s1".parse().unwrap()), Vec::new());
    assert!(missing.starts_with("central's store is damaged: an open session"), "{missing}");
}

#[test]
fn however_many_readings_wait_they_are_saved_within_seconds() {
    for (unsaved, every_ms) in [(0, 1_000), (500, 1_000), (7_500, 1_000), (15_000, 500), (100_000, 75)] {
        assert_eq!(saved_every(unsaved), Duration::from_millis(every_ms), "{unsaved}");
    }
}
