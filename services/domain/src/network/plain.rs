//! The plain reading: what nearly every message on `cp_telemetry` is, on a short way of its own.
//!
//! It is of a supply that runs, in the name of whom it is believed of, newer than what its engine has answered, and
//! plausible: it moves what is shown, and nothing else. Whatever is not that goes the long way, through
//! [`telemetry`](super::telemetry), which comes to the same with a plain one.

use super::{
    Network,
    effect::Effect,
    gauges::Gauges,
    session::{Source, life::State, told::Shown},
    telemetry::hold,
};
use crate::{Energy, Now};

/// A `CONSUMO` with its session, as it stood in Kafka, its ids not checked yet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading<'a> {
    pub charge_point: &'a str,
    /// Whose, if it says so.
    pub driver: Option<&'a str>,
    pub session: &'a str,
    /// The number of the message in its session.
    pub seq: u64,
    /// Energy so far.
    pub energy: Energy,
    pub gauges: Gauges,
    /// [`Message::sealed`](super::Message::sealed).
    pub sealed: Option<u64>,
    pub source: Source,
}

impl Network {
    /// Takes a reading in if it is plain. False: nothing was done, and it is to be
    /// [applied](Network::apply) as any message is.
    pub fn hears(&mut self, now: Now, reading: &Reading<'_>, effects: &mut Vec<Effect>) -> bool {
        self.remembered.sees(now);
        let Some((session, point)) = self.registry.session_and_point(reading.session) else { return false };
        let whose = session.charge_point.as_str() == reading.charge_point
            && reading.driver.is_none_or(|driver| driver == session.driver.as_str());
        let believed = !point.is_cut()
            && point.telemetry_refused.is_empty()
            && point.refuses_as_unsealed(reading.sealed).is_none();
        let runs = session.state() == State::Supplying && reading.seq > session.seq();
        if !(whose && believed && runs) {
            return false;
        }
        let rated = point.rated(&self.config);
        let by_date = self.remembered.since(session.created, now.wall);
        let age = session.live.age.now(now.mono, by_date);
        let most = session.most(rated, self.config.session_energy_max, age);
        let energy = reading.energy;
        if energy > most || session.would_show(energy, rated, now) != Shown::Yes {
            return false;
        }
        session.keep_told(energy, most, now);
        session.show(energy, reading.gauges, rated, now);
        effects.extend(session.echo(now, None));
        hold(session, reading.source, &mut self.held);
        self.read_past(reading.source);
        true
    }
}
