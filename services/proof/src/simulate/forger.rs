//! A stranger who can write to the topic: any type, any session, any energy, any number, under any key. And who can
//! register at central what is made up, or mistyped.
//!
//! What the stranger wrote is known by its `event_id`: central reads none of those.

use super::{
    central::Caller,
    monitor::register,
    world::{World, address_of, say},
};
use domain::network::Registration;
use domain::{Energy, Location, SessionId};

/// How the stranger's messages begin their `event_id`.
pub(super) const MARK: &str = "forged-";

impl World {
    /// Somebody registers what is made up, or mistyped: a charge point that is none, beside another's engine or
    /// nobody's; or this charge point beside another's engine or nobody's.
    pub(super) fn stranger_registers(&mut self, p: usize) {
        let (other, fresh) = (self.random.index(self.points.len()), self.fresh());
        let nobody = other == p || self.random.one_in(3);
        let engine_address = if nobody { "nowhere:1".into() } else { address_of(other) };
        let invented = format!("store-of-nobody-{fresh}").parse().expect("an id");
        let instance = if nobody { invented } else { self.points[other].instance.clone() };
        let made_up = self.random.one_in(2);
        let charge_point = if made_up {
            format!("MADE-UP-{fresh}").parse().expect("an id")
        } else {
            self.points[p].id.clone()
        };
        let registration = Registration {
            charge_point,
            location: Location::default(),
            price: "0.01 EUR".parse().expect("a price"),
            engine_address,
            instance,
            monitor: format!("stranger-{fresh}").parse().expect("an id"),
            newest_epoch: 0,
        };
        self.central_asked(Caller::Stranger, |token, _| register(token, registration));
    }

    /// Some messages, as a flood or one at a time.
    pub(super) fn forges(&mut self, p: usize) {
        for _ in 0..self.random.pick(&[1, 1, 1, 30]) {
            self.forges_one(p);
        }
    }

    fn forges_one(&mut self, p: usize) {
        let kind = self.random.pick(&[
            "SESSION_STARTED",
            "CONSUMO",
            "SUPPLY_END",
            "SUPPLY_END",
            "AVERIADO",
            "CONEXION_PERDIDA",
            "FAULT",
        ]);
        let sessions: Vec<SessionId> = self.truth.sessions.keys().cloned().collect();
        let made_up = sessions.is_empty() || self.random.one_in(8);
        let session = if made_up { "made-up".parse().ok() } else { Some(self.random.pick(&sessions)) };
        let Some(session) = session else { return };
        let known = self.truth.sessions.get(&session);
        let (mut point, mut driver) = match known {
            Some(known) => (known.charge_point.to_string(), known.driver.to_string()),
            None => (self.points[p].id.to_string(), "nobody".to_owned()),
        };
        if self.random.one_in(10) {
            point = self.points[p].id.to_string();
        }
        if self.random.one_in(10) {
            driver = "nobody".to_owned();
        }
        let wh = self.random.pick(&[0, 1, 700, 20_000, 300_000, 9_999_000]);
        let seq = self.random.pick(&[1_u64, 2, 30, 4_000, (1 << 53) - 1]);
        let key = match self.random.below(8) {
            0 => String::new(),
            1 => self.points[p].id.to_string(),
            2 => "nobody".to_owned(),
            _ => point.clone(),
        };
        let (n, energy) = (self.fresh(), Energy::from_wh(wh));
        let payload = serde_json::json!({
            "type": kind, "cp_id": point, "user_id": driver, "kwh": energy.kwh(), "importe": 9.9, "kw": 50.0,
            "reason": "stopped", "session_id": session.as_str(), "seq": seq, "event_id": format!("{MARK}{n}"),
        });
        self.tally.count("messages forged");
        say!(self, "a stranger writes under {key:?}: {payload}");
        let highest = self.truth.forged.entry(session).or_default();
        *highest = energy.max(*highest);
        self.arrives_at_broker(key.into_bytes(), payload.to_string().into_bytes());
    }
}
