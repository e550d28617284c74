//! The running bridge: one loop that takes requests from the topic, has them concluded, and keeps how far it is.

use crate::{
    Error, Options,
    desk::{Desk, Outcome},
    keeper::Keeper,
    lanes::{EACH, Lanes, Turn},
    offsets::{Offsets, Position},
    progress::{Place, Progress},
    request::{self, Asked, Denial},
};
use domain::DriverId;
use evmesh_proto::topics::DRIVER_REQUESTS;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use mesh::{
    Shutdown,
    grpc::{CALL_TIMEOUT, Expected, Peers, Role},
    kafka::{KafkaOptions, Origin, Producer, Reader, ReaderEvent, ensure_topics},
};
use std::{collections::BTreeMap, future::Future, pin::Pin, time::Duration};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

/// Requests under way, those that wait for an earlier one of their driver included. What is beyond waits in Kafka.
const UNDER_WAY: usize = 64;
/// What was read and not taken; more holds the reader back.
const READ_AHEAD: usize = 64;
/// How often the position is kept, and what happened is said.
const TICK: Duration = Duration::from_secs(1);
/// The name that Kafka's tools show, and the group under which they show how far the bridge is.
const CLIENT_ID: &str = "evmesh-bridge";

/// A bridge that knows where it goes on.
#[derive(Debug)]
pub struct Service {
    options: Options,
    peers: Peers,
    offsets: Offsets,
    kept: Option<Position>,
    producer: Producer,
}

impl Service {
    /// Reads how far the topic was read, and builds the producer. Neither central nor Kafka is needed.
    pub fn open(mut options: Options) -> Result<Self, Error> {
        let security = options.security.open("bridge/NAME", |role| matches!(role, Role::Bridge(_)))?;
        options.kafka.protect(options.security.identity.as_deref())?;
        if options.kafka.is_discreet() {
            return Err(Error::InClear);
        }
        let (offsets, kept) = Offsets::open(&options.data)?;
        let producer = Producer::new(&options.kafka, CLIENT_ID)?;
        Ok(Self { options, peers: Peers::new(security), offsets, kept, producer })
    }

    /// Asks central for each request until the order to stop. What is under way then is asked for again after the next
    /// start, under the same `request_id`.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Error> {
        let Self { options, peers, offsets, kept, producer } = self;
        let central = peers.peer(&options.central, Expected::Central, CALL_TIMEOUT);
        let (sender, mut news) = mpsc::channel(READ_AHEAD);
        let _reader = read(&options.kafka, kept.clone(), sender)?;
        let mut background = JoinSet::new(); // it ends with this function
        background.spawn(ensure_topics(options.kafka.clone(), &[DRIVER_REQUESTS], shutdown.clone()));
        let mut work = Work {
            desk: Desk::new(central, producer, options.max_age),
            progress: Progress::of(kept.clone()),
            lanes: Lanes::new(),
            under_way: FuturesUnordered::new(),
            seen: Seen::default(),
        };
        let mut keeper = Keeper::new(offsets, kept);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tracing::info!(central = %options.central, kafka = options.kafka.kafka, "the bridge reads driver_requests");
        let ended = loop {
            tokio::select! {
                () = shutdown.started() => break Ok(()),
                Some(done) = work.under_way.next() => work.done(done),
                next = news.recv(), if work.has_room() => match next {
                    Some(next) => work.take(next),
                    None => break Err(Error::ReaderEnded),
                },
                _ = ticks.tick() => {
                    work.seen.say();
                    keeper.keep(work.progress.position()).await;
                }
            }
        };
        keeper.keep(work.progress.position()).await;
        ended
    }
}

/// What the reader tells.
enum News {
    /// `None`: it cannot be answered.
    Message {
        partition: i32,
        offset: i64,
        asked: Option<Asked>,
    },
    NewCluster {
        id: String,
        from: BTreeMap<i32, i64>,
    },
    Gap {
        partition: i32,
    },
}

