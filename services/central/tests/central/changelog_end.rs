//! A store goes on without its changelog: what there is of before is not taken for all there was.

use crate::{
    changelog::{charge, lose, options, to_rebuild},
    running_central::{Central, Monitor, PATIENCE},
};
use central::{Error, Service};
use evmesh_proto::topics::CENTRAL_CHANGELOG;
use mesh::{Shutdown, kafka::Log};
use testing::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn a_changelog_that_a_store_went_on_without_rebuilds_nothing_until_it_is_whole_again() {
    let broker = testing::broker();
    let top = tempfile::tempdir().unwrap();
    let (folder, kept) = (top.path().join("central"), top.path().join("kept"));
    let central = Central::with(options(&folder, broker.options())).await;
    let (engine, monitor) = central.charge_point("MAD-01").await;
    let first = charge(&central, &engine, "101", "MAD-01", 900).await;
    central.copied().await;
    drop(monitor);
    central.stop().await;

    let mut without = options(&folder, broker.options());
    without.changelog = false;
    let log = Log::new(&broker.options(), CENTRAL_CHANGELOG);
    for _ in ["it is ended", "and once only"] {
        let central = Central::with(without.clone()).await;
        let monitor = Monitor::connect(&central, "MAD-01", &engine).await;
        let ended = eventually("the changelog is ended", PATIENCE, || async {
            log.tail(None).await.unwrap().last.filter(|last| last.header("ended").is_some())
        });
        let ended = ended.await.offset;
        if central.tickets("102").await.is_empty() {
            charge(&central, &engine, "102", "MAD-01", 700).await;
        }
        drop(monitor);
        central.stop().await;
        assert_eq!(log.tail(None).await.unwrap().last.unwrap().offset, ended);
    }

    std::fs::rename(&folder, &kept).unwrap();
    for of_lost in [options(&folder, broker.options()), to_rebuild(&folder, broker.options())] {
        let refused = Service::bind(of_lost).await.unwrap().run(Shutdown::new()).await.unwrap_err();
        assert!(matches!(refused, Error::ChangelogEnded { .. }) && refused.needs_a_person(), "{refused}");
    }
    lose(&folder);
    std::fs::rename(&kept, &folder).unwrap();
    let central = Central::with(options(&folder, broker.options())).await;
    let second = central.ticket("102").await;
    central.copied().await;
    central.stop().await;
    lose(&folder);
    let central = Central::with(to_rebuild(&folder, broker.options())).await;
    assert_eq!((central.ticket("101").await, central.ticket("102").await), (first, second));
    central.stop().await;
}
