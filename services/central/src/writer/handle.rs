//! The way to the writer. It hides the queues.

use super::{
    Input, Round, Row, RowKind, rows,
    waiting::{Awaited, Waiting},
};
use crate::{
    Error,
    changelog::{Copied, Found, Standing},
    denial,
    history::Snapshot,
};
use domain::SessionId;
use domain::network::{Command, Session, Token};
use mesh::grpc::Failure;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// How long a caller is asked to wait where the queue is full: some thousand commands take less.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// What the writer's thread takes out of its queues.
pub(super) enum Order {
    /// For the writer alone.
    Input(Input),
    /// A command, and whose answer is waited for.
    Ask(Command, Box<dyn FnOnce(&mut Waiting) + Send>),
    /// Follow a session.
    Watch(SessionId, oneshot::Sender<watch::Receiver<Session>>),
}

/// The way to the writer. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    /// Requests, engines' answers, ticks: what somebody waits for.
    pub(super) orders: mpsc::Sender<Order>,
    /// What Kafka tells: it fills its own queue only.
    pub(super) telemetry: mpsc::Sender<Input>,
    pub(super) tokens: Arc<AtomicU64>,
    pub(super) stop: CancellationToken,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Handle {
    /// Gives a command and waits for its reply. What the reply says is on disk.
    pub(crate) async fn ask<A: Awaited>(
        &self,
        command: impl FnOnce(Token<A>) -> Command,
    ) -> Result<A, Failure> {
        let token = Token::new(self.tokens.fetch_add(1, Ordering::Relaxed));
        let (reply, answer) = oneshot::channel();
        let order = Order::Ask(command(token), Box::new(move |waiting| waiting.wait(token, reply)));
        self.orders.try_send(order).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => {
                Failure::exhausted("OVERLOADED", "central has too much to do at once; ask again", RETRY_AFTER)
            }
            mpsc::error::TrySendError::Closed(_) => stopping(),
        })?;
        answer.await.map_err(|_| stopping())?.map_err(denial::failure)
    }

    /// Gives a command that nobody waits for. Waits for its place in the queue; lost only if the writer stops.
    pub(crate) async fn tell(&self, command: Command) {
        self.send(Order::Input(Input::Command(command))).await;
    }

    /// Asks the whole state, after the commit of the batch that this question is in (INV-6).
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Snapshot<'_>) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        let query = Box::new(move |snapshot: &Snapshot<'_>| {
            let _ = reply.send(question(snapshot)); // who does not wait any more misses nothing
        });
        self.send(Order::Input(Input::Query(query))).await;
        answer.await.map_err(|_| stopping())
    }

    /// As [`Handle::query`], of a question that reads the store.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Snapshot<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Failure> {
        self.query(question).await?.map_err(|error| Failure::internal(Chain(error)))
    }

    /// The rows of a kind after the number `after`; none if the writer stops.
    pub(crate) async fn rows(&self, kind: RowKind, after: u64, limit: usize) -> Vec<Row> {
        self.read(move |snapshot| rows::read(snapshot.store, kind, after, limit)).await.unwrap_or_default()
    }

    /// Kafka has these rows.
    pub(crate) async fn delivered(&self, kind: RowKind, numbers: Vec<u64>) {
        self.send(Order::Input(Input::Delivered(kind, numbers))).await;
    }

    /// Kafka has these rows of the changelog; the next ones, at most so many. `None`: the writer has ended.
    pub(crate) async fn copies(&self, published: Vec<u64>, limit: usize) -> Option<Vec<Copied>> {
        let (reply, answer) = oneshot::channel();
        self.send(Order::Input(Input::Copies(Round { published, limit, reply }))).await;
        answer.await.ok()
    }

    /// May the changelog be written? `None`: the writer has ended.
    pub(crate) async fn changelog(&self, found: Found) -> Option<Standing> {
        let (reply, answer) = oneshot::channel();
        self.send(Order::Input(Input::Changelog(found, reply))).await;
        answer.await.ok()
    }

    /// Follows a session that exists: its newest state, whenever it changes. The sender goes once it is settled.
    pub(crate) async fn watch(&self, session: SessionId) -> Result<watch::Receiver<Session>, Failure> {
        let (reply, answer) = oneshot::channel();
        self.send(Order::Watch(session, reply)).await;
        answer.await.map_err(|_| stopping())
    }

    /// Gives what Kafka told, on the reader's thread: waits while the queue is full. False: the writer stopped.
    pub(crate) fn telemetry(&self, input: Input) -> bool {
        !self.stop.is_cancelled() && self.telemetry.blocking_send(input).is_ok()
    }

    /// Waits until the writer takes nothing any more.
    pub(crate) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    async fn send(&self, order: Order) {
        // A closed queue drops the order: its caller's answer closes, and that is an error for whoever waits for it.
        let _ = self.orders.send(order).await;
    }
}

/// What a caller is told once the writer takes nothing any more.
pub(crate) fn stopping() -> Failure {
    Failure::unavailable(
        "SHUTTING_DOWN",
        "central is stopping; ask again once it is back",
        mesh::grpc::RETRY_AFTER,
    )
}

/// An error with its causes, for the log.
struct Chain(Error);

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = std::error::Error::source(&self.0);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
