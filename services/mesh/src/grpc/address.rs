//! Where a service is.

use std::{fmt, str::FromStr};
use tonic::transport::Endpoint;

/// A host and a port, written `host:port` or `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    authority: String,
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    #[error("must be host:port: whether it is encrypted is said by --identity")]
    Scheme,
    #[error("must be host:port with a port from 1 to 65535, such as 127.0.0.1:50051")]
    Port,
    #[error("must be host:port with a host name or an IP address, such as 127.0.0.1:50051")]
    Host,
}

/// A host name has at most so many characters (RFC 1035).
const MAX_HOST_LEN: usize = 253;

/// Is it a host's name, or an IPv4 address?
pub(super) fn is_name(host: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    !host.is_empty() && host.len() <= MAX_HOST_LEN && host.chars().all(fits)
}

impl FromStr for Address {
    type Err = InvalidAddress;
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest.strip_suffix('/').unwrap_or(rest),
            Some(_) => return Err(InvalidAddress::Scheme),
            None => text,
        };
        let (host, port) = rest.rsplit_once(':').ok_or(InvalidAddress::Port)?;
        if !port.bytes().all(|b| b.is_ascii_digit()) || !port.parse::<u16>().is_ok_and(|port| port > 0) {
            return Err(InvalidAddress::Port);
        }
        let fits = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
            None => is_name(host),
        };
        if !fits {
            return Err(InvalidAddress::Host);
        }
        Ok(Self { authority: rest.to_owned() })
    }
}

impl From<std::net::SocketAddr> for Address {
    fn from(address: std::net::SocketAddr) -> Self {
        Self { authority: address.to_string() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.authority)
    }
}

impl Address {
    /// For tonic, without any of the client stack.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.authority)).expect("a checked address is a URI")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_all_make_endpoints() {
        for (text, shown) in [
            ("127.0.0.1:50051", "127.0.0.1:50051"),
            ("http://central:50051/", "central:50051"),
            ("[::1]:1", "[::1]:1"),
            ("my_host.example-1.org:65535", "my_host.example-1.org:65535"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            address.endpoint();
        }
        for (text, why) in [
            ("https://central:50051", InvalidAddress::Scheme),
            ("central", InvalidAddress::Port),
            ("central:0", InvalidAddress::Port),
            ("central:+1", InvalidAddress::Port),
            ("central:65536", InvalidAddress::Port),
            (":1", InvalidAddress::Host),
            ("::1:1", InvalidAddress::Host),
            ("a b:1", InvalidAddress::Host),
            ("user@host:1", InvalidAddress::Host),
        ] {
            assert_eq!(text.parse::<Address>(), Err(why), "{text}");
        }
    }
}
