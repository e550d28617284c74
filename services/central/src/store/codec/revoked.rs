//! Those whose certificates were revoked.

use super::{decode, encode};
use crate::error::Unreadable;
use domain::{
    Wall,
    revocations::{Held, Revoked},
};
use evmesh_proto::store::{StoredRevoked, StoredRevokedCertificate};

pub fn revoked_value(revoked: &Revoked) -> Vec<u8> {
    let Revoked { certificates, newest, now } = revoked;
    let mut certificates: Vec<_> = certificates
        .iter()
        .map(|(serial, &Held { not_after, spared })| StoredRevokedCertificate {
            serial: serial.to_string(),
            not_after_ms: not_after.0,
            spared,
        })
        .collect();
    certificates.sort_by_key(|one| one.not_after_ms);
    encode(&StoredRevoked { certificates, newest: *newest, now: *now })
}

pub fn revoked(bytes: &[u8]) -> Result<Revoked, Unreadable> {
    let StoredRevoked { certificates, newest, now } = decode("a revoked identity", bytes)?;
    let held = |StoredRevokedCertificate { serial, not_after_ms, spared }| {
        (serial.into(), Held { not_after: Wall(not_after_ms), spared })
    };
    Ok(Revoked { certificates: certificates.into_iter().map(held).collect(), newest, now })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let held = |not_after, spared| Held { not_after: Wall(not_after), spared };
        let certificates = [("b".into(), held(1, true)), ("a".into(), held(2, false))].into();
        let all = Revoked { certificates, newest: true, now: true };
        for one in [all, Revoked::default()] {
            assert_eq!(revoked(&revoked_value(&one)).unwrap(), one);
        }
        assert!(revoked(b"\xff").is_err());
    }
}
