//! Publishes what is marked, as long as the changelog is this store's.

use crate::{
    changelog::{
        AHEAD, Copied, END_KEY, ENDED, End, FORMAT, Found, Reach, STORE, Standing, VERSION, WHOLE_KEY,
        Written, is_end,
    },
    events::Events,
    store::codec,
    writer::Handle,
};
use domain::network::{Event, Level};
use futures_util::future::join_all;
use mesh::{
    Shutdown,
    backoff::Backoff,
    grpc::with_causes,
    kafka::{BrokerState, Error, Log, Producer},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

/// So many rows are published at a time: half a megabyte, and a tenth of the producer's queue.
const ROWS_AT_ONCE: usize = 2000;
/// Between two rounds that are not full: the changes of one charge coalesce, and an idle central writes its store
/// seldom.
const PACE: Duration = Duration::from_millis(50);
/// A changelog that is another store's is looked at again after this: a person has to act in between.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// How long the last rows may take at an ordered stop.
const LAST_ROWS: Duration = Duration::from_secs(1);

pub(crate) struct Publisher {
    pub(crate) handle: Handle,
    pub(crate) producer: Producer,
    pub(crate) log: Log,
    pub(crate) store: String,
    /// Woken when something is marked.
    pub(crate) wake: Arc<Notify>,
    pub(crate) events: Events,
}

/// Where the log is written on.
struct Place {
    /// The offset that comes next, if it is known.
    next: Option<i64>,
    /// The log has ended, and is not whole again.
    ended: bool,
}

/// Why it cannot go on publishing.
enum Halt {
    /// Whose the changelog is must be found out anew: Kafka was away, somebody wrote just before this offset, or it has
    /// ended, or is whole again.
    Look(Option<i64>),
    Ended,
}

/// What became of some rows.
#[derive(Default)]
struct Round {
    /// The versions that are done, up to the first that failed.
    done: Vec<u64>,
    /// The offset before which somebody else wrote.
    disturbed: Option<i64>,
    /// Why the first that failed did.
    failed: Option<Error>,
}

/// Kafka is there, and does not take what it is given, for want of a right perhaps: said once, until it does again.
struct Refusals {
    events: Events,
    refused: bool,
    backoff: Backoff,
}

impl Refusals {
    fn new(events: Events) -> Self {
        Self { events, refused: false, backoff: Backoff::default() }
    }

    fn refused(&mut self, error: &Error) {
        if !std::mem::replace(&mut self.refused, true) {
            let text = format!(
                "Kafka does not take what is for the changelog ({}): it is tried again; meanwhile a rebuilt store \
                 would lack it, and engines keep what they have settled",
                with_causes(error)
            );
            let event = Event { level: Level::Error, name: "changelogs_not_taken", text };
            self.events.happened(mesh::now().wall, event);
        }
    }

    fn taken(&mut self) {
        if std::mem::take(&mut self.refused) {
            tracing::info!("kafka takes what is for the changelog again");
            self.backoff.reset();
        }
    }

    /// Until the next try.
    async fn pause(&mut self) {
        if self.refused {
            self.backoff.wait().await;
        }
    }
}

impl Publisher {
    /// Publishes until the order to stop, and then what is left, if Kafka is there.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        let state = self.producer.state();
        let mut refusals = Refusals::new(self.events.clone());
        let mut disturbed = None;
        loop {
            let until_ours = async {
                refusals.pause().await;
                self.until_ours(disturbed).await
            };
            let place = tokio::select! {
                place = until_ours => place,
                () = shutdown.started() => return,
            };
            let Some(mut place) = place else { return };
            let halt = tokio::select! {
                halt = self.publish(&mut place, state.clone(), &mut refusals) => halt,
                () = shutdown.started() => {
                    let rest = self.rest(&mut place);
                    if *state.borrow() == BrokerState::Reached && timeout(LAST_ROWS, rest).await.is_err() {
                        tracing::info!("the changelog lacks some rows; they are published at the next start");
                    }
                    return;
                }
            };
            match halt {
                Halt::Look(before) => disturbed = before,
                Halt::Ended => return,
            }
        }
    }

    /// Waits until the changelog is this store's to write.
    async fn until_ours(&self, disturbed: Option<i64>) -> Option<Place> {
        let mut backoff = Backoff::default();
        loop {
            match self.look(disturbed).await {
                Ok((None, _)) => return None,
                Ok((Some(Standing::Ours), place)) => return Some(place),
                Ok((Some(Standing::Foreign | Standing::Ahead | Standing::Unknown), _)) => {
                    backoff.reset();
                    sleep(LOOK_AGAIN).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "the changelog could not be looked at; tried again");
                    backoff.wait().await;
                }
            }
        }
    }

    /// Finds out who wrote last, or just before an offset, and lets the writer judge.
    async fn look(&self, disturbed: Option<i64>) -> Result<(Option<Standing>, Place), Error> {
        let unkept = self.log.create().await?;
        let tail = self.log.tail(disturbed).await?;
        // What came after a disturbance is not looked at: what comes next is not known then.
        let next = tail.last.as_ref().map(|message| message.offset + 1).filter(|_| disturbed.is_none());
        let reach = Reach::of(tail.last.as_ref());
        let last = tail.last.as_ref().map(Written::of);
        let found = Found { cluster: tail.cluster, last, disturbed: disturbed.is_some(), reach, unkept };
        Ok((self.handle.changelog(found).await, Place { next, ended: reach.has_ended() }))
    }

    async fn publish(
        &self,
        place: &mut Place,
        mut state: watch::Receiver<BrokerState>,
        refusals: &mut Refusals,
    ) -> Halt {
        let mut published = Vec::new();
        state.mark_unchanged();
        loop {
            let Some(rows) = self.handle.copies(std::mem::take(&mut published), ROWS_AT_ONCE).await else {
                return Halt::Ended;
            };
            if rows.is_empty() {
                self.wake.notified().await;
                continue;
            }
            if state.has_changed().unwrap_or(true) {
                return Halt::Look(None);
            }
            let Round { done, disturbed, failed } = self.round(&rows, place).await;
            match &failed {
                Some(error) => refusals.refused(error),
                None => refusals.taken(),
            }
            if done.len() < rows.len() || disturbed.is_some() {
                // What was delivered is delivered, whoever wrote in between.
                let told = self.handle.copies(done, 0).await;
                return if told.is_some() { Halt::Look(disturbed) } else { Halt::Ended };
            }
            published = done;
            if rows.len() < ROWS_AT_ONCE {
                sleep(PACE).await;
            }
        }
    }

    /// Publishes what is there, at once, until nothing is.
    async fn rest(&self, place: &mut Place) {
        let mut published = Vec::new();
        while let Some(rows) = self.handle.copies(std::mem::take(&mut published), ROWS_AT_ONCE).await
            && !rows.is_empty()
        {
            let Round { done, disturbed, .. } = self.round(&rows, place).await;
            let whole = disturbed.is_none() && done.len() == rows.len();
            published = done;
            if !whole {
                break;
            }
        }
        let _ = self.handle.copies(published, 0).await; // the writer is about to end
    }

    /// Publishes rows, each behind the one before. What ends the log, or says that it is whole, never is done: it is no
    /// row, and how the log goes on is to be looked at.
    async fn round(&self, rows: &[Copied], place: &mut Place) -> Round {
        let format = codec::FORMAT.to_string();
        let mut under_way = Vec::with_capacity(rows.len());
        for row in rows {
            let version = row.version.to_string();
            let all = [(STORE, &*self.store), (VERSION, &*version), (FORMAT, &*format), (ENDED, "true")];
            let ended = row.key == END_KEY || place.ended && row.key != WHOLE_KEY;
            let headers = if ended { &all[..] } else { &all[..3] };
            let sent = self.log.append(&self.producer, &row.key, row.value.as_deref(), headers).await;
            let goes_on = sent.as_ref().err().is_none_or(Error::is_permanent);
            under_way.push(async move { sent?.await });
            if !goes_on {
                break;
            }
        }
        let mut round = Round::default();
        for (row, result) in rows.iter().zip(join_all(under_way).await) {
            let is_row = row.key != END_KEY && row.key != WHOLE_KEY;
            match result {
                Ok(offset) => {
                    if place.next.is_some_and(|next| next != offset) {
                        round.disturbed = round.disturbed.or(Some(offset));
                    }
                    place.next = Some(offset + 1);
                }
                Err(error) if is_row && error.is_permanent() => {
                    // It would hold up every later row for ever.
                    tracing::error!(%error, key = %row.key.escape_ascii(), "kafka will never take this row of the \
                      changelog");
                    metrics::counter!("evmesh_central_changelog_rows_dropped_total").increment(1);
                }
                Err(error) => {
                    tracing::debug!(%error, "a row for the changelog was not delivered; tried again");
                    round.failed = Some(error);
                    break;
                }
            }
            if is_row {
                round.done.push(row.version);
            }
        }
        metrics::counter!("evmesh_central_changelog_rows_total").increment(round.done.len() as u64);
        round
    }
}

