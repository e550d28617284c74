//! A registry from its start to its end.

use crate::{
    Data, Error, Options,
    api::RegistryApi,
    owner::{A_STEP, Office, Outlet, QUEUE, Registry},
};
use evmesh_proto::registry::registry_service_server::RegistryServiceServer;
use mesh::{
    Shutdown,
    group_commit::{self, Owner, Running, queue},
    grpc::{Address, GrpcServer, Listener, REQUEST_CODING, SecurityOptions, ServerOptions},
    store::{Role, SledStore, Store},
};
use std::{io, net::SocketAddr, time::Duration};

/// How often who was refused is written down at least.
const TICK: Duration = Duration::from_secs(1);

/// A registry whose socket is bound and whose store is open.
#[derive(Debug)]
pub struct Service {
    server: ServerOptions,
    listener: Listener,
    address: Address,
    owner: Owner<Registry, SledStore>,
}

impl Service {
    /// Binds the socket and opens the store, so that whatever is wrong with them is known at once. Needs a tokio
    /// runtime.
    pub async fn bind(options: Options) -> Result<Self, Error> {
        let Options { listen, advertise, identity, data, store_must_exist, server } = options;
        let data = Data::at(&data);
        data.authority(identity::Kind::Network)?; // what is missing of it is said first
        let identity = Some(identity.unwrap_or_else(|| data.own_identity()));
        let security = SecurityOptions { identity, ..SecurityOptions::default() };
        let security = security.open("registry", |role| *role == identity::Role::Registry)?;
        let listener = Listener::bind(listen, "the registry", &security).await?;
        let opening = tokio::task::spawn_blocking(move || {
            let role = Role { name: "registry", older_copies: true, must_exist: store_must_exist };
            Registry::open(SledStore::open(&data.store(), role)?, &data)
        });
        let owner = opening.await.map_err(|error| Error::Thread(error.into()))??;
        let address = advertise.unwrap_or_else(|| listener.local_addr().into());
        Ok(Self { server, listener, address, owner })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Serves until the order to stop, or until the store fails.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Error> {
        let Self { server, listener, address, owner } = self;
        tracing::info!(
            network = %owner.rules.trust_domain(), address = %listener.local_addr(), "registry ready"
        );
        let (office, mut running) = start(owner)?;
        let serving = shutdown.child();
        let served = self::server(&server, office.clone(), address).serve(listener, serving.clone());
        tokio::pin!(served);
        let result = tokio::select! {
            result = &mut served => result,
            outcome = running.ended() => {
                serving.start();
                let _ = served.await; // the store's failure is the one to tell
                return stopped(outcome);
            }
        };
        let _ = office.tick().await; // the last ones that were refused; a store that failed is told below
        running.stop();
        let outcome = stopped(running.ended().await);
        tracing::info!("registry stopped");
        result.map_err(Error::from).and(outcome)
    }
}

/// Starts the thread that decides. Needs a tokio runtime.
///
/// # Errors
///
/// If there is no thread.
pub fn start(owner: Owner<Registry, impl Store>) -> Result<(Office, Running<Error>), Error> {
    let (inputs, inbox) = queue(QUEUE, A_STEP);
    let office = Office { queue: inputs, unaudited: owner.rules.unaudited.clone() };
    let running = group_commit::spawn("registry".to_owned(), owner, Outlet, vec![inbox], Shutdown::new());
    let (running, ticking) = (running.map_err(Error::Thread)?, office.clone());
    tokio::spawn(async move {
        while ticking.tick().await.is_ok() {
            tokio::time::sleep(TICK).await;
        }
    });
    Ok((office, running))
}

/// The calls that a registry serves.
pub fn server(options: &ServerOptions, office: Office, address: Address) -> GrpcServer {
    let unaudited = office.unaudited.clone();
    let api = RegistryServiceServer::new(RegistryApi { office, address });
    let api = api.max_decoding_message_size(options.max_message_bytes).accept_compressed(REQUEST_CODING);
    GrpcServer::new(options).tell_refusals(move |refusal| unaudited.add(refusal)).add_service(api)
}

/// The owner's thread ended: with its result, or without one if it panicked, which is as fatal as a failed store.
fn stopped(outcome: Option<Result<(), Error>>) -> Result<(), Error> {
    outcome.unwrap_or_else(|| Err(Error::Thread(io::Error::other("it ended without a result"))))
}
