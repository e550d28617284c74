//! The network that is attacked where everybody has an identity: a registry, central and two charge points as
//! processes, on a broker of their own.

mod processes;

use super::{
    honest::Attacked,
    network::{HONEST, eventually},
};
use crate::process::{self, Group, Slot};
use anyhow::Context as _;
use domain::Wall;
use evmesh_proto::{
    driver::{ListChargePointsRequest, driver_service_client::DriverServiceClient},
    network::ChargePointStatus,
    operations::{AuditEntry, ListAuditEntriesRequest, operator_service_client::OperatorServiceClient},
    registry::{
        AddGatewayChargePointsRequest, CreateEnrolmentTokenRequest, EnrolRequest,
        registry_service_client::RegistryServiceClient,
    },
    store::StoredEnrolmentToken,
};
use identity::{Authority, Credentials, EnrolmentToken, Expected, Identity, Request, sha256};
use mesh::{
    grpc::{CALL_TIMEOUT, Peer, Peers},
    kafka::KafkaOptions,
    store::{Batch, Role, SledStore, Store as _},
};
use prost::Message as _;
use registry::{Applicant, Beginning, Data, Registry};
use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};
use testing::{
    TestBroker, embedded_broker, free_address, of_folder,
    strangers::{self, Shown},
};
use tonic::{
    Status,
    transport::{self, Channel},
};

/// The network's name.
pub(super) const NAME: &str = "madrid.example";
/// Where honest people charge behind a gateway, which serves nothing else.
pub(super) const SITE: &str = "MAD-02";
/// See [`SITE`].
pub(super) const GATEWAY: &str = "gateway/site-7";
/// The token that ran out a minute before the registry started.
pub(super) const EXPIRED_TOKEN: [u8; 32] = [9; 32];
/// As long as a run.
const LIFETIME: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(super) struct Secured {
    pub(super) central: SocketAddr,
    pub(super) registry: SocketAddr,
    /// The port where central's metrics are.
    metrics: SocketAddr,
    registry_metrics: SocketAddr,
    /// The engine of [`SITE`].
    pub(super) site_engine: SocketAddr,
    pub(super) kafka: KafkaOptions,
    pub(super) evmesh: PathBuf,
    pub(super) folder: PathBuf,
    /// The keys by which central checks tokens.
    pub(super) token_keys: PathBuf,
    data: Data,
    /// For everybody but the core.
    pub(super) authority: Authority,
    core: String,
    /// The registry, central, and each charge point's two.
    slots: Vec<Slot>,
    _broker: TestBroker,
    /// Last: it ends every process.
    _group: Group,
}

impl Secured {
    pub(super) async fn start(evmesh: &Path, folder: &Path) -> anyhow::Result<Self> {
        let (group, broker) = (Group::start()?, embedded_broker());
        let kafka = broker.options();
        let (data, authority, core) = begun(&folder.join("registry"))?;
        let token_keys = folder.join("token-keys.json");
        fs::write(&token_keys, serde_json::to_vec(&data.token_keys()?)?)?;
        let [central, registry, metrics, registry_metrics, site_engine] =
            std::array::from_fn(|_| free_address());
        let network = Self {
            central,
            registry,
            metrics,
            registry_metrics,
            site_engine,
            kafka,
            evmesh: evmesh.to_owned(),
            folder: folder.to_owned(),
            token_keys,
            data,
            authority,
            core,
            slots: Vec::new(),
            _broker: broker,
            _group: group,
        };
        let slots = network.processes()?;
        for slot in &slots {
            slot.start(&mut *slot.take().await)?;
        }
        let network = Self { slots, ..network };
        network.serves(GATEWAY, SITE).await?;
        network.is_free(HONEST).await?;
        network.is_free(SITE).await?;
        eventually("central hears the registry", async || {
            let heard = network.metric("evmesh_central_registry_heard", "").await.ok()?;
            (heard == 1).then_some(())
        })
        .await?;
        Ok(network)
    }

