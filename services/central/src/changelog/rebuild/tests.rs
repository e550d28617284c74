//! Rebuilding over a broker: crashes in it, and what its changelog had before an end.

use super::*;
use crate::{
    changelog::{END_KEY, ENDED, FORMAT, STORE, VERSION, log},
    store::{Begun, begun},
    writer::Writer,
};
use domain::network::{ChargePoint, Facts, Revoked, Session};
use mesh::{
    kafka::{Log, Producer},
    store::MemoryStore,
};
use proptest::{strategy::Strategy as _, strategy::ValueTree as _, test_runner::TestRunner};

/// Enough for several chunks.
const SESSIONS: usize = 600;

/// Its key, and its value; `None`: it is deleted.
type Row = (Vec<u8>, Option<Vec<u8>>);

/// Sessions of every kind, at ten charge points.
fn rows() -> Vec<Row> {
    let mut runner = TestRunner::deterministic();
    let point = |n: usize| ChargePoint {
        id: format!("P-{n}").parse().unwrap(),
        location: "Madrid".parse().unwrap(),
        price: "0.30 EUR".parse().unwrap(),
        engine_address: "127.0.0.1:1".into(),
        instance: "i1".parse().unwrap(),
        monitor: "m1".parse().unwrap(),
        epoch: 7,
        highest_authorization: 7,
        out_of_order: n == 3,
        never_supplied: n == 4,
        rated: None,
        seals_from: None,
        revoked: (n == 5).then(|| Box::new(Revoked::Cut)),
    };
    let points = (0..10).map(|n| {
        let point = point(n);
        (keys::charge_point(&point.id), Some(codec::charge_point_value(&point)))
    });
    let sessions = (0..SESSIONS).map(|n| {
        let any = codec::tests::sessions().new_tree(&mut runner).unwrap().current();
        let facts = Facts {
            id: format!("s{n:04}").parse().unwrap(),
            charge_point: format!("P-{}", n % 10).parse().unwrap(),
            ..Facts::clone(&any)
        };
        let session = Session::stored(facts, any.life().clone());
        (keys::session(&session.id), Some(codec::session_value(&session)))
    });
    let strange = [
        (keys::session(&"garbage".parse().unwrap()), Some(b"\xff".to_vec())),
        (b"z".to_vec(), Some(b"of another program".to_vec())),
        (keys::answer(b"gone"), None),
    ];
    points.chain(sessions).chain(strange).collect()
}

/// All but what is random, and but the marks.
fn content(store: &MemoryStore) -> Vec<(Vec<u8>, Vec<u8>)> {
    let all = store.range(b"", b"", usize::MAX).unwrap();
    let own = |key: &[u8]| {
        key == keys::META || key.starts_with(keys::MARKS) || key.starts_with(keys::CHARGE_POINTS)
    };
    all.into_iter().filter(|(key, _)| !own(key)).collect()
}

/// The changelog of a store that is lost.
struct Lost {
    log: Log,
    producer: Producer,
    what: Rebuild,
}

impl Lost {
    async fn on(kafka: KafkaOptions) -> Self {
        let (log, producer) = (log(&kafka), Producer::new(&kafka, "test").unwrap());
        log.create().await.unwrap();
        let config = Config { confirm_copied: true, ..Config::default() };
        let what = Rebuild { kafka, config, last: 0, anchor: None, shutdown: Shutdown::new() };
        Self { log, producer, what }
    }

    /// It goes on with these.
    async fn has(&mut self, rows: Vec<Row>, ended: bool) {
        let all = [(STORE, "the-lost-one"), (VERSION, "77000"), (FORMAT, "2"), (ENDED, "true")];
        let headers = if ended { &all[..] } else { &all[..3] };
        for (key, value) in rows {
            let sent = self.log.append(&self.producer, &key, value.as_deref(), headers).await.unwrap();
            self.what.last = sent.await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_an_end_is_forgotten_though_it_is_on_disk_by_then() {
    let broker = testing::broker();
    let mut lost = Lost::on(broker.options()).await;
    lost.has(rows(), false).await;
    lost.has(vec![(END_KEY.to_vec(), Some(END_KEY.to_vec()))], true).await;
    lost.has(rows().into_iter().take(1).collect(), true).await;
    lost.has(vec![(WHOLE_KEY.to_vec(), Some(WHOLE_KEY.to_vec()))], false).await;
    let what = lost.what;
    tokio::task::spawn_blocking(move || {
        let mut store = MemoryStore::new();
        assert!(rebuild(&mut store, &what).unwrap());
        let count = |prefix| store.range(prefix, prefix, usize::MAX).unwrap().len();
        assert_eq!((count(keys::CHARGE_POINTS), count(keys::SESSIONS)), (1, 0));
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_anywhere_in_it_begins_it_anew() {
    let broker = testing::broker();
    let mut lost = Lost::on(broker.options()).await;
    lost.has(rows(), false).await;
    let what = lost.what;
    tokio::task::spawn_blocking(move || {
        let mut whole = MemoryStore::new();
        assert!(rebuild(&mut whole, &what).unwrap());
        assert_eq!(whole.range(keys::SESSIONS, keys::SESSIONS, usize::MAX).unwrap().len(), SESSIONS);
        let meta = crate::store::meta(&whole).unwrap();
        assert_eq!((meta.predecessor_id.as_str(), meta.changelog_version), ("the-lost-one", 77_000));
        assert_eq!(meta.latest_ms, 77, "the clock that gave the versions was there");
        let commits = whole.commits();
        assert!(commits > 5, "{commits} chunks");
        for survived in 0..commits {
            let mut store = MemoryStore::new();
            store.fail_after(survived);
            assert!(matches!(rebuild(&mut store, &what), Err(Error::Store(_))), "after {survived}");
            let mut disk = store.clone();
            disk.fail_after(u64::MAX / 2);
            let expected = if survived == 0 { Begun::Empty } else { Begun::HalfRebuilt };
            assert_eq!(begun(&disk).unwrap(), expected, "nothing half is served");
            if expected == Begun::HalfRebuilt {
                let refused = Writer::open(disk.clone(), what.config.clone(), mesh::now()).map(drop);
                assert!(matches!(refused, Err(Error::HalfRebuilt)));
            }
            assert!(rebuild(&mut disk, &what).unwrap());
            assert_eq!(begun(&disk).unwrap(), Begun::Whole);
            assert_eq!(content(&disk).len(), content(&whole).len(), "after {survived}");
            Writer::open(disk, what.config.clone(), mesh::now()).map(drop).unwrap();
        }
    })
    .await
    .unwrap();
}
