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
    use crate::store::codec::tests::sessions;
    use proptest::{
        strategy::{Strategy, ValueTree},
        test_runner::TestRunner,
    };

    /// The same session at so many moments of its life, open and then settled.
    fn moments(open: usize) -> Vec<Session> {
        let mut runner = TestRunner::deterministic();
        let mut drawn = |wanted: fn(&Session) -> bool| {
            sessions().prop_filter("another", wanted).new_tree(&mut runner).unwrap().current()
        };
        let mut moments: Vec<_> = (0..open).map(|_| drawn(Session::is_open)).collect();
        moments.push(drawn(Session::settled));
        let facts = (*moments[0]).clone();
        moments.iter().map(|any| Session::stored(facts.clone(), any.life().clone())).collect()
    }

    #[test]
    fn a_watch_shows_the_newest_state_and_ends_once_it_is_settled() {
        let (mut watches, moments) = (Watches::default(), moments(4));
        let (first, settled) = (&moments[0], &moments[4]);
        let mut receiver = watches.follow(first.clone());
        assert!(watches.has(&first.id) && !receiver.has_changed().unwrap());
        for open in &moments[1..4] {
            watches.changed(open.clone());
        }
        assert_eq!(*receiver.borrow_and_update(), moments[3]);
        watches.changed(moments[3].clone());
        assert!(!receiver.has_changed().unwrap(), "it is as it was");
        watches.changed(settled.clone());
        assert_eq!(*receiver.borrow_and_update(), *settled);
        assert!(receiver.has_changed().is_err() && !watches.has(&first.id));
        assert!(watches.follow(settled.clone()).has_changed().is_err(), "a settled one is shown once");
    }

    #[test]
    fn what_nobody_follows_is_forgotten() {
        let (mut watches, session) = (Watches::default(), moments(1).remove(0));
        drop(watches.follow(session.clone()));
        watches.changed(session.clone());
        assert!(!watches.has(&session.id));
    }
}
