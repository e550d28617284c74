//! Which messages of `driver_notifications` are news: another driver's, repeated and late ones are dropped.

use crate::{DriverId, Energy, Power, SessionId};
use std::collections::VecDeque;

/// How many events are remembered by their ids: copies come close together.
const MAX_EVENTS: usize = 1024;

/// How many sessions' last numbers are remembered: a driver has one open, and a few that wait for their tickets.
const MAX_SESSIONS: usize = 64;

/// A message on `driver_notifications`.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// Whose it is, as written.
    pub driver: String,
    /// Where, as written.
    pub charge_point: String,
    /// The session; none in a message with the old system's fields only.
    pub session: Option<SessionId>,
    /// Rises with each message of the session.
    pub seq: Option<u64>,
    /// The same for each copy.
    pub event_id: Option<String>,
    pub news: News,
}

/// What a notification says, as far as the app uses it.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// `AUTH_OK`.
    Authorized,
    /// `AUTH_DENIED`.
    Denied,
    /// `CONSUMO_UPDATE`, with the power if that is told.
    Consumption { energy: Energy, power: Option<Power> },
    /// `SUPPLY_ERROR`.
    SupplyError { reason: String, energy: Energy },
    /// `TICKET`.
    Ticket,
}

/// Remembers what was taken, within bounds.
#[derive(Debug)]
pub struct Inbox {
    driver: DriverId,
    events: VecDeque<String>,
    sessions: VecDeque<(SessionId, u64)>,
}

impl Inbox {
    /// Of this driver, with nothing taken yet.
    pub fn new(driver: DriverId) -> Self {
        Self { driver, events: VecDeque::new(), sessions: VecDeque::new() }
    }

    /// Takes a message if it is news: then gives its session, if it names one.
    pub fn accept<'a>(&mut self, notification: &'a Notification) -> Option<Option<&'a SessionId>> {
        if notification.driver != self.driver.as_str() {
            return None;
        }
        if let Some(event_id) = &notification.event_id {
            if self.events.contains(event_id) {
                return None;
            }
            push(&mut self.events, event_id.clone(), MAX_EVENTS);
        }
        if let (Some(session), Some(seq)) = (&notification.session, notification.seq) {
            match self.sessions.iter_mut().find(|(id, _)| id == session) {
                Some((_, last)) if seq <= *last => return None,
                Some((_, last)) => *last = seq,
                None => push(&mut self.sessions, (session.clone(), seq), MAX_SESSIONS),
            }
        }
        Some(notification.session.as_ref())
    }
}

fn push<T>(ring: &mut VecDeque<T>, item: T, max: usize) {
    if ring.len() == max {
        ring.pop_front();
    }
    ring.push_back(item);
}
