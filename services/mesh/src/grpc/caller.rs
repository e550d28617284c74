//! Where a call comes from: its address. Who makes it is an `Actor`.

use std::{fmt, net::IpAddr};

/// Where a call came from: a request extension that the server sets, see [`Caller::of`]. A proxy's is that of all its
/// callers; of IPv6 it is the network of 64 bits, which one caller has whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Caller(IpAddr);

impl Caller {
    /// The caller of a request that came in; `None` for one that came over no socket.
    pub fn of<T>(request: &tonic::Request<T>) -> Option<Self> {
        request.extensions().get().copied()
    }
}

impl From<IpAddr> for Caller {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) if !v6.is_loopback() => Self(IpAddr::V6((v6.to_bits() >> 64 << 64).into())),
            address => Self(address),
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_caller() {
        for (address, caller) in [
            ("10.0.0.7", "10.0.0.7"),
            ("::ffff:10.0.0.7", "10.0.0.7"),
            ("::1", "::1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            assert_eq!(Caller::from(address.parse::<IpAddr>().unwrap()).to_string(), caller);
        }
    }
}
