//! The broker of `evmesh up`: embedded, or the one that is already there.

use crate::exit::{Because as _, Failure};
use mesh::kafka::embedded;

/// A broker, and whose it is.
pub(super) enum Broker {
    /// In this process. It ends when this is dropped: last of all.
    Embedded(embedded::Broker),
    /// Somebody else's, at this address: it stays when the network ends.
    There(String),
}

impl Broker {
    /// The broker at this address; without one, a new one.
    pub(super) fn open(there: Option<String>) -> Result<Self, Failure> {
        match there {
            Some(address) => Ok(Self::There(address)),
            // Topics are created when they are first used.
            None => embedded::Broker::start(&[]).map(Self::Embedded).because(),
        }
    }

    pub(super) fn address(&self) -> &str {
        match self {
            Self::Embedded(broker) => broker.bootstrap_servers(),
            Self::There(address) => address,
        }
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Self::Embedded(broker) => {
                format!("{} (embedded, ends with this process)", broker.bootstrap_servers())
            }
            Self::There(address) => address.clone(),
        }
    }
}
