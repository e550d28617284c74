//! The public keys by which central knows what it authorised: a row for each start, and for each that its operator
//! trusts.

use super::{codec, codec::KnownKey, keys, pages::each};
use crate::Error;
use mesh::store::{Batch, Store};

/// So many are kept; with more, the oldest go: central restarted ten thousand times since then. Those that were only
/// trusted go first.
pub(crate) const MAX_KEYS: usize = 10_000;

/// All of them, oldest first.
pub(crate) fn signing_keys(store: &dyn Store) -> Result<Vec<KnownKey>, Error> {
    let mut known = Vec::new();
    each(store, keys::SIGNING_KEYS, |_, value| {
        known.push(codec::signing_key(value)?);
        Ok(())
    })?;
    known.sort_by_key(|known: &KnownKey| (known.made, known.key));
    Ok(known)
}

/// Writes one; gives the key of its row.
pub(crate) fn put_signing_key(known: &KnownKey, batch: &mut Batch) -> Vec<u8> {
    let key = keys::signing_key(&known.key);
    batch.put(key.clone(), codec::signing_key_value(known));
    key
}

/// Makes room for one more among these; gives the keys of the rows that went.
pub(crate) fn drop_oldest_keys(known: &[KnownKey], batch: &mut Batch) -> Vec<Vec<u8>> {
    let over = (known.len() + 1).saturating_sub(MAX_KEYS);
    let (trusted, own): (Vec<_>, Vec<_>) = known.iter().partition(|known| known.trusted);
    let gone = trusted.into_iter().chain(own).take(over).map(|known| keys::signing_key(&known.key));
    gone.inspect(|key| batch.delete(key.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Wall;
    use mesh::store::MemoryStore;

    #[test]
    fn they_come_back_in_their_order_and_the_oldest_go_beyond_the_bound() {
        let mut store = MemoryStore::new();
        let key = |n: u16, made| {
            let mut key = [0; 32];
            key[..2].copy_from_slice(&n.to_be_bytes());
            KnownKey { key, network: "net".parse().unwrap(), made: Wall(made), trusted: false }
        };
        let mut batch = Batch::default();
        let put = [key(1, 30), key(2, 10), key(3, 20)];
        put.iter().for_each(|key| drop(put_signing_key(key, &mut batch)));
        store.commit(batch).unwrap();
        let known = signing_keys(&store).unwrap();
        assert_eq!(known, [key(2, 10), key(3, 20), key(1, 30)]);
        let mut batch = Batch::default();
        assert!(drop_oldest_keys(&known, &mut batch).is_empty());
        let many: Vec<KnownKey> = (0..10_001).map(|n| key(n, i64::from(n))).collect();
        let gone = drop_oldest_keys(&many, &mut batch);
        assert_eq!(gone, [keys::signing_key(&key(0, 0).key), keys::signing_key(&key(1, 1).key)]);
        let mut many = many;
        many[10_000].trusted = true; // and says that it is the newest
        let gone = drop_oldest_keys(&many, &mut batch);
        assert_eq!(gone, [keys::signing_key(&many[10_000].key), keys::signing_key(&many[0].key)]);
    }
}
