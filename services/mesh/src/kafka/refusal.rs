//! What brokers refuse, in sentences: librdkafka has its own words for a connection, and codes for the rest.

use super::protection::KafkaProtection;

/// What needs an ACL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Act {
    Read(String),
    Write(String),
    /// To be a producer at all takes the right to write to some topic.
    WriteAny,
    Create(String),
    /// Either to read or to write it.
    Use(String),
    Group(String),
}

impl Act {
    /// What it is, in words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Read(topic) => format!("read topic {topic}"),
            Self::Write(topic) => format!("write topic {topic}"),
            Self::WriteAny => "write any topic".to_owned(),
            Self::Use(topic) => format!("use topic {topic}"),
            Self::Create(topic) => format!("create topic {topic}, nor see one"),
            Self::Group(group) => format!("use group {group}"),
        }
    }

    /// The sentence, with what `kafka-acls.sh` calls the ACL that is missing.
    pub(super) fn denied(&self, kafka: &str, protection: &KafkaProtection) -> String {
        let acl = match self {
            Self::Read(topic) => format!("--operation Read --topic {topic}"),
            Self::Write(topic) => format!("--operation Write --topic {topic}"),
            Self::WriteAny => "--operation Write for its topics".to_owned(),
            Self::Use(topic) => format!("--operation Read, or Write, --topic {topic}"),
            Self::Create(topic) => {
                format!("--operation Create --topic {topic}, unless somebody else creates it")
            }
            Self::Group(group) => format!("--operation Read --group {group}"),
        };
        let who = protection.principal();
        format!("kafka at {kafka} does not let {who} {}; the ACL that is missing: {acl}", self.words())
    }
}

/// What a line of librdkafka's log says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// There will be no connection until somebody changes something.
    Refused(String),
    /// Perhaps: a broker that ends is seen like this too.
    WantsTls,
    /// An ACL is missing, and the client has given up.
    Denied(Act),
}

/// Reads a line of librdkafka's log.
pub(super) fn told(kafka: &str, protection: &KafkaProtection, facility: &str, line: &str) -> Option<Told> {
    if facility == "FATAL" && line.contains("Cluster authorization failed") {
        return Some(Told::Denied(Act::WriteAny));
    }
    if facility != "FAIL" {
        return None;
    }
    let of_thread = line.starts_with('[').then(|| line.split_once("]: ")).flatten();
    let said = of_thread.map_or(line, |(_, said)| said);
    let said = said.rsplit_once(" (after ").map_or(said, |(said, _)| said);
    let kafka = format!("kafka at {}", address(said).unwrap_or(kafka));
    let about = |words: &str| said.split_once(words).map(|(_, rest)| rest);
    let refused = if said.contains("certificate verify failed") {
        let vouching = protection.vouching();
        format!("{kafka} shows a certificate that is of no authority {vouching}, or is for another address")
    } else if said.contains("SASL authentication error") || said.contains("handshake failed: Broker") {
        let who = protection.principal();
        let why =
            about("SASL authentication error: ").or_else(|| about("handshake failed: ")).unwrap_or(said);
        format!("{kafka} does not take the password of {who} (--kafka-user, --kafka-password-file): {why}")
    } else if let Some(alert) = about("alert ").filter(|_| said.contains("SSL")) {
        let who = match protection.kafka_identity.as_deref() {
            Some(folder) => format!("the certificate of {} in {}", protection.principal(), folder.display()),
            None => "a client without a certificate (--kafka-identity)".to_owned(),
        };
        format!("{kafka} does not take {who}: {}", alert.split(": ").next().unwrap_or(alert))
    } else if said.contains("connecting to a PLAINTEXT") || said.contains("wrong version number") {
        format!("{kafka} speaks no TLS at this address, and TLS is asked for")
    } else if said.contains(": Disconnected") && line.contains("in state APIVERSION_QUERY") {
        return Some(Told::WantsTls);
    } else {
        return None;
    };
    Some(Told::Refused(refused))
}

/// The broker's, which a line begins with: `ssl://HOST:PORT/ID`, `HOST:PORT/ID`, or a role's name before `HOST:PORT`.
fn address(said: &str) -> Option<&str> {
    let mut names = said.split(": ").take(2).map(|name| {
        let name = name.rsplit_once("://").map_or(name, |(_, name)| name);
        name.split_once('/').map_or(name, |(name, _)| name)
    });
    names.find(|name| name.contains(':') && !name.contains(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As librdkafka 2.12 says them with OpenSSL 3, of an Apache Kafka 4.1.
    #[test]
    fn each_refusal_of_a_connection() {
        let plain = KafkaProtection::default();
        let told = |line: &str| match super::told("kafka:9093", &plain, "FAIL", line) {
            Some(Told::Refused(sentence)) => sentence,
            Some(Told::WantsTls) => "TLS?".to_owned(),
            Some(Told::Denied(_)) | None => String::new(),
        };
        for (line, sentence) in [
            (
                "[thrd:ssl://127.0.0.1:9093/bootstrap]: ssl://127.0.0.1:9093/bootstrap: SSL handshake failed: \
                 error:0A000086:SSL routines::certificate verify failed: broker certificate could not be verified, \
                 verify that ssl.ca.location is correctly configured (after 3ms in state SSL_HANDSHAKE)",
                "kafka at 127.0.0.1:9093 shows a certificate that is of no authority that this system trusts \
                 (--kafka-ca FILE names others), or is for another address",
            ),
            (
                "[thrd:sasl_ssl://kafka-1:9094/1]: sasl_ssl://kafka-1:9094/1: SASL authentication error: \
                 Authentication failed during authentication due to invalid credentials with SASL mechanism \
                 SCRAM-SHA-512 (after 8ms in state AUTH_REQ, 3 identical error(s) suppressed)",
                "kafka at kafka-1:9094 does not take the password of User:ANONYMOUS (--kafka-user, \
                 --kafka-password-file): Authentication failed during authentication due to invalid credentials with \
                 SASL mechanism SCRAM-SHA-512",
            ),
            (
                "[thrd:GroupCoordinator]: GroupCoordinator: 10.0.0.1:9093: SSL handshake failed: error:0A00045C:SSL \
                 routines::tlsv13 alert certificate required: SSL alert number 116 (after 2ms in state UP)",
                "kafka at 10.0.0.1:9093 does not take a client without a certificate (--kafka-identity): certificate \
                 required",
            ),
            (
                "[thrd:127.0.0.1:9093/bootstrap]: 127.0.0.1:9093/bootstrap: Disconnected: connection closed by peer: \
                 receive 0 after POLLIN (after 0ms in state APIVERSION_QUERY)",
                "TLS?",
            ),
            ("[thrd:127.0.0.1:1/bootstrap]: 127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed", ""),
        ] {
            assert_eq!(told(line), sentence, "{line}");
        }
        assert_eq!(super::told("kafka:9093", &plain, "SSL", "alert SSL"), None);
        let fatal = "[thrd:main]: Fatal error: Broker: Cluster authorization failed: Failed to acquire idempotence PID";
        assert_eq!(super::told("kafka:9093", &plain, "FATAL", fatal), Some(Told::Denied(Act::WriteAny)));
    }
}
