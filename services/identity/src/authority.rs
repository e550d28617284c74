//! Who vouches for whom: the certificate authorities of a network, and the requests that they answer.
//!
//! A network has two. The one for its core (central, the registry) has its key offline; the network's, for everybody
//! else, is the registry's. Whoever steals the registry thus makes no central. What a certificate says is the
//! authority's word alone: of a request only its public key counts, and the proof that the asker has the other half.

use crate::{
    Certified, Identity, Role, TrustDomain,
    certificate::{hosts_in, uri_names},
    enrolment_token::hex,
    hosts::{InvalidHosts, host_names},
    request::{AskersKey, InvalidRequest, KeyError, Request, new_key, only_pem, read_key},
};
use domain::Wall;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose as Extended,
    IsCa, Issuer, KeyPair, KeyUsagePurpose as Usage, PublicKeyData as _, SanType, SerialNumber,
};
use std::{fmt, time::Duration};
use time::OffsetDateTime;
use x509_parser::{certificate::X509Certificate, pem::Pem, prelude::FromDer as _};

/// How long an authority's own certificate is valid: ten years.
pub const AUTHORITY_LIFETIME: Duration = Duration::from_secs(3650 * 24 * 3600);
/// A certificate is valid this long before it was made: other clocks may be behind the authority's.
pub const LEEWAY: Duration = Duration::from_secs(300);

/// Whom an authority vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// For those whom the rest of the network stands on: [`Role::is_core`].
    Core,
    /// For everybody else.
    Network,
}

