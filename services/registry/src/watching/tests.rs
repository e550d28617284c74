use super::*;
use crate::{
    begun::Begun,
    owner::{CHANGES, Registry},
};
use domain::enrolment::TokenHash;
use identity::{AskersKey, Request};

struct World {
    begun: Begun,
    tokens: u8,
}

impl World {
    fn begun() -> Self {
        Self { begun: Begun::new(), tokens: 0 }
    }

    async fn enrol(&mut self, role: &str) {
        self.tokens += 1;
        let (token, role) = (TokenHash([self.tokens; 32]), RolePath::from(role));
        let made = self
            .begun
            .office
            .decide(move |rules, now, batch| rules.create_token(now, batch, (token, role, vec![])));
        made.await.unwrap();
        let asker = AskersKey::of_request(Request::new().unwrap().csr_pem()).unwrap();
        self.begun.office.certify(domain::Deed::default(), Some(token), asker).await.unwrap();
    }

    async fn revoke(&self, role: &str, at_once: bool) {
        let role = role.to_owned();
        let revoked =
            self.begun.office.decide(move |rules, now, batch| rules.revoke(now, batch, &role, at_once));
        revoked.await.unwrap();
    }

    async fn watch(&self) -> Watching {
        Watching::begin(self.begun.office.clone()).await.unwrap()
    }
}

/// What a message says: `complete`, and of each one its role, whether each certificate is revoked, and `now`.
fn said(message: &WatchIdentitiesResponse) -> (bool, Vec<String>) {
    let one = |identity: &evmesh_proto::registry::Identity| {
        let revoked = identity.certificates.iter().map(|one| one.revoke_time.is_some());
        format!("{} {:?} {}", identity.role, revoked.collect::<Vec<_>>(), identity.revoked_now)
    };
    (message.complete, message.identities.iter().map(one).collect())
}

async fn next(watching: &mut Watching) -> (bool, Vec<String>) {
    said(&watching.next().await.unwrap())
}

#[tokio::test]
async fn all_who_are_revoked_come_first_and_then_each_who_changes() {
    let mut world = World::begun();
    for role in ["operator/ana", "operator/bob", "operator/eve"] {
        world.enrol(role).await;
    }
    world.revoke("operator/bob", false).await;
    world.revoke("operator/eve", true).await;
    world.enrol("operator/eve").await;
    let mut watching = world.watch().await;
    let all = ["operator/bob [true] false", "operator/eve [true, false] false"].map(str::to_owned);
    assert_eq!(next(&mut watching).await, (true, all.to_vec()));
    // What nobody is refused for is no news.
    world.enrol("operator/mia").await;
    world.revoke("operator/bob", false).await;
    world.revoke("operator/ana", true).await;
    assert_eq!(next(&mut watching).await, (true, vec!["operator/ana [true] true".to_owned()]));
    world.revoke("operator/bob", true).await;
    assert_eq!(next(&mut watching).await, (true, vec!["operator/bob [true] true".to_owned()]));
    // What changed several times is told as it is.
    world.revoke("operator/mia", false).await;
    world.enrol("operator/mia").await;
    assert_eq!(next(&mut watching).await, (true, vec!["operator/mia [true, false] false".to_owned()]));
}

#[tokio::test]
async fn who_takes_nothing_begins_anew_and_holds_nobody_up() {
    let mut world = World::begun();
    world.enrol("operator/ana").await;
    let mut watching = world.watch().await;
    next(&mut watching).await;
    world.revoke("operator/ana", false).await;
    for _ in 0..CHANGES {
        let changed = |rules: &mut Registry, _, _: &mut _| {
            rules.changed("operator/ana");
            Ok(())
        };
        world.begun.office.decide(changed).await.unwrap();
    }
    let lagged = watching.next().await.unwrap_err();
    assert_eq!(lagged.reason, "WATCH_LAGGED");
    let mut anew = world.watch().await;
    assert_eq!(next(&mut anew).await, (true, vec!["operator/ana [true] false".to_owned()]));
}

#[tokio::test]
async fn who_follows_hears_of_the_end_and_a_registry_that_starts_again_knows_them() {
    let mut world = World::begun();
    world.enrol("operator/ana").await;
    world.revoke("operator/ana", true).await;
    let mut watching = world.watch().await;
    next(&mut watching).await;
    let Begun { data, office, mut running, .. } = world.begun;
    let store = office.decide(|rules, _, _| Ok(rules.enrolments().clone())).await.unwrap();
    running.stop();
    running.ended().await.unwrap().unwrap();
    drop(office);
    assert_eq!(watching.next().await.unwrap_err().reason, "SHUTTING_DOWN");
    let enrolled = store.get("operator/ana").unwrap();
    assert!(enrolled.revoked_now && data.core_key().exists());
}

#[test]
fn many_are_told_in_parts() {
    use domain::{
        Wall,
        enrolment::{Certificate, Change, Enrolled, KeyHash},
    };
    let one = |n: u32| {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&n.to_be_bytes());
        let revoked = n.is_multiple_of(2).then_some(Wall(1));
        let newest = Certificate { serial: n.to_string(), not_after: Wall::MAX, revoked };
        let hosts = vec!["h".repeat(200)];
        let (earlier, revoked_now) = (vec![], false);
        let enrolled = Enrolled { key: KeyHash(key), hosts, newest, issued: Wall(0), earlier, revoked_now };
        Change::Identity(format!("viewer/{n:06}").into(), Some(enrolled))
    };
    let all = Enrolments::restore((0..25_000).map(one));
    let (mut after, mut sizes, mut roles) = (Some(String::new()), Vec::new(), BTreeSet::new());
    while let Some(from) = after {
        let (message, next) = page(&all, Wall(2), &from);
        assert!(message.encoded_len() < 2 * MAX_BYTES && message.complete == next.is_none());
        sizes.push(message.identities.len());
        roles.extend(message.identities.into_iter().map(|identity| identity.role));
        after = next;
    }
    assert_eq!(roles.len(), 12_500, "each once: {sizes:?}");
    let (message, _) = page(&all, Wall::MAX, "");
    assert!(!message.identities.is_empty(), "whose certificates have run out, too");
    assert!(sizes.len() >= 3 && sizes.iter().sum::<usize>() == roles.len(), "{sizes:?}");
}
