use super::*;
use crate::{api::RegistryApi, begun::Begun};
use evmesh_proto::registry::registry_service_server::RegistryService as _;
use futures_util::StreamExt as _;
use mesh::{grpc::reason, store::MemoryStore};
use testing::known;
use tonic::{Request, Status};

struct World {
    api: RegistryApi,
    _begun: Begun,
}

impl World {
    fn begun() -> Self {
        let begun = Begun::new();
        let api = RegistryApi { office: begun.office.clone(), address: "127.0.0.1:1".parse().unwrap() };
        Self { api, _begun: begun }
    }

    async fn add(&self, gateway: &str, points: &[&str]) -> Result<i32, Status> {
        let (gateway, charge_point_ids) = (gateway.to_owned(), ids(points));
        let request = proto::AddGatewayChargePointsRequest { gateway, charge_point_ids };
        let answer = self.api.add_gateway_charge_points(as_ana(request)).await?;
        Ok(answer.into_inner().changed_count)
    }

    async fn remove(&self, gateway: &str, points: &[&str]) -> Result<i32, Status> {
        let (gateway, charge_point_ids) = (gateway.to_owned(), ids(points));
        let request = proto::RemoveGatewayChargePointsRequest { gateway, charge_point_ids };
        let answer = self.api.remove_gateway_charge_points(as_ana(request)).await?;
        Ok(answer.into_inner().changed_count)
    }

    async fn list(&self, page_size: i32, page_token: &str) -> (Vec<String>, String) {
        let request = proto::ListGatewayChargePointsRequest { page_size, page_token: page_token.into() };
        let page = self.api.list_gateway_charge_points(as_ana(request)).await.unwrap().into_inner();
        (said(&page.charge_points), page.next_page_token)
    }
}

fn ids(points: &[&str]) -> Vec<String> {
    points.iter().map(ToString::to_string).collect()
}

fn as_ana<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(known("admin/ana"));
    request
}

fn said(served: &[proto::GatewayChargePoint]) -> Vec<String> {
    served.iter().map(|one| format!("{} {}", one.charge_point_id, one.gateway)).collect()
}

#[tokio::test]
async fn a_gateway_is_given_charge_points_and_they_are_taken_from_it() {
    let world = World::begun();
    assert_eq!(world.add("site-7", &["B", "A"]).await.unwrap(), 2);
    assert_eq!(world.add("site-7", &["A", "C"]).await.unwrap(), 1);
    let others = world.add("site-8", &["D", "A"]).await.unwrap_err();
    assert_eq!(reason(&others).as_deref(), Some("GATEWAY_OTHER"));
    assert!(others.message().contains("'evmesh registry gateway remove site-7 A'"), "{others}");
    assert_eq!(world.list(0, "").await, (ids(&["A site-7", "B site-7", "C site-7"]), String::new()));
    assert_eq!(world.list(2, "").await, (ids(&["A site-7", "B site-7"]), "B".to_owned()));
    assert_eq!(world.list(2, "B").await, (ids(&["C site-7"]), String::new()));
    assert_eq!(world.remove("site-7", &["A", "Z"]).await.unwrap(), 1);
    assert_eq!(world.add("site-8", &["A"]).await.unwrap(), 1);
    assert_eq!(world.remove("site-8", &["A", "A"]).await.unwrap(), 1);

    let many: Vec<_> = (0..1_001).map(|n| format!("M{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    for (gateway, points) in
        [("", &["A"][..]), ("a/b", &["A"]), ("site-7", &[]), ("site-7", &["a b"]), ("7", &many)]
    {
        let refused = world.add(gateway, points).await.unwrap_err();
        assert_eq!(reason(&refused).as_deref(), Some("INVALID_FIELD"), "{gateway} {}", points.len());
    }
    let full = world.add("site-7", &many[..999]).await.unwrap_err();
    assert_eq!(reason(&full).as_deref(), Some("GATEWAY_FULL"), "it has two");

    let asked = proto::ListAuditEntriesRequest::default();
    let mut entries = world.api.list_audit_entries(as_ana(asked)).await.unwrap().into_inner().entries;
    entries.retain(|one| one.subject.starts_with("gateway/"));
    let rows: Vec<_> =
        entries.iter().map(|one| [&one.method, &one.subject, &one.parameters, &one.result]).collect();
    let (add, remove) = ("AddGatewayChargePoints", "RemoveGatewayChargePoints");
    let expected = [
        [add, "gateway/site-7", "charge_points=A B", "done"],
        [add, "gateway/site-7", "charge_points=A C", "done"],
        [add, "gateway/site-8", "charge_points=A D", "GATEWAY_OTHER"],
        [remove, "gateway/site-7", "charge_points=A Z", "done"],
        [add, "gateway/site-8", "charge_points=A", "done"],
        [remove, "gateway/site-8", "charge_points=A", "done"],
    ];
    assert_eq!(rows[..6], expected);
    assert!(
        rows[6][2].ends_with(" and 989 more") && rows[6][3] == "GATEWAY_FULL" && rows.len() == 7,
        "{rows:?}"
    );
    assert!(entries.iter().all(|one| one.actor == "admin/ana"));
}

#[tokio::test]
async fn central_hears_what_gateways_serve_before_all_else_and_then_each_change() {
    let world = World::begun();
    world.add("site-7", &["A", "B"]).await.unwrap();
    let watch = async |who: &str| {
        let mut request = Request::new(proto::WatchIdentitiesRequest {});
        request.extensions_mut().insert(known(who));
        world.api.watch_identities(request).await.unwrap().into_inner()
    };
    let mut central = watch("central/main").await;
    let first = central.next().await.unwrap().unwrap();
    assert_eq!(said(&first.gateway_charge_points), ["A site-7", "B site-7"]);
    assert!(first.gateway_charge_points_complete && !first.complete && !first.cards_complete, "{first:?}");
    world.remove("site-7", &["A"]).await.unwrap();
    world.add("site-8", &["A", "C"]).await.unwrap();
    world.add("site-8", &["C"]).await.unwrap(); // changes nothing, and nothing is told
    world.remove("site-7", &["B"]).await.unwrap();
    let mut told = Vec::new();
    while told.len() < 3 {
        told.extend(said(&central.next().await.unwrap().unwrap().gateway_charge_points));
        told.sort();
        told.dedup();
        told.retain(|one| one != "A "); // it may have been told in between, too
    }
    assert_eq!(told, ["A site-8", "B ", "C site-8"]);
    for who in ["admin/ana", "gateway/site-7"] {
        let first = watch(who).await.next().await.unwrap().unwrap();
        assert!(first.gateway_charge_points.is_empty() && first.complete, "{who}");
    }
}

#[test]
fn a_registry_that_starts_again_knows_what_gateways_serve() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = MemoryStore::new();
    let mut gateways = Gateways::open(&store, folder.path(), 1).unwrap();
    let said = |points: &[&str]| Said::read("site-7", &ids(points)).unwrap();
    let mut batch = Batch::default();
    gateways.add(&mut batch, said(&["A", "B"])).unwrap();
    gateways.remove(&mut batch, said(&["B"])).unwrap();
    store.commit(batch).unwrap();
    let again = Gateways::open(&store, folder.path(), 1).unwrap();
    assert_eq!(again.all, gateways.all);
    assert_eq!(again.all.after("").count(), 1);
}
