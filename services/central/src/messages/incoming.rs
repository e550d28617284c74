//! A message as it came, and the dead letter that is made of it where nobody can use it.

use super::decode::{MAX_BYTES, Read, decode_as, reading};
use crate::signing::Keys;
use domain::network::{Gauges, Message, Reading, Source};
use domain::{ChargePointId, Energy, Trace, text::cut_reason};
use evmesh_proto::{store::StoredMessage, topics};
use identity::{KeyName, is_sealed};
use mesh::trace::TRACEPARENT;
use std::{ops::Range, sync::Arc};

/// A message as it came, and what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    pub(crate) source: Source,
    key: Vec<u8>,
    payload: Vec<u8>,
    sealed: Option<Sealed>,
    says: Says,
    trace: Option<Trace>,
}

/// What was sealed, with whose key.
#[derive(Debug, Clone, PartialEq)]
struct Sealed {
    plain: Vec<u8>,
    key: Arc<KeyName>,
}

#[derive(Debug, Clone, PartialEq)]
enum Says {
    /// A reading of a session; its texts are in the bytes.
    Reading {
        session: Range<usize>,
        driver: Option<Range<usize>>,
        seq: u64,
        energy: Energy,
        gauges: Gauges,
    },
    Else(Box<Result<Message, String>>),
}

impl Incoming {
    /// As Kafka gave it, decoded.
    pub fn new(source: Source, key: Vec<u8>, payload: Vec<u8>, trace: Option<Trace>) -> Self {
        let says = says(&key, &payload, None);
        Self { source, key, payload, sealed: None, says, trace }
    }

    /// The same of one that may be sealed, opened into `plain`, whose room is used again. What is kept of it, for the
    /// dead letters, stays sealed.
    pub(crate) fn opened(
        (keys, plain): (&Keys, &mut Vec<u8>),
        source: Source,
        (key, payload): (Vec<u8>, Vec<u8>),
        trace: Option<Trace>,
    ) -> Self {
        if !is_sealed(&payload) || payload.len() > MAX_BYTES {
            return Self::new(source, key, payload, trace);
        }
        match keys.open(&payload, plain) {
            Ok(name) => {
                let says = says(&key, plain, Some(&name));
                let sealed = Some(Sealed { plain: plain.clone(), key: name });
                Self { source, key, payload, sealed, says, trace }
            }
            Err(reason) => {
                let says = Says::Else(Box::new(Err(reason.to_owned())));
                Self { source, key, payload, sealed: None, says, trace }
            }
        }
    }

    /// Its bytes, whatever they say.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The same, or what that was sealed.
    fn plain(&self) -> &[u8] {
        self.sealed.as_ref().map_or(&self.payload, |sealed| &sealed.plain)
    }

    /// Whose it would be, by its key, if it is sealed.
    pub(crate) fn sealed_in_the_name_of(&self) -> Option<ChargePointId> {
        is_sealed(&self.payload).then(|| str::from_utf8(&self.key).ok()?.parse().ok())?
    }

    /// As a reading of a session, if it is one.
    pub(crate) fn reading(&self) -> Option<Reading<'_>> {
        let Says::Reading { session, driver, seq, energy, gauges } = &self.says else { return None };
        let text = |place: &Range<usize>| str::from_utf8(&self.plain()[place.clone()]).ok();
        Some(Reading {
            charge_point: str::from_utf8(&self.key).ok()?,
            driver: driver.as_ref().and_then(text),
            session: text(session)?,
            seq: *seq,
            energy: *energy,
            gauges: *gauges,
            sealed: self.sealed.as_ref().map(|sealed| sealed.key.epoch),
            source: self.source,
        })
    }

    /// What it says, or what is wrong with it.
    pub(crate) fn message(&self) -> Result<Message, String> {
        match &self.says {
            Says::Else(message) => (**message).clone(),
            Says::Reading { .. } => {
                decode_as(&self.key, self.plain(), self.sealed.as_ref().map(|it| &*it.key))
            }
        }
    }

    /// The message for the dead letters, with the reason beside it.
    pub(crate) fn dead_letter(&self, reason: &str) -> StoredMessage {
        let (key, payload) = (&self.key, &self.payload);
        let kept = payload.len().min(MAX_BYTES);
        let mut headers = std::collections::HashMap::from([
            ("reason".to_owned(), cut_reason(reason)),
            ("partition".to_owned(), self.source.partition.to_string()),
            ("offset".to_owned(), self.source.offset.to_string()),
        ]);
        if let Some(trace) = self.trace {
            headers.insert(TRACEPARENT.to_owned(), trace.to_string());
        }
        if kept < payload.len() {
            headers.insert("cut_from_bytes".to_owned(), payload.len().to_string());
        }
        StoredMessage {
            topic: topics::CP_TELEMETRY_DLQ.to_owned(),
            key: String::from_utf8_lossy(&key[..key.len().min(MAX_BYTES)]).into_owned(),
            payload: payload[..kept].to_vec(),
            headers,
        }
    }
}

fn says(key: &[u8], payload: &[u8], sealed: Option<&KeyName>) -> Says {
    let Some(Read { session, driver, seq, energy, gauges }) = reading(key, payload, sealed) else {
        return Says::Else(Box::new(decode_as(key, payload, sealed)));
    };
    let place = |text: &str| {
        let start = text.as_ptr() as usize - payload.as_ptr() as usize;
        start..start + text.len()
    };
    Says::Reading { session: place(session), driver: driver.map(place), seq, energy, gauges }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_keeps_the_message_and_the_reason() {
        let source = Source { partition: 1, offset: 42 };
        let trace = Trace::of("s1");
        let letter = Incoming::new(source, b"MAD-01".to_vec(), vec![b'x'; MAX_BYTES + 5], Some(trace));
        let letter = letter.dead_letter("too\nlong");
        assert_eq!(letter.headers[TRACEPARENT], trace.to_string());
        assert_eq!((letter.key.as_str(), letter.payload.len()), ("MAD-01", MAX_BYTES));
        assert_eq!(letter.headers["reason"], "too long");
        assert_eq!(
            (letter.headers["offset"].as_str(), letter.headers["cut_from_bytes"].as_str()),
            ("42", "16389")
        );
    }
}
