//! How an identity is shown.

use domain::{
    Wall,
    enrolment::{Certificate, Enrolled},
};
use evmesh_proto::registry as proto;
use mesh::convert::timestamp;

pub(crate) fn shown(role: &str, enrolled: &Enrolled, now: Wall) -> proto::Identity {
    let certificate = |one: &Certificate| proto::IssuedCertificate {
        serial: one.serial.clone(),
        expire_time: Some(timestamp(one.not_after)),
        revoke_time: one.revoked.map(timestamp),
    };
    let earlier = enrolled.earlier.iter().filter(|one| one.not_after > now);
    proto::Identity {
        role: role.to_owned(),
        hosts: enrolled.hosts.clone(),
        certificates: earlier.chain([&enrolled.newest]).map(certificate).collect(),
        issue_time: Some(timestamp(enrolled.issued)),
        revoked_now: enrolled.revoked_now,
    }
}
