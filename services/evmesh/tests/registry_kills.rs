//! A registry that is killed at any moment, while several clients have it enrol, renew and revoke: what was answered is
//! so, and what was not is done or not, never half.

mod common;

use common::{PATIENCE, Process, free_address, run};
use evmesh_proto::registry::{
    CreateEnrolmentTokenRequest, EnrolRequest, Identity, ListIdentitiesRequest, RenewRequest,
    RevokeIdentityRequest, registry_service_client::RegistryServiceClient,
};
use identity::{
    EnrolmentToken, Pin, Request,
    folder::{self, Folder},
};
use mesh::grpc::{Address, CALL_TIMEOUT, Expected, Peer, Peers, SecurityOptions, reason};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};
use tempfile::TempDir;
use tokio::sync::Notify;
use tonic::{Code, Status};

const KILLS: u32 = 25;
/// ... and so many at most, until each kind of call was under way at one of them.
const MOST_KILLS: u32 = 100;
/// Enrol, renew, revoke.
const KINDS: usize = 3;
const CLIENTS: u64 = 3;
/// So many answers come at most between two kills.
const MOST_ANSWERS: u64 = 60;

type Client = RegistryServiceClient<Peer>;

/// What one client has had done for a role of its own, as far as it was answered.
struct Life {
    role: String,
    token: EnrolmentToken,
    request: Request,
    /// The certificate that was answered, and its number.
    given: Option<(String, String)>,
    revoked: bool,
    /// What was asked and not answered.
    asked: Option<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Enrol,
    Renew,
    Revoke,
}

struct World {
    top: TempDir,
    data: String,
    address: Address,
}

impl World {
    fn begun() -> Self {
        let top = tempfile::tempdir().expect("a folder");
        let data = top.path().join("registry").display().to_string();
        let made = run(["registry", "init", "--trust-domain", "madrid", "--data", &data]);
        assert_eq!(made.code, 0, "{made:?}");
        Self { top, data, address: free_address().parse().expect("an address") }
    }

    fn start(&self) -> Process {
        let address = self.address.to_string();
        let registry = Process::start(["registry", "run", "--data", &self.data, "--listen", &address]);
        registry.line(&["registry ready"], PATIENCE);
        registry
    }

    fn client(&self, peers: &Peers) -> Client {
        RegistryServiceClient::new(peers.peer(&self.address, Expected::Registry, CALL_TIMEOUT))
    }

    /// On a connection of its own.
    fn admin(&self) -> Client {
        let identity = Some(PathBuf::from(&self.data).join("identities/admin"));
        let options = SecurityOptions { identity, ..SecurityOptions::default() };
        self.client(&Peers::new(options.open("anybody", |_| true).expect("an identity")))
    }

    fn stranger(&self, token: &EnrolmentToken) -> Client {
        let pin = Pin { trust_domain: token.trust_domain.clone(), core: token.core };
        self.client(&Peers::enrolling(pin))
    }

    /// Everybody who is listed.
    async fn listed(&self) -> BTreeMap<String, Identity> {
        let (mut all, mut page_token) = (BTreeMap::new(), String::new());
        loop {
            let asked = ListIdentitiesRequest { page_size: 500, page_token };
            let page = self.admin().list_identities(asked).await.expect("it serves").into_inner();
            all.extend(page.identities.into_iter().map(|identity| (identity.role.clone(), identity)));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return all;
            }
        }
    }
}

/// The number of a certificate that was answered: as whoever uses it reads it.
fn serial(top: &Path, life: &Life, given: &evmesh_proto::registry::Credentials) -> String {
    let (certificate, core, network) =
        (given.certificate.clone(), given.core_authorities.clone(), given.network_authorities.clone());
    let at = top.join("given").join(&life.role);
    let files = Folder { core, network, certificate, key: life.request.key_pem() };
    folder::write(&at, &files).expect("it can be written");
    match identity::Credentials::open(&at).expect("it is whole").shows() {
        identity::Shows::Certificate(serial) => serial.to_string(),
        identity::Shows::Token(_) => panic!("it was enrolled"),
    }
}

/// No answer came, or none that says whether anything was done.
fn is_lost(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Cancelled)
}

