//! One owner of a service's rules and its store (group commit): it takes what waits in its queues, lets the rules
//! apply it, makes *one* commit, and only then lets anything out (INV-6).
//!
//! [`Owner::step`] is a plain function over a [`Store`], so that a test drives the very code that runs; [`spawn`]
//! gives it a thread. An error of the store is fatal: nothing of that step leaves, and the thread ends. [`Owner`] is
//! the only caller of [`Store::commit`] while a service runs. Deliberately absent: a second writer, a lock, waiting
//! for the network.

use crate::{
    Shutdown,
    store::{Batch, Store, StoreError},
};
use domain::Now;
use std::{fmt, future::poll_fn, io, task::Poll};
use tokio::{
    runtime,
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
};

/// What decides, and what of it is to be written.
pub trait Rules: Send + 'static {
    type Input: Send + 'static;
    /// What goes out, after the commit of the step that decided it.
    type Effect;
    /// Why the owner ends: a store that fails, or that holds what cannot be read.
    type Error: From<StoreError> + Send + 'static;

    /// Applies one input. The store is as it was before this step.
    fn apply(
        &mut self,
        now: Now,
        store: &dyn Store,
        input: Self::Input,
        step: &mut Step<Self::Effect>,
    ) -> Result<(), Self::Error>;

    /// Adds what all inputs of a step have in common, just before its commit.
    fn seal(&mut self, _: Now, _: &dyn Store, _: &mut Step<Self::Effect>) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Adds what only lives in memory: to the last commit.
    fn save_all(&mut self, _: &mut Batch) {}
}

/// What a step has decided so far.
#[derive(Debug)]
pub struct Step<E> {
    pub batch: Batch,
    /// What leaves after the commit, in order.
    pub effects: Vec<E>,
}

pub struct Owner<R, S> {
    /// They alone say what is written.
    pub rules: R,
    /// Written by the owner's steps only.
    pub store: S,
}

impl<R: fmt::Debug, S> fmt::Debug for Owner<R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl<R: Rules, S: Store> Owner<R, S> {
    /// Applies the inputs in order, commits once, and gives back what may leave. After an error nothing of it may, and
    /// whether it is on disk is unknown.
    pub fn step(
        &mut self,
        now: Now,
        inputs: impl IntoIterator<Item = R::Input>,
    ) -> Result<Vec<R::Effect>, R::Error> {
        let mut step = Step { batch: Batch::default(), effects: Vec::new() };
        for input in inputs {
            self.rules.apply(now, &self.store, input, &mut step)?;
        }
        self.rules.seal(now, &self.store, &mut step)?;
        self.store.commit(step.batch)?;
        Ok(step.effects)
    }

    /// Writes what only lives in memory: the last thing before the end.
    pub fn close(&mut self) -> Result<(), R::Error> {
        let mut batch = Batch::default();
        self.rules.save_all(&mut batch);
        Ok(self.store.commit(batch)?)
    }
}

/// Where effects go. It is the thread's own, so what it keeps needs no lock; it must not wait.
pub trait Outlet<R: Rules>: Send + 'static {
    /// Lets out what a step of so many inputs gave, now that it is on disk.
    fn release(
        &mut self,
        now: Now,
        inputs: usize,
        owner: Owner<&R, &dyn Store>,
        effects: Vec<R::Effect>,
    ) -> Result<(), R::Error>;
}

/// What is done between a step's commit and its effects: a question, which so sees every answer already given
/// (INV-6), or a caller that takes its place among those who wait.
pub type AfterCommit<R, O> =
    Box<dyn FnOnce(&mut R, &dyn Store, &mut O) -> Result<(), <R as Rules>::Error> + Send>;

/// What the thread takes out of a queue.
pub struct Order<R: Rules, O> {
    input: Option<R::Input>,
    after: Option<AfterCommit<R, O>>,
}

impl<R: Rules, O> fmt::Debug for Order<R, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order").field("has_input", &self.input.is_some()).finish_non_exhaustive()
    }
}

impl<R: Rules, O> Order<R, O> {
    /// An input that nobody waits for.
    pub fn input(input: R::Input) -> Self {
        Self { input: Some(input), after: None }
    }

    /// The same, with what is done after its commit.
    pub fn then(
        self,
        after: impl FnOnce(&mut R, &dyn Store, &mut O) -> Result<(), R::Error> + Send + 'static,
    ) -> Self {
        Self { after: Some(Box::new(after)), ..self }
    }

    /// A question: no input, only what is done after the commit of its step.
    pub fn question(
        ask: impl FnOnce(&mut R, &dyn Store, &mut O) -> Result<(), R::Error> + Send + 'static,
    ) -> Self {
        Self { input: None, after: None }.then(ask)
    }
}

/// Why an order was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Its queue is full; it can be given again.
    Full,
    /// The owner takes nothing any more.
    Stopped,
}

/// The way into one of an owner's queues. Cheap to clone.
pub struct Queue<R: Rules, O>(mpsc::Sender<Order<R, O>>);

impl<R: Rules, O> fmt::Debug for Queue<R, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("room", &self.0.capacity()).finish()
    }
}

