//! What a certificate says of whom it was given to.

use crate::{Identity, InvalidIdentity, hosts::LOOPBACK};
use domain::Wall;
use std::net::IpAddr;
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    prelude::{FromDer as _, X509Error},
};

/// Whom a certificate names, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    pub identity: Identity,
    /// Its number, in hexadecimal: no authority gives one twice.
    pub serial: String,
    /// From then on it stands for nobody.
    pub not_after: Wall,
}

/// A certificate names nobody of a network.
#[derive(Debug, thiserror::Error)]
pub enum Misnamed {
    #[error("it cannot be read")]
    Unreadable,
    #[error("it has {0} URI names, where one is allowed: spiffe://…")]
    Names(usize),
    #[error("its name {name} is none of this kind: it {why}")]
    Name { name: String, why: InvalidIdentity },
    #[error("it names {0}, and comes from an authority that does not name those")]
    Authority(Identity),
    #[error("it names {0}, of another network")]
    Network(Identity),
    #[error("it names {found}, where {expected} was expected")]
    Unexpected { found: Identity, expected: String },
}

impl Certified {
    /// Reads what it says, and believes it: whoever asks has checked who signed it.
    pub fn read(der: &[u8]) -> Result<Self, Misnamed> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| Misnamed::Unreadable)?;
        let names = uri_names(&certificate).map_err(|_| Misnamed::Unreadable)?;
        let [name] = names[..] else { return Err(Misnamed::Names(names.len())) };
        let identity = name.parse().map_err(|why| Misnamed::Name { name: name.to_owned(), why })?;
        let not_after = Wall(certificate.validity().not_after.timestamp().saturating_mul(1000));
        Ok(Self { identity, serial: certificate.raw_serial_as_string().replace(':', ""), not_after })
    }
}

/// Every URI among a certificate's names.
pub(crate) fn uri_names<'a>(certificate: &'a X509Certificate<'_>) -> Result<Vec<&'a str>, X509Error> {
    let Some(names) = certificate.subject_alternative_name()? else { return Ok(Vec::new()) };
    let uri = |name: &'a GeneralName<'_>| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    };
    Ok(names.value.general_names.iter().filter_map(uri).collect())
}

/// Every host among a certificate's names, but the loopback.
pub(crate) fn hosts_in(certificate: &X509Certificate<'_>) -> Vec<String> {
    let host = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let hosts = names.value.general_names.iter().filter_map(host);
    hosts.filter(|host| !LOOPBACK.contains(&host.as_str())).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}
