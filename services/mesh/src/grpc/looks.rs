//! Many things that are looked at every now and then, all by one task: with a timer for each, a network of 50,000
//! monitors woke 20,000 tasks a second to find that nothing had happened.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// So many are looked at before others have their turn.
const AT_ONCE: usize = 1_000;

/// Looks at one of them: false once it need not be looked at any more.
type Look = Box<dyn FnMut() -> bool + Send>;

/// Those that are looked at.
pub(super) struct Looks {
    every: Duration,
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    looks: Vec<Look>,
    /// A task looks at them; it ends once there are none.
    by_a_task: bool,
}

impl fmt::Debug for Looks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Looks").field("every", &self.every).finish_non_exhaustive()
    }
}

impl Looks {
    pub(super) fn new(every: Duration) -> Arc<Self> {
        Arc::new(Self { every, all: Mutex::default() })
    }

    /// Looks at one more, for the first time after the interval at most. Needs a tokio runtime.
    pub(super) fn add(self: &Arc<Self>, look: impl FnMut() -> bool + Send + 'static) {
        let mut all = self.all();
        all.looks.push(Box::new(look));
        if !std::mem::replace(&mut all.by_a_task, true) {
            tokio::spawn(self.clone().run());
        }
    }

    async fn run(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.every).await;
            // Who adds one does not wait for the looks.
            let looks = std::mem::take(&mut self.all().looks);
            let mut further = Vec::with_capacity(looks.len());
            for (count, mut look) in looks.into_iter().enumerate() {
                // One that panics costs nobody else.
                if catch_unwind(AssertUnwindSafe(&mut look)).unwrap_or(false) {
                    further.push(look);
                }
                if count % AT_ONCE == AT_ONCE - 1 {
                    tokio::task::yield_now().await;
                }
            }
            let mut all = self.all();
            all.looks.append(&mut further);
            if all.looks.is_empty() {
                *all = All::default();
                return;
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test(start_paused = true)]
    async fn one_task_looks_at_all_while_there_are_any() {
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let (before, looks) = (tasks(), Looks::new(Duration::from_secs(2)));
        let looked = Arc::new(AtomicUsize::new(0));
        for number in 0..2_500 {
            let (looked, mut times) = (looked.clone(), 0);
            looks.add(move || {
                looked.fetch_add(1, Ordering::Relaxed);
                times += 1;
                times < 2 || number == 0 && times < 3
            });
        }
        assert_eq!(tasks(), before + 1);
        let mut seen = Vec::new();
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(2_001)).await;
            seen.push((looked.load(Ordering::Relaxed), tasks() - before));
        }
        assert_eq!(seen, [(2_500, 1), (5_000, 1), (5_001, 0), (5_001, 0)]);
        looks.add(|| panic!("a look that fails"));
        let going_on = looked.clone();
        looks.add(move || going_on.fetch_add(1, Ordering::Relaxed) < 5_010);
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert_eq!(
            (looked.load(Ordering::Relaxed), tasks() - before),
            (5_005, 1),
            "another task looks at who comes later, and goes on after one that fails"
        );
    }
}
