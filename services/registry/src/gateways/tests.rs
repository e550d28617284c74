use super::*;
use crate::{
    begun::{self, World, by},
    owner::Registry,
};
use evmesh_proto::registry::registry_service_server::RegistryService as _;
use futures_util::StreamExt as _;
use mesh::{grpc::reason, store::MemoryStore};
use tonic::{Request, Status};

impl World {
    async fn add_points(&self, gateway: &str, points: &[&str]) -> Result<i32, Status> {
        let (gateway, charge_point_ids) = (gateway.to_owned(), ids(points));
        let request = proto::AddGatewayChargePointsRequest { gateway, charge_point_ids };
        let answer = self.api.add_gateway_charge_points(as_ana(request)).await?;
        Ok(answer.into_inner().changed_count)
    }

    async fn remove_points(&self, gateway: &str, points: &[&str]) -> Result<i32, Status> {
        let (gateway, charge_point_ids) = (gateway.to_owned(), ids(points));
        let request = proto::RemoveGatewayChargePointsRequest { gateway, charge_point_ids };
        let answer = self.api.remove_gateway_charge_points(as_ana(request)).await?;
        Ok(answer.into_inner().changed_count)
    }

    async fn list_points(&self, page_size: i32, page_token: &str) -> (Vec<String>, String) {
        let request = proto::ListGatewayChargePointsRequest { page_size, page_token: page_token.into() };
        let page = self.api.list_gateway_charge_points(as_ana(request)).await.unwrap().into_inner();
        (said(&page.charge_points), page.next_page_token)
    }
}

fn ids(points: &[&str]) -> Vec<String> {
    points.iter().map(ToString::to_string).collect()
}

fn as_ana<T>(message: T) -> Request<T> {
    by("admin/ana", message)
}

fn said(served: &[proto::GatewayChargePoint]) -> Vec<String> {
    served.iter().map(|one| format!("{} {}", one.charge_point_id, one.gateway)).collect()
}