impl<R: Rules, O> Clone for Queue<R, O> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R: Rules, O: 'static> Queue<R, O> {
    /// Gives an order if there is room.
    pub fn try_give(&self, order: Order<R, O>) -> Result<(), Refused> {
        self.0.try_send(order).map_err(|refused| match refused {
            TrySendError::Full(_) => Refused::Full,
            TrySendError::Closed(_) => Refused::Stopped,
        })
    }

    /// Gives an order, and waits for its place. A queue that is closed drops it, and with it whatever it was to answer.
    pub async fn give(&self, order: Order<R, O>) {
        let _ = self.0.send(order).await;
    }

    /// The same, from a thread that may block. False: the owner takes nothing any more.
    pub fn give_blocking(&self, order: Order<R, O>) -> bool {
        self.0.blocking_send(order).is_ok()
    }

    /// Gives an order and has something back from what is done after its commit; `None` once the owner has stopped.
    pub async fn ask<T: Send + 'static>(
        &self,
        input: Option<R::Input>,
        question: impl FnOnce(&mut R, &dyn Store) -> Result<T, R::Error> + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let question = Order::question(move |rules, store, _: &mut O| {
            let _ = reply.send(question(rules, store)?); // who does not wait any more misses nothing
            Ok(())
        });
        self.give(Order { input, ..question }).await;
        answer.await.ok()
    }
}

/// The owner's end of a queue.
pub struct Inbox<R: Rules, O> {
    orders: mpsc::Receiver<Order<R, O>>,
    a_step: usize,
}

impl<R: Rules, O> fmt::Debug for Inbox<R, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("a_step", &self.a_step).finish_non_exhaustive()
    }
}

/// A queue in which so many orders may wait, and of which one step takes so many at most, so that the first one's
/// reply does not wait long for the last one.
pub fn queue<R: Rules, O>(capacity: usize, a_step: usize) -> (Queue<R, O>, Inbox<R, O>) {
    let (sender, orders) = mpsc::channel(capacity);
    (Queue(sender), Inbox { orders, a_step })
}

/// The running thread. Dropping it stops the thread in order.
#[derive(Debug)]
pub struct Running<E> {
    stop: Shutdown,
    ended: oneshot::Receiver<Result<(), E>>,
}

impl<E> Running<E> {
    /// Waits for the thread's end: after [`Running::stop`], or because the store failed. `None`: it panicked.
    pub async fn ended(&mut self) -> Option<Result<(), E>> {
        (&mut self.ended).await.ok()
    }

    /// Takes nothing new, works off what waits, saves everything, and ends.
    pub fn stop(&self) {
        self.stop.start();
    }
}

impl<E> Drop for Running<E> {
    fn drop(&mut self) {
        self.stop.start();
    }
}

/// Starts the thread of this name, which ends in order once `stop` starts. Of its inboxes, the first one's orders
/// come first in each step. Needs a tokio runtime.
pub fn spawn<R: Rules, O: Outlet<R>>(
    name: String,
    owner: Owner<R, impl Store>,
    outlet: O,
    inboxes: Vec<Inbox<R, O>>,
    stop: Shutdown,
) -> io::Result<Running<R::Error>> {
    let (result, ended) = oneshot::channel();
    let runtime = runtime::Handle::current();
    let mut thread = Thread { owner, outlet, inboxes, stop: stop.clone() };
    std::thread::Builder::new().name(name).spawn(move || {
        let _runtime = runtime.enter(); // a test's paused clock is this thread's too
        let ended = thread.run(&runtime);
        drop(thread); // the store's folder is free before anyone hears of the end
        let _ = result.send(ended); // whoever dropped the other end does not ask
    })?;
    Ok(Running { stop, ended })
}

struct Thread<R: Rules, S, O> {
    owner: Owner<R, S>,
    outlet: O,
    inboxes: Vec<Inbox<R, O>>,
    stop: Shutdown,
}

impl<R: Rules, S: Store, O: Outlet<R>> Thread<R, S, O> {
    fn run(&mut self, runtime: &runtime::Handle) -> Result<(), R::Error> {
        loop {
            let first = runtime.block_on(self.first());
            if first.is_none() {
                self.inboxes.iter_mut().for_each(|inbox| inbox.orders.close());
            }
            let stopping = first.is_none();
            let mut orders: Vec<_> = first.into_iter().collect();
            for inbox in &mut self.inboxes {
                orders.extend(std::iter::from_fn(|| inbox.orders.try_recv().ok()).take(inbox.a_step));
            }
            if stopping && orders.is_empty() {
                return self.owner.close();
            }
            self.step(orders)?;
        }
    }

    /// Waits for something to do; `None` after the order to stop.
    async fn first(&mut self) -> Option<Order<R, O>> {
        let inboxes = &mut self.inboxes;
        let next = poll_fn(|context| {
            for inbox in inboxes.iter_mut() {
                if let Poll::Ready(Some(order)) = inbox.orders.poll_recv(context) {
                    return Poll::Ready(order);
                }
            }
            Poll::Pending
        });
        tokio::select! {
            biased;
            () = self.stop.started() => None,
            order = next => Some(order),
        }
    }

    fn step(&mut self, orders: Vec<Order<R, O>>) -> Result<(), R::Error> {
        let now = crate::now();
        let (mut inputs, mut afters) = (Vec::with_capacity(orders.len()), Vec::new());
        for Order { input, after } in orders {
            inputs.extend(input);
            afters.extend(after);
        }
        let count = inputs.len();
        let effects = self.owner.step(now, inputs)?;
        let Owner { rules, store } = &mut self.owner;
        for after in afters {
            after(rules, store, &mut self.outlet)?;
        }
        self.outlet.release(now, count, Owner { rules, store }, effects)
    }
}

#[cfg(test)]
mod tests;
