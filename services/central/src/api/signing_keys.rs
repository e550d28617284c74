//! The public keys by which central knows what it authorised, for the operator: listed, and trusted.

use super::{pages::Page, requests::Arrived};
use crate::{
    signing,
    store::{MAX_KEYS, codec::KnownKey, signing_keys},
    writer::Handle,
};
use domain::{Deed, NetworkId};
use evmesh_proto::operations::{self as proto};
use mesh::{
    convert,
    grpc::{Failure, parse},
};
use std::collections::HashSet;
use tonic::Request;

/// One call trusts so many keys at most.
const MAX_TRUSTED: usize = 1000;

async fn known(handle: &Handle) -> Result<Vec<KnownKey>, Failure> {
    handle.read(|snapshot| signing_keys(snapshot.store)).await
}

pub(super) async fn list(
    handle: &Handle,
    asked: proto::ListSigningKeysRequest,
) -> Result<proto::ListSigningKeysResponse, Failure> {
    // Keys only come at the end, but for trusted ones: a page starts after so many.
    let page: Page<usize> = Page::new("signing keys".to_owned(), asked.page_size, &asked.page_token)?;
    let known = known(handle).await?;
    let from = page.after.unwrap_or(0).min(known.len());
    let to = from.saturating_add(page.size).min(known.len());
    let keys = known[from..to].iter().map(|known| proto::SigningKey {
        network_id: known.network.to_string(),
        public_key: known.key.to_vec(),
        create_time: Some(convert::timestamp(known.made)),
    });
    let next_page_token = page.next_token((to < known.len()).then_some(&to));
    Ok(proto::ListSigningKeysResponse { keys: keys.collect(), next_page_token })
}

pub(super) async fn trust(
    handle: &Handle,
    request: Request<proto::TrustSigningKeysRequest>,
) -> Result<proto::TrustSigningKeysResponse, Failure> {
    let (arrived, asked) = Arrived::take(request);
    if !(1..=MAX_TRUSTED).contains(&asked.keys.len()) {
        return Err(Failure::invalid("keys", format!("must be 1 to {MAX_TRUSTED}")));
    }
    let keys = asked.keys.iter().enumerate().map(|(at, key)| read(at, key));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    let before: HashSet<_> = known(handle).await?.into_iter().map(|known| known.key).collect();
    let new: HashSet<_> = keys.iter().map(|known| known.key).filter(|key| !before.contains(key)).collect();
    let room = MAX_KEYS.saturating_sub(before.len());
    if new.len() > room {
        let problem =
            format!("has {} new keys; central keeps {MAX_KEYS}, and has room for {room}", new.len());
        return Err(Failure::invalid("keys", problem));
    }
    let named: Vec<_> = keys.iter().map(|known| convert::hex(&known.key)).collect();
    let (subject, parameters) = ("signing-keys".to_owned(), format!("public_keys={}", named.join(" ")));
    let deed = Deed::by(&arrived.context(&arrived.operator()), "TrustSigningKeys", subject, parameters);
    handle.trust(keys, deed).await?;
    Ok(proto::TrustSigningKeysResponse { new_key_count: i32::try_from(new.len()).unwrap_or(i32::MAX) })
}

fn read(at: usize, key: &proto::SigningKey) -> Result<KnownKey, Failure> {
    let field = |name: &str| format!("keys[{at}].{name}");
    let network: NetworkId = parse(&field("network_id"), &key.network_id)?;
    let no_key = || Failure::invalid(field("public_key"), "must be the 32 bytes of an Ed25519 key");
    let made = convert::wall(&field("create_time"), key.create_time.as_ref())?.unwrap_or_default();
    let key = key.public_key.as_slice().try_into().ok().filter(signing::is_key).ok_or_else(no_key)?;
    Ok(KnownKey { key, network, made, trusted: true })
}