    /// A role's folder, as somebody with the registry's folder gives it out.
    pub(super) fn issued(&self, role: &str) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join("identities").join(role);
        self.data.issue(role.parse()?, &folder, &[], LIFETIME, mesh::now().wall)?;
        Ok(folder)
    }

    /// Somebody's certificate, as it was given an hour's lifetime at that time.
    pub(super) fn given_at(&self, role: &str, since: Wall) -> anyhow::Result<Shown> {
        let identity: Identity = format!("spiffe://{NAME}/{role}").parse()?;
        let request = Request::new()?;
        let issued = self.authority.issue(request.csr_pem(), &identity, &[], LIFETIME, since)?;
        Ok([issued.certificate_pem, request.key_pem()])
    }

    /// A new connection to central, of who shows this.
    pub(super) async fn shows(
        &self,
        shown: Option<Shown>,
        from: Option<IpAddr>,
    ) -> Result<Channel, transport::Error> {
        strangers::connect(strangers::by_host(&self.core, shown), self.central, from).await
    }

    /// The same of somebody with a folder.
    async fn connect(&self, role: &str) -> Result<Channel, transport::Error> {
        let folder = self.folder.join("identities").join(role);
        let [certificate, key] =
            ["certificate.pem", "key.pem"].map(|file| fs::read_to_string(folder.join(file)));
        let shown = [certificate.expect("it was given out"), key.expect("it was given out")];
        self.shows(Some(shown), None).await
    }

    fn admin(&self) -> PathBuf {
        self.folder.join("registry/identities/admin")
    }

    /// The registry, as this folder has it.
    pub(super) fn registry_as(&self, folder: &Path) -> RegistryServiceClient<Peer> {
        let peers = Peers::new(of_folder(folder.to_owned()));
        RegistryServiceClient::new(peers.peer(&self.registry.into(), Expected::Registry, CALL_TIMEOUT))
    }

    pub(super) fn registry_as_admin(&self) -> RegistryServiceClient<Peer> {
        self.registry_as(&self.admin())
    }

    /// The registry, as one has it who has no identity yet.
    pub(super) async fn registry_as_nobody(&self) -> anyhow::Result<RegistryServiceClient<Channel>> {
        let config = strangers::by_host(&self.core, None);
        Ok(RegistryServiceClient::new(strangers::connect(config, self.registry, None).await?))
    }

    /// The registry gives a gateway a charge point, once it is up.
    pub(super) async fn serves(&self, gateway: &str, charge_point: &str) -> anyhow::Result<()> {
        let request = AddGatewayChargePointsRequest {
            gateway: gateway.trim_start_matches("gateway/").into(),
            charge_point_ids: vec![charge_point.into()],
        };
        let add = async || self.registry_as_admin().add_gateway_charge_points(request.clone()).await.ok();
        eventually(&format!("{gateway} serves {charge_point}"), add).await?;
        Ok(())
    }

    /// A token for this role, of an admin's.
    pub(super) async fn token(&self, role: &str) -> anyhow::Result<EnrolmentToken> {
        let request = CreateEnrolmentTokenRequest { role: role.into(), hosts: Vec::new() };
        let made = self.registry_as_admin().create_enrolment_token(request).await?.into_inner();
        Ok(made.token.parse()?)
    }

    /// Enrols somebody: its folder.
    pub(super) async fn enrolled(&self, role: &str) -> anyhow::Result<PathBuf> {
        let (token, folder) = (self.token(role).await?, self.folder.join("enrolled").join(role));
        let applicant = Applicant::new(&folder)?;
        let certificate_request = applicant.csr_pem().to_owned();
        let request = EnrolRequest { secret: token.secret.0.to_vec(), certificate_request };
        let answer = self.registry_as_nobody().await?.enrol(request).await?.into_inner();
        applicant.keep(&token, answer.credentials.context("it is enrolled")?)?;
        Ok(folder)
    }

    /// Waits until it takes a request.
    pub(super) async fn is_free(&self, id: &str) -> anyhow::Result<()> {
        let available = Some(ChargePointStatus::Available);
        eventually("it is free", async || (self.status(id).await == available).then_some(())).await
    }

    pub(super) async fn status(&self, id: &str) -> Option<ChargePointStatus> {
        let mut drivers = DriverServiceClient::new(self.driver().await.ok()?);
        let list = drivers.list_charge_points(ListChargePointsRequest::default()).await;
        let points = list.ok()?.into_inner().charge_points;
        points.iter().find(|point| point.charge_point_id == id).map(|point| point.status())
    }

    pub(super) async fn operators(&self) -> anyhow::Result<OperatorServiceClient<Channel>> {
        Ok(OperatorServiceClient::new(self.operator().await?))
    }

    /// All that is written down of who did what.
    pub(super) async fn audit(&self) -> anyhow::Result<Vec<AuditEntry>> {
        let (mut operators, mut all, mut page_token) = (self.operators().await?, Vec::new(), String::new());
        loop {
            let request = ListAuditEntriesRequest { page_size: 500, page_token, ..Default::default() };
            let page = operators.list_audit_entries(request).await?.into_inner();
            all.extend(page.entries);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(all);
            }
        }
    }

    /// How many rows the registry's audit has of an actor's calls of this method that came to this; of anybody's, where
    /// the actor is empty.
    pub(super) async fn rows_at_registry(
        &self,
        actor: &str,
        method: &str,
        result: &str,
    ) -> anyhow::Result<usize> {
        let asked = evmesh_proto::registry::ListAuditEntriesRequest {
            actor: actor.into(),
            page_size: 500,
            ..Default::default()
        };
        let entries = self.registry_as_admin().list_audit_entries(asked).await?.into_inner().entries;
        Ok(entries.iter().filter(|entry| entry.method == method && entry.result == result).count())
    }

    /// Waits until the audit has so many refusals for this reason, of this actor or of nobody.
    pub(super) async fn is_written(&self, actor: &str, reason: &str, most: usize) -> anyhow::Result<()> {
        let what = format!("the audit has {most} times that {actor:?} was refused as {reason}");
        eventually(&what, async || {
            let found = self.audit().await.ok()?;
            let fits =
                |one: &&AuditEntry| one.actor == actor && one.result == reason && !one.address.is_empty();
            (found.iter().filter(fits).count() >= most).then_some(())
        })
        .await
    }

    /// What central counts under this name, of those with this label.
    pub(super) async fn metric(&self, name: &str, label: &str) -> anyhow::Result<u64> {
        Ok(process::sum(&process::metrics(self.metrics).await?, name, label) as u64)
    }

    pub(super) async fn registry_metric(&self, name: &str, label: &str) -> anyhow::Result<u64> {
        Ok(process::sum(&process::metrics(self.registry_metrics).await?, name, label) as u64)
    }

    /// Waits until central has counted so many more.
    pub(super) async fn counts(&self, name: &str, label: &str, wanted: u64) -> anyhow::Result<()> {
        eventually(&format!("{name} {label} is {wanted}"), async || {
            (self.metric(name, label).await.ok()? >= wanted).then_some(())
        })
        .await
    }

    /// What central has logged.
    pub(super) fn log_of_central(&self) -> anyhow::Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.slots[1].log())?).into_owned())
    }

    /// Waits until central has logged it.
    pub(super) async fn is_logged(&self, words: &str) -> anyhow::Result<()> {
        let logged = || self.log_of_central().is_ok_and(|log| log.contains(words)).then_some(());
        eventually(&format!("central logs {words}"), async || logged()).await
    }
}

