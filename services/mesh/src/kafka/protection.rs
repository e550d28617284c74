//! How connections to Kafka are protected, and who its clients say they are.

use identity::{Credentials, Shows, UnusableIdentity};
use rdkafka::ClientConfig;
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// TLS to Kafka; plain text without any of these.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct KafkaProtection {
    /// Speaks TLS with Kafka, whose certificate has to be of an authority that this system trusts.
    #[arg(long, env = "EVMESH_KAFKA_TLS")]
    pub kafka_tls: bool,

    /// Speaks TLS with Kafka, whose certificate has to be of an authority in this file (PEM).
    #[arg(long, env = "EVMESH_KAFKA_CA", value_name = "FILE")]
    pub kafka_ca: Option<PathBuf>,

    /// The folder of the identity whose certificate Kafka is shown. By default that of --identity, unless --kafka-user
    /// is given. Its name there is CN= and the path of its SPIFFE name, such as CN=charge-point/MAD-01/engine.
    #[arg(long, env = "EVMESH_KAFKA_IDENTITY", value_name = "DIR")]
    pub kafka_identity: Option<PathBuf>,

    /// Who this is to Kafka, by a password (SCRAM-SHA-512) within TLS.
    #[arg(long, env = "EVMESH_KAFKA_USER", value_name = "NAME")]
    pub kafka_user: Option<String>,

    /// The file with the password of --kafka-user, and nothing else; a line's end after it does not count.
    #[arg(long, env = "EVMESH_KAFKA_PASSWORD_FILE", value_name = "FILE")]
    pub kafka_password_file: Option<PathBuf>,

    /// What Kafka is shown, once it was read.
    #[arg(skip)]
    credentials: Option<Credentials>,
}

/// Kafka cannot be spoken to as it is wanted.
#[derive(Debug, thiserror::Error)]
pub enum ProtectionError {
    #[error(
        "this evmesh was built without TLS to Kafka; build one with it, where OpenSSL's headers are (Debian: libssl-dev, \
         pkg-config): cargo build --release --package evmesh --features kafka-tls"
    )]
    NotBuiltIn,
    #[error("--kafka-user and --kafka-password-file need each other")]
    HalfAUser,
    #[error(
        "--kafka-user and --kafka-identity need TLS: give --kafka-ca FILE, or --kafka-tls where this system trusts the \
         authority of Kafka's certificate"
    )]
    PlainText,
    #[error("cannot read {}, the file of {flag}: {error}", path.display())]
    File { flag: &'static str, path: PathBuf, error: io::Error },
    #[error("{} has no password for --kafka-user: it is empty", .0.display())]
    NoPassword(PathBuf),
    #[error("Kafka is to be shown a certificate, and {0}")]
    Identity(#[from] UnusableIdentity),
}

/// Which files a client was built with: librdkafka reads them once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Version {
    shows: Option<Shows>,
    written: [Option<SystemTime>; 2],
}

impl KafkaProtection {
    /// Do these flags ask for TLS?
    fn is_tls(&self) -> bool {
        self.kafka_tls || self.kafka_ca.is_some()
    }