#[tokio::test]
async fn a_gateway_is_given_charge_points_and_they_are_taken_from_it() {
    let world = World::begun();
    assert_eq!(world.add_points("site-7", &["B", "A"]).await.unwrap(), 2);
    assert_eq!(world.add_points("site-7", &["A", "C"]).await.unwrap(), 1);
    let others = world.add_points("site-8", &["D", "A"]).await.unwrap_err();
    assert_eq!(reason(&others).as_deref(), Some("GATEWAY_OTHER"));
    assert!(others.message().contains("'evmesh registry gateway remove site-7 A'"), "{others}");
    assert_eq!(world.list_points(0, "").await, (ids(&["A site-7", "B site-7", "C site-7"]), String::new()));
    assert_eq!(world.list_points(2, "").await, (ids(&["A site-7", "B site-7"]), "B".to_owned()));
    assert_eq!(world.list_points(2, "B").await, (ids(&["C site-7"]), String::new()));
    assert_eq!(world.remove_points("site-7", &["A", "Z"]).await.unwrap(), 1);
    assert_eq!(world.add_points("site-8", &["A"]).await.unwrap(), 1);
    assert_eq!(world.remove_points("site-8", &["A", "A"]).await.unwrap(), 1);

    let many: Vec<_> = (0..1_001).map(|n| format!("M{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    for (gateway, points) in
        [("", &["A"][..]), ("a/b", &["A"]), ("site-7", &[]), ("site-7", &["a b"]), ("7", &many)]
    {
        let refused = world.add_points(gateway, points).await.unwrap_err();
        assert_eq!(reason(&refused).as_deref(), Some("INVALID_FIELD"), "{gateway} {}", points.len());
    }
    let full = world.add_points("site-7", &many[..999]).await.unwrap_err();
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
    world.add_points("site-7", &["A", "B"]).await.unwrap();
    let watch = async |who: &str| {
        let request = by(who, proto::WatchIdentitiesRequest {});
        world.api.watch_identities(request).await.unwrap().into_inner()
    };
    let mut central = watch("central/main").await;
    let first = central.next().await.unwrap().unwrap();
    assert_eq!(said(&first.gateway_charge_points), ["A site-7", "B site-7"]);
    assert!(first.gateway_charge_points_complete && !first.complete && !first.cards_complete, "{first:?}");
    world.remove_points("site-7", &["A"]).await.unwrap();
    world.add_points("site-8", &["A", "C"]).await.unwrap();
    world.add_points("site-8", &["C"]).await.unwrap(); // changes nothing, and nothing is told
    world.remove_points("site-7", &["B"]).await.unwrap();
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

#[tokio::test]
async fn what_gateways_serve_is_in_the_file_once_it_is_answered() {
    let world = World::begun();
    let file = || {
        let (all, version) = world.begun.data.gateways().unwrap();
        let served = all.after("").map(|(point, gateway)| format!("{point} {gateway}"));
        (served.collect::<Vec<_>>(), version)
    };
    world.add_points("site-7", &["A", "B"]).await.unwrap();
    assert_eq!(file(), (ids(&["A site-7", "B site-7"]), 1));
    world.add_points("site-7", &["A"]).await.unwrap();
    assert_eq!(file().1, 1);
    world.remove_points("site-7", &["A"]).await.unwrap();
    assert_eq!(file(), (ids(&["B site-7"]), 2));
    // Nothing else fails where it cannot be written, and the next change has all of it.
    let path = world.begun.data.store().with_file_name("gateways");
    let unfinished = path.with_file_name(".gateways.new");
    std::fs::create_dir(&unfinished).unwrap();
    assert_eq!(world.add_points("site-8", &["A"]).await.unwrap(), 1);
    assert_eq!(file(), (ids(&["B site-7"]), 2));
    std::fs::remove_dir(&unfinished).unwrap();
    world.add_points("site-8", &["C"]).await.unwrap();
    assert_eq!(file(), (ids(&["A site-8", "B site-7", "C site-8"]), 4));
}

/// A registry's gateways, its store, and its folder.
struct Opened {
    gateways: Gateways,
    store: MemoryStore,
    data: Data,
}

impl Opened {
    /// At a start.
    fn open(mut store: MemoryStore, data: &Data) -> Self {
        let mut batch = Batch::default();
        let mut gateways = Gateways::open(&store, data, &mut batch, 1).unwrap();
        store.commit(batch).unwrap();
        gateways.keep(data);
        Self { gateways, store, data: data.clone() }
    }

    /// Once that is done, its file is written, or it was killed before.
    fn change(&mut self, change: &str, gateway: &str, points: &[&str], is_killed: bool) {
        let (mut batch, said) = (Batch::default(), Said::read(gateway, &ids(points)).unwrap());
        let changed = match change {
            "add" => self.gateways.add(&mut batch, said),
            _ => self.gateways.remove(&mut batch, said),
        };
        assert_eq!(changed.unwrap(), points.len() as i32);
        self.store.commit(batch).unwrap();
        if !is_killed {
            self.gateways.keep(&self.data);
        }
    }

    fn serve(&self) -> Vec<String> {
        let all = self.gateways.all.after("");
        all.map(|(point, gateway)| format!("{point} {gateway}")).collect()
    }
}

/// Those of a store after a start, and at one after that without the file, and at one without the store.
fn after_a_start(store: &MemoryStore, data: &Data) -> Vec<String> {
    let opened = Opened::open(store.clone(), data);
    let served = opened.serve();
    assert_eq!(Opened::open(MemoryStore::new(), data).serve(), served, "the file alone");
    std::fs::remove_file(data.store().with_file_name("gateways")).unwrap();
    assert_eq!(Opened::open(opened.store.clone(), data).serve(), served, "the store alone");
    assert_eq!(Opened::open(MemoryStore::new(), data).serve(), served, "the file was written anew");
    served
}

#[test]
fn an_older_store_and_a_lost_one_forget_nothing_of_what_gateways_serve_and_give_nothing_back() {
    let (_top, data) = begun::folder(mesh::now().wall);
    let mut world = Opened::open(MemoryStore::new(), &data);
    assert!(!data.store().with_file_name("gateways").exists(), "there is nothing in it");
    let mut copies = vec![world.store.clone()];
    for (change, gateway, points) in [
        ("add", "site-7", &["A", "B"][..]),
        ("remove", "site-7", &["B"]),
        ("add", "site-8", &["B", "C"]),
        ("remove", "site-7", &["A"]),
    ] {
        world.change(change, gateway, points, false);
        copies.push(world.store.clone());
    }
    copies.push(MemoryStore::new());
    for store in copies {
        assert_eq!(after_a_start(&store, &data), ["B site-8", "C site-8"]);
    }
    // It goes on from there: with an older copy of that again, too.
    let mut world = Opened::open(MemoryStore::new(), &data);
    let older = world.store.clone();
    world.change("remove", "site-8", &["B"], false);
    assert_eq!(after_a_start(&older, &data), ["C site-8"]);
}

#[test]
fn a_change_that_is_killed_before_its_file_is_done_and_the_file_follows() {
    let (_top, data) = begun::folder(mesh::now().wall);
    let mut world = Opened::open(MemoryStore::new(), &data);
    world.change("add", "site-7", &["A", "B"], false);
    let older = world.store.clone();
    world.change("remove", "site-7", &["A"], true);
    world.change("add", "site-8", &["A"], true);
    assert_eq!(after_a_start(&world.store, &data), ["A site-8", "B site-7"]);
    assert_eq!(after_a_start(&older, &data), ["A site-8", "B site-7"]);
}

#[test]
fn a_store_of_before_there_was_a_file_gets_one_and_its_older_copy_gives_nothing_back() {
    let (_top, data) = begun::folder(mesh::now().wall);
    let (mut store, mut older) = (MemoryStore::new(), MemoryStore::new());
    for (store, points) in [(&mut store, &["A"][..]), (&mut older, &["A", "B"])] {
        let mut batch = Batch::default();
        let site: Name = "site-7".parse().unwrap();
        points.iter().for_each(|id| storage::write_served(&mut batch, &id.parse().unwrap(), Some(&site)));
        store.commit(batch).unwrap();
    }
    assert_eq!(after_a_start(&store, &data), ["A site-7"]);
    assert_eq!(after_a_start(&older, &data), ["A site-7"]);
}

#[test]
fn without_its_file_whole_no_registry_starts() {
    let (_top, data) = begun::folder(mesh::now().wall);
    let mut world = Opened::open(MemoryStore::new(), &data);
    world.change("add", "site-7", &["A"], false);
    world.change("add", "site-8", &["B"], false);
    let path = data.store().with_file_name("gateways");
    let whole = std::fs::read(&path).unwrap();
    // A part of it would be a whole one with fewer gateways.
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        let refused = Registry::open(world.store.clone(), &data).err().unwrap();
        assert!(refused.needs_a_person(), "{length}");
        let says = format!("what gateways serve, in {}, is damaged", path.display());
        assert!(refused.to_string().starts_with(&says), "{refused}");
    }
    std::fs::write(&path, whole).unwrap();
    assert!(Registry::open(world.store, &data).is_ok());
}
