//! The gateway of a charge point.

use super::{decode, encode, id};
use crate::error::Unreadable;
use domain::Name;
use evmesh_proto::store::StoredServed;

const WHAT: &str = "a gateway's charge point";

pub fn served_value(gateway: &Name) -> Vec<u8> {
    encode(&StoredServed { gateway: gateway.to_string() })
}

pub fn served(bytes: &[u8]) -> Result<Name, Unreadable> {
    let StoredServed { gateway } = decode(WHAT, bytes)?;
    id(WHAT, &gateway)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let gateway = "site-7".parse().unwrap();
        assert_eq!(served(&served_value(&gateway)).unwrap(), gateway);
        assert!(served(b"").is_err() && served(b"\xff").is_err());
    }
}
