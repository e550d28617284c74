//! The running app: one loop that owns the rules.

use crate::{
    DriverEvent, Error, Options, View,
    calls::Calls,
    free_points,
    heard::{Heard, tell},
    topics::Topics,
    words::Words,
};
use domain::{
    Price, RequestId,
    requests::{Effect, Event, FreePoint, Input, Requests, Summary},
};
use mesh::{
    Shutdown,
    clock::sleep_until,
    grpc::{Expected, Peers, Role},
};
use std::{collections::HashMap, time::Duration};
use tokio::{
    sync::{broadcast, mpsc, watch},
    task::JoinSet,
    time::Instant,
};

/// What was heard and not yet taken; a full queue holds Kafka's readers and the calls back.
const HEARD: usize = 256;

/// How many events a slow reader may lag behind before it misses some: minutes of a supply.
const EVENTS: usize = 1024;

/// Central answers a request within the authorisation's deadline, 5 s by default; the app waits longer than that, so
/// that it hears the answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// An app whose requests have been read.
#[derive(Debug)]
pub struct Service {
    options: Options,
    peers: Peers,
    rules: Requests,
    events: broadcast::Sender<DriverEvent>,
    view: watch::Sender<View>,
    words: Words,
    heard: (mpsc::Sender<Heard>, mpsc::Receiver<Heard>),
}

impl Service {
    /// Reads the requests. Neither central nor Kafka is needed.
    pub async fn bind(mut options: Options) -> Result<Self, Error> {
        let own = Role::Driver(options.driver.clone());
        let peers = Peers::new(options.security.open(&own.to_string(), |role| *role == own)?);
        options.kafka.protect(options.security.identity.as_deref())?;
        let lines = options.lines()?;
        let lines: Vec<_> = lines.into_iter().map(|line| (line, request_id())).collect();
        let words = Words::new(&options.central);
        let view = View::new(options.driver.clone(), options.central.to_string(), lines.len());
        Ok(Self {
            rules: Requests::new(options.settings(), lines),
            options,
            peers,
            events: broadcast::Sender::new(EVENTS),
            view: watch::Sender::new(view),
            words,
            heard: mpsc::channel(HEARD),
        })
    }

    /// Everything that happens, from now on; it ends with the run.
    pub fn events(&self) -> broadcast::Receiver<DriverEvent> {
        self.events.subscribe()
    }

    /// What a panel shows, and each change of it.
    pub fn view(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    /// Ends the charge that goes on, for whoever holds it.
    pub fn stop(&self) -> Stop {
        Stop(self.heard.0.downgrade())
    }

    pub fn words(&self) -> Words {
        self.words.clone()
    }

    /// Asks for every charge, until each has concluded, or until the order to stop: a supply goes on without its
    /// driver.
    pub async fn run(self, shutdown: Shutdown) -> Result<Summary, Error> {
        let (sender, mut heard) = self.heard;
        let _topics = Topics::read(&self.options, sender.clone())?;
        let peer = self.peers.peer(&self.options.central, Expected::Central, CALL_TIMEOUT);
        let broadcast_at = watch::Sender::new(None);
        let mut asking = JoinSet::new();
        asking.spawn(free_points::ask(peer.clone(), sender.clone(), broadcast_at.subscribe()));

        let mut running = Running {
            calls: Calls::new(peer, self.options.driver.clone(), self.options.max_price, sender),
            rules: self.rules,
            events: self.events,
            view: self.view,
            words: self.words,
            free: Vec::new(),
            prices: HashMap::new(),
        };
        let mut finished = running.apply(Input::Started);
        while !finished {
            let next = tokio::select! {
                () = shutdown.started() => break,
                Some(next) = heard.recv() => next,
                () = sleep_until(running.rules.wake_at()) => Heard::Input(Input::Tick),
            };
            match next {
                Heard::Input(input) => finished = running.apply(input),
                Heard::Unanswered { why, retry_after } => {
                    running.calls.retry_after(retry_after);
                    finished = running.apply(Input::Unanswered { why });
                }
                Heard::Broadcast(free) => {
                    broadcast_at.send_replace(Some(Instant::now()));
                    running.free_now(free);
                }
                Heard::Listed(free) => {
                    running.prices =
                        free.iter().filter_map(|point| Some((point.id.clone(), point.price?))).collect();
                    running.free_now(free);
                }
            }
        }
        Ok(running.rules.summary())
    }
}

/// A person's hand on the charge.
#[derive(Debug, Clone)]
pub struct Stop(mpsc::WeakSender<Heard>);

impl Stop {
    /// Orders the end of the session that is followed; it ends nothing where none is open.
    pub async fn now(&self) {
        if let Some(heard) = self.0.upgrade() {
            tell(&heard, Input::StopWanted).await;
        }
    }
}

struct Running {
    rules: Requests,
    calls: Calls,
    events: broadcast::Sender<DriverEvent>,
    view: watch::Sender<View>,
    words: Words,
    free: Vec<FreePoint>,
    /// Of the newest list: broadcasts tell no prices.
    prices: HashMap<String, Price>,
}

impl Running {
    /// `true` when all is done.
    fn apply(&mut self, input: Input) -> bool {
        let mut finished = false;
        for effect in self.rules.apply(mesh::now().mono, input) {
            match effect {
                Effect::CatchUp { attempt } => self.calls.catch_up(attempt),
                Effect::Request { request, target, attempt } => self.calls.request(request, target, attempt),
                Effect::Follow(session) => self.calls.follow(session),
                Effect::Unfollow => self.calls.unfollow(),
                Effect::Fetch(session) => self.calls.fetch(session),
                Effect::Stop(session) => self.calls.stop(session),
                Effect::Tell(event) => self.tell(event),
                Effect::Finish => finished = true,
            }
        }
        finished
    }

    /// Shows the charge points free now, if they are others than before.
    fn free_now(&mut self, mut free: Vec<FreePoint>) {
        for point in &mut free {
            point.price = point.price.or_else(|| self.prices.get(&point.id).copied());
        }
        if free != self.free {
            self.free.clone_from(&free);
            self.tell(Event::FreeChargePoints(free));
        }
    }

    fn tell(&mut self, event: Event) {
        self.view.send_modify(|view| view.apply(&event, &self.words));
        let _ = self.events.send(event); // nobody has to listen
    }
}

fn request_id() -> RequestId {
    let id = uuid::Uuid::new_v4().to_string();
    id.parse().expect("a uuid has only letters, digits and '-'")
}
