//! What a client's statistics say of its brokers. librdkafka gives them each second, as JSON.

use serde::Deserialize;
use std::collections::BTreeMap;

/// Does the client reach its cluster?
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    Reached,
    Away,
    /// It has not tried the cluster's own brokers yet: nobody can say.
    Untried,
    /// A broker that the cluster named at this address was tried, and is not reached.
    Advertised {
        address: String,
        /// An address that the client was given answers meanwhile.
        answers: bool,
    },
}

#[derive(Debug, Deserialize)]
struct Statistics {
    #[serde(default)]
    brokers: BTreeMap<String, Broker>,
}

#[derive(Debug, Deserialize)]
struct Broker {
    /// -1: an address that the client was given. Others are as the cluster names them.
    nodeid: i64,
    /// The address that it advertises.
    #[serde(default)]
    nodename: String,
    state: String,
    /// How often it was tried: between two tries it may be in the state of one that never was.
    #[serde(default)]
    connects: u64,
}

impl Broker {
    fn up(&self) -> bool {
        self.state == "UP"
    }

    /// An idle client connects to no broker that it needs nothing from.
    fn tried(&self) -> bool {
        self.state != "INIT" || self.connects > 0
    }
}

/// Reads them; what is no such JSON says that nothing is reached.
///
/// An address that the client was given counts for little: it is dropped as soon as it has named the brokers, and asked
/// again whenever they fail, so it comes and goes.
pub(super) fn reach(statistics: &[u8]) -> Reach {
    let brokers =
        serde_json::from_slice(statistics).map_or_else(|_| BTreeMap::new(), |all: Statistics| all.brokers);
    let (named, given): (Vec<_>, Vec<_>) = brokers.into_iter().partition(|(_, broker)| broker.nodeid >= 0);
    if named.iter().any(|(_, broker)| broker.up()) {
        return Reach::Reached;
    }
    let answering = |address: &str| {
        given
            .iter()
            .any(|(name, broker)| name.ends_with("/bootstrap") && broker.up() && broker.nodename != address)
    };
    match named.into_iter().find(|(_, broker)| broker.tried() && !broker.nodename.is_empty()) {
        Some((_, Broker { nodename: address, .. })) => {
            Reach::Advertised { answers: answering(&address), address }
        }
        None if answering("") => Reach::Untried,
        None => Reach::Away,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_of_the_brokers() {
        let broker = |name: &str, id: i64, node: &str, state: &str, connects: u64| {
            format!(
                r#""{name}":{{"name":"{name}","nodeid":{id},"nodename":"{node}","state":"{state}","connects":{connects}}}"#
            )
        };
        let given = |state| broker("127.0.0.1:9092/bootstrap", -1, "127.0.0.1:9092", state, 1);
        let far = |state, connects| broker("10.255.0.1:9092/1", 1, "10.255.0.1:9092", state, connects);
        let group = |state| broker("GroupCoordinator", -1, "10.255.0.1:9092", state, 2);
        let advertised = |answers| Reach::Advertised { address: "10.255.0.1:9092".into(), answers };
        for (brokers, expected) in [
            (vec![], Reach::Away),
            (vec![given("TRY_CONNECT")], Reach::Away),
            (vec![given("UP")], Reach::Untried),
            (vec![given("UP"), far("INIT", 0)], Reach::Untried), // idle: it was not needed yet
            (vec![far("INIT", 0)], Reach::Away),
            // As librdkafka 2.12 gives them second by second where a real broker advertises what cannot be reached.
            (vec![far("INIT", 2)], advertised(false)),
            (vec![far("INIT", 3), given("UP"), group("TRY_CONNECT")], advertised(true)),
            (vec![far("TRY_CONNECT", 4), given("INIT"), group("TRY_CONNECT")], advertised(false)),
            (vec![far("TRY_CONNECT", 6), given("APIVERSION_QUERY")], advertised(false)),
            (vec![far("DOWN", 1), group("INIT")], advertised(false)),
            (vec![given("UP"), far("CONNECT", 1)], advertised(true)),
            (vec![given("UP"), far("DOWN", 4), group("DOWN")], advertised(true)),
            // Well, and away.
            (vec![far("UP", 1), group("UP")], Reach::Reached),
            (vec![given("UP"), far("UP", 1)], Reach::Reached),
            (
                vec![given("UP"), far("DOWN", 1), broker("10.0.0.2:9092/2", 2, "10.0.0.2:9092", "UP", 1)],
                Reach::Reached,
            ),
            (vec![given("DOWN"), far("UP", 1)], Reach::Reached),
            (vec![given("DOWN"), far("DOWN", 1)], advertised(false)),
        ] {
            let text = format!(r#"{{"name":"a","ts":1,"brokers":{{{}}},"topics":{{}}}}"#, brokers.join(","));
            assert_eq!(reach(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(reach(b"no JSON"), Reach::Away);
    }
}
