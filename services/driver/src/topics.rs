//! The two topics that a driver reads, from *latest*, in a group of its own: in one shared group, drivers would eat
//! each other's messages. Its name, which brokers are told, says nobody's.

use crate::{Error, Options, decode, heard::Heard};
use domain::{
    requests::{Broadcasts, FreePoint, Input, Part},
    text::printable,
};
use evmesh_proto::{
    network::ChargePointStatus,
    topics::{DRIVER_NOTIFICATIONS, NETWORK_STATUS, NetworkStatus, Notification},
};
use mesh::kafka::{Origin, Reader, ReaderEvent};
use tokio::sync::mpsc;

/// Both readers; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct Topics {
    /// `None`: what this driver is told is not for others to read on the way; it comes by `WatchSession` alone.
    _notifications: Option<Reader>,
    _status: Reader,
}

impl Topics {
    /// Starts to read. It needs no broker; what is heard goes to `heard`.
    pub(crate) fn read(options: &Options, heard: mpsc::Sender<Heard>) -> Result<Self, Error> {
        let group = format!("evmesh-driver-{}", uuid::Uuid::new_v4());
        let driver = options.driver.to_string();
        let told = sink(heard.clone(), move |payload| notification(payload, &driver).map(Heard::Input));
        let mut broadcasts = Broadcasts::default();
        let status = sink(heard, move |payload| free(payload, &mut broadcasts).map(Heard::Broadcast));
        let kafka = &options.kafka;
        let told = kafka
            .may_have(DRIVER_NOTIFICATIONS)
            .then(|| Reader::spawn(kafka, DRIVER_NOTIFICATIONS, &group, Origin::Latest, told));
        Ok(Self {
            _notifications: told.transpose()?,
            _status: Reader::spawn(kafka, NETWORK_STATUS, &group, Origin::Latest, status)?,
        })
    }
}

/// Takes what a reader tells, until the app ends.
fn sink(
    heard: mpsc::Sender<Heard>,
    mut take: impl FnMut(&[u8]) -> Option<Heard>,
) -> impl FnMut(ReaderEvent) -> bool {
    move |event| match event {
        ReaderEvent::Message(message) => {
            take(&message.payload).is_none_or(|what| heard.blocking_send(what).is_ok())
        }
        ReaderEvent::ReadToEnd { .. }
        | ReaderEvent::Away
        | ReaderEvent::Pause
        | ReaderEvent::NewCluster { .. }
        | ReaderEvent::Gap { .. } => !heard.is_closed(),
    }
}

/// A notification of this driver; what cannot be read is counted and stops nothing (INV-7).
pub fn notification(payload: &[u8], driver: &str) -> Option<Input> {
    let Ok(message) = serde_json::from_slice::<Notification>(payload) else {
        return unreadable(DRIVER_NOTIFICATIONS);
    };
    if message.user_id != driver {
        return None;
    }
    match decode::notification(message) {
        Some(notification) => Some(Input::Told(notification)),
        None => unreadable(DRIVER_NOTIFICATIONS),
    }
}

/// The charge points free now, once a broadcast is whole.
pub fn free(
    payload: &[u8],
    broadcasts: &mut Broadcasts<(FreePoint, ChargePointStatus)>,
) -> Option<Vec<FreePoint>> {
    let Ok(message) = serde_json::from_slice::<NetworkStatus>(payload) else {
        return unreadable(NETWORK_STATUS);
    };
    let part = match (message.broadcast_id, message.part, message.parts) {
        (Some(broadcast), Some(part), Some(parts)) => Some(Part { broadcast, part, parts }),
        (None, None, None) => None,
        (Some(_) | None, Some(_) | None, Some(_) | None) => return unreadable(NETWORK_STATUS),
    };
    let points = message.cps.into_iter().map(|entry| {
        let point = FreePoint { id: printable(&entry.id), location: printable(&entry.location), price: None };
        (point, entry.status)
    });
    let whole = broadcasts.accept(part, points.collect())?;
    let free = whole.into_iter().filter(|(_, status)| *status == ChargePointStatus::Available);
    Some(free.map(|(point, _)| point).collect())
}

fn unreadable<T>(topic: &'static str) -> Option<T> {
    metrics::counter!("evmesh_driver_unreadable_messages_total", "topic" => topic).increment(1);
    tracing::debug!(topic, "message dropped: it cannot be read");
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_and_what_is_anothers_is_passed_over() {
        for payload in [
            &b"\xff"[..],
            b"{}",
            br#"{"type":"CONSUMO_UPDATE","cp_id":"A","user_id":"eva","timestamp":1,"kwh":1}"#,
            br#"{"type":"CONSUMO_UPDATE","cp_id":"A","user_id":"ana","timestamp":1}"#,
            br#"{"type":"CONSUMO_UPDATE","cp_id":"A","user_id":"ana","timestamp":1,"kwh":-1}"#,
            br#"{"type":"TICKET","cp_id":"A","user_id":"ana","timestamp":1,"session_id":"a b"}"#,
            br#"{"type":"TICKET","cp_id":"A","user_id":"ana","session_id":"s","seq":9007199254740993}"#,
        ] {
            assert_eq!(notification(payload, "ana"), None);
        }
        let good = br#"{"type":"TICKET","cp_id":"A","user_id":"ana","more":[]}"#;
        assert!(notification(good, "ana").is_some());
    }

    #[test]
    fn a_broadcast_of_several_parts_is_shown_whole() {
        let mut broadcasts = Broadcasts::default();
        let part = |n: u32, id: &str, status: &str| {
            format!(
                r#"{{"type":"NETWORK_STATUS_UPDATE","cps":[{{"id":"{id}","status":"{status}","location":"x"}}],
                "broadcast_id":"b","part":{n},"parts":2}}"#
            )
        };
        assert_eq!(free(part(1, "A", "ACTIVADO").as_bytes(), &mut broadcasts), None);
        let whole = free(part(2, "B", "RESERVADO").as_bytes(), &mut broadcasts).unwrap();
        assert_eq!(whole.iter().map(|point| point.id.as_str()).collect::<Vec<_>>(), ["A"]);
        let alone = br#"{"type":"NETWORK_STATUS_UPDATE","cps":[]}"#;
        assert_eq!(free(alone, &mut broadcasts), Some(vec![]));
        let half = br#"{"type":"NETWORK_STATUS_UPDATE","cps":[],"part":1}"#;
        assert_eq!(free(half, &mut broadcasts), None);
    }
}
