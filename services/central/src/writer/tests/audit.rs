//! Who did what: in the commit of what it changed, and nowhere else.

use super::*;
use crate::signing::Keys;
use evmesh_proto::store::StoredAuditEntry;
use mesh::audit::{Filter, Verifier};

/// Everything that is written down, after a look at the chain.
fn entries(bench: &Bench) -> Vec<StoredAuditEntry> {
    let part = bench.ask(|snapshot| snapshot.audit(&Filter::default(), 0, 500).unwrap());
    let ends = part.ends;
    let mut verifier = Verifier::new(ends.first, ends.before_first, "", &[]).unwrap();
    part.rows.entries.iter().for_each(|entry| verifier.take(entry.number, &entry.record).unwrap());
    verifier.end(ends.newest, &ends.newest_hash).unwrap();
    part.rows.entries.into_iter().map(|entry| entry.entry).collect()
}

fn shown(entries: &[StoredAuditEntry]) -> Vec<[&str; 3]> {
    entries.iter().map(|one| [one.method.as_str(), &one.subject, &one.result]).collect()
}

fn by_ana<A>(number: u64) -> Asked<A> {
    let (identity, address) = ("operator/ana".into(), "10.0.0.7".into());
    Asked::once(Token::new(number), Context { identity, address, ..Context::default() })
}

fn price(number: u64, charge_point: &str) -> Command {
    let (charge_point, price) = (charge_point.parse().unwrap(), "0.45 EUR".parse().unwrap());
    Command::Order { asked: by_ana(number), order: Order::SetPrice { charge_point, price } }
}

const REGISTERED: [&str; 3] = ["RegisterChargePoint", "charge-point/MAD-01", "done"];

#[test]
fn what_somebody_orders_has_a_row_with_who_that_is() {
    let mut bench = Bench::new();
    let commits = bench.writer.store.commits();
    bench.give(price(9, "MAD-01"));
    assert_eq!(bench.writer.store.commits(), commits + 1, "not one commit more");
    bench.give(price(10, "NO-01"));
    let found = entries(&bench);
    assert_eq!(
        shown(&found),
        [
            REGISTERED,
            ["SetPrice", "charge-point/MAD-01", "done"],
            ["SetPrice", "charge-point/NO-01", "CHARGE_POINT_UNKNOWN"],
        ]
    );
    let ordered = StoredAuditEntry {
        number: 2,
        at_ms: bench.now.wall.0,
        actor: "operator/ana".into(),
        address: "10.0.0.7".into(),
        parameters: "price=0.45 EUR".into(),
        answer: "count=1".into(),
        ..found[1].clone()
    };
    assert_eq!(found[1], ordered);
}

#[test]
fn a_charge_is_two_rows_its_repeat_none_and_what_rules_do_none() {
    let mut bench = Bench::new();
    let before = bench.writer.store.commits();
    bench.request("s1").unwrap();
    assert_eq!(bench.writer.store.commits(), before + 2, "as without the rows");
    bench.request("s2").unwrap(); // the same request_id
    bench.engine.supply(100);
    bench.message(&reading(1, 0.1));
    bench.engine.end(SupplyEnd::Completed);
    bench.pass(Duration::from_secs(2));
    bench.give(Command::Tick);
    bench.report();
    let found = entries(&bench);
    let of = |result| ["RequestCharge", "driver/101", result];
    assert_eq!(shown(&found), [REGISTERED, of("begun"), of("done")]);
    assert_eq!(found[1].parameters, "session=s1, charge_point=MAD-01, request_id=r1");
    assert_eq!(found[2].parameters, found[1].parameters);
    assert_eq!(found[2].answer, "", "they say all of it");
}

#[test]
fn where_any_charge_point_was_asked_for_the_answer_says_which() {
    let mut bench = Bench::new();
    bench.give(Command::RequestCharge {
        asked: asked(3),
        session: "s1".parse().unwrap(),
        driver: "101".parse().unwrap(),
        target: Target::Any { location_prefix: "Mad".parse().unwrap() },
        max_price: None,
    });
    let done = entries(&bench).pop().unwrap();
    assert_eq!(done.parameters, "session=s1, location_prefix=Mad");
    assert_eq!(done.answer, "charge_point=MAD-01");
}

#[test]
fn what_had_begun_and_failed_says_why() {
    let mut bench = Bench::new();
    bench.reached = false;
    let denied = bench.request("s1").unwrap_err();
    let of = |result| ["RequestCharge", "driver/101", result];
    assert_eq!(shown(&entries(&bench)), [REGISTERED, of("begun"), of(denied.reason.as_str())]);
}

