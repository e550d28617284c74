//! The audit and what Kafka has of it.

use crate::{
    running_central::{Central, PATIENCE, options},
    topics::Topic,
};
use central::{Options, audit::anchors};
use evmesh_proto::{
    network::Price,
    operations::{ListAuditEntriesRequest, ListAuditEntriesResponse, SetPriceRequest},
    topics::AUDIT_ANCHORS,
};
use mesh::{
    audit::{Misfit, Verifier},
    convert::hex,
};

async fn audit(central: &Central) -> ListAuditEntriesResponse {
    let request = ListAuditEntriesRequest { page_size: 500, ..Default::default() };
    central.operators.clone().list_audit_entries(request).await.unwrap().into_inner()
}

async fn set_price(central: &Central, micros_per_kwh: i64) {
    let price = Some(Price { currency_code: "EUR".into(), micros_per_kwh });
    let request = SetPriceRequest { charge_point_id: "MAD-01".into(), price, ..Default::default() };
    central.operators.clone().set_price(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_stop_kafka_has_the_newest_hash_and_a_rebuilt_store_goes_on_behind_it() {
    let broker = testing::broker();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("central");
    let options = || Options { changelog_wait: PATIENCE, ..options(&folder, broker.options()) };
    let central = Central::with(options()).await;
    let (engine, monitor) = central.charge_point("MAD-01").await;
    set_price(&central, 450_000).await;
    central.copied().await;
    let before = audit(&central).await;
    let actors: Vec<_> =
        before.entries.iter().map(|one| (one.actor.as_str(), one.address.as_str())).collect();
    assert_eq!(actors, [("", "127.0.0.1"); 2], "in plain text the address is all that is known");
    let published = Topic::read(&broker.options(), AUDIT_ANCHORS);
    drop((engine, monitor));
    central.stop().await;
    let (key, anchor) = published.of_type("AUDIT_ANCHOR").await;
    assert_eq!(key, before.store_id);
    assert_eq!(
        (anchor["number"].as_u64(), anchor["hash"].as_str()),
        (Some(2), Some(&*hex(&before.newest_hash)))
    );
    testing::contract::check_published(AUDIT_ANCHORS, anchor.to_string().as_bytes());

    std::fs::remove_dir_all(&folder).unwrap();
    let central = Central::with(options()).await;
    set_price(&central, 460_000).await;
    let after = audit(&central).await;
    assert_ne!(after.store_id, before.store_id);
    assert_eq!((after.first_number, after.newest_number), (3, 3));
    assert_eq!(after.before_first_hash, before.newest_hash, "it is the lost store's last");
    central.stop().await;

    let kafka = broker.options();
    let anchors = tokio::task::spawn_blocking(move || anchors::all(&kafka)).await.unwrap().unwrap().unwrap();
    assert_eq!(anchors.iter().map(|anchor| anchor.number).collect::<Vec<_>>(), [2, 3]);
    let verify = |page: &ListAuditEntriesResponse| {
        let first = u64::try_from(page.first_number).unwrap();
        let mut verifier = Verifier::new(first, page.before_first_hash.clone(), &page.store_id, &anchors)?;
        for (number, entry) in (first..).zip(&page.entries) {
            verifier.take(number, &entry.record)?;
        }
        verifier.end(page.newest_number as u64, &page.newest_hash)
    };
    assert_eq!([verify(&before), verify(&after)].map(|fits| fits.unwrap().anchors), [1, 1]);
    let mut other = before.clone();
    other.entries.pop();
    (other.newest_number, other.newest_hash) = (1, other.entries[0].previous_hash.clone());
    assert_eq!(verify(&other), Err(Misfit::Missing(2)), "an older copy");
}
