//! The names that certificates carry, in the form of SPIFFE (the SPIFFE-ID standard, sections 2.1 and 2.2).

use domain::{ChargePointId, DriverId, Name, ids::InvalidId};
use std::{fmt, str::FromStr, sync::Arc};

/// The longest trust domain: a host's name is one (RFC 1035).
const MAX_TRUST_DOMAIN_LEN: usize = 253;

/// All that one registry names: SPIFFE's trust domain, and the network's name for its people.
///
/// 1 to 253 lower-case ASCII letters, digits, `-`, `_` or `.`; cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TrustDomain(Arc<str>);

/// A text names no trust domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {MAX_TRUST_DOMAIN_LEN} characters: lower-case letters, digits, '-', '_' and '.'")]
pub struct InvalidTrustDomain;

impl FromStr for TrustDomain {
    type Err = InvalidTrustDomain;
    fn from_str(text: &str) -> Result<Self, InvalidTrustDomain> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.len() > MAX_TRUST_DOMAIN_LEN || !text.chars().all(fits) {
            return Err(InvalidTrustDomain);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What somebody is, and which one of those.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Role {
    Central(Name),
    Registry,
    Engine(ChargePointId),
    Monitor(ChargePointId),
    /// A site, or a gateway, that serves many charge points at one address.
    Gateway(Name),
    /// Asks for the drivers of the system before.
    Bridge(Name),
    /// A person who looks.
    Viewer(Name),
    /// A person who stops, resumes, prices, ends and settles besides.
    Operator(Name),
    /// A person who says who is who besides.
    Admin(Name),
    Driver(DriverId),
}

impl Role {
    /// The word for what it is, without which one.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Central(_) => "central",
            Self::Registry => "registry",
            Self::Engine(_) => "engine",
            Self::Monitor(_) => "monitor",
            Self::Gateway(_) => "gateway",
            Self::Bridge(_) => "bridge",
            Self::Viewer(_) => "viewer",
            Self::Operator(_) => "operator",
            Self::Admin(_) => "admin",
            Self::Driver(_) => "driver",
        }
    }

    /// One of those that the rest of the network stands on: another authority vouches for them than for everybody
    /// else, whose key is kept offline.
    pub fn is_core(&self) -> bool {
        matches!(self, Self::Central(_) | Self::Registry)
    }
}

/// The path of its name: `charge-point/MAD-01/engine`.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry => f.write_str("registry"),
            Self::Engine(point) | Self::Monitor(point) => write!(f, "charge-point/{point}/{}", self.kind()),
            Self::Driver(driver) => write!(f, "driver/{driver}"),
            Self::Central(name)
            | Self::Gateway(name)
            | Self::Bridge(name)
            | Self::Viewer(name)
            | Self::Operator(name)
            | Self::Admin(name) => write!(f, "{}/{name}", self.kind()),
        }
    }
}

/// Why a text names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIdentity {
    #[error("must start with spiffe://")]
    Scheme,
    #[error("its trust domain {0}")]
    TrustDomain(#[from] InvalidTrustDomain),
    #[error("its name {0}")]
    Id(#[from] InvalidId),
    #[error(
        "must be registry, central/NAME, charge-point/ID/engine, charge-point/ID/monitor, gateway/NAME, bridge/NAME, \
         viewer/NAME, operator/NAME, admin/NAME or driver/ID"
    )]
    Role,
}

impl FromStr for Role {
    type Err = InvalidIdentity;
    fn from_str(path: &str) -> Result<Self, InvalidIdentity> {
        let parts: Vec<&str> = path.split('/').collect();
        Ok(match parts[..] {
            ["registry"] => Self::Registry,
            ["central", name] => Self::Central(name.parse()?),
            ["charge-point", point, "engine"] => Self::Engine(point.parse()?),
            ["charge-point", point, "monitor"] => Self::Monitor(point.parse()?),
            ["gateway", name] => Self::Gateway(name.parse()?),
            ["bridge", name] => Self::Bridge(name.parse()?),
            ["viewer", name] => Self::Viewer(name.parse()?),
            ["operator", name] => Self::Operator(name.parse()?),
            ["admin", name] => Self::Admin(name.parse()?),
            ["driver", driver] => Self::Driver(DriverId::named(driver)?),
            _ => return Err(InvalidIdentity::Role),
        })
    }
}

/// Somebody of a network, as a certificate or a token names them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    pub trust_domain: TrustDomain,
    pub role: Role,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/{}", self.trust_domain, self.role)
    }
}

impl FromStr for Identity {
    type Err = InvalidIdentity;
    fn from_str(text: &str) -> Result<Self, InvalidIdentity> {
        let rest = text.strip_prefix("spiffe://").ok_or(InvalidIdentity::Scheme)?;
        let (trust_domain, path) = rest.split_once('/').ok_or(InvalidIdentity::Role)?;
        Ok(Self { trust_domain: trust_domain.parse()?, role: path.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for path in [
            "central/main",
            "registry",
            "charge-point/MAD-01/engine",
            "charge-point/MAD-01/monitor",
            "gateway/site-7",
            "bridge/old",
            "viewer/ana",
            "operator/ana",
            "admin/ana",
            "driver/101",
        ] {
            let text = format!("spiffe://madrid.example/{path}");
            let identity: Identity = text.parse().unwrap();
            assert_eq!(identity.to_string(), text);
            assert!(path.contains(identity.role.kind()), "{path}");
        }
    }

    #[test]
    fn what_is_no_name_names_nobody() {
        for (text, why) in [
            ("https://madrid/registry", InvalidIdentity::Scheme),
            ("spiffe://madrid", InvalidIdentity::Role),
            ("spiffe://madrid/", InvalidIdentity::Role),
            ("spiffe://madrid/registry/", InvalidIdentity::Role),
            ("spiffe://madrid/registry/x", InvalidIdentity::Role),
            ("spiffe://madrid/charge-point/MAD-01", InvalidIdentity::Role),
            ("spiffe://madrid/charge-point/MAD-01/central", InvalidIdentity::Role),
            ("spiffe://madrid/Central/main", InvalidIdentity::Role),
            ("spiffe://Madrid/registry", InvalidIdentity::TrustDomain(InvalidTrustDomain)),
            ("spiffe:///registry", InvalidIdentity::TrustDomain(InvalidTrustDomain)),
            ("spiffe://madrid:1/registry", InvalidIdentity::TrustDomain(InvalidTrustDomain)),
            ("spiffe://madrid/central/", InvalidIdentity::Id(InvalidId::Empty)),
            ("spiffe://madrid/central/a%2Fb", InvalidIdentity::Id(InvalidId::Character('%'))),
            ("spiffe://madrid/driver/INVITADO", InvalidIdentity::Id(InvalidId::Guest)),
        ] {
            assert_eq!(text.parse::<Identity>(), Err(why), "{text}");
        }
    }
}
