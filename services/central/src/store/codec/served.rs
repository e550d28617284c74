//! The gateway of a charge point.

use super::{decode, encode, id};
use crate::error::Unreadable;
use domain::Name;
use evmesh_proto::store::StoredServed;

const WHAT: &str = "a gateway's charge point";

/// The gateway that counts, and the one that the registry says.
pub fn served_value([counts, said]: [Option<&Name>; 2]) -> Vec<u8> {
    let text = |gateway: Option<&Name>| gateway.map(ToString::to_string).unwrap_or_default();
    let next_gateway = (counts != said).then(|| text(said));
    encode(&StoredServed { gateway: text(counts), next_gateway })
}

pub fn served(bytes: &[u8]) -> Result<[Option<Name>; 2], Unreadable> {
    let StoredServed { gateway, next_gateway } = decode(WHAT, bytes)?;
    let name = |text: &str| (!text.is_empty()).then(|| id(WHAT, text)).transpose();
    let counts = name(&gateway)?;
    let said = next_gateway.as_deref().map_or_else(|| Ok(counts.clone()), name)?;
    match (&counts, &said) {
        (None, None) => Err(Unreadable::new(WHAT, "it has none")),
        _ => Ok([counts, said]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let (seven, eight) = ("site-7".parse().unwrap(), "site-8".parse().unwrap());
        let (seven, eight) = (Some(&seven), Some(&eight));
        for row in [[seven, seven], [seven, eight], [seven, None], [None, eight]] {
            assert_eq!(served(&served_value(row)).unwrap(), row.map(|name| name.cloned()));
        }
        assert!(served(b"").is_err() && served(b"\xff").is_err());
    }
}
