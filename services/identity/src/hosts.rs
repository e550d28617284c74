//! The host names of servers, beside their names in the network: what grpcurl and other tools go by.

use crate::Role;
use rcgen::SanType;
use std::net::IpAddr;

/// How many host names and addresses a certificate may have beside the loopback's.
pub const MAX_HOSTS: usize = 16;

/// The longest name of a host (RFC 1035), and of one of its parts.
const MAX_HOST_LEN: usize = 253;
const MAX_LABEL_LEN: usize = 63;
/// Every server is asked on its own machine too, by grpcurl and by probes.
pub(crate) const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Why a certificate cannot have these hosts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHosts {
    #[error("{0} serves nobody, and has no host names")]
    NoServer(Role),
    #[error("there are {0} host names; at most {MAX_HOSTS} are allowed")]
    TooMany(usize),
    #[error("{0:?} is neither an IP address nor the name of a host")]
    Host(String),
}

/// Checks the hosts of somebody's certificate, as [`crate::Authority::issue`] does.
///
/// # Errors
///
/// If one is none, there are too many, or this role serves nobody.
pub fn check_hosts(role: &Role, hosts: &[String]) -> Result<(), InvalidHosts> {
    host_names(role, hosts).map(drop)
}

pub(crate) fn host_names(role: &Role, hosts: &[String]) -> Result<Vec<SanType>, InvalidHosts> {
    if !serves(role) {
        let none = if hosts.is_empty() { Ok(Vec::new()) } else { Err(InvalidHosts::NoServer(role.clone())) };
        return none;
    }
    if hosts.len() > MAX_HOSTS {
        return Err(InvalidHosts::TooMany(hosts.len()));
    }
    let mut names: Vec<&str> = LOOPBACK.to_vec();
    for host in hosts.iter().map(String::as_str) {
        if !names.contains(&host) {
            names.push(host);
        }
    }
    names.into_iter().map(host_name).collect()
}

/// Has a port that others call: a person has none.
fn serves(role: &Role) -> bool {
    match role {
        Role::Central(_) | Role::Registry | Role::Engine(_) | Role::Monitor(_) | Role::Gateway(_) => true,
        Role::Bridge(_) | Role::Viewer(_) | Role::Operator(_) | Role::Admin(_) | Role::Driver(_) => false,
    }
}

fn host_name(host: &str) -> Result<SanType, InvalidHosts> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        (1..=MAX_LABEL_LEN).contains(&label.len())
            && label.chars().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // What is all digits at its end is an address with a slip in it (RFC 3696, section 2).
    let number = host.rsplit('.').next().is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()));
    if host.len() > MAX_HOST_LEN || !host.split('.').all(label) || number {
        return Err(InvalidHosts::Host(host.chars().take(MAX_HOST_LEN).collect()));
    }
    host.to_owned().try_into().map(SanType::DnsName).map_err(|_| InvalidHosts::Host(host.to_owned()))
}
