//! Engines are told which certificates to refuse until they say that they do.

use crate::world::{World, cp};
use domain::InstanceId;
use domain::network::{
    CallFailed, CallId, CallOutcome, Command, EngineAnswer, EngineReport, EngineRequest, Health, Standing,
};

impl World {
    /// What an engine says when it was asked, with whether it heard what it was told.
    fn says_of_told(&mut self, call: CallId, instance: &str, outcome: CallOutcome, heard: bool) {
        let report = EngineReport {
            charge_point: Some(cp("A")),
            instance: instance.parse::<InstanceId>().unwrap(),
            rated: None,
            seals: None,
            plugged_in: false,
            highest_authorization: 0,
            current: None,
            unsettled: Vec::new(),
        };
        let result = Ok(EngineAnswer { outcome, heard, report });
        self.send(Command::EngineAnswered { charge_point: cp("A"), call, result });
    }

    /// A's engine is asked, and answers so.
    fn asked_says(&mut self, heard: bool) {
        assert_eq!(*self.call("A"), EngineRequest::GetState);
        let call = self.calls.remove(&cp("A")).unwrap().id;
        self.says_of_told(call, "i1", CallOutcome::Done, heard);
    }

    /// So many seconds pass; the question's time, of each that is asked, and its number.
    fn asked_in(&mut self, seconds: u64, heard: bool) -> Vec<u64> {
        let begun = self.now.mono;
        let mut asked = Vec::new();
        for _ in 0..4 * seconds {
            self.advance(250, &["A"]);
            if self.is_called("A") {
                asked.push(self.now.mono.since(begun).as_secs());
                self.asked_says(heard);
            }
        }
        asked
    }

    /// The same of one that is cut off, which does not answer.
    fn told_in(&mut self, seconds: u64) -> Vec<u64> {
        let begun = self.now.mono;
        let mut told = Vec::new();
        for _ in 0..4 * seconds {
            let before = self.told_cut.len();
            self.advance(250, &[]);
            if self.told_cut.len() > before {
                told.push(self.now.mono.since(begun).as_secs());
            }
        }
        told
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
    world.asked_says(true);
    assert_eq!(world.asked_in(60, true), [0; 0]);
    world.send(Command::PeopleRevoked);
    world.asked_says(false); // an older one
    assert_eq!(world.asked_in(70, false), [1, 3, 7, 15, 31, 63]);
    let hours = world.asked_in(3 * 3600, false);
    assert!(hours.len() < 30 && hours.windows(2).all(|two| two[1] - two[0] <= 601), "{hours:?}");
    let unheard =
        |world: &World| world.events.iter().filter(|event| event.name == "refusals_unheard").count();
    assert_eq!(unheard(&world), 1, "it is said once");
    assert_eq!(world.asked_in(601, true).len(), 1);
    assert_eq!(world.asked_in(1_300, true), [0; 0], "it has heard");
}

#[test]
fn an_engine_that_is_told_and_is_silent_is_left_alone_once_its_monitor_is_gone() {
    let mut world = begun();
    world.send(Command::PeopleRevoked);
    world.asked_says(false);
    world.advance(60_000, &[]); // its monitor is lost
    while world.is_called("A") {
        world.silence("A");
        world.advance(5_000, &[]);
    }
    world.advance(1_300_000, &[]);
    assert!(!world.is_called("A"));
    world.report("A", Health::Ok);
    world.asked_says(true);
}

#[test]
fn the_engine_of_a_charge_point_that_is_cut_off_is_told_until_it_says_so_and_nothing_else_comes_of_it() {
    let mut world = begun();
    world.identity("A", Standing::Cut);
    assert_eq!((world.told_cut.len(), world.is_called("A")), (1, false));
    assert_eq!(world.told_in(70), [1, 3, 7, 15, 31, 63]);
    let newest = world.told_cut.last().unwrap().clone();
    assert_eq!((&newest.request, newest.provisional), (&EngineRequest::GetState, false));
    let (call, first) = (newest.call, world.told_cut[0].call);
    let failed = Err(CallFailed("timed out".into()));
    world.send(Command::EngineAnswered { charge_point: cp("A"), call, result: failed });
    world.says_of_told(call, "i1", CallOutcome::Done, false);
    world.says_of_told(call, "i1", CallOutcome::WrongInstance, true);
    world.says_of_told(call, "another", CallOutcome::Done, true);
    world.says_of_told(first, "i1", CallOutcome::Done, true); // of what was told before
    assert_eq!(world.told_in(130).len(), 1, "none of these counts");
    let call = world.told_cut.last().unwrap().call;
    world.says_of_told(call, "i1", CallOutcome::Done, true);
    assert_eq!(world.told_in(1_300), [0; 0]);
    // More is revoked while the answer to what was told before is on its way.
    world.send(Command::PeopleRevoked);
    let call = world.told_cut.last().unwrap().call;
    world.send(Command::PeopleRevoked);
    world.says_of_told(call, "i1", CallOutcome::Done, true);
    assert_eq!(world.told_in(2), [1]);
    world.restart();
    assert!(!world.told_in(1).is_empty(), "after a restart, too");
    world.identity("A", Standing::Good);
    assert_eq!(world.told_in(1_300), [0; 0], "enrolled again, it is asked as any other");
}
