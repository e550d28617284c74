//! What engines claim of sessions that central neither knows nor signed: invented ones, and true ones of a time whose
//! key is lost.
//!
//! Nothing comes of them: nothing is billed, no driver is held. They stay at their engine, which is told to stop one
//! that it has in hand, and central says how many there are. Once their key is trusted, their engine is asked again and
//! they are adopted like all others. Deliberately absent: a row on disk.

use super::{
    Step,
    charge_point::Unattested,
    denial::{Denial, Reason},
    effect::Level,
};
use crate::{ChargePointId, SessionId};
use std::collections::BTreeSet;

impl Step<'_> {
    /// What of an engine's answer is unattested. It is told when there is some, not with every answer that repeats it.
    pub(super) fn has_unattested(&mut self, id: &ChargePointId, unattested: Unattested) {
        let before = std::mem::replace(&mut self.point_mut(id).unattested, unattested).count;
        let now = &self.point(id).unattested;
        if before == 0 && now.count > 0 {
            let text = format!(
                "{id}: {}; nothing of that is billed. If central's store was lost, trust the keys of before with \
                 'evmesh operator keys trust'",
                now.words()
            );
            self.happened(Level::Warn, "claims_unattested", text);
        }
    }

    /// The engine is told to forget them, whether it claims them now or not: it may be away.
    pub(super) fn refuse(&mut self, id: &ChargePointId, sessions: Vec<SessionId>) -> Result<u32, Denial> {
        if self.net.registry.find_point(id).is_none() {
            let text = format!("no charge point {id} is registered");
            return Err(Denial::new(Reason::ChargePointUnknown, text));
        }
        let known = |session: &&SessionId| {
            self.net.registry.find_session(session).is_some() || self.archive.session(session).is_some()
        };
        if let Some(known) = sessions.iter().find(known) {
            let text =
                format!("central authorised session {known}; only what it never authorised is refused");
            return Err(Denial::new(Reason::SessionAuthorized, text));
        }
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
