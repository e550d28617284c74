//! Charge points that seal what they tell: nobody else is heard in their name.

use crate::world::{World, cp, driver};
use domain::{
    Energy,
    network::{CallOutcome, Command, Gauges, Message, MessageKind, Source, Standing},
};

impl World {
    /// A bare reading, which makes central ask its engine. Gives why it is not taken for the charge point's own.
    fn tells(&mut self, id: &str, sealed: Option<u64>) -> Option<String> {
        let before = self.dead_letters.len();
        let message = Message {
            kind: MessageKind::Reading,
            charge_point: cp(id),
            driver: Some(driver("d")),
            session: None,
            energy: Some(Energy::from_wh(1)),
            gauges: Gauges::default(),
            reason: String::new(),
            sealed,
            at: None,
        };
        self.send(Command::Telemetry { message, source: None });
        self.dead_letters.get(before).cloned().filter(|reason| !reason.contains("has no open session"))
    }

    /// Its engine says whether it seals, asked for its state.
    fn says_that_it_seals(&mut self, id: &str, seals: Option<bool>) {
        self.seals = seals;
        self.tells(id, Some(self.epoch(id)));
        self.answers_all(id);
    }

    fn answers_all(&mut self, id: &str) {
        for _ in 0..5 {
            self.advance(2_000, &[id]);
            if self.is_called(id) {
                self.answer(id, CallOutcome::Done, None, vec![]);
            }
        }
    }
}

const OPEN: &str = "A seals what it tells, and this is in plain text: somebody else wrote it";
const NOT_THAT_KEY: &str = "it is sealed with a key of A that does not count";

#[test]
fn once_its_engine_has_said_that_it_seals_nothing_else_is_heard() {
    let mut world = World::with_points(&["A"]);
    assert_eq!(world.tells("A", None), None);
    assert_eq!(world.tells("A", Some(world.epoch("A"))), None, "its key is proof enough before that");
    world.says_that_it_seals("A", Some(true));
    let (epoch, asked) = (world.epoch("A"), |world: &World| world.is_called("A"));
    assert_eq!(world.tells("A", None).as_deref(), Some(OPEN));
    world.advance(2_000, &["A"]);
    assert!(!asked(&world), "what is somebody else's makes nobody ask");
    assert_eq!(world.tells("A", Some(epoch - 1)).as_deref(), Some(NOT_THAT_KEY));
    let later = world.tells("A", Some(epoch + 1));
    assert_eq!(later.as_deref(), Some(NOT_THAT_KEY), "no registration of that epoch was ever admitted");
    assert_eq!(world.tells("A", Some(epoch)), None);
    assert!(asked(&world));
    world.answers_all("A");

    // An answer that does not say changes nothing, and neither does a restart.
    world.says_that_it_seals("A", None);
    world.restart();
    assert_eq!(world.tells("A", None).as_deref(), Some(OPEN));
    world.connect("A");
    world.says_that_it_seals("A", Some(false));
    assert_eq!(world.tells("A", None), None);
}

#[test]
fn what_was_revoked_writes_nothing_with_its_key() {
    let mut world = World::with_points(&["A"]);
    world.says_that_it_seals("A", Some(true));
    let stolen = world.epoch("A");
    world.identity("A", Standing::Cut);
    assert_eq!(world.tells("A", Some(stolen)).as_deref(), Some("the identity of A was revoked"));
    world.identity("A", Standing::Good);
    world.connect("A");
    assert_eq!(world.tells("A", Some(stolen)).as_deref(), Some(NOT_THAT_KEY));
    assert_eq!(world.tells("A", Some(world.epoch("A"))), None);
}

#[test]
fn its_operator_sees_that_telemetry_in_its_name_was_refused_until_its_own_is_taken() {
    let mut world = World::with_points(&["A"]);
    world.says_that_it_seals("A", Some(true));
    let shown = |world: &World| world.net.charge_point(&cp("A")).unwrap().telemetry_refused;
    let broken = |world: &mut World, id: &str| {
        let source = Source { partition: 0, offset: 1 };
        world.send(Command::Unreadable { source, sealed: Some((cp(id), "its seal is broken".into())) });
    };
    assert_eq!(shown(&world), "");
    world.tells("A", None);
    assert_eq!(shown(&world), OPEN);
    broken(&mut world, "A");
    broken(&mut world, "NOWHERE");
    assert_eq!(shown(&world), OPEN, "what came first");
    world.tells("A", Some(world.epoch("A")));
    assert_eq!(shown(&world), "");
    world.answers_all("A");
    broken(&mut world, "A");
    assert_eq!(shown(&world), "its seal is broken");
    world.connect("A");
    assert_eq!(shown(&world), "", "it has registered again");
}