    /// As librdkafka names what these flags ask for.
    pub(super) fn protocol(&self) -> &'static str {
        match (self.is_tls(), &self.kafka_user) {
            (false, _) => "plaintext",
            (true, None) => "ssl",
            (true, Some(_)) => "sasl_ssl",
        }
    }

    /// Reads what Kafka is shown; `own` is the role's own identity. What cannot work is an error here and now.
    pub(super) fn open(&mut self, own: Option<&Path>) -> Result<(), ProtectionError> {
        if self.kafka_user.is_some() != self.kafka_password_file.is_some() {
            return Err(ProtectionError::HalfAUser);
        }
        if !self.is_tls() {
            let wanted = self.kafka_user.is_some() || self.kafka_identity.is_some();
            return if wanted { Err(ProtectionError::PlainText) } else { Ok(()) };
        }
        if !cfg!(feature = "kafka-tls") {
            return Err(ProtectionError::NotBuiltIn);
        }
        if let Some(path) = &self.kafka_ca {
            read("--kafka-ca", path)?;
        }
        self.password()?;
        let own = own.filter(|_| self.kafka_user.is_none());
        let shown = self.kafka_identity.as_deref().or(own);
        self.credentials = shown.map(Credentials::open).transpose()?;
        // Whom a token names has no certificate: it has a user, or is anybody.
        if self.kafka_identity.is_none() {
            self.credentials.take_if(|own| matches!(own.shows(), Shows::Token(_)));
        }
        if self.kafka_identity.is_none() && self.credentials.is_some() {
            self.kafka_identity = own.map(Path::to_owned);
        }
        Ok(())
    }

    /// As Kafka names whoever this is, unless it was told to name certificates otherwise.
    pub(super) fn principal(&self) -> String {
        match (&self.kafka_user, &self.credentials) {
            (Some(user), _) => format!("User:{user}"),
            (None, Some(credentials)) => format!("User:CN={}", credentials.own().role),
            (None, None) => "User:ANONYMOUS".to_owned(),
        }
    }

    /// What vouches for Kafka, in words.
    pub(super) fn vouching(&self) -> String {
        match &self.kafka_ca {
            Some(path) => format!("in {} (--kafka-ca)", path.display()),
            None => "that this system trusts (--kafka-ca FILE names others)".to_owned(),
        }
    }

    /// Of the files as they are now.
    pub(super) fn version(&self) -> Version {
        let written = |path: &Option<PathBuf>| fs::metadata(path.as_ref()?).ok()?.modified().ok();
        Version {
            shows: self.credentials.as_ref().map(Credentials::shows),
            written: [written(&self.kafka_ca), written(&self.kafka_password_file)],
        }
    }

    /// Sets a client up.
    pub(super) fn set(&self, config: &mut ClientConfig) -> Result<(), ProtectionError> {
        if !self.is_tls() {
            return Ok(());
        }
        config.set("security.protocol", self.protocol());
        if let Some(path) = &self.kafka_ca {
            config.set("ssl.ca.location", path.to_string_lossy());
        }
        if let Some(folder) = self.kafka_identity.as_deref() {
            let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
            config.set("ssl.certificate.location", file(identity::folder::CERTIFICATE));
            config.set("ssl.key.location", file(identity::folder::KEY));
        }
        if let (Some(user), Some(password)) = (&self.kafka_user, self.password()?) {
            config.set("sasl.mechanism", "SCRAM-SHA-512");
            config.set("sasl.username", user).set("sasl.password", password);
        }
        Ok(())
    }

    fn password(&self) -> Result<Option<String>, ProtectionError> {
        let Some(path) = &self.kafka_password_file else { return Ok(None) };
        let text = read("--kafka-password-file", path)?;
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(ProtectionError::NoPassword(path.clone())),
            password => Ok(Some(password.to_owned())),
        }
    }
}

fn read(flag: &'static str, path: &Path) -> Result<String, ProtectionError> {
    fs::read_to_string(path).map_err(|error| ProtectionError::File { flag, path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags;

    fn error(flags: &[&str], own: Option<&Path>) -> String {
        let mut protection: KafkaProtection = flags::defaults(flags);
        protection.open(own).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_is_one_sentence() {
        assert_eq!(error(&["--kafka-user", "central"], None), ProtectionError::HalfAUser.to_string());
        let user = ["--kafka-user", "central", "--kafka-password-file", "/nowhere/password"];
        assert_eq!(error(&user, None), ProtectionError::PlainText.to_string());
        assert_eq!(error(&["--kafka-identity", "/nowhere"], None), ProtectionError::PlainText.to_string());
        let with_ca = error(&["--kafka-ca", "/nowhere/ca.pem"], None);
        if cfg!(feature = "kafka-tls") {
            assert!(
                with_ca.starts_with("cannot read /nowhere/ca.pem, the file of --kafka-ca: "),
                "{with_ca}"
            );
        } else {
            assert!(with_ca.ends_with("--features kafka-tls"), "{with_ca}");
        }
    }

    #[cfg(feature = "kafka-tls")]
    #[test]
    fn a_password_is_a_files_and_an_identity_is_shown_unless_a_user_is() {
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        let flags =
            ["--kafka-tls", "--kafka-user", "central", "--kafka-password-file", password.to_str().unwrap()];
        fs::write(&password, "\n").unwrap();
        assert!(error(&flags, None).ends_with("has no password for --kafka-user: it is empty"));
        fs::write(&password, "secret \r\n").unwrap();
        let mut protection: KafkaProtection = flags::defaults(&flags);
        protection.open(Some(Path::new("/nowhere"))).unwrap(); // not shown
        let mut config = ClientConfig::new();
        protection.set(&mut config).unwrap();
        let of = |key| config.get(key);
        assert_eq!((of("sasl.password"), of("security.protocol")), (Some("secret "), Some("sasl_ssl")));
        assert_eq!((of("ssl.key.location"), protection.principal().as_str()), (None, "User:central"));
        let without = error(&["--kafka-tls"], Some(Path::new("/nowhere")));
        assert!(
            without.starts_with("Kafka is to be shown a certificate, and the identity in /nowhere"),
            "{without}"
        );
    }
}
