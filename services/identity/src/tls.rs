//! How both sides of a connection prove who they are: TLS 1.3, each with a certificate of its network; a caller may
//! show none, and is a stranger then, unless its calls come with a token.
//!
//! No session is resumed: that would skip what is checked here. Which of the two authorities vouches for a certificate
//! must fit what it names, so that who has the registry's key makes no central. An authority signs what it vouches for
//! itself: no certificate in between is looked at, since a stranger could send any number of them.

use crate::{
    Certified, Identity, Kind, Misnamed, Role, TrustDomain,
    credentials::{Credentials, Loaded, provider},
    enrolment_token::sha256,
};
use domain::{ChargePointId, Name, enrolment::RENEWABLE_FOR};
use rustls::{
    ALL_VERSIONS, CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error,
    OtherError, RootCertStore, ServerConfig, SignatureScheme, SupportedProtocolVersion,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::SingleCertAndKey,
    version::TLS13,
};
use std::{fmt, sync::Arc};

/// HTTP/2, as gRPC speaks it.
const ALPN: &[u8] = b"h2";

/// Who the far side of a connection has to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Expected {
    /// Any central of the network.
    Central,
    Registry,
    /// The engine of this charge point.
    Engine(ChargePointId),
    /// What stands behind this gateway: engines of charge points that it serves.
    Gateway(Name),
    /// The engine of any, behind a gateway too: of who asks at an address which one it is.
    AnyEngine,
    /// Anybody of the network: of who asks whether somebody is there.
    Anyone,
}

impl Expected {
    fn is(&self, role: &Role) -> bool {
        match (self, role) {
            (Self::Central, Role::Central(_))
            | (Self::Registry, Role::Registry)
            | (Self::AnyEngine, Role::Engine(_) | Role::Gateway(_))
            | (Self::Anyone, _) => true,
            (Self::Engine(expected), Role::Engine(point)) => expected == point,
            (Self::Gateway(expected), Role::Gateway(name)) => expected == name,
            _ => false,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Central => f.write_str("a central"),
            Self::Registry => f.write_str("the registry"),
            Self::Engine(point) => write!(f, "the engine of {point}"),
            Self::Gateway(name) => write!(f, "gateway/{name}"),
            Self::AnyEngine => f.write_str("an engine"),
            Self::Anyone => f.write_str("anybody"),
        }
    }
}

/// Between roles there is no reason for an older one.
static TLS13_ALONE: [&SupportedProtocolVersion; 1] = [&TLS13];

impl Credentials {
    /// For a connection that comes in. A caller may show no certificate: what it may do then is decided at each call.
    /// `tls12`: by TLS 1.2 too, of a caller that has no newer one.
    pub fn server_config(&self, tls12: bool) -> Result<Arc<ServerConfig>, Error> {
        let loaded = self.newest();
        let key = loaded.key.clone();
        let key = key.ok_or_else(|| Error::General("a token names nobody who can be called".to_owned()))?;
        let made = &loaded.for_callers[usize::from(tls12)];
        if let Some(config) = made.get() {
            return Ok(config.clone());
        }
        let verifier = Arc::new(Callers::new(Trust::of(&loaded))?);
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(if tls12 { ALL_VERSIONS } else { &TLS13_ALONE })?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(made.get_or_init(|| Arc::new(config)).clone())
    }