/// At any commit the process dies: what is on disk is the change with its row, or neither.
#[test]
fn a_crash_leaves_the_change_and_its_row_or_none_of_both() {
    let mut whole = Bench::new();
    let start = whole.writer.store.clone();
    let commands = || {
        let stop = Order::Service { which: Which::All, out_of_order: true };
        let stop = Command::Order { asked: by_ana(7), order: stop };
        [price(6, "MAD-01"), stop]
    };
    commands().into_iter().for_each(|command| whole.give(command));
    let needed = whole.writer.store.commits() - start.commits();
    assert!(needed >= 2);
    for survived in 0..=needed {
        let mut disk = start.clone();
        disk.fail_after(survived + 1); // a start writes its key
        let mut writer = Writer::open(disk, Config::default(), whole.now).unwrap();
        for command in commands() {
            if writer.step(whole.now, [Input::Command(command)]).is_err() {
                break;
            }
        }
        let mut bench = Bench::new();
        let mut disk = writer.store.clone();
        disk.fail_after(u64::MAX / 2);
        bench.start_on(disk);
        let found = entries(&bench);
        let point = bench.writer.store.get(&keys::charge_point(&"MAD-01".parse().unwrap())).unwrap().unwrap();
        let point = codec::charge_point(&point).unwrap();
        let has = |method: &str| found.iter().any(|entry| entry.method == method);
        assert_eq!(has("SetPrice"), point.price == "0.45 EUR".parse().unwrap(), "after {survived}");
        assert_eq!(has("StopChargePoints"), point.out_of_order, "after {survived}");
        assert_eq!(found.len() as u64, 1 + survived.min(2), "after {survived}");
    }
}

#[test]
fn keys_that_are_trusted_and_what_the_server_refused_have_rows() {
    let mut bench = Bench::new();
    let known = Keys::new(&[7; 32], bench.now, &[]).own();
    let context = Context { identity: "admin/bo".into(), ..Context::default() };
    let deed = Deed::by(&context, "TrustSigningKeys", "signing-keys".into(), "public_keys=07".into());
    bench.step(vec![Input::Trust(vec![known], deed)]);
    let refused = Deed {
        actor: "driver/101".into(),
        method: "ListSessions".into(),
        came: Came::Denied("NOT_ALLOWED".into()),
        ..Deed::default()
    };
    bench.step(vec![Input::Refused { deeds: vec![refused], more: 3 }]);
    bench.pass(Duration::from_secs(61));
    bench.give(Command::Tick);
    let found = entries(&bench);
    assert_eq!(
        shown(&found)[1..],
        [["TrustSigningKeys", "signing-keys", "done"], ["ListSessions", "", "NOT_ALLOWED"], ["", "", ""],]
    );
    assert_eq!((found[1].answer.as_str(), found[3].refusal_count), ("new_key_count=1", 3));
}

#[test]
fn a_registration_that_goes_on_being_refused_has_one_row() {
    let mut bench = Bench::new();
    let registration = Registration {
        charge_point: "MAD-01".parse().unwrap(),
        location: "Madrid".parse().unwrap(),
        price: "0.30 EUR".parse().unwrap(),
        engine_address: "127.0.0.1:1".into(),
        instance: "store-1".parse().unwrap(),
        monitor: "monitor-2".parse().unwrap(),
        newest_epoch: 0,
    };
    for number in 20..30 {
        bench.give(Command::Register { asked: by_ana(number), registration: registration.clone() });
    }
    // Its own monitor, back after each broken link, changes nothing.
    for number in 30..40 {
        let monitor = "monitor-1".parse().unwrap();
        let registration = Registration { monitor, ..registration.clone() };
        bench.give(Command::Register { asked: by_ana(number), registration });
    }
    let refused = ["RegisterChargePoint", "charge-point/MAD-01", "MONITOR_ALREADY_CONNECTED"];
    assert_eq!(shown(&entries(&bench)), [REGISTERED, refused]);
}

#[test]
fn what_is_too_old_goes_at_a_tick() {
    let mut bench = Bench::with(Config { audit_ttl: Duration::from_secs(60), ..Config::default() });
    bench.give(price(9, "MAD-01"));
    bench.pass(Duration::from_secs(61));
    bench.give(Command::Tick);
    assert_eq!(entries(&bench), []);
    bench.give(price(10, "MAD-01"));
    bench.crash();
    assert_eq!(shown(&entries(&bench)), [["SetPrice", "charge-point/MAD-01", "done"]]);
}
