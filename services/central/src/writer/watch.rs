//! Who follows which session. Each sees the newest state, not every one between.

use domain::SessionId;
use domain::network::Session;
use std::collections::HashMap;
use tokio::sync::watch;

/// Sessions that nobody follows any more are looked for after so many new ones.
const SWEEP_EVERY: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Watches {
    sessions: HashMap<SessionId, watch::Sender<Session>>,
    since_sweep: usize,
}

impl Watches {
    pub(crate) fn has(&self, id: &SessionId) -> bool {
        self.sessions.contains_key(id)
    }

    /// Follows a session, as it is now. The receiver's sender is gone once it is settled.
    pub(crate) fn follow(&mut self, session: Session) -> watch::Receiver<Session> {
        self.sweep();
        if session.settled() {
            return watch::channel(session).1;
        }
        match self.sessions.get(&session.id) {
            Some(sender) => {
                sender.send_replace(session);
                sender.subscribe()
            }
            None => {
                let id = session.id.clone();
                let (sender, receiver) = watch::channel(session);
                self.sessions.insert(id, sender);
                receiver
            }
        }
    }

    pub(crate) fn changed(&mut self, session: Session) {
        let (id, settled) = (session.id.clone(), session.settled());
        let Some(sender) = self.sessions.get(&id) else {
            return;
        };
        sender.send_if_modified(|known| {
            let changed = *known != session;
            *known = session;
            changed
        });
        if settled || sender.receiver_count() == 0 {
            self.sessions.remove(&id);
        }
    }

    fn sweep(&mut self) {
        self.since_sweep += 1;
        if self.since_sweep >= SWEEP_EVERY {
            self.since_sweep = 0;
            self.sessions.retain(|_, sender| sender.receiver_count() > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::codec::tests::facts;
    use domain::network::{Delivered, Ending, Life, Outcome, Settlement, State};
    use domain::{Energy, Wall};
    use proptest::{
        strategy::{Strategy, ValueTree},
        test_runner::TestRunner,
    };

    fn with(life: Life) -> Session {
        Session::stored(facts().new_tree(&mut TestRunner::deterministic()).unwrap().current(), life)
    }

    fn supplying(seq: u64) -> Session {
        let delivered = Delivered { started: Wall(1), energy: Energy::ZERO, seq };
        with(Life::Supplying { delivered, stop: None, trouble: None })
    }

    fn session() -> Session {
        supplying(0)
    }

    #[test]
    fn a_watch_shows_the_newest_state_and_ends_once_it_is_settled() {
        let (mut watches, mut session) = (Watches::default(), session());
        let mut receiver = watches.follow(session.clone());
        assert!(watches.has(&session.id) && !receiver.has_changed().unwrap());
        for seq in [1, 2, 3] {
            session = supplying(seq);
            watches.changed(session.clone());
        }
        assert_eq!(receiver.borrow_and_update().seq(), 3);
        let ending = Ending { outcome: Outcome::Expired, reason: String::new(), at: Wall(2) };
        session = with(Life::Ended { ending, settlement: Settlement::Void });
        watches.changed(session.clone());
        assert_eq!(receiver.borrow_and_update().state(), State::Ended(Outcome::Expired));
        assert!(receiver.has_changed().is_err() && !watches.has(&session.id));
        assert!(watches.follow(session).has_changed().is_err(), "a settled one is shown once");
    }

    #[test]
    fn what_nobody_follows_is_forgotten() {
        let (mut watches, session) = (Watches::default(), session());
        drop(watches.follow(session.clone()));
        watches.changed(session.clone());
        assert!(!watches.has(&session.id));
    }
}
