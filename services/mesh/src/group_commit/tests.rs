use super::*;
use crate::store::MemoryStore;
use tokio::sync::mpsc::{Receiver, Sender};

/// Counts what it is given, on disk too, and lets each count out.
#[derive(Default)]
struct Counter(u64);

impl Rules for Counter {
    type Input = u64;
    type Effect = u64;
    type Error = StoreError;

    fn apply(&mut self, _: Now, _: &dyn Store, input: u64, step: &mut Step<u64>) -> Result<(), StoreError> {
        self.0 += input;
        step.batch.put("count", self.0.to_be_bytes());
        step.effects.push(self.0);
        Ok(())
    }
}

/// More steps than any of these tests takes.
const STEPS: usize = 1_000;

struct Told(Sender<Vec<u64>>);

impl Outlet<Counter> for Told {
    fn release(
        &mut self,
        _: Now,
        inputs: usize,
        owner: Owner<&Counter, &dyn Store>,
        effects: Vec<u64>,
    ) -> Result<(), StoreError> {
        let count = owner.store.get(b"count")?;
        let on_disk = count.map(|count| u64::from_be_bytes(count.try_into().unwrap()));
        assert_eq!((on_disk, inputs), (effects.last().copied().or(on_disk), effects.len()));
        let _ = self.0.try_send(effects); // a test that has seen enough does not listen
        Ok(())
    }
}

type Way = Queue<Counter, Told>;

fn start(store: MemoryStore) -> (Way, Running<StoreError>, Receiver<Vec<u64>>) {
    let (told, effects) = mpsc::channel(STEPS);
    let (way, inbox) = queue(8, 4);
    let owner = Owner { rules: Counter::default(), store };
    let running = spawn("counter".into(), owner, Told(told), vec![inbox], Shutdown::new()).unwrap();
    (way, running, effects)
}

#[test]
fn many_inputs_share_one_commit_and_a_failed_one_lets_nothing_out() {
    let mut owner = Owner { rules: Counter::default(), store: MemoryStore::new() };
    assert_eq!(owner.step(Now::default(), [1, 2, 3]).unwrap(), [1, 3, 6]);
    assert_eq!(owner.store.commits(), 1);
    owner.store.fail_after(0);
    assert!(owner.step(Now::default(), [1]).is_err());
    assert_eq!(owner.store.get(b"count").unwrap(), Some(6_u64.to_be_bytes().to_vec()));
}

#[tokio::test]
async fn a_question_sees_every_input_before_it_on_disk() {
    let (way, mut running, mut effects) = start(MemoryStore::new());
    for n in 1..=20_u64 {
        way.give(Order::input(1)).await;
        let seen = way.ask(None, |counter, store| Ok((counter.0, store.get(b"count")?))).await;
        assert_eq!(seen, Some((n, Some(n.to_be_bytes().to_vec()))));
    }
    running.stop();
    assert!(running.ended().await.unwrap().is_ok());
    assert_eq!(way.try_give(Order::input(1)), Err(Refused::Stopped));
    assert_eq!(way.ask(None, |counter, _| Ok(counter.0)).await, None);
    let mut all = Vec::new();
    while let Some(told) = effects.recv().await {
        all.extend(told);
    }
    assert_eq!(all, (1..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_store_that_fails_ends_the_owner_and_answers_nobody() {
    let mut store = MemoryStore::new();
    store.fail_after(1);
    let (way, mut running, _effects) = start(store);
    assert_eq!(way.ask(Some(1), |counter, _| Ok(counter.0)).await, Some(1));
    assert_eq!(way.ask(Some(1), |counter, _| Ok(counter.0)).await, None);
    assert!(running.ended().await.unwrap().is_err());
}
