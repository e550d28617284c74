//! Engines are told which certificates to refuse until they say that they do.

use crate::world::{World, cp};
use domain::network::{
    CallFailed, CallId, CallOutcome, Command, Config, EngineAnswer, EngineReport, EngineRequest, Health,
    Standing, Target,
};
use domain::{ChargePointId, InstanceId};

impl World {
    /// What an engine says when it was asked, with whether it heard what it was told.
    fn says_of_told(&mut self, call: CallId, instance: &str, outcome: CallOutcome, heard: bool) {
        self.says_at(cp("A"), call, instance, outcome, heard);
    }

    fn says_at(
        &mut self,
        charge_point: ChargePointId,
        call: CallId,
        instance: &str,
        outcome: CallOutcome,
        heard: bool,
    ) {
        let report = EngineReport {
            charge_point: Some(charge_point.clone()),
            instance: instance.parse::<InstanceId>().unwrap(),
            rated: None,
            seals: None,
            plugged_in: false,
            highest_authorization: 0,
            current: None,
            unsettled: Vec::new(),
        };
        let result = Ok(EngineAnswer { outcome, heard, report });
        self.send(Command::EngineAnswered { charge_point, call, result });
    }

    /// A's engine is asked, and answers so.
    fn asked_says(&mut self, heard: bool) {
        assert_eq!(*self.call("A"), EngineRequest::GetState);
        let call = self.calls.remove(&cp("A")).unwrap().id;
        self.says_of_told(call, "i1", CallOutcome::Done, heard);
    }

    /// The call that tells A's engine now, if there is one; it is taken out.
    fn tell(&mut self) -> Option<CallId> {
        let call = self.tells.pop();
        assert!(self.tells.is_empty(), "two at once");
        call.map(|call| call.call)
    }

    /// A's engine is told, and says whether it heard.
    fn told_says(&mut self, heard: bool) {
        let call = self.tell().expect("it is told");
        self.says_of_told(call, "i1", CallOutcome::Done, heard);
    }

    fn silent(&mut self, call: CallId) {
        let failed = Err(CallFailed("timed out".into()));
        self.send(Command::EngineAnswered { charge_point: cp("A"), call, result: failed });
    }

    /// So many seconds pass; the time of each call that told the engine, which says so of it, or, `None`, nothing.
    fn told_in(&mut self, seconds: u64, alive: &[&str], heard: Option<bool>) -> Vec<u64> {
        let begun = self.now.mono;
        let mut told = Vec::new();
        for _ in 0..4 * seconds {
            self.advance(250, alive);
            let Some(call) = self.tell() else { continue };
            told.push(self.now.mono.since(begun).as_secs());
            match heard {
                Some(heard) => self.says_of_told(call, "i1", CallOutcome::Done, heard),
                None => self.silent(call),
            }
        }
        told
    }

    /// What one step told, to engines that all say that they have heard: by their names.
    fn turn(&mut self, command: Command) -> Vec<ChargePointId> {
        self.send(command);
        let told = std::mem::take(&mut self.tells);
        for call in &told {
            self.says_at(call.charge_point.clone(), call.call, "i1", CallOutcome::Done, true);
        }
        told.into_iter().map(|call| call.charge_point).collect()
    }

    fn unheard(&self) -> usize {
        self.events.iter().filter(|event| event.name == "refusals_unheard").count()
    }
}

fn begun() -> World {
    let mut world = World::new();
    world.register(World::registration("A")).unwrap();
    world.report("A", Health::Ok);
    world.asked_says(true);
    world
}

#[test]
fn an_engine_that_does_not_say_that_it_heard_is_told_again_ever_more_seldom_and_nobody_twice() {
    let mut world = begun();
    world.send(Command::PeopleRevoked);
    world.told_says(true);
    assert_eq!(world.told_in(60, &["A"], Some(true)), [0; 0]);
    world.send(Command::PeopleRevoked);
    world.told_says(false); // an older one
    assert_eq!(world.told_in(70, &["A"], Some(false)), [1, 3, 7, 15, 31, 63]);
    let hours = world.told_in(3 * 3600, &["A"], Some(false));
    assert!(hours.len() < 30 && hours.windows(2).all(|two| two[1] - two[0] <= 601), "{hours:?}");
    world.send(Command::PeopleRevoked);
    world.told_says(false);
    assert_eq!(world.unheard(), 1, "it is said once");
    assert_eq!(world.told_in(2, &["A"], Some(true)).len(), 1);
    assert_eq!(world.told_in(1_300, &["A"], Some(true)), [0; 0], "it has heard");
    assert!(world.calls.is_empty(), "nothing else is asked for it");
}

#[test]
fn an_engine_that_says_when_it_is_asked_that_it_lacks_some_is_told_and_one_that_has_all_is_not() {
    let mut world = begun();
    world.report("A", Health::Faulted);
    world.report("A", Health::Ok);
    world.asked_says(true);
    assert_eq!(world.tell(), None);
    world.report("A", Health::Faulted);
    world.asked_says(false); // its store is another copy
    world.told_says(true);
    assert_eq!((world.told_in(1_300, &["A"], Some(true)), world.unheard()), (vec![], 0));
}

#[test]
fn an_authorisation_waits_for_no_telling_and_there_is_one_at_a_time() {
    let mut world = begun();
    world.send(Command::PeopleRevoked);
    let call = world.tell().unwrap();
    let (token, _) = world.request("d", Target::Named(cp("A")));
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert_eq!(world.granted(token), Some(true));
    world.send(Command::PeopleRevoked);
    world.identity("A", Standing::Good);
    assert_eq!(world.tell(), None);
    world.says_of_told(call, "i1", CallOutcome::Done, true);
    world.told_says(true); // of what came meanwhile, at once
    assert_eq!(world.told_in(1_300, &["A"], Some(true)), [0; 0]);
}