impl Kind {
    /// Who vouches for it.
    pub fn of(role: &Role) -> Self {
        if role.is_core() { Self::Core } else { Self::Network }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Core => "core",
            Self::Network => "network",
        })
    }
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    #[error("cannot make a key or a certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("the date lies outside the years 0 to 9999")]
    Date,
    #[error("is no certificate of one of evmesh's authorities: {0}")]
    NoAuthority(&'static str),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the key is another's: it does not belong to the authority's certificate")]
    AnothersKey,
    #[error("the authority itself has expired; make another one")]
    Expired,
    #[error("{role} is of the {of} authority, and this is the {this} one")]
    AnothersRole { role: Role, of: Kind, this: Kind },
    #[error("the authority is that of {this}, and vouches for nobody of {other}")]
    AnotherTrustDomain { this: TrustDomain, other: TrustDomain },
    #[error(transparent)]
    Hosts(#[from] InvalidHosts),
    #[error("the request {0}")]
    Request(#[from] InvalidRequest),
}

/// What an authority answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate, and then the authority's own: PEM.
    pub certificate_pem: String,
    /// 32 lower-case hexadecimal digits.
    pub serial: String,
    /// From then on it is worth nothing; a whole second.
    pub not_after: Wall,
}

/// A certificate authority, with its key.
pub struct Authority {
    trust_domain: TrustDomain,
    kind: Kind,
    not_after: Wall,
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trust_domain, kind, not_after, certificate: _, issuer: _ } = self;
        f.debug_struct("Authority")
            .field("trust_domain", trust_domain)
            .field("kind", kind)
            .field("not_after", not_after)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes one, valid for [`AUTHORITY_LIFETIME`]. Its name is its alone: of two with one name a verifier takes the
    /// first, and finds every certificate of the other badly signed.
    ///
    /// # Errors
    ///
    /// If the system gives no randomness, or `now` is no date.
    pub fn create(trust_domain: &TrustDomain, kind: Kind, now: Wall) -> Result<Self, AuthorityError> {
        let key = new_key()?;
        let mut suffix = [0; 8];
        getrandom::fill(&mut suffix)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&format!("{}{}", name_prefix(kind), hex(&suffix)));
        params.subject_alt_names = vec![SanType::URI(format!("spiffe://{trust_domain}").try_into()?)];
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![Usage::KeyCertSign, Usage::CrlSign];
        params.serial_number = Some(SerialNumber::from_slice(&serial()?));
        params.not_before = date(before(now, LEEWAY))?;
        params.not_after = date(now + AUTHORITY_LIFETIME)?;
        let certificate = params.self_signed(&key)?.pem();
        Self::from_pem(&certificate, &key.serialize_pem())
    }

    /// Reads one back.
    ///
    /// # Errors
    ///
    /// If the certificate is not one of [`Authority::create`], or the key is not its.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Self, AuthorityError> {
        let no_authority = AuthorityError::NoAuthority;
        let pem = only_pem(certificate_pem, "CERTIFICATE").ok_or(no_authority("it is not one PEM block"))?;
        let certificate =
            X509Certificate::from_der(&pem.contents).map_err(|_| no_authority("it cannot be read"))?.1;
        if !certificate.is_ca() {
            return Err(no_authority("it may not sign others"));
        }
        let mut names = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        let name = names.next().unwrap_or_default();
        let kind = [Kind::Core, Kind::Network].into_iter().find(|kind| name.starts_with(&name_prefix(*kind)));
        let kind = kind.ok_or(no_authority("its name does not say which one it is"))?;
        let trust_domain = trust_domain_of(&certificate).ok_or(no_authority("it names no trust domain"))?;
        let not_after = certificate.validity().not_after.timestamp();
        let key = read_key(key_pem)?;
        if key.subject_public_key_info() != certificate.public_key().raw {
            return Err(AuthorityError::AnothersKey);
        }
        Ok(Self {
            trust_domain,
            kind,
            not_after: Wall(not_after.saturating_mul(1000)),
            certificate: certificate_pem.to_owned(),
            issuer: Issuer::from_ca_cert_der(&pem.contents.as_slice().into(), key)?,
        })
    }

    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    /// In PKCS #8: for its file alone.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Vouches that whoever has the request's key is `identity`: from [`LEEWAY`] before `now` for `lifetime`, but never
    /// beyond the authority's own end. The certificate has that one SPIFFE name, for its common name the path of it
    /// (Kafka's principal), and may be shown by a server as by a client. A server's names hosts too: `hosts`, each a
    /// DNS name or an IP address, at most [`crate::MAX_HOSTS`], and the loopback.
    ///
    /// # Errors
    ///
    /// If the request is none, `identity` is not this authority's to vouch for, or a host is none.
    pub fn issue(
        &self,
        csr_pem: &str,
        identity: &Identity,
        hosts: &[String],
        lifetime: Duration,
        now: Wall,
    ) -> Result<Issued, AuthorityError> {
        self.vouch(&AskersKey::of_request(csr_pem)?, identity, hosts, lifetime, now)
    }

    /// [`Authority::issue`], for a request that has been read.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn vouch(
        &self,
        key: &AskersKey,
        Identity { trust_domain, role }: &Identity,
        hosts: &[String],
        lifetime: Duration,
        now: Wall,
    ) -> Result<Issued, AuthorityError> {
        if *trust_domain != self.trust_domain {
            let (this, other) = (self.trust_domain.clone(), trust_domain.clone());
            return Err(AuthorityError::AnotherTrustDomain { this, other });
        }
        if Kind::of(role) != self.kind {
            let (role, of, this) = (role.clone(), Kind::of(role), self.kind);
            return Err(AuthorityError::AnothersRole { role, of, this });
        }
        if self.not_after <= now {
            return Err(AuthorityError::Expired);
        }
        let not_after = (now + lifetime).min(self.not_after);
        let not_after = Wall(not_after.0.div_euclid(1000).saturating_mul(1000));
        let serial = serial()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&role.to_string());
        params.subject_alt_names = vec![SanType::URI(format!("spiffe://{trust_domain}/{role}").try_into()?)];
        params.subject_alt_names.extend(host_names(role, hosts)?);
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![Usage::DigitalSignature];
        params.extended_key_usages = vec![Extended::ServerAuth, Extended::ClientAuth];
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.not_before = date(before(now, LEEWAY))?;
        params.not_after = date(not_after)?;
        let certificate = params.signed_by(key.public(), &self.issuer)?.pem();
        Ok(Issued { certificate_pem: certificate + &self.certificate, serial: hex(&serial), not_after })
    }
}

