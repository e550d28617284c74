//! The script, chapter by chapter. Each waits for what it needs before it goes on, so that its order is that of the
//! transcript.

mod bad_input;
mod desk;
mod ends;
mod finale;
mod laboratory;
mod messages;
mod opening;

use crate::world::World;

/// Plays it from the first start to the last reading of the topics.
pub(crate) async fn play() -> String {
    let mut world = World::new();
    opening::play(&mut world).await;
    bad_input::play(&mut world).await;
    laboratory::play(&mut world).await;
    let silent = messages::play(&mut world).await;
    ends::play(&mut world).await;
    messages::the_silence_is_over(&mut world, &silent).await;
    ends::restart(&mut world).await;
    desk::play(&mut world).await;
    finale::play(&mut world).await;
    world.transcript()
}