/// One call for a life: what was asked is answered from here on. An error: the registry is gone.
async fn step(world: &World, life: &mut Life, step: Step) -> Result<(), Status> {
    life.asked = Some(step);
    let certificate_request = life.request.csr_pem().to_owned();
    match step {
        Step::Enrol | Step::Renew => {
            let mut client = world.stranger(&life.token);
            let given = if step == Step::Enrol {
                let secret = life.token.secret.0.to_vec();
                client.enrol(EnrolRequest { secret, certificate_request }).await?.into_inner().credentials
            } else {
                client.renew(RenewRequest { certificate_request }).await?.into_inner().credentials
            };
            let given = given.expect("credentials");
            let is = (given.certificate.clone(), serial(world.top.path(), life, &given));
            let before = life.given.get_or_insert_with(|| is.clone());
            assert_eq!(*before, is, "{}: the same key has the same certificate", life.role);
        }
        Step::Revoke => {
            let request = RevokeIdentityRequest { role: life.role.clone(), now: false };
            world.admin().revoke_identity(request).await?;
            life.revoked = true;
        }
    }
    life.asked = None;
    Ok(())
}

/// Lives one after another, until the registry is gone.
async fn live(world: Arc<World>, name: String, seed: u64, answers: Arc<Answers>) -> Vec<Life> {
    let (mut random, mut lives) = (fastrand::Rng::with_seed(seed), Vec::new());
    let mut admin = world.admin();
    for number in 0.. {
        let role = format!("viewer/{name}-{number}");
        let request = CreateEnrolmentTokenRequest { role: role.clone(), hosts: Vec::new() };
        let made = match admin.create_enrolment_token(request).await {
            Ok(made) => made.into_inner(),
            Err(status) if is_lost(&status) => return lives,
            Err(status) => panic!("{status}"),
        };
        answers.one();
        let token = made.token.parse().expect("a token");
        let request = Request::new().expect("a key");
        lives.push(Life { role, token, request, given: None, revoked: false, asked: None });
        let life = lives.last_mut().expect("it was pushed");
        let mut steps = vec![Step::Enrol];
        steps.extend((0..random.usize(0..3)).map(|_| if random.bool() { Step::Enrol } else { Step::Renew }));
        steps.extend(random.bool().then_some(Step::Revoke));
        for one in steps {
            match step(&world, life, one).await {
                Ok(()) => answers.one(),
                Err(status) if is_lost(&status) => return lives,
                Err(status) => panic!("{}: {status}", life.role),
            }
        }
    }
    lives
}

/// How many answers came.
#[derive(Default)]
struct Answers {
    count: AtomicU64,
    more: Notify,
}

impl Answers {
    fn one(&self) {
        self.count.fetch_add(1, SeqCst);
        self.more.notify_one();
    }

    async fn reach(&self, wanted: u64) {
        while self.count.load(SeqCst) < wanted {
            self.more.notified().await;
        }
    }
}

/// What is listed of a life is what was answered, and of what was not, all or nothing.
fn check_listed(life: &Life, listed: &BTreeMap<String, Identity>) {
    let what = format!("{} {:?}", life.role, life.asked);
    let Some(identity) = listed.get(&life.role) else {
        assert!(life.given.is_none() && !life.revoked, "{what}: an answered enrolment is gone");
        return;
    };
    let asked = |step| life.asked == Some(step);
    assert!(life.given.is_some() || asked(Step::Enrol), "{what}: nobody asked for it");
    let [certificate] = &identity.certificates[..] else { panic!("{what}: {identity:?}") };
    if let Some((_, serial)) = &life.given {
        assert_eq!(*serial, certificate.serial, "{what}: another certificate was answered");
    }
    let revoked = certificate.revoke_time.is_some();
    assert!(revoked || !life.revoked, "{what}: an answered revocation is gone");
    assert!(!revoked || life.revoked || asked(Step::Revoke), "{what}: nobody asked for its revocation");
}

