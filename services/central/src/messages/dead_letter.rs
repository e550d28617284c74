//! A message as it came, and the dead letter that is made of it where nobody can use it.

use super::decode::{MAX_BYTES, decode, open_and_decode};
use crate::signing::Keys;
use domain::network::{Message, Source};
use domain::{ChargePointId, Trace, text::cut_reason};
use evmesh_proto::{store::StoredMessage, topics};
use identity::is_sealed;
use mesh::trace::TRACEPARENT;

/// A message as it came, and what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    pub(crate) source: Source,
    key: Vec<u8>,
    payload: Vec<u8>,
    message: Option<Result<Message, String>>,
    trace: Option<Trace>,
}

impl Incoming {
    /// As Kafka gave it, decoded.
    pub fn new(source: Source, key: Vec<u8>, payload: Vec<u8>, trace: Option<Trace>) -> Self {
        let message = Some(decode(&key, &payload));
        Self { source, key, payload, message, trace }
    }

    /// The same of one that may be sealed, opened into `plain`. What is kept of it, for the dead letters, stays sealed.
    pub(crate) fn opened(
        (keys, plain): (&Keys, &mut Vec<u8>),
        source: Source,
        (key, payload): (Vec<u8>, Vec<u8>),
        trace: Option<Trace>,
    ) -> Self {
        let message = Some(open_and_decode(keys, &key, &payload, plain));
        Self { source, key, payload, message, trace }
    }

    /// Its bytes, whatever they say.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Whose it would be, by its key, if it is sealed.
    pub(crate) fn sealed_in_the_name_of(&self) -> Option<ChargePointId> {
        is_sealed(&self.payload).then(|| str::from_utf8(&self.key).ok()?.parse().ok())?
    }

    /// What it says, or what is wrong with it. Once.
    pub(crate) fn take_message(&mut self) -> Result<Message, String> {
        self.message.take().unwrap_or_else(|| decode(&self.key, &self.payload))
    }

    /// The message for the dead letters, with the reason beside it.
    pub(crate) fn dead_letter(&self, reason: &str) -> StoredMessage {
        let kept = self.payload.len().min(MAX_BYTES);
        let mut headers = std::collections::HashMap::from([
            ("reason".to_owned(), cut_reason(reason)),
            ("partition".to_owned(), self.source.partition.to_string()),
            ("offset".to_owned(), self.source.offset.to_string()),
        ]);
        if let Some(trace) = self.trace {
            headers.insert(TRACEPARENT.to_owned(), trace.to_string());
        }
        if kept < self.payload.len() {
            headers.insert("cut_from_bytes".to_owned(), self.payload.len().to_string());
        }
        StoredMessage {
            topic: topics::CP_TELEMETRY_DLQ.to_owned(),
            key: String::from_utf8_lossy(&self.key[..self.key.len().min(MAX_BYTES)]).into_owned(),
            payload: self.payload[..kept].to_vec(),
            headers,
        }
    }
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
