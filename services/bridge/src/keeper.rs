//! Keeps the position while the bridge runs, off the runtime's threads.

use crate::offsets::{Offsets, Position};
use std::io;
use tokio::task::spawn_blocking;

#[derive(Debug)]
pub(crate) struct Keeper {
    offsets: Offsets,
    kept: Option<Position>,
    fails: bool,
}

impl Keeper {
    pub(crate) fn new(offsets: Offsets, kept: Option<Position>) -> Self {
        Self { offsets, kept, fails: false }
    }

    /// Keeps it where it is another. What cannot be kept now is tried again the next time; each change is said once.
    pub(crate) async fn keep(&mut self, position: Option<Position>) {
        let Some(position) = position.filter(|position| self.kept.as_ref() != Some(position)) else {
            return;
        };
        let (offsets, new) = (self.offsets.clone(), position.clone());
        let kept = spawn_blocking(move || offsets.keep(&new)).await.map_err(io::Error::other).flatten();
        match kept {
            Ok(()) if self.fails => tracing::info!("how far driver_requests is read is kept again"),
            Ok(()) => {}
            Err(_) if self.fails => return,
            Err(error) => {
                self.fails = true;
                return tracing::warn!(
                    %error,
                    "how far driver_requests is read cannot be kept; it is tried again each second, and after a \
                     restart what came since is read again"
                );
            }
        }
        self.fails = false;
        self.kept = Some(position);
    }
}
