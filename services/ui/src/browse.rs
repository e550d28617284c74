//! Looking through a network that does not fit the screen: how many there are of each status, trouble first, then where
//! somebody charges; the rest by scrolling, or one status alone.

use crate::{status, values::count};
use crossterm::event::KeyCode;
use evmesh_proto::network::ChargePointStatus;
use ratatui::{
    style::Style,
    text::{Line, Span},
};
use std::cell::Cell;

/// So many rows further with one of the page keys.
const PAGE: isize = 10;

/// The statuses in the order in which they are shown. Without a monitor a charge point may be one that was not started
/// yet: many of those must not hide the few where somebody charges.
const ORDER: [ChargePointStatus; 7] = [
    ChargePointStatus::Faulted,
    ChargePointStatus::Supplying,
    ChargePointStatus::Reserved,
    ChargePointStatus::Disconnected,
    ChargePointStatus::OutOfOrder,
    ChargePointStatus::Available,
    ChargePointStatus::Unspecified,
];

/// What the keys of a panel for these are, for its head.
pub const KEYS: &str = "q: quit  ↑ ↓: scroll  f: filter";

/// Which part of a network is on the screen.
#[derive(Debug, Clone, Default)]
pub struct Browse {
    /// So many rows are above the screen.
    above: usize,
    /// So many had room on it when it was painted: there is no scrolling past a full last page.
    room: Cell<usize>,
    only: Option<ChargePointStatus>,
}

impl Browse {
    /// A key was pressed, with charge points of these statuses there: the arrows, the page keys, Home and End scroll;
    /// `f` shows the next status alone, and after the last one all again.
    pub fn press(&mut self, key: KeyCode, statuses: &[ChargePointStatus]) {
        if key == KeyCode::Char('f') {
            let place = |of: ChargePointStatus| ORDER.into_iter().position(|status| status == of);
            let now = self.only.and_then(place); // nothing is before all
            let next = ORDER.into_iter().find(|status| statuses.contains(status) && place(*status) > now);
            (self.above, self.only) = (0, next);
            return;
        }
        let rows = match key {
            KeyCode::Down | KeyCode::Char('j') => 1,
            KeyCode::Up | KeyCode::Char('k') => -1,
            KeyCode::PageDown => PAGE,
            KeyCode::PageUp => -PAGE,
            KeyCode::Home => isize::MIN,
            KeyCode::End => isize::MAX,
            _ => 0,
        };
        let listed = statuses.iter().filter(|status| self.lists(**status)).count();
        let last = listed.saturating_sub(self.room.get());
        self.above = self.above.min(last).saturating_add_signed(rows).min(last);
    }

    /// What of these has room in so many rows, and how many are left below.
    pub fn shown<T>(
        &self,
        all: impl IntoIterator<Item = T>,
        status: impl Fn(&T) -> ChargePointStatus,
        room: usize,
    ) -> (Vec<T>, usize) {
        let mut rows: Vec<T> = all.into_iter().filter(|one| self.lists(status(one))).collect();
        rows.sort_by_key(|one| ORDER.into_iter().position(|of| of == status(one))); // stable
        self.room.set(room);
        let above = self.above.min(rows.len().saturating_sub(room));
        let below = rows.len().saturating_sub(above + room);
        (rows.into_iter().skip(above).take(room).collect(), below)
    }

    /// How many there are of each status, each in its colour; or that one status is shown alone.
    pub fn title(&self, statuses: &[ChargePointStatus]) -> Line<'static> {
        let number = |of: ChargePointStatus| statuses.iter().filter(|status| **status == of).count();
        let total = |of: ChargePointStatus| {
            Span::styled(format!("{} {}", number(of), status::label(of)), Style::new().fg(status::colour(of)))
        };
        if let Some(only) = self.only {
            let of = format!(" alone, of {} ", count(statuses.len(), "charge point"));
            return Line::from(vec![Span::raw(" "), total(only), Span::raw(of)]);
        }
        if statuses.is_empty() {
            return Line::raw(" no charge points yet ");
        }
        let mut spans = vec![Span::raw(format!(" {}: ", count(statuses.len(), "charge point")))];
        for of in ORDER.into_iter().filter(|of| number(*of) > 0) {
            if spans.len() > 1 {
                spans.push(Span::raw(", "));
            }
            spans.push(total(of));
        }
        spans.push(Span::raw(" "));
        Line::from(spans)
    }

    fn lists(&self, status: ChargePointStatus) -> bool {
        self.only.is_none_or(|only| only == status)
    }
}

/// How many rows are below the screen, for the frame's lower edge.
pub fn below(rows: usize) -> Line<'static> {
    match rows {
        0 => Line::default(),
        more => Line::from(format!(" {more} more ")).right_aligned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ChargePointStatus::{Available, Disconnected, Faulted, Supplying};

    /// 200 charge points: all are free but a few at the end, and many are away.
    fn network() -> Vec<ChargePointStatus> {
        let mut all = vec![Available; 120];
        all.extend([Disconnected; 77]);
        all.extend([Supplying, Faulted, Supplying]);
        all
    }

    fn shown(browse: &Browse, room: usize) -> (Vec<ChargePointStatus>, usize) {
        browse.shown(network(), |status| *status, room)
    }

    #[test]
    fn what_is_broken_or_charges_comes_first_and_the_rest_by_scrolling() {
        let (all, mut browse) = (network(), Browse::default());
        assert_eq!(
            browse.title(&all).to_string(),
            " 200 charge points: 1 faulted, 2 supplying, 77 disconnected, 120 available "
        );
        assert_eq!(shown(&browse, 4), (vec![Faulted, Supplying, Supplying, Disconnected], 196));
        browse.press(KeyCode::Down, &all);
        assert_eq!(shown(&browse, 2), (vec![Supplying, Supplying], 197));
        browse.press(KeyCode::End, &all);
        assert_eq!(shown(&browse, 4), (vec![Available; 4], 0), "the last page is full");
        browse.press(KeyCode::Down, &all);
        browse.press(KeyCode::PageUp, &all);
        assert_eq!(shown(&browse, 4), (vec![Available; 4], 10));
        browse.press(KeyCode::Home, &all);
        assert_eq!(shown(&browse, 1), (vec![Faulted], 199));
    }

    #[test]
    fn one_status_after_the_other_is_shown_alone_and_then_all() {
        let (all, mut browse) = (network(), Browse::default());
        for (status, count) in [(Faulted, 1), (Supplying, 2), (Disconnected, 77), (Available, 120)] {
            browse.press(KeyCode::Down, &all);
            browse.press(KeyCode::Char('f'), &all);
            assert_eq!(shown(&browse, 200), (vec![status; count], 0));
        }
        assert_eq!(browse.title(&all).to_string(), " 120 available alone, of 200 charge points ");
        browse.press(KeyCode::Char('f'), &all);
        assert_eq!(shown(&browse, 200).0.len(), 200);
        assert_eq!(browse.title(&[Faulted]).to_string(), " 1 charge point: 1 faulted ");
        assert_eq!(browse.title(&[]).to_string(), " no charge points yet ");
        browse.press(KeyCode::Char('f'), &[]);
        assert_eq!(shown(&browse, 200).0.len(), 200, "none is there to be alone");
    }
}
