//! What engines claim of sessions that central neither knows nor signed: invented ones, true ones of a time whose key
//! is lost, and those that central [let go](super::forgetting).
//!
//! Nothing comes of them: nothing is billed, no driver is held. They stay at their engine, which is told to stop one
//! that it has in hand, and central says how many there are. Once their key is trusted, their engine is asked again and
//! they are adopted like all others; the operator can have one taken over without, under review. Deliberately absent: a
//! row on disk.

use super::{
    Step,
    dealings::Unattested,
    denial::{Denial, Reason},
    effect::Level,
};
use crate::{ChargePointId, SessionId, SupplyRecord, SupplyState};
use std::collections::BTreeSet;

impl Step<'_> {
    /// What of an engine's answer is unattested. It is told when there is some, not with every answer that repeats it.
    pub(super) fn has_unattested(&mut self, id: &ChargePointId, unattested: Unattested) {
        let before = std::mem::replace(&mut self.point_mut(id).unattested, unattested).count;
        let now = &self.point(id).unattested;
        if before == 0 && now.count > 0 {
            let text = format!(
                "{id}: {}; nothing of that is billed. If central's store was lost, trust the keys of before with \
                 'evmesh operator keys trust'; what is left then, of more than a day before, is for 'evmesh operator \
                 adopt'",
                now.words()
            );
            self.happened(Level::Warn, "claims_unattested", text);
        }
    }

    /// Central neither knows nor signed them, as far as it can tell.
    fn are_nobodys(&self, id: &ChargePointId, sessions: &[SessionId]) -> Result<(), Denial> {
        if self.net.registry.find_point(id).is_none() {
            let text = format!("no charge point {id} is registered");
            return Err(Denial::new(Reason::ChargePointUnknown, text));
        }
        let known = |session: &&SessionId| {
            self.net.registry.find_session(session).is_some() || self.archive.session(session).is_some()
        };
        if let Some(known) = sessions.iter().find(known) {
            let text = format!(
                "central authorised session {known}; only what it never authorised is refused, or adopted"
            );
            return Err(Denial::new(Reason::SessionAuthorized, text));
        }
        Ok(())
    }

    /// The engine is asked for them: those that it has ended are taken over as it tells of them.
    pub(super) fn want(&mut self, id: &ChargePointId, sessions: Vec<SessionId>) -> Result<u32, Denial> {
        self.are_nobodys(id, &sessions)?;
        let wanted: BTreeSet<SessionId> = sessions.into_iter().collect();
        let count = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
        self.happened(Level::Info, "orders", format!("{count} sessions that {id} claims are to be adopted"));
        self.point_mut(id).wanted = wanted; // an earlier order that was not heard gives way
        self.ask(id);
        Ok(count)
    }

    pub(super) fn is_wanted(&self, id: &ChargePointId, record: &SupplyRecord) -> bool {
        let over = matches!(record.state, SupplyState::Ended(_));
        over && self.point(id).wanted.contains(&record.session)
    }

    /// Its engine's word alone stands for it: nothing of that is believed, and the price is the charge point's own.
    pub(super) fn take_over(&mut self, id: &ChargePointId, record: &SupplyRecord) {
        let point = self.point_mut(id);
        point.wanted.remove(&record.session);
        let record = SupplyRecord { price: point.stored.price, ..record.clone() };
        self.adopt(id, &record, self.now.wall);
        self.session_mut(&record.session).is_nobodys();
    }

    /// The engine is told to forget them, whether it claims them now or not: it may be away.
    pub(super) fn refuse(&mut self, id: &ChargePointId, sessions: Vec<SessionId>) -> Result<u32, Denial> {
        self.are_nobodys(id, &sessions)?;
        let refused: BTreeSet<SessionId> = sessions.into_iter().collect();
        let count = u32::try_from(refused.len()).unwrap_or(u32::MAX);
        self.happened(Level::Info, "orders", format!("{count} sessions that {id} claims are refused"));
        self.point_mut(id).refused = refused; // an earlier refusal that was not heard gives way
        self.touch(id);
        Ok(count)
    }

    /// What could not be verified perhaps can be now: the engines that claim it are asked again.
    pub(super) fn keys_trusted(&mut self) {
        let points = self.net.registry.points().iter();
        let claim = points.filter(|(_, point)| point.unattested.count > 0).map(|(id, _)| id.clone());
        for id in claim.collect::<Vec<_>>() {
            self.ask(&id);
        }
    }
}
