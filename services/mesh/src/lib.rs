//! What every service needs, and nothing of what any of them decides: the gRPC stacks, Kafka, the store, the clock,
//! shutdown, logs and metrics.
//!
//! Nothing here is global but the log and metrics recorder of [`observability::init`], so that a whole network runs
//! in one process.

pub mod audit;
pub mod backoff;
pub mod clock;
pub mod convert;
pub mod files;
pub mod flags;
pub mod group_commit;
pub mod grpc;
pub mod kafka;
mod log_limit;
mod metrics_port;
pub mod observability;
pub mod process;
pub mod shutdown;
pub mod store;
pub mod trace;

pub use clock::now;
pub use flags::seconds;
pub use shutdown::Shutdown;
