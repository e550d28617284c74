//! A tick finds by its queue all that it would find if it walked over all charge points and sessions, whatever came
//! before: histories of anything in any order, with the walk held against the queue at each tick.

mod history;

use super::{super::Archive, *};
use history::{Op, World, ops};
use proptest::{prelude::*, strategy::ValueTree as _};

/// What is due at a session, by its conditions alone.
fn walked(step: &Step<'_>, session: &Session) -> Option<Due> {
    let point = step.point(&session.charge_point);
    let config = &step.net.config;
    let judged = !session.live.restored || (step.net.kafka_judged && point.judged);
    let passed = session.deadline().is_some_and(|deadline| deadline.passed(step.now)) && judged;
    let silent = step.now.mono.since(session.live.last_sign);
    let asked = step.now.mono.since(point.last_asked);
    let ask = silent >= config.silence() && asked >= config.silence() && !point.ask && point.call.is_none();
    let disobeyed = session.live.stopped_at.is_some_and(|at| step.now.mono.since(at) >= OBEYED_WITHIN);
    let goes_on = point.goes_on_with(&session.id);
    match session.life() {
        Life::Authorizing { .. } => passed.then_some(Due::Silent),
        Life::Reserved { .. } if passed => Some(Due::Revoke),
        Life::Revoking { .. } if passed => Some(Due::Expire),
        Life::Reserved { .. } | Life::Revoking { .. } => ask.then_some(Due::Ask),
        Life::Supplying { .. } if silent >= config.supply_silence && judged => Some(Due::Fault),
        Life::Supplying { stop: Some(_), .. } if disobeyed => Some(Due::Disobeyed),
        Life::Supplying { .. } => ask.then_some(Due::Ask),
        Life::Ended { .. } if passed => Some(Due::Settle),
        Life::Ended { .. } if disobeyed && goes_on && !point.stored.out_of_order => Some(Due::Disobeyed),
        Life::Ended { settlement, .. } => match settlement {
            Settlement::Lost { .. } => {
                let started = session.started() || session.told().is_some();
                let until = session.live.lost_since + if started { Duration::ZERO } else { HELD_UP };
                let told_all = step.net.kafka_away && started || step.net.kafka_read_to >= until;
                (step.net.kafka_judged && told_all).then_some(Due::Settle)
            }
            Settlement::Unread { .. } => ask.then_some(Due::Ask),
            Settlement::Review { reported, .. } => (ask && reported.end.is_none()).then_some(Due::Ask),
            Settlement::Unanswered { .. } => (ask && asked >= config.ask_interval).then_some(Due::Ask),
            Settlement::Void { .. } | Settlement::Billed { .. } => None,
        },
    }
}

/// Holds the queue against a walk over everything.
pub(super) fn queue_finds_what_a_walk_does(net: &mut Network, now: Now, archive: &dyn Archive) {
    let step = Step::new(net, now, archive, None);
    let looked: BTreeSet<ChargePointId> = step.net.looks.come(now.mono).cloned().collect();
    let mut turns = Vec::new();
    for (id, point) in step.net.registry.points().iter() {
        let silent = matches!(point.link, Link::Up { last_report, .. }
            if now.mono.since(last_report) >= step.net.silence_of(point));
        let drains = point.stored.standing() == Standing::Draining;
        let made_up = step.net.is_made_up(point, now.mono);
        let called = step.wanted_call(point).is_some();
        let due = [silent, drains, made_up, called];
        assert!(looked.contains(id) || due == [false; 4], "{id} is due and not looked at: {due:?} {point:?}");
        let answers = point.answering == Answering::Yes || point.is_cut();
        let untold = point.untold.as_ref().filter(|_| answers && point.engine_stands);
        turns.extend(
            untold.and_then(|untold| untold.due_from()).filter(|at| *at <= now.mono).map(|at| (at, id)),
        );
    }
    for session in step.net.registry.sessions() {
        let due = walked(&step, session);
        let is_looked_at = looked.contains(&session.charge_point);
        assert!(is_looked_at || due.is_none(), "{due:?} is due and not looked at: {session:?}");
        assert_eq!(step.net.due(session, now), due, "{session:?}");
    }
    turns.sort_unstable();
    let queued: Vec<&ChargePointId> = step.net.turns.come(now.mono).collect();
    assert_eq!(queued, turns.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
    let known = step.net.registry.points().len();
    assert!(step.net.looks.come(Mono(u64::MAX)).count() <= known, "one that is gone is looked at");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_tick_finds_by_its_queue_what_a_walk_finds(history in prop::collection::vec(ops(), 1..120)) {
        let mut world = World::new();
        for op in history {
            world.apply(op);
        }
    }
}

/// Histories reach what they are for: else they would prove nothing.
#[test]
fn histories_reach_every_kind_of_deadline() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut found = BTreeSet::new();
    for _ in 0..60 {
        let history: Vec<Op> = prop::collection::vec(ops(), 120).new_tree(&mut runner).unwrap().current();
        let mut world = World::new();
        for op in history {
            world.apply(op);
        }
        found.extend(world.found);
    }
    let all = ["Ask", "Silent", "Revoke", "Expire", "Fault", "Disobeyed", "Settle", "lost", "forgotten"];
    assert!(all.iter().all(|kind| found.contains(*kind)), "{found:?}");
}