#[test]
fn an_engine_that_is_told_and_is_silent_is_left_alone_until_it_answers_and_then_told_at_once() {
    let mut world = begun();
    world.send(Command::PeopleRevoked);
    world.told_says(false);
    world.advance(60_000, &[]); // its monitor is lost
    let call = world.tell().unwrap();
    world.silent(call);
    while world.is_called("A") {
        world.silence("A");
        world.advance(5_000, &[]);
    }
    assert_eq!(world.told_in(1_300, &[], None), [0; 0]);
    world.send(Command::PeopleRevoked);
    assert!(world.tell().is_none() && !world.is_called("A"));
    world.report("A", Health::Ok);
    world.asked_says(true); // as far as it was judged by then
    world.told_says(true);
    assert_eq!(world.told_in(1_300, &["A"], Some(true)), [0; 0]);
}

/// Its certificates of before are refused, and it goes on: its engine hears of them.
#[test]
fn whoever_is_enrolled_again_before_it_is_cut_off_or_before_that_is_heard_has_its_engine_told_at_once() {
    let mut world = begun();
    world.identity("A", Standing::Good); // revoked, and enrolled again, while the registry was not heard
    world.told_says(false);
    // Nor is what is to be told again forgotten.
    world.reserved("d", "A");
    world.identity("A", Standing::Draining);
    world.told_says(false);
    world.identity("A", Standing::Good);
    world.told_says(false);
    assert_eq!(world.told_in(5, &["A"], Some(true)).len(), 1);
}

#[test]
fn the_engine_of_a_charge_point_that_is_cut_off_is_told_until_it_says_so_and_nothing_else_comes_of_it() {
    let mut world = begun();
    world.identity("A", Standing::Cut);
    let newest = world.tells.last().unwrap().clone();
    assert_eq!((&newest.request, newest.provisional), (&EngineRequest::GetState, false));
    let first = world.tell().unwrap();
    world.silent(first);
    assert!(!world.is_called("A"));
    assert_eq!(world.told_in(70, &[], None), [1, 3, 7, 15, 31, 63]);
    for (instance, outcome, heard) in [
        ("i1", CallOutcome::Done, false),
        ("i1", CallOutcome::WrongInstance, true),
        ("another", CallOutcome::Done, true),
    ] {
        world.send(Command::PeopleRevoked);
        let call = world.tell().unwrap();
        world.says_of_told(first, "i1", CallOutcome::Done, true); // of what was told before
        world.says_of_told(call, instance, outcome, heard);
        assert_eq!(world.told_in(1, &[], None).len(), 1, "{instance} {outcome:?}");
    }
    assert!(!world.is_called("A"));
    world.send(Command::PeopleRevoked);
    world.told_says(true);
    assert_eq!(world.told_in(1_300, &[], None), [0; 0]);
    // More is revoked while the answer to what was told before is on its way.
    world.send(Command::PeopleRevoked);
    let call = world.tell().unwrap();
    world.send(Command::PeopleRevoked);
    world.says_of_told(call, "i1", CallOutcome::Done, true);
    world.told_says(true);
    world.restart();
    assert_eq!(world.told_in(1, &[], None).len(), 1, "after a restart, too");
    world.identity("A", Standing::Good);
    assert_eq!(world.told_in(1_300, &[], None), [0; 0], "enrolled again, it is told once it answers");
    world.register(World::registration("A")).unwrap();
    world.report("A", Health::Ok);
    world.asked_says(false);
    world.told_says(true);
}

/// Its monitor's certificates of before are refused by an engine; its own, by whom it calls.
#[test]
fn an_engine_that_was_revoked_itself_is_not_told_before_it_is_enrolled_again() {
    let revoked = |standing| Command::Identity { charge_point: cp("A"), standing, engine_stands: false };
    let mut world = begun();
    world.reserved("d", "A");
    world.send(revoked(Standing::Draining));
    world.send(Command::PeopleRevoked);
    assert_eq!(world.told_in(2, &["A"], None), [0; 0]);
    world.answer("A", CallOutcome::Revoked, None, vec![]);
    world.advance(250, &["A"]);
    assert!(!world.is_called("A") && world.cut == [cp("A")], "nothing holds up its drain");
    world.send(Command::PeopleRevoked);
    assert_eq!(world.told_in(1_300, &[], None), [0; 0], "nor is it told once it is cut off");
    world.identity("A", Standing::Cut); // what stood was another's: it is at no gateway any more
    assert_eq!(world.told_in(1, &[], None).len(), 1);

    let mut world = begun();
    world.reserved("d", "A");
    world.send(revoked(Standing::Draining));
    world.identity("A", Standing::Good);
    world.told_says(true);
}

#[test]
fn a_thousand_engines_are_told_in_one_turn_and_those_that_have_waited_longest_come_first() {
    const ALL: usize = 2_500;
    let config = Config { many_callers: ["host".to_owned()].into(), ..Config::default() };
    let mut world = World::with(config);
    let ids: Vec<_> = (0..ALL).map(|n| cp(&format!("CP-{n:04}"))).collect();
    ids.iter().for_each(|id| world.connect(id.as_str()));
    assert_eq!(world.turn(Command::PeopleRevoked), ids[..1_000]);
    // More is revoked, so those have more to hear, and the others wait since before.
    world.now.mono.0 += 1;
    assert_eq!(world.turn(Command::PeopleRevoked), ids[1_000..2_000]);
    assert_eq!(world.turn(Command::Tick), [&ids[..500], &ids[2_000..]].concat());
    assert_eq!(world.turn(Command::Tick), ids[500..1_000]);
    assert_eq!(world.turn(Command::Tick), []);
}
