//! What is let go: sessions that came to nothing, and charge points that nobody ever used.
//!
//! Such a session is a row for a day, and no longer: an engine that refuses whatever it is asked makes as many of them
//! as it likes.
//!
//! What is gone could be told again, with central's own signature. So where a session is let go, none that was asked
//! for as long ago and is not known is believed any more: it is [unattested](super::unattested). A store that lacks
//! nothing knows all the others. One that was lost, and is as old as that, waits for a person.

use super::{
    Network,
    charge_point::{Link, Point},
    session::Session,
};
use crate::{Mono, Wall};
use std::time::Duration;

/// Who was never charged at, and has been away for so long, is forgotten.
pub(super) const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 3600);

impl Network {
    /// Has what came to nothing then been kept for long enough?
    pub fn is_outlived(&self, since: Wall, now: Wall) -> bool {
        since + self.config.nothing_ttl <= now
    }

    /// Is it time for this stored session to go? Then it is to be deleted, and what [`Network::past`] says is to be
    /// stored, in one transaction. One of which more is told just now stays.
    pub fn forgets(&mut self, session: &Session, now: Wall) -> bool {
        let over = session.came_to_nothing().is_some_and(|since| self.is_outlived(since, now));
        let goes = over && self.registry.find_session(&session.id).is_none();
        if goes {
            self.remembered.lets_go(session.created);
        }
        goes
    }

    /// Did nobody ever charge there, and has it been away for long?
    pub(super) fn is_made_up(&self, point: &Point, now: Mono) -> bool {
        let nothing_left = point.open.is_none() && point.ended.is_empty();
        let away = |since| now.since(since) >= FORGOTTEN_AFTER;
        point.may_be_made_up() && nothing_left && matches!(point.link, Link::Lost { since } if away(since))
    }
}

impl Point {
    /// Nobody ever charged there, and no order keeps it.
    pub(super) fn may_be_made_up(&self) -> bool {
        self.stored.never_supplied && !self.stored.out_of_order && self.stored.revoked.is_none()
    }
}