impl Attacked for Secured {
    async fn driver(&self) -> Result<Channel, transport::Error> {
        self.connect("driver/honest").await
    }

    async fn operator(&self) -> Result<Channel, transport::Error> {
        self.connect("operator/ana").await
    }
}

/// The reason of a refusal.
pub(super) fn why(refused: &Status) -> String {
    mesh::grpc::reason(refused).unwrap_or_default()
}

/// The registry's folder, with a token in its store that has run out; its authority, and the core's certificate.
fn begun(folder: &Path) -> anyhow::Result<(Data, Authority, String)> {
    let (data, now) = (Data::at(folder), mesh::now().wall);
    let beginning = Beginning {
        trust_domain: NAME.parse()?,
        central: "main".parse()?,
        admin: "admin".parse()?,
        hosts: Vec::new(),
    };
    data.init(beginning, now)?;
    let role = Role { name: "registry", older_copies: true, must_exist: false };
    let mut store = Registry::open(SledStore::open(&folder.join("store"), role)?, &data)?.store;
    let token = StoredEnrolmentToken {
        role: "driver/late".into(),
        expires_ms: now.0 - 60_000,
        ..StoredEnrolmentToken::default()
    };
    let mut batch = Batch::default();
    batch.put([&b"token/"[..], &sha256(&EXPIRED_TOKEN)].concat(), token.encode_to_vec());
    store.commit(batch)?;
    let file = |name: &str| fs::read_to_string(folder.join(name));
    let authority = Authority::from_pem(&file("network/certificate.pem")?, &file("network/key.pem")?)?;
    for role in ["driver/honest", "operator/ana"] {
        let to = folder.with_file_name("identities").join(role);
        data.issue(role.parse()?, &to, &[], LIFETIME, now)?;
        Credentials::open(&to)?;
    }
    Ok((data, authority, file("core/certificate.pem")?))
}
