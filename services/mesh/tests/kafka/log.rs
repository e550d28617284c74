//! A compacted log in one order.

use mesh::kafka::{Log, Producer};
use testing::broker;

const TOPIC: &str = "central_changelog";

#[tokio::test(flavor = "multi_thread")]
async fn a_log_has_one_order_a_tail_and_tombstones() {
    let broker = broker();
    let options = broker.options();
    let (log, producer) = (Log::new(&options, TOPIC), Producer::new(&options, "test").unwrap());
    assert_eq!(log.tail(None).await.unwrap().last, None, "it is not there");
    assert_eq!(log.create().await.unwrap(), None);
    assert_eq!(log.create().await.unwrap(), None, "a second time changes nothing");
    assert_eq!(log.tail(None).await.unwrap().last, None, "it is empty");
    let mut under_way = Vec::new();
    for n in 0..50_i64 {
        let key = format!("key-{}", n % 7);
        let value = n.to_string();
        let payload = (n != 49).then_some(value.as_bytes());
        under_way.push(log.append(&producer, key.as_bytes(), payload, &[("n", &value)]).await.unwrap());
    }
    for (n, delivered) in (0..).zip(under_way) {
        assert_eq!(delivered.await.unwrap(), n, "whatever the key, one partition in order");
    }
    let tail = log.tail(None).await.unwrap();
    let last = tail.last.unwrap();
    assert_eq!((last.offset, last.payload.as_slice(), last.header("n")), (49, &b""[..], Some("49")));
    let before = log.tail(Some(20)).await.unwrap().last.unwrap();
    assert_eq!((before.offset, before.header("n")), (19, Some("19")));
    assert!(!tail.cluster.is_empty());
}