fn read(options: &KafkaOptions, kept: Option<Position>, news: mpsc::Sender<News>) -> Result<Reader, Error> {
    let origin = match kept {
        Some(Position { cluster_id, offsets }) => Origin::Stored { cluster_id: Some(cluster_id), offsets },
        None => Origin::Latest,
    };
    let sink = move |event| {
        let next = match event {
            ReaderEvent::Message(message) => {
                let (partition, offset) = (message.partition, message.offset);
                // Read here, so that what waits is small.
                News::Message { partition, offset, asked: request::read(partition, offset, &message.payload) }
            }
            ReaderEvent::NewCluster { id, from } => News::NewCluster { id, from },
            ReaderEvent::Gap { partition } => News::Gap { partition },
            ReaderEvent::ReadToEnd { .. } | ReaderEvent::Away | ReaderEvent::Pause => {
                return !news.is_closed();
            }
        };
        news.blocking_send(next).is_ok()
    };
    Ok(Reader::spawn(options, DRIVER_REQUESTS, CLIENT_ID, origin, sink)?)
}

/// A request that is being concluded.
type UnderWay = Pin<Box<dyn Future<Output = Done> + Send>>;

/// A request that is concluded.
struct Done {
    place: Place,
    driver: DriverId,
    /// Its driver's next one waits for it.
    in_lane: bool,
    outcome: Outcome,
}

struct Work {
    desk: Desk,
    progress: Progress,
    lanes: Lanes<(Asked, Place)>,
    under_way: FuturesUnordered<UnderWay>,
    seen: Seen,
}

impl Work {
    fn has_room(&self) -> bool {
        self.under_way.len() + self.lanes.waiting() < UNDER_WAY
    }

    fn take(&mut self, news: News) {
        let (partition, offset, asked) = match news {
            News::Message { partition, offset, asked } => (partition, offset, asked),
            News::NewCluster { id, from } => return self.progress.begin(id, from),
            News::Gap { partition } => return self.progress.begin_again(partition),
        };
        let place = self.progress.take(partition, offset);
        let Some(asked) = asked else {
            self.seen.unreadable(place);
            return self.progress.conclude(place);
        };
        let driver = asked.driver.clone();
        match self.lanes.take(&driver, (asked, place)) {
            Turn::Now(request) => self.start(request),
            Turn::Later => {}
            Turn::Crowded(request) => self.refuse(request),
        }
    }

    fn start(&mut self, (asked, place): (Asked, Place)) {
        let desk = self.desk.clone();
        self.under_way.push(Box::pin(async move {
            let outcome = desk.conclude(&asked).await;
            Done { place, driver: asked.driver, in_lane: true, outcome }
        }));
    }

    fn refuse(&mut self, (asked, place): (Asked, Place)) {
        let desk = self.desk.clone();
        self.under_way.push(Box::pin(async move {
            let denial = Denial::crowded(EACH);
            desk.deny(&asked, &denial).await;
            Done { place, driver: asked.driver, in_lane: false, outcome: Outcome::Refused(denial) }
        }));
    }

    fn done(&mut self, done: Done) {
        self.seen.concluded(&done);
        self.progress.conclude(done.place);
        if done.in_lane
            && let Some(next) = self.lanes.done(&done.driver)
        {
            self.start(next);
        }
    }
}

/// What happened since it was last said: a line a kind and second, however much it is.
#[derive(Debug, Default)]
struct Seen {
    unreadable: u64,
    newest_unreadable: Option<Place>,
    refused: u64,
    newest_refused: String,
}

impl Seen {
    fn unreadable(&mut self, place: Place) {
        count("unreadable");
        self.unreadable += 1;
        self.newest_unreadable = Some(place);
    }

    fn concluded(&mut self, done: &Done) {
        match &done.outcome {
            Outcome::Granted => count("granted"),
            Outcome::Denied => count("denied"),
            Outcome::Refused(denial) => {
                count("refused");
                self.refused += 1;
                self.newest_refused = format!("driver {}: {}", done.driver, denial.reason);
            }
        }
    }

    fn say(&mut self) {
        let Self { unreadable, newest_unreadable, refused, newest_refused } = std::mem::take(self);
        if let Some(Place { partition, offset, .. }) = newest_unreadable {
            tracing::warn!(
                messages = unreadable,
                partition,
                offset,
                "driver_requests has what cannot be answered, the newest at this offset: it is no JSON object with \
                 the user_id of a driver"
            );
        }
        if refused > 0 {
            tracing::info!(requests = refused, "denied by the bridge, the newest of {newest_refused}");
        }
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("evmesh_bridge_requests_total", "outcome" => outcome).increment(1);
}
