//! Whose share what is reserved counts in, where callers have shown who they are.

use crate::world::{World, cp};
use domain::network::Target;

#[test]
fn whoever_has_shown_who_that_is_waits_wherever_it_asks_from_and_makes_nobody_else_wait() {
    let mut world = World::with_points(&["A"]);
    for n in 0..5 {
        world.cancels_at("d", &format!("driver/d@10.0.0.{n}"), "A");
    }
    assert!(!world.is_let_in("d", "driver/d@10.0.0.9"), "one, from six addresses");
    assert!(world.is_let_in("e", "driver/e@10.0.0.1"), "another, behind the same proxy");
}

#[test]
fn a_bridge_reserves_for_many() {
    let ids: Vec<String> = (0..22).map(|n| format!("P{n:02}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    for (place, refused) in [("10.0.0.7", 2), ("driver/d@10.0.0.7", 2), ("bridge/old@10.0.0.7", 0)] {
        let mut world = World::with_points(&ids);
        let ask = |id: &&str| world.asks_for(Target::Named(cp(id)), &format!("of-{id}"), place, None);
        let tokens: Vec<_> = ids.iter().map(ask).collect();
        let denied = tokens.iter().filter(|token| world.refused(**token).is_some()).count();
        assert_eq!(denied, refused, "{place}");
    }
}
