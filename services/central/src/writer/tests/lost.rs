//! The store is lost at any moment, and rebuilt from any beginning of its changelog: still each supply has its one
//! exact ticket, and whatever was said of it before stays true.

use super::{
    random::{Op, World, ops},
    *,
};
use crate::changelog::{Copied, Progress, discard};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Copy)]
enum Move {
    /// What happens without a loss.
    Op(Op),
    /// The publisher takes so many rows, and Kafka has them.
    Publish(u8),
    /// Central hears that Kafka has them.
    Reported,
    /// The store is gone; so many rows of the last round had not reached Kafka. The monitor registers again, or not
    /// yet.
    Lose(u8, bool),
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        12 => ops().prop_map(Move::Op),
        5 => (1..6_u8).prop_map(Move::Publish),
        3 => Just(Move::Reported),
        2 => (0..6_u8, any::<bool>()).prop_map(|(cut, connect)| Move::Lose(cut, connect)),
    ]
}

#[derive(Default)]
pub(super) struct Log {
    rows: Vec<Copied>,
    /// The versions of the last round, if central has not heard of them yet.
    unreported: Vec<u64>,
}

impl Log {
    pub(super) fn publish(&mut self, bench: &mut Bench, limit: usize) {
        bench.step(Vec::new());
        let Owner { rules, store } = &mut bench.writer;
        let rows = rules.next_rows(store, limit).unwrap();
        self.unreported = rows.iter().map(|row| row.version).collect();
        self.rows.extend(rows);
    }

    pub(super) fn report(&mut self, bench: &mut Bench) {
        bench.step(vec![Input::Published(std::mem::take(&mut self.unreported))]);
    }

    /// The store that the log gives.
    pub(super) fn rebuilt(&self, bench: &Bench) -> MemoryStore {
        let mut store = MemoryStore::new();
        discard(&mut store).unwrap();
        let mut progress = Progress::default();
        for row in &self.rows {
            progress.version = progress.version.max(row.version);
            progress.row(row.key.clone(), row.value.clone().unwrap_or_default());
        }
        progress.finish(&mut store, &bench.config, bench.now).unwrap();
        store
    }
}

/// Every ticket that a driver was told of.
type Told = BTreeMap<SessionId, BTreeSet<String>>;

fn note_tickets(bench: &Bench, told: &mut Told) {
    for (_, row) in read_rows(&bench.writer.store, RowKind::Notification, 0, usize::MAX).unwrap() {
        let message: Notification = serde_json::from_slice(&row.payload).unwrap();
        if message.kind == NotificationType::Ticket {
            let billed = format!("{:?} Wh, {:?}", message.energy_wh, message.amount_micros);
            told.entry(message.session_id.unwrap().parse().unwrap()).or_default().insert(billed);
        }
    }
}

/// How many rows lead to this session, or are it.
fn rows_of(session: &str, store: &MemoryStore) -> usize {
    let of_it = |key: &[u8]| key.ends_with(session.as_bytes());
    store.range(b"", b"", usize::MAX).unwrap().iter().filter(|(key, _)| of_it(key)).count()
}

#[test]
fn what_came_to_nothing_goes_from_the_store_and_the_log_and_stays_away_over_a_rebuild() {
    let (mut bench, mut log) =
        (Bench::with(Config { confirm_copied: true, ..Config::default() }), Log::default());
    let asked_for = bench.request("nothing-1").unwrap();
    let claimed = bench.engine.current.clone().unwrap();
    log.publish(&mut bench, usize::MAX);
    let (driver, session) = (asked_for.driver.clone(), None);
    bench.give(Command::StopCharge { asked: asked(4), driver, session });
    assert!(bench.session("nothing-1").came_to_nothing().is_some());
    assert_eq!(rows_of("nothing-1", &bench.writer.store), 4, "it, and three that lead to it");
    bench.pass(Duration::from_secs(24 * 3600 - 1));
    bench.give(Command::Tick);
    assert_eq!(rows_of("nothing-1", &bench.writer.store), 4);
    log.report(&mut bench);
    log.publish(&mut bench, usize::MAX);
    log.report(&mut bench);
    bench.pass(Duration::from_secs(1));
    bench.give(Command::Tick);
    assert_eq!(rows_of("nothing-1", &bench.writer.store), 0);
    // From a log that lacks its end it comes back, and goes again.
    let disk = log.rebuilt(&bench);
    assert_eq!(rows_of("nothing-1", &disk), 4);
    log.publish(&mut bench, usize::MAX);
    for mut disk in [disk, log.rebuilt(&bench)] {
        bench.start_on(std::mem::take(&mut disk));
        bench.pass(Duration::from_secs(1));
        bench.give(Command::Tick);
        assert_eq!(rows_of("nothing-1", &bench.writer.store), 0);
        // Its engine says that it supplied it after all, and has central's signature.
        let state = SupplyState::Ended(SupplyEnd::Completed);
        bench.engine.unsettled =
            vec![SupplyRecord { state, seq: 2, energy: Energy::from_wh(300), ..claimed.clone() }];
        bench.connect();
        assert_eq!(rows_of("nothing-1", &bench.writer.store), 0);
        assert!(!bench.told().contains(&NotificationType::Ticket));
        bench.engine.unsettled.clear();
    }
}

#[test]
fn whom_the_registry_revoked_a_rebuilt_central_refuses_without_it() {
    let (mut bench, mut log) =
        (Bench::with(Config { confirm_copied: true, ..Config::default() }), Log::default());
    bench.hear(vec![bench.revoked("operator/ana", "a"), bench.revoked("operator/bob", "b")]);
    log.publish(&mut bench, usize::MAX);
    log.report(&mut bench);
    bench.start_on(log.rebuilt(&bench));
    assert_eq!(bench.refused(), ["a", "b"]);
    bench.pass(Duration::from_secs(24 * 3600));
    bench.hear(Vec::new());
    log.publish(&mut bench, usize::MAX);
    bench.start_on(log.rebuilt(&bench));
    assert_eq!(bench.refused(), [""; 0], "and no longer than they last");
}

