//! What a bridge can be told.

use mesh::{
    flags::{self, positive_seconds},
    grpc::{Address, SecurityOptions},
    kafka::KafkaOptions,
};
use std::{path::PathBuf, time::Duration};

/// Where the bridge reads, whom it asks, and what is too old.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Where central is.
    #[arg(long, env = "EVMESH_BRIDGE_CENTRAL", default_value = flags::CENTRAL, value_name = "HOST:PORT")]
    pub central: Address,

    /// The folder of the small file that says how far the bridge has read; created where it is missing. Without the
    /// file it begins with what is published from its start on.
    #[arg(long, env = "EVMESH_BRIDGE_DATA", default_value = "data/bridge", value_name = "DIR")]
    pub data: PathBuf,

    /// How far from now the date of a request may lie, in seconds. One that is older, or was sent by a clock that is
    /// further off, is denied with that as its reason.
    #[arg(long, env = "EVMESH_BRIDGE_MAX_AGE", default_value = "60", value_name = "SECONDS",
          value_parser = positive_seconds)]
    pub max_age: Duration,

    #[command(flatten)]
    pub security: SecurityOptions,

    /// Where drivers of the old system publish their requests, and are answered.
    #[command(flatten)]
    pub kafka: KafkaOptions,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn what_is_wrong_is_refused_before_anything_starts() {
        let parsed = |arguments: &[&str]| Cli::try_parse_from([&["bridge"], arguments].concat());
        assert_eq!(parsed(&[]).unwrap().options.max_age, Duration::from_secs(60));
        for wrong in [["--max-age", "0"], ["--max-age", "soon"], ["--central", "nowhere"]] {
            assert!(parsed(&wrong).is_err(), "{wrong:?}");
        }
    }
}
