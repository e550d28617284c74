//! What Kafka may have where it is reached in plain text: of a role with an identity nothing that says a session, a
//! driver or a reading, unless that is wanted out loud.

use evmesh_proto::topics::{AUDIT_ANCHORS, CP_TELEMETRY, NETWORK_STATUS};

/// What says none of these: which charge point is free, hashes, and telemetry, which is sealed wherever it may be here.
/// A topic that is not named is not for others to read.
const FOR_ANYONE: [&str; 3] = [CP_TELEMETRY, NETWORK_STATUS, AUDIT_ANCHORS];

/// How a role reaches Kafka.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    pub(super) has_identity: bool,
    pub(super) in_plain_text: bool,
    /// `--kafka-in-clear`
    pub(super) in_clear: bool,
}

impl Reach {
    /// Does Kafka get less than there is to tell?
    pub(super) fn is_discreet(self) -> bool {
        self.has_identity && self.in_plain_text && !self.in_clear
    }

    /// May Kafka have what is told on this topic?
    pub(super) fn may_have(self, topic: &str) -> bool {
        !self.is_discreet() || FOR_ANYONE.contains(&topic)
    }

    /// Is everything told in plain text though the role has an identity?
    pub(super) fn tells_all(self) -> bool {
        self.has_identity && self.in_plain_text && self.in_clear
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evmesh_proto::topics::{CENTRAL_CHANGELOG, CP_TELEMETRY_DLQ, DRIVER_NOTIFICATIONS, DRIVER_REQUESTS};

    const TELLING: [&str; 4] = [DRIVER_NOTIFICATIONS, CP_TELEMETRY_DLQ, CENTRAL_CHANGELOG, DRIVER_REQUESTS];

    #[test]
    fn only_plain_text_of_who_has_an_identity_and_does_not_ask_for_it_leaves_anything_out() {
        for bits in 0..8 {
            let [has_identity, in_plain_text, in_clear] = [1, 2, 4].map(|bit| bits & bit != 0);
            let reach = Reach { has_identity, in_plain_text, in_clear };
            let discreet = (has_identity, in_plain_text, in_clear) == (true, true, false);
            assert_eq!(reach.is_discreet(), discreet, "{reach:?}");
            assert!(FOR_ANYONE.iter().all(|topic| reach.may_have(topic)), "{reach:?}");
            assert!(TELLING.iter().all(|topic| reach.may_have(topic) != discreet), "{reach:?}");
            assert_eq!(reach.may_have("a topic of tomorrow"), !discreet);
        }
    }
}