/// For a minute months ago the clock showed another year: all that was written since is numbered from there.
#[test]
fn a_clock_that_was_ahead_once_costs_no_session_that_the_log_lacks_its_engines_word() {
    let (mut bench, mut log) =
        (Bench::with(Config { confirm_copied: true, ..Config::default() }), Log::default());
    let ahead = 400 * 24 * 3600 * 1000;
    bench.now.wall.0 += ahead;
    let driver = bench.request("ahead").unwrap().driver.clone();
    bench.give(Command::StopCharge { asked: asked(4), driver, session: None });
    bench.now.wall.0 -= ahead;
    bench.pass(Duration::from_secs(90 * 24 * 3600));
    bench.give(Command::Tick);
    log.publish(&mut bench, usize::MAX);
    log.report(&mut bench);
    bench.report();
    let (driver, target) = ("102".parse().unwrap(), Target::Named("MAD-01".parse().unwrap()));
    let session = "young".parse().unwrap();
    bench.give(Command::RequestCharge { asked: asked(5), session, driver, target, max_price: None });
    bench.engine.supply(300);
    let disk = log.rebuilt(&bench); // which lacks it
    bench.start_on(disk);
    bench.pass(Duration::from_secs(60));
    bench.connect();
    assert_eq!(bench.session("young").state(), domain::network::State::Supplying);
    bench.engine.end(SupplyEnd::Completed);
    bench.report();
    bench.pass(Duration::from_secs(60));
    bench.give(Command::Tick);
    let ticket = bench.session("young").ticket().unwrap();
    assert_eq!((ticket.energy.wh(), ticket.estimated()), (300, false));
}

/// The other way round: the log's clock was right, and this machine's is days behind.
#[test]
fn what_was_let_go_is_not_adopted_by_a_clock_that_is_behind() {
    let (mut bench, mut log) =
        (Bench::with(Config { confirm_copied: true, ..Config::default() }), Log::default());
    let driver = bench.request("nothing-1").unwrap().driver.clone();
    let claimed = bench.engine.current.clone().unwrap();
    bench.give(Command::StopCharge { asked: asked(4), driver, session: None });
    log.publish(&mut bench, usize::MAX);
    log.report(&mut bench);
    bench.pass(Duration::from_secs(24 * 3600));
    bench.give(Command::Tick);
    assert_eq!(rows_of("nothing-1", &bench.writer.store), 0);
    log.publish(&mut bench, usize::MAX);
    bench.now.wall.0 -= 3 * 24 * 3600 * 1000;
    let disk = log.rebuilt(&bench);
    bench.start_on(disk);
    let state = SupplyState::Ended(SupplyEnd::Completed);
    bench.engine.unsettled = vec![SupplyRecord { state, seq: 2, energy: Energy::from_wh(300), ..claimed }];
    bench.connect();
    assert_eq!(rows_of("nothing-1", &bench.writer.store), 0);
    assert!(!bench.told().contains(&NotificationType::Ticket));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_supply_has_its_one_exact_ticket(moves in proptest::collection::vec(moves(), 1..100)) {
        let mut world = World::with(Bench::with(Config { confirm_copied: true, ..Config::default() }));
        let (mut log, mut told) = (Log::default(), Told::new());
        for next in moves {
            match next {
                Move::Op(op) => {
                    if matches!(op, Op::Crash(_)) {
                        log.unreported.clear(); // they are published again
                    }
                    world.apply(op);
                }
                Move::Publish(limit) => log.publish(&mut world.bench, limit.into()),
                Move::Reported => log.report(&mut world.bench),
                Move::Lose(cut, connect) => {
                    note_tickets(&world.bench, &mut told);
                    let cut = log.unreported.len().min(cut.into());
                    log.rows.truncate(log.rows.len() - cut);
                    log.unreported.clear();
                    let disk = log.rebuilt(&world.bench);
                    world.bench.start_on(disk);
                    world.bench.offset = 0;
                    if connect {
                        world.bench.connect();
                    }
                }
            }
        }
        world.settle_with(|bench| {
            log.publish(bench, usize::MAX);
            log.report(bench);
        });
        note_tickets(&world.bench, &mut told);
        world.nothing_is_left();
        assert_eq!(world.bench.writer.rules.lag(world.bench.now.wall).rows, 0);

        let price: Price = "0.30 EUR".parse().unwrap();
        let billed = |wh: u64| {
            let energy = Energy::from_wh(wh);
            BTreeSet::from([format!("{:?} Wh, {:?}", Some(wh), Some(price.bill(energy).micros))])
        };
        let due: Told = world.supplied.iter().map(|(id, wh)| (id.clone(), billed(*wh))).collect();
        prop_assert_eq!(told, due, "each driver was told of one ticket, however often");
        for (id, wh) in &world.supplied {
            let ticket = world.bench.session(id.as_str()).ticket().expect("the ticket is kept");
            prop_assert_eq!((ticket.energy.wh(), ticket.estimated()), (*wh, false));
        }
        // And once more from the whole log: all of it is there.
        let whole = log.rebuilt(&world.bench);
        let sessions = |store: &MemoryStore| store.range(keys::SESSIONS, keys::SESSIONS, usize::MAX).unwrap();
        prop_assert_eq!(sessions(&whole), sessions(&world.bench.writer.store));
    }
}
