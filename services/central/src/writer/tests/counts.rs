//! What things cost, counted: commits a call, rows a tick, allocations a reading. Timings lie on a shared machine;
//! these do not.
//!
//! Each limit is what is needed: 7 allocations a reading (14 before plain ones had a way of their own), 5 a report, 2 a
//! tick, 161 a granted request. Whoever needs more says here what it buys.

use super::*;

/// What a piece of work cost.
#[derive(Debug)]
struct Cost {
    commits: u64,
    rows: u64,
    written: u64,
    allocations: u64,
}

/// Does it on the bench, and counts.
fn cost(bench: &mut Bench, work: impl FnOnce(&mut Bench)) -> Cost {
    let store = &bench.writer.store;
    let (commits, rows, written) = (store.commits(), store.rows_read(), store.rows_written());
    let allocations = allocation_counter::measure(|| work(bench)).count_total;
    let store = &bench.writer.store;
    let (commits, rows) = (store.commits() - commits, store.rows_read() - rows);
    Cost { commits, rows, written: store.rows_written() - written, allocations }
}

/// A bench with a supply whose first reading has come.
fn supplying() -> Bench {
    let mut bench = Bench::new();
    bench.request("s1").unwrap();
    bench.engine.supply(100);
    bench.message(&reading(1, 0.1));
    bench
}

/// Some hundreds of charge points more, each with its monitor.
fn crowd(bench: &mut Bench, count: usize) {
    for number in 0..count {
        let registration = Registration {
            charge_point: format!("CP-{number}").parse().unwrap(),
            location: "Madrid".parse().unwrap(),
            price: "0.30 EUR".parse().unwrap(),
            engine_address: "127.0.0.1:1".into(),
            instance: "store-1".parse().unwrap(),
            monitor: "monitor-1".parse().unwrap(),
            newest_epoch: 0,
        };
        bench.give(Command::Register { asked: asked(1), registration });
    }
    bench.replies.clear();
}

#[test]
fn a_granted_request_is_two_commits() {
    let mut bench = Bench::new();
    let cost = cost(&mut bench, |bench| drop(bench.request("s1").unwrap()));
    // The authorisation that may be on its way, and the reservation.
    assert!(cost.commits <= 2 && cost.rows == 0, "{cost:?}");
    // Of the first its session with three lists, its charge point and the deed; of the second its session, the answer,
    // what its driver is told and the deed; of each the store's page.
    assert!(cost.written <= 12 && cost.allocations <= 165, "{cost:?}");
}

#[test]
fn a_whole_supply_is_five_commits() {
    let mut bench = Bench::new();
    let cost = cost(&mut bench, |bench| {
        bench.request("s1").unwrap();
        bench.engine.supply(100);
        bench.message(&reading(1, 0.1));
        bench.message(&reading(2, 0.2));
        bench.engine.supply(250);
        bench.engine.end(SupplyEnd::Completed);
        bench.message(
            r#"{"type":"SUPPLY_END","cp_id":"MAD-01","user_id":"101","kwh":0.25,"session_id":"s1","seq":3}"#,
        );
    });
    assert_eq!(bench.session("s1").ticket().unwrap().energy.wh(), 250);
    // Those of the request, the start, the ticket, and that the engine has forgotten it.
    assert!(cost.commits <= 5 && cost.rows == 0, "{cost:?}");
    assert!(cost.written <= 23, "{cost:?}");
}

#[test]
fn a_price_is_one_commit() {
    let mut bench = Bench::new();
    let cost = cost(&mut bench, |bench| {
        let (charge_point, price) = ("MAD-01".parse().unwrap(), "0.40 EUR".parse().unwrap());
        bench.give(Command::Order { asked: asked(5), order: Order::SetPrice { charge_point, price } });
    });
    assert!(cost.commits <= 1 && cost.rows == 0, "{cost:?}");
}

#[test]
fn a_reading_is_no_commit_and_few_allocations() {
    let mut bench = supplying();
    let messages: Vec<String> = (2..102).map(|seq| reading(seq, 0.1 + seq as f64 / 1000.0)).collect();
    let cost = cost(&mut bench, |bench| messages.iter().for_each(|message| bench.message(message)));
    assert!(cost.commits == 0 && cost.rows == 0, "{cost:?}");
    // Ids, the payload, the notice and its words; the bench's own are in it.
    assert!(cost.allocations <= 100 * 7, "{cost:?}");
}

#[test]
fn an_unchanged_report_is_no_commit_and_few_allocations() {
    let mut bench = supplying();
    let cost = cost(&mut bench, |bench| (0..100).for_each(|_| bench.report()));
    assert!(cost.commits == 0 && cost.rows == 0, "{cost:?}");
    assert!(cost.allocations <= 100 * 5, "{cost:?}");
}

#[test]
fn a_tick_looks_at_no_row_of_the_store() {
    let mut bench = supplying();
    crowd(&mut bench, 300);
    bench.give(Command::Tick);
    let cost = cost(&mut bench, |bench| (0..100).for_each(|_| bench.give(Command::Tick)));
    assert!(cost.commits == 0 && cost.rows == 0, "{cost:?}");
    assert!(cost.allocations <= 100 * 2, "{cost:?}");
}
