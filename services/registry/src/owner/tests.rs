use super::*;
use crate::{DataError, begun};
use domain::{Mono, Wall};
use identity::{Request, folder::KEY};
use mesh::store::MemoryStore;
use std::{fs, path::Path, time::Duration};

const ROLE: &str = "charge-point/MAD-01/engine";
const TOKEN: TokenHash = TokenHash([7; 32]);

pub(super) fn at(day: u64) -> Now {
    let day = Duration::from_secs(day * 86_400);
    Now { mono: Mono::default() + day, wall: Wall(1_800_000_000_000) + day }
}

/// Who is given out by hand.
pub(super) const BY_HAND: &str = "operator/ana";

/// So many seconds after the network began.
pub(super) fn after(seconds: u64) -> Now {
    let (now, seconds) = (at(0), Duration::from_secs(seconds));
    Now { mono: now.mono + seconds, wall: now.wall + seconds }
}

pub(super) fn issue(data: &Data, to: &Path, now: Now) -> Result<(), DataError> {
    data.issue(BY_HAND.parse().unwrap(), to, &[], Duration::from_secs(30 * 86_400), now.wall).map(drop)
}

/// At the network's beginning.
pub(super) fn open(store: MemoryStore, data: &Data) -> Owner<Registry, MemoryStore> {
    Registry::open_at(at(0), store, data).unwrap()
}

/// As the calls have it: what is decided is on disk, then let out.
pub(super) fn decide(
    owner: &mut Owner<Registry, MemoryStore>,
    now: Now,
    decide: impl FnOnce(&mut Registry, Now, &mut Batch) + Send + 'static,
) {
    let input: Input = Box::new(move |registry, now, step| {
        decide(registry, now, &mut step.batch);
        let let_out = registry.let_out();
        step.effects.push(Box::new(move |_| {
            let_out();
            Ok(())
        }));
    });
    let effects = owner.step(now, [input]).unwrap();
    effects.into_iter().for_each(|effect| effect(&owner.store).unwrap());
}

pub(super) fn look(owner: &mut Owner<Registry, MemoryStore>, now: Now) {
    decide(owner, now, Registry::take_in_issued);
}

pub(super) fn held(owner: &Owner<Registry, MemoryStore>) -> Vec<bool> {
    let all = owner.rules.enrolments.get(BY_HAND).into_iter().flat_map(|one| one.all());
    all.map(|one| one.revoked.is_some()).collect()
}

/// What the holder of this folder's key would be told.
pub(super) fn renews(
    owner: &mut Owner<Registry, MemoryStore>,
    folder: &Path,
    now: Now,
) -> Result<(), String> {
    let request = Request::with_key(&fs::read_to_string(folder.join(KEY)).unwrap()).unwrap();
    let asker = AskersKey::of_request(request.csr_pem()).unwrap();
    let renewed = owner.rules.certify(now, &mut Batch::default(), (None, false), &asker);
    renewed.map(drop).map_err(|failure| failure.reason.to_string())
}

type Call = Box<dyn Fn(&mut Registry, Now, &mut Batch) -> Result<(), Failure> + Send>;

/// A life: enrolled, asked again, renewed, revoked.
fn life(asker: &AskersKey) -> Vec<(u64, Call)> {
    let (enrolling, renewing) = (asker.clone(), asker.clone());
    let enrol = move |registry: &mut Registry, now: Now, batch: &mut Batch| {
        registry.certify(now, batch, (Some(TOKEN), false), &enrolling).map(drop)
    };
    let again = enrol.clone();
    let renew = move |registry: &mut Registry, now: Now, batch: &mut Batch| {
        registry.certify(now, batch, (None, false), &renewing).map(drop)
    };
    vec![
        (0, Box::new(|registry, now, batch| registry.create_token(now, batch, (TOKEN, ROLE.into(), vec![])))),
        (0, Box::new(enrol)),
        (0, Box::new(again)),
        (1, Box::new(renew)),
        (2, Box::new(|registry, now, batch| registry.revoke(now, batch, ROLE, false).map(drop))),
    ]
}

