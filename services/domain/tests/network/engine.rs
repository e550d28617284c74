//! Engines that agree, supply and answer, for the tests of what follows.

use crate::world::{World, cp, record};
use domain::network::{CallOutcome, MessageKind, State, Target};
use domain::{SessionId, SupplyEnd, SupplyState};

impl World {
    /// A session that the engine agreed to.
    pub(crate) fn reserved(&mut self, who: &str, id: &str) -> SessionId {
        let (token, session) = self.request(who, Target::Named(cp(id)));
        self.answer(id, CallOutcome::Done, None, vec![]);
        self.told_session(token);
        session
    }

    /// A session whose supply has started.
    pub(crate) fn supplying(&mut self, who: &str, id: &str) -> SessionId {
        let session = self.reserved(who, id);
        self.says(id, who, &session, 1, MessageKind::Started, 0);
        assert_eq!(self.state(&session), State::Supplying);
        session
    }

    /// A whole charge, after which its engine knows of nothing any more.
    pub(crate) fn charges(&mut self, who: &str, id: &str) {
        let session = self.supplying(who, id);
        self.says(id, who, &session, 3, MessageKind::Ended(SupplyEnd::Completed), 900);
        while self.calls.contains_key(&cp(id)) {
            self.answer(id, CallOutcome::Done, None, vec![]);
        }
    }

    /// The engine answers with this: the call that waits, or else one that a word on Kafka makes central make.
    pub(crate) fn says(
        &mut self,
        id: &str,
        who: &str,
        session: &SessionId,
        seq: u64,
        kind: MessageKind,
        wh: u64,
    ) {
        if !self.calls.contains_key(&cp(id)) {
            self.now.mono.0 += 1_000; // central asks about once a second because of Kafka
            self.now.wall.0 += 1_000;
            self.telemetry(id, None, None, MessageKind::Ended(SupplyEnd::EngineFault), 0, None);
        }
        let (current, unsettled) = match kind {
            MessageKind::Started | MessageKind::Reading => {
                (Some(record(session, who, SupplyState::Supplying, seq, wh)), vec![])
            }
            MessageKind::Ended(end) => (None, vec![record(session, who, SupplyState::Ended(end), seq, wh)]),
        };
        self.answer(id, CallOutcome::Done, current, unsettled);
    }
}
