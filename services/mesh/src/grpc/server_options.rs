//! How a server treats its callers.

use std::{net::IpAddr, time::Duration};

/// How a server treats its callers.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerOptions {
    /// At most so many calls at once, streams apart; more are refused with RESOURCE_EXHAUSTED (count).
    #[arg(long, env = "EVMESH_MAX_CONCURRENT_REQUESTS", default_value_t = 1024, value_name = "COUNT")]
    pub max_concurrent_requests: usize,

    /// At most so many open streams, and as many of monitors' reports besides; more are refused with RESOURCE_EXHAUSTED
    /// (count).
    #[arg(long, env = "EVMESH_MAX_STREAMS", default_value_t = 20_000, value_name = "COUNT")]
    pub max_streams: usize,

    /// Addresses that stand for many callers, a proxy's say: each may hold nine tenths of the streams, where any other
    /// may hold one, or whoever has shown who that is, wherever it comes from, and all of those at one address half; at
    /// central, more than a hundred charge points too, and any number of reservations. A monitor's stream counts in
    /// these shares only until its first report (IP addresses).
    #[arg(
        long,
        env = "EVMESH_MANY_CALLERS",
        value_name = "IP",
        value_delimiter = ',',
        default_value = "127.0.0.1,::1"
    )]
    pub many_callers: Vec<IpAddr>,

    /// At most so many connections, and at most nine tenths of the files that the process may have open; then the one
    /// that has been longest without a call is closed for a new one (count).
    #[arg(long, env = "EVMESH_MAX_CONNECTIONS", default_value_t = 100_000, value_name = "COUNT")]
    pub max_connections: usize,

    /// The longest that a call may take, streams apart; less if its caller says so (seconds).
    #[arg(long = "request-timeout", env = "EVMESH_REQUEST_TIMEOUT", default_value = "10", value_name = "SECONDS",
          value_parser = crate::seconds)]
    pub request_timeout: Duration,

    /// A stream whose caller takes nothing of what was sent for so long is ended with RESOURCE_EXHAUSTED (seconds).
    #[arg(long = "slow-reader-timeout", env = "EVMESH_SLOW_READER_TIMEOUT", default_value = "10",
          value_name = "SECONDS",
          value_parser = crate::seconds)]
    pub slow_reader_timeout: Duration,

    /// The largest message that is read (bytes), decompressed where it is compressed; a larger one is
    /// INVALID_ARGUMENT. The default is some four times the largest that anyone has a use for: each call and stream
    /// may hold so much while it is being sent.
    #[arg(long, env = "EVMESH_MAX_MESSAGE_BYTES", default_value_t = 256 * 1024, value_name = "BYTES")]
    pub max_message_bytes: usize,

    /// How long running calls may go on after the order to stop (seconds).
    #[arg(long = "drain-timeout", env = "EVMESH_DRAIN_TIMEOUT", default_value = "5", value_name = "SECONDS",
          value_parser = crate::seconds)]
    pub drain_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        crate::flags::defaults(&[])
    }
}
