//! Charge points by the thousand get an identity each from a running registry, by a token each, and renew it.

use super::{
    server::eventually,
    table::{Bound, Figure, median, micros},
};
use evmesh_proto::registry::{
    CreateEnrolmentTokenRequest, Credentials, EnrolRequest, ListIdentitiesRequest, RenewRequest,
    registry_service_client::RegistryServiceClient,
};
use identity::{EnrolmentToken, Pin, Request};
use mesh::grpc::{Address, CALL_TIMEOUT, Expected, Peer, Peers, Security};
use registry::Applicant;
use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use testing::of_folder;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// So many are at it at once: installers with a list, or chargers that come back after a power cut.
const AT_ONCE: usize = 32;

pub(super) type Registry = RegistryServiceClient<Peer>;

/// The registry as its admin calls it, and as those do who are nobody yet.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    pub(super) admin: Registry,
    address: SocketAddr,
    strangers: Option<Peers>,
}

impl Desk {
    pub(super) fn of(admin: Security, address: SocketAddr) -> Self {
        Self { admin: registry(&Peers::new(admin), address), address, strangers: None }
    }

    /// Waits until it answers its admin.
    pub(super) async fn serves(&mut self) -> anyhow::Result<()> {
        let one = ListIdentitiesRequest { page_size: 1, ..ListIdentitiesRequest::default() };
        let answered = async || self.admin.list_identities(one.clone()).await.ok();
        eventually("the registry serves", answered).await.map(drop)
    }

    async fn token(&mut self, role: &str) -> anyhow::Result<EnrolmentToken> {
        let request = CreateEnrolmentTokenRequest { role: role.to_owned(), hosts: Vec::new() };
        let token: EnrolmentToken =
            self.admin.create_enrolment_token(request).await?.into_inner().token.parse()?;
        if self.strangers.is_none() {
            let pin = Pin { trust_domain: token.trust_domain.clone(), core: token.core };
            self.strangers = Some(Peers::enrolling(pin));
        }
        Ok(token)
    }

    /// Over a connection of its own, as `evmesh enrol` does.
    async fn enrol(&self, token: &EnrolmentToken, csr: &str) -> anyhow::Result<Credentials> {
        let strangers = self.strangers.clone().unwrap_or_default();
        let request = EnrolRequest { secret: token.secret.0.to_vec(), certificate_request: csr.to_owned() };
        let given = registry(&strangers, self.address).enrol(request).await?.into_inner();
        Ok(given.credentials.unwrap_or_default())
    }

    /// Somebody with a folder, and what protects its connections.
    pub(super) async fn enrolled(&mut self, role: &str, folder: &Path) -> anyhow::Result<Security> {
        let (token, applicant) = (self.token(role).await?, Applicant::new(folder)?);
        let given = self.enrol(&token, applicant.csr_pem()).await?;
        applicant.keep(&token, given)?;
        Ok(of_folder(folder.to_owned()))
    }

    /// As `evmesh registry renew`, over a connection of its own.
    pub(super) async fn renew(&self, folder: &Path) -> anyhow::Result<()> {
        let (applicant, peers) = (Applicant::again(folder)?, Peers::new(of_folder(folder.to_owned())));
        let request = RenewRequest { certificate_request: applicant.csr_pem().to_owned() };
        let given = registry(&peers, self.address).renew(request).await?.into_inner().credentials;
        applicant.keep_newer(&given.unwrap_or_default())?;
        Ok(())
    }
}

pub(super) fn registry(peers: &Peers, address: SocketAddr) -> Registry {
    Registry::new(peers.peer(&Address::from(address), Expected::Registry, CALL_TIMEOUT))
}

/// The keys of those who are enrolled.
pub(super) type Keys = Arc<Vec<Request>>;

/// So many charge points, all of them enrolled.
pub(super) async fn enrol(desk: &Desk, count: u32) -> anyhow::Result<(Keys, Figure)> {
    let (began, mut enrolling) = (Instant::now(), JoinSet::new());
    let next = Arc::new(AtomicUsize::new(0));
    let count = usize::try_from(count)?;
    for _ in 0..AT_ONCE {
        let (mut desk, next) = (desk.clone(), next.clone());
        enrolling.spawn(async move {
            let (mut keys, mut taken) = (Vec::new(), Vec::new());
            loop {
                let n = next.fetch_add(1, Relaxed);
                if n >= count {
                    return Ok::<_, anyhow::Error>((keys, taken));
                }
                let began = Instant::now();
                let token = desk.token(&format!("charge-point/CP-{n:06}/engine")).await?;
                let key = Request::new()?;
                let given = desk.enrol(&token, key.csr_pem()).await?;
                anyhow::ensure!(identity::is_for(&given.certificate, &key), "another's certificate");
                taken.push(micros(began.elapsed()));
                keys.push(key);
            }
        });
    }
    let (mut keys, mut taken) = (Vec::new(), Vec::new());
    while let Some(done) = enrolling.join_next().await {
        let (some, times) = done??;
        keys.extend(some);
        taken.extend(times);
    }
    let took = began.elapsed().as_secs_f64();
    let figure = Figure {
        what: "charge points enrolled, a token each",
        plain: String::new(),
        secured: format!("{:.0}/s", keys.len() as f64 / took),
        bound: Some(Bound::Done("all", keys.len() == count)),
        measured: format!("{} in {took:.1} s, none refused; p50 {:.1} ms", keys.len(), median(&taken) / 1e3),
    };
    Ok((Arc::new(keys), figure))
}

/// All of them renew; how many got a certificate of an authority that this one is not, and how long it took.
pub(super) async fn renew(
    registry: &Registry,
    keys: &Keys,
    former: &str,
) -> anyhow::Result<(usize, Duration)> {
    let (began, mut renewing) = (Instant::now(), JoinSet::new());
    let next = Arc::new(AtomicUsize::new(0));
    for _ in 0..AT_ONCE {
        let (mut registry, keys, next) = (registry.clone(), keys.clone(), next.clone());
        let former = former.to_owned();
        renewing.spawn(async move {
            let mut renewed = 0;
            while let Some(key) = keys.get(next.fetch_add(1, Relaxed)) {
                let request = RenewRequest { certificate_request: key.csr_pem().to_owned() };
                let given = registry.renew(request).await?.into_inner().credentials.unwrap_or_default();
                anyhow::ensure!(identity::is_for(&given.certificate, key), "another's certificate");
                renewed += usize::from(!given.certificate.contains(former.trim()));
            }
            Ok::<_, anyhow::Error>(renewed)
        });
    }
    let mut renewed = 0;
    while let Some(some) = renewing.join_next().await {
        renewed += some??;
    }
    Ok((renewed, began.elapsed()))
}