/// What was not answered is asked again, and the whole is as if it had been answered at once.
async fn finish(world: &World, life: &mut Life, listed: &BTreeMap<String, Identity>) {
    let found = listed.get(&life.role).and_then(|identity| identity.certificates.last()).cloned();
    let is_revoked = found.as_ref().is_some_and(|found| found.revoke_time.is_some());
    if let Some(asked) = life.asked.filter(|_| !is_revoked) {
        step(world, life, asked).await.unwrap_or_else(|status| panic!("{} {asked:?}: {status}", life.role));
    }
    let Some((_, given)) = &life.given else { return };
    if let Some(found) = found {
        assert_eq!(*given, found.serial, "{}: what was on disk is what is answered", life.role);
    }
    life.revoked |= is_revoked;
    life.asked = None;
    let why =
        |refused: Result<(), Status>| refused.err().and_then(|status| reason(&status)).unwrap_or_default();
    let mut client = world.stranger(&life.token);
    // A token is used, by its one key.
    let request = |of: &Request| EnrolRequest {
        secret: life.token.secret.0.to_vec(),
        certificate_request: of.csr_pem().to_owned(),
    };
    let thief = client.enrol(request(&Request::new().expect("a key"))).await.map(drop);
    assert_eq!(why(thief), if life.revoked { "TOKEN_UNKNOWN" } else { "TOKEN_USED" }, "{}", life.role);
    let renewed = client.renew(RenewRequest { certificate_request: life.request.csr_pem().to_owned() }).await;
    assert_eq!(why(renewed.map(drop)), if life.revoked { "IDENTITY_REVOKED" } else { "" }, "{}", life.role);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_under_way_when_a_registry_is_killed_is_done_or_not() {
    let seed = std::env::var("EVMESH_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("EVMESH_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (world, began) = (Arc::new(World::begun()), mesh::now().mono);
    let mut registry = world.start();
    let (mut lives, mut unanswered, mut kinds) = (Vec::<Life>::new(), 0, HashSet::new());
    let mut kills = 0;
    while kills < KILLS || kinds.len() < KINDS && kills < MOST_KILLS {
        let kill = kills;
        kills += 1;
        let answers = Arc::new(Answers::default());
        let clients = (0..CLIENTS).map(|client| {
            let (name, seed) = (format!("{kill}-{client}"), random.u64(..));
            tokio::spawn(live(world.clone(), name, seed, answers.clone()))
        });
        let clients: Vec<_> = clients.collect();
        tokio::time::timeout(PATIENCE, answers.reach(random.u64(1..=MOST_ANSWERS)))
            .await
            .expect("it answers");
        // Anywhere within a call.
        for _ in 0..random.u32(0..1_000) {
            tokio::task::yield_now().await;
        }
        registry.kill();
        let mut newest = Vec::new();
        for client in clients {
            newest.extend(client.await.expect("no answer is wrong"));
        }
        registry = world.start();
        let listed = world.listed().await;
        lives.iter().chain(&newest).for_each(|life| check_listed(life, &listed));
        for life in &mut newest {
            unanswered += u32::from(life.asked.is_some());
            kinds.extend(life.asked.map(|asked| format!("{asked:?}")));
            finish(&world, life, &listed).await;
        }
        lives.extend(newest);
    }
    let listed = world.listed().await;
    lives.iter().for_each(|life| check_listed(life, &listed));
    // Whoever was revoked by then has a mark: without the store, too.
    registry.kill();
    std::fs::remove_dir_all(PathBuf::from(&world.data).join("store")).expect("a store");
    let _registry = world.start();
    let listed = world.listed().await;
    let revoked = lives.iter().filter(|life| life.revoked && life.given.is_some());
    let revoked: Vec<_> = revoked.map(|life| life.role.as_str()).collect();
    let known = listed.values().filter(|identity| identity.certificates[0].revoke_time.is_some());
    assert_eq!(
        known.map(|identity| identity.role.as_str()).collect::<BTreeSet<_>>(),
        revoked.into_iter().collect()
    );
    let took = mesh::now().mono.since(began);
    println!("{kills} kills in {took:?}: {} lives, {unanswered} calls under way, of {kinds:?}", lives.len());
    assert_eq!(kinds.len(), KINDS, "of some kind nothing was under way at any kill: {kinds:?}");
}
