//! A store goes on without its changelog: what there is of before is not taken for all there was.

use crate::{
    changelog::{charge, lose, options, to_rebuild},
    running_central::{self, Central, Monitor, PATIENCE, no_kafka},
};
use central::{Error, Options, Service};
use evmesh_proto::{operations as operator, topics::CENTRAL_CHANGELOG};
use mesh::{
    Shutdown,
    kafka::{KafkaOptions, Log, Message, Producer},
};
use std::path::Path;
use testing::eventually;
use tokio::time::timeout;

/// From now on the store goes on without its changelog.
pub(crate) fn without(folder: &Path, kafka: KafkaOptions) -> Options {
    Options { changelog: false, ..options(folder, kafka) }
}

fn is_end(message: &Message) -> bool {
    message.key == b"\0end" && message.header("ended").is_some()
}

/// What comes behind the log's end, and the one before that.
async fn around_the_end(log: &Log) -> (Message, Vec<Message>) {
    let mut behind = Vec::new();
    let mut last = log.tail(None).await.unwrap().last.unwrap();
    while !is_end(&last) {
        let before = log.tail(Some(last.offset)).await.unwrap().last.expect("it has ended");
        behind.insert(0, std::mem::replace(&mut last, before));
    }
    (log.tail(Some(last.offset)).await.unwrap().last.unwrap(), behind)
}

/// Why a central with these options ends, which would serve for ever otherwise.
async fn refused(options: Options) -> Error {
    let running = Service::bind(options).await.unwrap().run(Shutdown::new());
    timeout(PATIENCE, running).await.expect("it ends").unwrap_err()
}

async fn forget(central: &Central, point: &str) {
    let request =
        || operator::ForgetChargePointRequest { charge_point_id: point.into(), ..Default::default() };
    let forgotten = || async { central.operators.clone().forget_charge_point(request()).await.ok() };
    eventually("it is forgotten", PATIENCE, forgotten).await;
}

async fn points(central: &Central) -> Vec<String> {
    let all = operator::GetNetworkStatusRequest::default();
    let all = central.operators.clone().get_network_status(all).await.unwrap().into_inner();
    all.charge_points.into_iter().filter_map(|one| Some(one.charge_point?.charge_point_id)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changelog_that_a_store_went_on_without_rebuilds_nothing_until_it_is_whole_again() {
    let broker = testing::broker();
    let top = tempfile::tempdir().unwrap();
    let (folder, kept) = (top.path().join("central"), top.path().join("kept"));
    let central = Central::with(options(&folder, broker.options())).await;
    let (engine, monitor) = central.charge_point("MAD-01").await;
    let first = charge(&central, &engine, "101", "MAD-01", 900).await;
    let (_there, gone) = central.charge_point("MAD-02").await;
    central.copied().await;
    drop((monitor, gone));
    central.stop().await;

    let without = without(&folder, broker.options());
    let log = Log::new(&broker.options(), CENTRAL_CHANGELOG);
    for _ in ["it is ended", "and once only"] {
        let central = Central::with(without.clone()).await;
        let monitor = Monitor::connect(&central, "MAD-01", &engine).await;
        let ended = eventually("the changelog is ended", PATIENCE, || async {
            log.tail(None).await.unwrap().last.filter(is_end)
        });
        let ended = ended.await.offset;
        if central.tickets("102").await.is_empty() {
            charge(&central, &engine, "102", "MAD-01", 700).await;
            forget(&central, "MAD-02").await;
        }
        drop(monitor);
        central.stop().await;
        assert_eq!(log.tail(None).await.unwrap().last.unwrap().offset, ended);
    }

    std::fs::rename(&folder, &kept).unwrap();
    let producer = Producer::new(&broker.options(), "test").unwrap();
    for _ in ["at its end", "when it gets every row anew"] {
        let kept = options(&folder, broker.options());
        for of_lost in [kept, to_rebuild(&folder, broker.options()), without.clone()] {
            let refused = refused(of_lost).await;
            assert!(matches!(refused, Error::ChangelogEnded { .. }) && refused.needs_a_person(), "{refused}");
        }
        let (row, _) = around_the_end(&log).await;
        let of_row = ["store", "version", "format"].map(|name| (name, row.header(name).unwrap()));
        let headers = [&of_row[..], &[("ended", "true")]].concat();
        log.append(&producer, &row.key, Some(&row.payload), &headers).await.unwrap().await.unwrap();
    }
    let (row, _) = around_the_end(&log).await;
    let headers = ["store", "version", "format"].map(|name| (name, row.header(name).unwrap()));
    log.append(&producer, &row.key, Some(&row.payload), &headers).await.unwrap().await.unwrap();
    let of_under_way = to_rebuild(&folder, broker.options());
    let refused = refused(of_under_way).await;
    assert!(
        matches!(refused, Error::ChangelogEnded { .. }),
        "a row was under way when it was ended: {refused}"
    );
    lose(&folder);
    std::fs::rename(&kept, &folder).unwrap();
    let central = Central::with(options(&folder, broker.options())).await;
    let second = central.ticket("102").await;
    central.copied().await;
    central.stop().await;
    let (_, behind) = around_the_end(&log).await;
    let whole = behind.iter().position(|message| message.key == b"\0whole").expect("it is whole");
    assert!(whole > 3, "the points, the sessions, the keys: {whole}");
    let ended = |message: &Message| message.header("ended").is_some();
    assert!(behind[..whole].iter().all(ended) && !behind[whole..].iter().any(ended));

    lose(&folder);
    let central = Central::with(to_rebuild(&folder, broker.options())).await;
    assert_eq!((central.ticket("101").await, central.ticket("102").await), (first, second));
    assert_eq!(points(&central).await, ["MAD-01"], "what was deleted meanwhile stays so");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_network_without_a_changelog_waits_for_kafka_no_longer_than_it_is_told() {
    let top = tempfile::tempdir().unwrap();
    let short = running_central::options(&top.path().join("central"), no_kafka());
    let central = Central::with(Options { changelog: false, ..short }).await;
    assert!(points(&central).await.is_empty());
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_ends_a_changelog_keeps_no_new_network_from_its_beginning() {
    let broker = testing::broker();
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("central");
    let log = Log::new(&broker.options(), CENTRAL_CHANGELOG);
    log.create().await.unwrap();
    let producer = Producer::new(&broker.options(), "test").unwrap();
    let headers = [("store", "a-stranger's"), ("version", "1"), ("format", "2"), ("ended", "true")];
    log.append(&producer, b"\0end", Some(b"\0end"), &headers).await.unwrap().await.unwrap();
    let kept = options(&folder, broker.options());
    let told = refused(kept.clone()).await;
    let ways = ["central_changelog", "backup", "--begin-anew", "--kafka-topic-prefix", "delete the topic"];
    assert!(ways.iter().all(|way| told.to_string().contains(way)), "{told}");

    let anew = Options { begin_anew: true, ..kept.clone() };
    for (options, driver) in [(anew.clone(), "101"), (kept, "102")] {
        let central = Central::with(options).await;
        let (engine, monitor) = central.charge_point("MAD-01").await;
        charge(&central, &engine, driver, "MAD-01", 900).await;
        central.says("another store's").await;
        drop(monitor);
        central.stop().await;
    }
    assert_eq!(log.tail(None).await.unwrap().last.unwrap().header("store"), Some("a-stranger's"));
    let told = Service::bind(anew).await.unwrap_err();
    assert!(matches!(told, Error::NotNew(_)) && told.needs_a_person(), "{told}");
}