#[test]
fn what_was_answered_is_there_after_a_crash_at_any_commit_and_nothing_else_is() {
    let asker = AskersKey::of_request(Request::new().unwrap().csr_pem()).unwrap();
    for crash in 0..6 {
        let (_folder, data) = begun::folder(at(0).wall);
        let mut owner = Registry::open(MemoryStore::new(), &data).unwrap();
        owner.store.fail_after(crash);
        let mut answered = owner.rules.enrolments.clone();
        for (day, call) in life(&asker) {
            let input: Input = Box::new(move |registry, now, step| {
                call(registry, now, &mut step.batch).unwrap();
            });
            match owner.step(at(day), [input]) {
                Ok(_) => answered = owner.rules.enrolments.clone(),
                Err(_) => break,
            }
        }
        let revoked = answered.get(ROLE).is_some_and(|enrolled| enrolled.is_revoked());
        assert_eq!(revoked, crash >= 4, "{crash}");
        let chain = storage::chain(&owner.store, ROLE).unwrap();
        assert_eq!(chain.is_some(), answered.get(ROLE).is_some(), "{crash}");
        let back = Registry::open(owner.store, &data).unwrap();
        assert_eq!(back.rules.enrolments, answered, "{crash}");
    }
}

#[test]
fn a_store_is_of_its_network() {
    let ((_one, data), (_two, other)) = (begun::folder(at(0).wall), begun::folder(at(0).wall));
    let store = Registry::open(MemoryStore::new(), &data).unwrap().store;
    let store = Registry::open(store, &other).unwrap().store; // of the same name
    let lisbon =
        data.authority(Kind::Network).unwrap().trust_domain().to_string().replace("madrid", "lisbon");
    let mut store = store;
    let loaded = storage::load(&mut store, &data.store(), &lisbon.parse().unwrap());
    assert!(matches!(loaded, Err(Error::OtherNetwork { .. })), "{loaded:?}");
}

#[test]
fn what_was_done_is_in_the_audit_of_the_same_commit_and_the_chain_fits() {
    use mesh::audit::Verifier;
    let (_folder, data) = begun::folder(at(0).wall);
    let asker = AskersKey::of_request(Request::new().unwrap().csr_pem()).unwrap();
    let mut owner = Registry::open(MemoryStore::new(), &data).unwrap();
    for (day, call) in life(&asker) {
        let deed = Deed { method: format!("day {day}"), ..Deed::default() };
        let input: Input = Box::new(move |registry, now, step| {
            call(registry, now, &mut step.batch).unwrap();
            registry.audit.came(deed, Ok(Some("")), now, &mut step.batch);
        });
        let commits = owner.store.commits();
        owner.step(at(day), [input]).unwrap();
        assert_eq!(owner.store.commits(), commits + 1);
    }
    let back = Registry::open(owner.store, &data).unwrap();
    let asked = crate::audit::Asked::of(Default::default()).unwrap();
    let page = asked.page(&back.store).unwrap();
    let methods: Vec<_> = page.entries.iter().map(|entry| entry.method.as_str()).collect();
    assert_eq!(methods, ["Issue", "day 0", "day 0", "day 0", "day 1", "day 2"]);
    let mut verifier = Verifier::new(1, page.before_first_hash, "", &[]).unwrap();
    page.entries.iter().for_each(|entry| verifier.take(entry.number as u64, &entry.record).unwrap());
    assert_eq!(verifier.end(6, &page.newest_hash).unwrap().newest, 6);
}

#[test]
fn who_is_refused_is_written_down_with_what_is_decided_next_and_counted_beyond() {
    use mesh::grpc::{Actor, Refusal};
    let (_folder, data) = begun::folder(at(0).wall);
    let mut owner = Registry::open(MemoryStore::new(), &data).unwrap();
    let commits = owner.store.commits();
    for _ in 0..1_000 {
        let (actor, reason) = (Actor::Stranger, "NOT_ALLOWED".to_owned());
        owner.rules.unaudited.add(Refusal { actor, caller: None, path: "/a.B/Renew", reason });
    }
    let tick = || -> [Input; 1] { [Box::new(|_, _, _| {})] };
    owner.step(at(0), tick()).unwrap();
    owner.step(at(0), tick()).unwrap();
    assert_eq!(owner.store.commits(), commits + 1);
    owner.step(at(1), tick()).unwrap(); // its minute is over, though nobody calls
    let asked = evmesh_proto::registry::ListAuditEntriesRequest { page_size: 200, ..Default::default() };
    let page = crate::audit::Asked::of(asked).unwrap().page(&owner.store).unwrap();
    let refused: Vec<_> = page.entries.iter().filter(|entry| entry.method == "Renew").collect();
    assert_eq!((refused.len(), refused[0].result.as_str()), (100, "NOT_ALLOWED"));
    assert_eq!(page.entries.last().unwrap().refusal_count, 900);
}
