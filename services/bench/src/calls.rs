//! Calls that are offered in two ways: as fast as their answers come, or at a rate whatever becomes of them.

use crate::error::Error;
use std::{
    collections::BTreeMap,
    future::Future,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};
use tonic::Status;

/// So many calls may be late before the one that paces them waits: a second's worth at any rate that is offered.
const BEHIND: usize = 10_000;

/// What became of calls.
#[derive(Debug, Default)]
pub(crate) struct Called {
    /// How long those took that were answered well (milliseconds): each is kept, so that no quantile is rounded.
    pub(crate) latencies: Vec<f64>,
    /// Why the others were not, and how many.
    pub(crate) refused: BTreeMap<String, u64>,
    /// From the first to the last answer.
    pub(crate) took: Duration,
}

impl Called {
    fn count(&mut self, latency: Duration, answer: Result<(), Status>) {
        match answer {
            Ok(()) => self.latencies.push(latency.as_secs_f64() * 1000.0),
            Err(status) => *self.refused.entry(status.message().to_owned()).or_default() += 1,
        }
    }

    /// Those that were answered well, a second.
    pub(crate) fn a_second(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// The same, if all were answered well.
    pub(crate) fn whole(self, what: &str) -> Result<Self, Error> {
        match self.refused.first_key_value() {
            None if self.latencies.is_empty() => Err(Error::Lacks(format!("{what}: nothing was called"))),
            None => Ok(self),
            Some((why, _)) => {
                let (bad, all) = (self.refused.values().sum::<u64>(), self.latencies.len() as u64);
                Err(Error::Lacks(format!("{what}: {bad} of {} calls were refused: {why}", all + bad)))
            }
        }
    }

    /// What became of these and of those, one after the other.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.latencies.extend(other.latencies);
        for (why, count) in other.refused {
            *self.refused.entry(why).or_default() += count;
        }
        Self { took: self.took + other.took, ..self }
    }
}

/// Makes the calls with these numbers, so many at once: each follows an answer. Ends with the last of them, or begins
/// none any more after this time.
pub(crate) async fn closed<F>(
    numbers: Range<u32>,
    at_once: usize,
    time: Duration,
    call: impl Fn(u32) -> F + Clone + Send + Sync + 'static,
) -> Called
where
    F: Future<Output = Result<(), Status>> + Send,
{
    let (next, called) = (Arc::new(AtomicU32::new(numbers.start)), Arc::new(Mutex::new(Called::default())));
    let (begun, mut workers) = (Instant::now(), JoinSet::new());
    for _ in 0..at_once {
        let (next, called, call, end) = (next.clone(), called.clone(), call.clone(), numbers.end);
        workers.spawn(async move {
            while begun.elapsed() < time {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    return;
                }
                let asked = Instant::now();
                let answer = call(number).await;
                let latency = asked.elapsed();
                called.lock().unwrap_or_else(PoisonError::into_inner).count(latency, answer);
            }
        });
    }
    while workers.join_next().await.is_some() {}
    let mut called = std::mem::take(&mut *called.lock().unwrap_or_else(PoisonError::into_inner));
    called.took = begun.elapsed();
    called
}

/// Makes the calls with these numbers, so many a second, and waits for their answers. A latency counts from the moment
/// when its call was to be made: what is late because others were is late all the same.
pub(crate) async fn open<F>(
    numbers: Range<u32>,
    a_second: f64,
    call: impl Fn(u32) -> F + Clone + Send + Sync + 'static,
) -> Called
where
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let (begun, first) = (Instant::now(), numbers.start);
    let due = move |number: u32| begun + Duration::from_secs_f64(f64::from(number - first) / a_second);
    let (paces, mut paced) = mpsc::channel(BEHIND);
    // A thread of its own: a runtime's timers have milliseconds. It ends with the last call, or with who waits for it.
    let pace = tokio::task::spawn_blocking(move || {
        for number in numbers {
            std::thread::sleep(due(number).saturating_duration_since(Instant::now()));
            if paces.blocking_send(number).is_err() {
                return;
            }
        }
    });
    let (mut called, mut calls) = (Called::default(), JoinSet::new());
    loop {
        tokio::select! {
            number = paced.recv() => {
                let Some(number) = number else { break };
                let call = call.clone();
                calls.spawn(async move {
                    let answer = call(number).await;
                    (due(number).elapsed(), answer)
                });
            }
            Some(Ok((latency, answer))) = calls.join_next() => called.count(latency, answer),
        }
    }
    while let Some(answered) = calls.join_next().await {
        if let Ok((latency, answer)) = answered {
            called.count(latency, answer);
        }
    }
    called.took = begun.elapsed();
    drop(pace);
    called
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_loop_makes_each_call_once_and_no_more_at_once_than_it_may() {
        let under_way = Arc::new(AtomicU32::new(0));
        let most = Arc::new(AtomicU32::new(0));
        let seen = (under_way.clone(), most.clone());
        let call = move |number: u32| {
            let (under_way, most) = seen.clone();
            async move {
                most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                under_way.fetch_sub(1, Ordering::SeqCst);
                if number == 7 { Err(Status::unavailable("seven")) } else { Ok(()) }
            }
        };
        let called = closed(0..100, 4, Duration::from_secs(60), call).await;
        assert_eq!((called.latencies.len(), called.refused["seven"]), (99, 1));
        assert!(most.load(Ordering::SeqCst) <= 4);
        let said = called.whole("authorize").unwrap_err().to_string();
        assert_eq!(said, "authorize: 1 of 100 calls were refused: seven");
    }

    #[tokio::test]
    async fn a_late_call_is_late_from_the_moment_when_it_was_to_be_made() {
        let lock = Arc::new(tokio::sync::Mutex::new(()));
        let call = move |_: u32| {
            let lock = lock.clone();
            async move {
                let _turn = lock.lock().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(())
            }
        };
        // One each 10 ms, of which each takes 20: the last one waits for all before it.
        let called = open(0..10, 100.0, call).await;
        assert_eq!(called.latencies.len(), 10);
        let last = called.latencies.iter().copied().fold(0.0, f64::max);
        assert!(last >= 100.0, "the last one took {last} ms");
    }
}
