//! From a folder to a writer: a store that is there is opened; one that is not begins anew, or is rebuilt from its
//! changelog.

use crate::{
    Error, Options,
    audit::anchors,
    changelog::{self, Rebuild, rebuild},
    store::{Begun, begun},
    writer::Writer,
};
use domain::network::Config;
use evmesh_proto::topics::CENTRAL_CHANGELOG;
use mesh::{
    Shutdown,
    backoff::Backoff,
    group_commit::Owner,
    grpc::Caller,
    kafka::{Log, Message},
    store::{Role, SledStore},
};
use std::{collections::BTreeSet, io, net::IpAddr};

/// A store that is open, and locked.
#[derive(Debug)]
pub(crate) enum Opening {
    Ready(Box<Owner<Writer, SledStore>>),
    /// It is empty, or half rebuilt: Kafka decides.
    Begins(Box<Beginning>),
}

/// A store that is not there yet.
#[derive(Debug)]
pub(crate) struct Beginning {
    store: SledStore,
    begun: Begun,
    config: Config,
}

impl Opening {
    /// Opens the store. Blocks.
    pub(crate) fn open(options: &Options) -> Result<Self, Error> {
        let many_callers = hosts(&options.server.many_callers);
        let config = Config { confirm_copied: options.changelog, many_callers, ..options.rules.config()? };
        // To be rebuilt, or begun anew, is why it is not there.
        let must_exist = options.store_must_exist && !options.rebuild && !options.begin_anew;
        let role = Role { name: "central", older_copies: true, must_exist };
        let store = SledStore::open(&options.data, role)?;
        match begun(&store)? {
            Begun::Whole if options.rebuild => Err(Error::NotEmpty(options.data.clone())),
            Begun::Whole | Begun::HalfRebuilt if options.begin_anew => {
                Err(Error::NotNew(options.data.clone()))
            }
            Begun::Whole => Ok(Self::Ready(Box::new(Writer::open(store, config, mesh::now())?))),
            begun => Ok(Self::Begins(Box::new(Beginning { store, begun, config }))),
        }
    }

    /// Rebuilds the store if it has to be, and opens it. `None`: stopped before that.
    ///
    /// An empty store waits a moment for Kafka, to see whether there is a changelog, or was one that has ended; one
    /// that is to be rebuilt waits for ever. One that is to begin anew asks nobody: whoever may write to Kafka could
    /// keep it from that.
    pub(crate) async fn ready(
        self,
        options: &Options,
        shutdown: &Shutdown,
    ) -> Result<Option<Owner<Writer, SledStore>>, Error> {
        let Beginning { mut store, begun, config } = match self {
            Self::Ready(writer) => return Ok(Some(*writer)),
            Self::Begins(beginning) => *beginning,
        };
        if options.begin_anew {
            tracing::warn!(
                "the store begins as a new network, whatever changelog there is, for --begin-anew was given; start \
                 without it from now on"
            );
            return open(store, config).await.map(Some);
        }
        let must = options.rebuild || begun == Begun::HalfRebuilt;
        if must && !options.kafka.may_have(CENTRAL_CHANGELOG) {
            return Err(Error::RebuildInClear(options.kafka.kafka.clone()));
        }
        let log = changelog::log(&options.kafka);
        let looked = tokio::select! {
            last = last_message(&log) => Some(last),
            () = shutdown.started() => return Ok(stopped()),
            () = tokio::time::sleep(options.changelog_wait), if !must => None,
        };
        let last = match looked {
            Some(Some(last)) if changelog::has_ended(&last) => {
                let (topic, kafka) = (options.kafka.topic(log.topic()), options.kafka.kafka.clone());
                return Err(Error::ChangelogEnded { topic, kafka });
            }
            Some(Some(last)) if must || options.changelog => last.offset,
            Some(None) if must => {
                let topic = options.kafka.topic(log.topic());
                return Err(Error::NoChangelog { topic, kafka: options.kafka.kafka.clone() });
            }
            Some(_) => return open(store, config).await.map(Some),
            None => {
                tracing::warn!(
                    kafka = options.kafka.kafka,
                    "the store is empty, and kafka was not reached to see whether there is a changelog: it begins \
                     as a new network; if there was one before, stop central, move the data folder away and start \
                     with --rebuild, or put a backup in its place"
                );
                return open(store, config).await.map(Some);
            }
        };
        let anchor = anchors::newest(&options.kafka).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the audit's last anchor is not known");
            None
        });
        let what = Rebuild {
            kafka: options.kafka.clone(),
            config: config.clone(),
            last,
            anchor,
            shutdown: shutdown.clone(),
        };
        let rebuilt = blocking(move || Ok(rebuild(&mut store, &what)?.then_some(store))).await?;
        match rebuilt {
            Some(store) => open(store, config).await.map(Some),
            None => Ok(stopped()),
        }
    }
}

fn stopped<T>() -> Option<T> {
    tracing::info!("central stopped before it served");
    None
}

/// As callers are named, and as engines' addresses name them.
fn hosts(addresses: &[IpAddr]) -> BTreeSet<String> {
    let local = addresses.iter().any(IpAddr::is_loopback).then(|| "localhost".to_owned());
    addresses.iter().map(|address| Caller::from(*address).to_string()).chain(local).collect()
}

async fn open(store: SledStore, config: Config) -> Result<Owner<Writer, SledStore>, Error> {
    blocking(move || Writer::open(store, config, mesh::now())).await
}

/// The changelog's last message; `None`: there is none. Asks until Kafka answers.
async fn last_message(log: &Log) -> Option<Message> {
    let mut backoff = Backoff::default();
    let mut told = false;
    loop {
        match log.tail(None).await {
            Ok(tail) => return tail.last,
            Err(error) if !std::mem::replace(&mut told, true) => {
                tracing::warn!(%error, "the store is not there, and kafka is not reached; waiting for its changelog");
            }
            Err(error) => tracing::debug!(%error, "kafka is not reached"),
        }
        backoff.wait().await;
    }
}

/// Off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Writer(io::Error::other(error)))?
}