/// What an authority's name begins with; what is random in it follows.
fn name_prefix(kind: Kind) -> String {
    format!("evmesh {kind} CA ")
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// Random, and as long in DER as it is here: positive, with no zero before it.
fn serial() -> Result<[u8; 16], AuthorityError> {
    let mut serial = [0; 16];
    getrandom::fill(&mut serial)?;
    serial[0] = serial[0] & 0x7f | 0x40;
    Ok(serial)
}

/// The network of an authority's certificate.
pub(crate) fn trust_domain_of(certificate: &X509Certificate<'_>) -> Option<TrustDomain> {
    match uri_names(certificate).unwrap_or_default()[..] {
        [uri] => uri.strip_prefix("spiffe://").and_then(|name| name.parse().ok()),
        _ => None,
    }
}

fn before(now: Wall, leeway: Duration) -> Wall {
    Wall(now.0.saturating_sub_unsigned(leeway.as_millis().try_into().unwrap_or(u64::MAX)))
}

fn date(at: Wall) -> Result<OffsetDateTime, AuthorityError> {
    let date = OffsetDateTime::from_unix_timestamp(at.0.div_euclid(1000)).ok();
    date.filter(|date| (0..=9999).contains(&date.year())).ok_or(AuthorityError::Date)
}

/// Whom the first certificate of a PEM text names. Whether anybody vouches for it is not looked at.
pub fn named_in(certificate_pem: &str) -> Option<Identity> {
    let pem = Pem::iter_from_buffer(certificate_pem.as_bytes()).next()?.ok()?;
    Certified::read(&pem.contents).ok().map(|certified| certified.identity)
}

/// A certificate that was given out, and what else has to be known to give out the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenOut {
    pub certified: Certified,
    /// Its key, as [`AskersKey::bytes`] has it.
    pub key: Vec<u8>,
    /// Where it is found, beside the loopback.
    pub hosts: Vec<String>,
    /// When it was made; a whole second, and not after the true moment.
    pub made: Wall,
}

/// What the first certificate of a PEM text says, if one of these authorities signed it.
pub fn given_out(certificate_pem: &str, authorities_pem: &str) -> Option<GivenOut> {
    let pem = Pem::iter_from_buffer(certificate_pem.as_bytes()).next()?.ok()?;
    let certified = Certified::read(&pem.contents).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let signed = |authority: Result<Pem, _>| {
        authority.is_ok_and(|authority: Pem| {
            let authority = authority.parse_x509();
            authority.is_ok_and(|by| certificate.verify_signature(Some(by.public_key())).is_ok())
        })
    };
    Pem::iter_from_buffer(authorities_pem.as_bytes()).any(signed).then(|| {
        let key = certificate.public_key().subject_public_key.data.to_vec();
        let made = Wall(certificate.validity().not_before.timestamp().saturating_mul(1000)) + LEEWAY;
        GivenOut { certified, key, hosts: hosts_in(&certificate), made }
    })
}

/// Does the first certificate of a PEM text belong to this request's key?
pub fn is_for(certificate_pem: &str, request: &Request) -> bool {
    let pem = Pem::iter_from_buffer(certificate_pem.as_bytes()).next().and_then(Result::ok);
    let key = AskersKey::of_request(request.csr_pem());
    let (Some(pem), Ok(key)) = (pem, key) else { return false };
    pem.parse_x509().is_ok_and(|certificate| certificate.public_key().subject_public_key.data == key.bytes())
}

/// Does a PEM text consist of certificates of such authorities, one or more?
pub fn are_authorities(certificates_pem: &str, kind: Kind) -> bool {
    let mut blocks = Pem::iter_from_buffer(certificates_pem.as_bytes()).peekable();
    let is_one = |pem: Result<Pem, _>| {
        pem.is_ok_and(|pem| {
            let certificate = X509Certificate::from_der(&pem.contents);
            let named = |certificate: X509Certificate<'_>| {
                let mut names =
                    certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
                certificate.is_ca() && names.any(|name| name.starts_with(&name_prefix(kind)))
            };
            pem.label == "CERTIFICATE" && certificate.is_ok_and(|(_, certificate)| named(certificate))
        })
    };
    blocks.peek().is_some() && blocks.all(is_one)
}

#[cfg(test)]
mod tests;
