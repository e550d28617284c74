//! How a registry is started.

use mesh::{
    flags,
    grpc::{Address, Listen, ServerOptions},
};
use std::path::PathBuf;

/// Gives out identities for tokens. Before its first start: 'evmesh registry init'.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Where the registry is reached, by TLS; port 0 takes a free one.
    #[arg(long, env = "EVMESH_REGISTRY_LISTEN", value_name = "HOST:PORT", default_value = flags::REGISTRY)]
    pub listen: Listen,

    /// Where others find it, as its tokens say; without it, where it listens.
    #[arg(long, env = "EVMESH_REGISTRY_ADVERTISE", value_name = "HOST:PORT")]
    pub advertise: Option<Address>,

    /// The registry's folder, as 'evmesh registry init' made it. Its store is in there too, and who is revoked in that.
    #[arg(long, env = "EVMESH_REGISTRY_DATA", value_name = "DIR", default_value = "data/registry")]
    pub data: PathBuf,

    /// The folder of the registry's own identity; without it, that which 'evmesh registry init' made in its folder.
    #[arg(long, env = "EVMESH_IDENTITY", value_name = "DIR")]
    pub identity: Option<PathBuf>,

    /// A folder without a store is an error, rather than the beginning of a new one: for every start but the first.
    #[arg(long, env = "EVMESH_REGISTRY_STORE_MUST_EXIST")]
    pub store_must_exist: bool,

    #[command(flatten)]
    pub server: ServerOptions,
}
