//! Marks among the readings: every moment a message in each partition that central can make nothing of, and that it
//! puts into the dead letters once it has read as far. So is seen from outside how far it is, and what it reads again.

use crate::{
    error::Error,
    listener::{From, Listener},
    readings::{Taken, producer, queued},
};
use evmesh_proto::topics::{CP_TELEMETRY, CP_TELEMETRY_DLQ};
use mesh::kafka::KafkaOptions;
use rdkafka::{Message as _, producer::BaseRecord};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{task::JoinHandle, time::Instant};

/// So often there is one.
pub(crate) const EVERY: Duration = Duration::from_millis(250);
/// Who has read a mark so soon is at the end of the readings.
const SOON: Duration = Duration::from_secs(1);

/// Marks that are written until this ends.
#[derive(Debug)]
pub(crate) struct Marks {
    began: Instant,
    partitions: i32,
    heard: Arc<Mutex<Vec<Heard>>>,
    writes: JoinHandle<Result<(), Error>>,
    _listener: Listener,
}

/// A mark that central has read; times count from the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Heard {
    partition: i32,
    written: Duration,
    read: Duration,
}

impl Marks {
    pub(crate) fn begin(kafka: &KafkaOptions) -> Result<Self, Error> {
        let (began, heard) = (Instant::now(), Arc::<Mutex<Vec<Heard>>>::default());
        let listened = heard.clone();
        let listener = Listener::begin(kafka, CP_TELEMETRY_DLQ, &From::new(), move |message| {
            let mark = message.payload().and_then(parsed);
            let heard = mark.map(|(partition, written)| Heard { partition, written, read: began.elapsed() });
            listened.lock().unwrap_or_else(PoisonError::into_inner).extend(heard);
            true
        })?;
        let (producer, partitions) = (producer(kafka, &Taken::default(), &[])?, kafka.kafka_partitions);
        let topic = kafka.topic(CP_TELEMETRY);
        let writes = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            loop {
                ticks.tick().await;
                for partition in 0..partitions {
                    let mark = text(partition, began.elapsed());
                    // A full queue has no room for a mark: the next one says as much.
                    queued(&producer, BaseRecord::<(), _>::to(&topic).partition(partition).payload(&mark))?;
                }
            }
        });
        Ok(Self { began, partitions, heard, writes, _listener: listener })
    }

    /// How much of what was written before this kill was read again (time; [`EVERY`] is the least that is seen).
    pub(crate) fn read_again(&self, killed: Instant) -> Duration {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        read_again(&heard, killed - self.began)
    }

    /// When central was at the end of the readings first, after this kill; `None`: it is not.
    pub(crate) fn at_end(&self, killed: Instant) -> Option<Instant> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        Some(self.began + at_end(&heard, self.partitions, killed - self.began)?)
    }
}

impl Drop for Marks {
    fn drop(&mut self) {
        self.writes.abort();
    }
}

const NAME: &str = "mark of the bench";

fn text(partition: i32, written: Duration) -> Vec<u8> {
    format!("{NAME} {partition} {}", written.as_millis()).into_bytes()
}

fn parsed(text: &[u8]) -> Option<(i32, Duration)> {
    let (partition, written) = std::str::from_utf8(text).ok()?.strip_prefix(NAME)?.trim().split_once(' ')?;
    Some((partition.parse().ok()?, Duration::from_millis(written.parse().ok()?)))
}

fn read_again(heard: &[Heard], killed: Duration) -> Duration {
    let again = heard.iter().filter(|mark| mark.read > killed && mark.written < killed);
    again.map(|mark| killed - mark.written).max().unwrap_or_default().max(EVERY)
}

fn at_end(heard: &[Heard], partitions: i32, killed: Duration) -> Option<Duration> {
    let ends = (0..partitions).map(|partition| {
        let own = heard.iter().filter(|mark| mark.partition == partition && mark.written > killed);
        own.filter(|mark| mark.read - mark.written < SOON).map(|mark| mark.read).min()
    });
    ends.collect::<Option<Vec<_>>>()?.into_iter().max()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn heard(partition: i32, written: u64, read: u64) -> Heard {
        Heard { partition, written: Duration::from_millis(written), read: Duration::from_millis(read) }
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let written = Duration::from_millis(1_250);
        assert_eq!(parsed(&text(3, written)), Some((3, written)));
        assert_eq!([parsed(b"{}"), parsed(b"mark of the bench 3")], [None, None]);
    }

    #[test]
    fn what_was_written_before_the_kill_and_heard_after_it_was_read_again() {
        let killed = Duration::from_secs(10);
        let marks = [
            heard(0, 5_000, 5_010),
            heard(0, 9_000, 9_010),
            heard(0, 9_000, 12_000),
            heard(1, 7_000, 12_500),
        ];
        assert_eq!(read_again(&marks, killed), Duration::from_secs(3));
        assert_eq!(read_again(&marks[..2], killed), EVERY);
    }

    #[test]
    fn the_end_is_reached_when_a_mark_of_each_partition_is_read_soon_after_it_was_written() {
        let killed = Duration::from_secs(10);
        let mut marks = vec![heard(0, 9_000, 9_010), heard(0, 10_500, 13_000), heard(0, 13_100, 13_500)];
        assert_eq!(at_end(&marks, 2, killed), None);
        marks.extend([heard(1, 9_500, 9_600), heard(1, 14_000, 14_200), heard(1, 15_000, 15_100)]);
        assert_eq!(at_end(&marks, 2, killed), Some(Duration::from_millis(14_200)));
    }
}
