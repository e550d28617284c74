//! How the connections of a whole network are protected: as its options say.

use super::options::Options;
use mesh::grpc::SecurityOptions;

/// How the connections of a whole network are protected.
#[derive(Debug)]
pub(super) struct Protection {
    insecure: bool,
}

impl Protection {
    pub(super) fn open(options: &Options) -> Self {
        Self { insecure: options.insecure }
    }

    /// What the part of the network with this name is to be told: `central/main`.
    pub(super) fn of(&self, _name: &str) -> SecurityOptions {
        SecurityOptions { insecure: self.insecure, ..SecurityOptions::default() }
    }
}