    /// For a connection that goes out, to somebody who has to be that.
    pub fn client_config(&self, expected: Expected) -> Result<Arc<ClientConfig>, Error> {
        let loaded = self.newest();
        let verifier = FarSide::new(Of::Network(Trust::of(&loaded), expected));
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&TLS13_ALONE)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match loaded.key.clone() {
            Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

/// Whoever wants an identity has none to show. It knows the registry by the fingerprint that its token has.
#[derive(Debug, Clone)]
pub struct Pin {
    pub trust_domain: TrustDomain,
    /// [`fingerprint`](crate::fingerprint) of the core authority's certificate.
    pub core: [u8; 32],
}

impl Pin {
    /// For the connection to the registry.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, Error> {
        let verifier = FarSide::new(Of::Enrolment(self.clone()));
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&TLS13_ALONE)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

/// Whom a role believes.
#[derive(Debug)]
struct Trust {
    trust_domain: TrustDomain,
    core: Arc<RootCertStore>,
    network: Arc<RootCertStore>,
}

impl Trust {
    fn of(loaded: &Loaded) -> Self {
        Self {
            trust_domain: loaded.own.trust_domain.clone(),
            core: loaded.core.clone(),
            network: loaded.network.clone(),
        }
    }

    /// Whom a certificate names, of which `signed_by` says whether an authority signed it, and whether it is valid.
    fn named(
        &self,
        certificate: &CertificateDer<'_>,
        signed_by: impl Fn(Kind) -> Result<(), Error>,
    ) -> Result<Identity, Error> {
        let by = match signed_by(Kind::Core) {
            Ok(()) => Kind::Core,
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                signed_by(Kind::Network)?;
                Kind::Network
            }
            Err(error) => return Err(error),
        };
        let Certified { identity, .. } = Certified::read(certificate).map_err(misnamed)?;
        if identity.trust_domain != self.trust_domain {
            return Err(misnamed(Misnamed::Network(identity)));
        }
        if Kind::of(&identity.role) != by {
            return Err(misnamed(Misnamed::Authority(identity)));
        }
        Ok(identity)
    }
}

fn misnamed(why: Misnamed) -> Error {
    CertificateError::Other(OtherError(Arc::new(why))).into()
}

/// Who may be at the other end of a connection that comes in.
#[derive(Debug)]
struct Callers {
    trust: Trust,
    core: Arc<dyn ClientCertVerifier>,
    network: Arc<dyn ClientCertVerifier>,
    /// The authorities' names, for callers who have several certificates.
    hints: Vec<DistinguishedName>,
}

impl Callers {
    fn new(trust: Trust) -> Result<Self, Error> {
        let verifier = |roots: &Arc<RootCertStore>| {
            let built = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider()).build();
            built.map_err(|error| Error::General(error.to_string()))
        };
        let (core, network) = (verifier(&trust.core)?, verifier(&trust.network)?);
        let hints = [&core, &network].iter().flat_map(|one| one.root_hint_subjects().to_vec()).collect();
        Ok(Self { trust, core, network, hints })
    }
}

impl ClientCertVerifier for Callers {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.trust.named(certificate, |authority| {
            let verifier = match authority {
                Kind::Core => &self.core,
                Kind::Network => &self.network,
            };
            let at = |when| verifier.verify_client_cert(certificate, &[], when).map(|_| ());
            match at(now) {
                Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }))
                    if now.as_secs() <= (not_after.as_secs()).saturating_add(RENEWABLE_FOR.as_secs()) =>
                {
                    at(not_after)
                }
                checked => checked,
            }
        })?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.core.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.core.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.core.supported_verify_schemes()
    }
}

/// Who has to be at the other end of a connection that goes out: by its name in the network, and not by its host's.
#[derive(Debug)]
struct FarSide {
    of: Of,
    provider: Arc<CryptoProvider>,
}

/// Who that is, and whose word counts for it.
#[derive(Debug)]
enum Of {
    Network(Trust, Expected),
    Enrolment(Pin),
}

impl FarSide {
    fn new(of: Of) -> Arc<Self> {
        Arc::new(Self { of, provider: provider() })
    }

    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.provider.signature_verification_algorithms
    }
}

impl Of {
    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        signed_by: impl Fn(&RootCertStore) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (found, expected) = match self {
            Self::Network(trust, expected) => {
                let found = trust.named(certificate, |authority| {
                    signed_by(match authority {
                        Kind::Core => &trust.core,
                        Kind::Network => &trust.network,
                    })
                })?;
                (found, expected)
            }
            Self::Enrolment(pin) => {
                let core = intermediates.iter().find(|one| sha256(one) == pin.core);
                let mut roots = RootCertStore::empty();
                roots.add(core.ok_or(CertificateError::UnknownIssuer)?.clone().into_owned())?;
                signed_by(&roots)?;
                let found = Certified::read(certificate).map_err(misnamed)?.identity;
                if found.trust_domain != pin.trust_domain {
                    return Err(misnamed(Misnamed::Network(found)));
                }
                (found, &Expected::Registry)
            }
        };
        if !expected.is(&found.role) {
            return Err(misnamed(Misnamed::Unexpected { found, expected: expected.to_string() }));
        }
        Ok(())
    }
}

impl ServerCertVerifier for FarSide {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        self.of.check(certificate, intermediates, |roots| {
            let algorithms = self.algorithms().all;
            verify_server_cert_signed_by_trust_anchor(&parsed, roots, &[], now, algorithms)
        })?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, self.algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, self.algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}