/// Ends the changelog of a store that goes on without one, so that nobody rebuilds a store from it; tries until Kafka
/// has taken the end. Another store's is left as it is, and so is one that has ended, or that knows more.
pub(crate) async fn end(log: Log, producer: Producer, (end, mut events): (End, Events), stop: Shutdown) {
    let (mut backoff, mut refusals) = (Backoff::default(), Refusals::new(events.clone()));
    loop {
        let tried = tokio::select! {
            tried = put_end(&log, &producer, &end, &mut events) => tried,
            () = stop.started() => return,
        };
        match tried {
            Ok(()) => return refusals.taken(),
            Err(error @ Error::Delivery(_)) => refusals.refused(&error),
            Err(error) => tracing::debug!(%error, "the changelog could not be ended; tried again"),
        }
        backoff.wait().await;
    }
}

async fn put_end(log: &Log, producer: &Producer, end: &End, events: &mut Events) -> Result<(), Error> {
    let Some(last) = log.tail(None).await?.last else { return Ok(()) };
    let Written { store, version, .. } = Written::of(&last);
    if is_end(&last) || store.is_empty() || !end.stores.contains(&store) {
        return Ok(());
    }
    if version > end.version {
        let event = Event { level: Level::Error, name: "changelogs_ahead", text: AHEAD.into() };
        events.happened(mesh::now().wall, event);
        return Ok(());
    }
    let (version, format) = (end.version.to_string(), codec::FORMAT.to_string());
    let headers = [(STORE, &*end.stores[0]), (VERSION, &*version), (FORMAT, &*format), (ENDED, "true")];
    log.append(producer, END_KEY, Some(END_KEY), &headers).await?.await?;
    tracing::warn!(
        "the changelog is not kept, so the one on Kafka has ended: no store can be rebuilt from it"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        changelog,
        writer::{Lag, Outlets, Running, Writer, queues, spawn},
    };
    use domain::network::Config;
    use mesh::{kafka::KafkaOptions, observability::LogRing, store::MemoryStore};
    use std::sync::mpsc::sync_channel;
    use tokio::time::Instant;

    /// How long anything may take that is not measured.
    const PATIENCE: Duration = Duration::from_secs(30);
    /// So many writes are refused: four seconds of pauses, as a rule.
    const REFUSED: usize = 8;

    struct Bench {
        publisher: Publisher,
        lag: watch::Receiver<Lag>,
        ring: LogRing,
        _writer: Running,
    }

    /// Of a new store, which has the key of its start to publish.
    fn publisher(kafka: &KafkaOptions) -> Bench {
        let config = Config { confirm_copied: true, ..Config::default() };
        let writer = Writer::open(MemoryStore::new(), config, mesh::now()).unwrap();
        let store = writer.rules.store_id().to_owned();
        let ((events, ring), (handle, inboxes)) = (Events::new(), queues());
        let (producer, wake) = (Producer::new(kafka, "test").unwrap(), Arc::new(Notify::new()));
        let (told, lag) = watch::channel(Lag::default());
        let outlets = Outlets {
            events: events.clone(),
            producer: producer.clone(),
            notifications: Arc::default(),
            dead_letters: Arc::default(),
            changelog: wake.clone(),
            lag: told,
            refused: Default::default(),
        };
        let _writer = spawn(writer, outlets, |_, _| {}, (&handle, inboxes)).unwrap();
        let log = changelog::log(kafka);
        Bench { publisher: Publisher { handle, producer, log, store, wake, events }, lag, ring, _writer }
    }

    /// On a clock that passes only while everybody waits for it: how long it paused, and what it said.
    fn until_it_is_published(kafka: &KafkaOptions) -> (Duration, Vec<String>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().start_paused(true).build().unwrap().block_on(async {
            let Bench { publisher, mut lag, ring, _writer } = publisher(kafka);
            let (stop, began) = (Shutdown::new(), Instant::now());
            let publishing = tokio::spawn(publisher.run(stop.clone()));
            lag.wait_for(|lag| lag.standing == Standing::Ours && lag.rows == 0).await.unwrap();
            let paused = began.elapsed();
            stop.start();
            publishing.await.unwrap();
            (paused, ring.worst_first(9).into_iter().map(|(_, text)| text).collect())
        })
    }

    #[test]
    fn what_kafka_refuses_is_tried_again_after_a_pause_and_said_once() {
        let broker = testing::embedded_broker();
        broker.embedded().unwrap().refuse_writes(REFUSED).unwrap();
        let (done, waited) = sync_channel(1);
        let kafka = broker.options();
        std::thread::spawn(move || done.send(until_it_is_published(&kafka)));
        let (paused, said) = waited.recv_timeout(PATIENCE).expect("it is published once it is taken");
        assert!(paused > Duration::from_millis(300), "{paused:?}");
        let [said] = &said[..] else { panic!("{said:?}") };
        assert!(said.contains("does not take") && said.contains("authorization"), "{said}");
    }

    #[tokio::test]
    async fn a_row_that_the_client_itself_finds_too_large_holds_up_no_later_one() {
        let broker = testing::embedded_broker();
        let mut kafka = broker.options();
        kafka.kafka_properties.push("message.max.bytes=1000".parse().unwrap());
        let Bench { publisher, .. } = publisher(&kafka);
        let row = |version, bytes| Copied { version, key: b"b".to_vec(), value: Some(vec![0; bytes]) };
        let mut place = Place { next: None, ended: false };
        let rows = [row(1, 2000), row(2, 10)];
        let round = timeout(PATIENCE, publisher.round(&rows, &mut place)).await.unwrap();
        assert!(round.failed.is_none() && round.done == [1, 2], "{:?}", round.failed);
    }
}
