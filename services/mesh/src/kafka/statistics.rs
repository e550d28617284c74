//! What a client's statistics say of its brokers. librdkafka gives them each second, as JSON.

use serde::Deserialize;
use std::collections::BTreeMap;

/// Does the client reach its cluster?
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    Reached,
    Away,
    /// The address it was given answers, and names this one as the broker's own, which cannot be reached.
    Advertised(String),
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
}

impl Broker {
    fn up(&self) -> bool {
        self.state == "UP"
    }

    /// It was tried: an idle client connects to no broker that it needs nothing from.
    fn tried(&self) -> bool {
        self.state != "INIT"
    }
}

/// Reads them; what is no such JSON says that nothing is reached.
pub(super) fn reach(statistics: &[u8]) -> Reach {
    let brokers =
        serde_json::from_slice(statistics).map_or_else(|_| BTreeMap::new(), |all: Statistics| all.brokers);
    let any_up = brokers.values().any(Broker::up);
    let named: Vec<_> = brokers.values().filter(|broker| broker.nodeid >= 0).collect();
    let unreachable = named.iter().find(|broker| broker.tried() && !broker.nodename.is_empty());
    match unreachable {
        _ if !any_up => Reach::Away,
        Some(broker) if !named.iter().any(|broker| broker.up()) => Reach::Advertised(broker.nodename.clone()),
        _ => Reach::Reached,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_of_the_brokers() {
        let broker = |name: &str, id: i64, state: &str| {
            format!(
                r#""{name}/{id}":{{"name":"{name}/{id}","nodeid":{id},"nodename":"{name}","state":"{state}"}}"#
            )
        };
        let given = |state| broker("127.0.0.1:9092", -1, state);
        let far = |state| broker("10.255.0.1:9092", 1, state);
        let advertised = Reach::Advertised("10.255.0.1:9092".into());
        for (brokers, expected) in [
            (vec![], Reach::Away),
            (vec![given("TRY_CONNECT")], Reach::Away),
            (vec![given("UP")], Reach::Reached),
            (vec![given("UP"), far("INIT")], Reach::Reached), // idle: it was not needed yet
            (vec![given("UP"), far("CONNECT")], advertised.clone()),
            (vec![given("UP"), far("DOWN")], advertised),
            (vec![given("UP"), far("UP")], Reach::Reached),
            (vec![given("UP"), far("DOWN"), broker("10.0.0.2:9092", 2, "UP")], Reach::Reached),
            (vec![given("DOWN"), far("UP")], Reach::Reached),
            (vec![given("DOWN"), far("DOWN")], Reach::Away),
        ] {
            let text = format!(r#"{{"name":"a","ts":1,"brokers":{{{}}},"topics":{{}}}}"#, brokers.join(","));
            assert_eq!(reach(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(reach(b"no JSON"), Reach::Away);
    }
}
