//! The writer at its start: what the store kept.

use super::{Served, ToRefuse, Writer, card_keys::CardKeys, revocations::engine_stands};
use crate::{
    Error,
    changelog::{Marks, Refill, Standing, is_recent},
    last_seen::LastSeen,
    signing::Keys,
    store::{
        RowKind, Rows, card_key, codec, drop_oldest_keys, gateways, keys, offsets, open_meta, past,
        put_signing_key, revocations, signing_keys, stored,
    },
};
use domain::network::{Config, Network, Source};
use domain::{Now, SessionId};
use evmesh_proto::store::StoredMeta;
use identity::SealingSecret;
use mesh::{
    audit::Chain,
    group_commit::Owner,
    store::{Batch, Store},
};
use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

impl Writer {
    /// Reads what the store kept. A new store gets its format.
    pub fn open<S: Store>(mut store: S, config: Config, now: Now) -> Result<Owner<Self, S>, Error> {
        let mut meta = open_meta(&mut store, config.confirm_copied)?;
        let mut marks = config.confirm_copied.then(|| Marks::of(&store, &meta)).transpose()?;
        if let Some(marks) = &marks {
            meta.changelog_given_to = Some(marks.highest());
        }
        let keys = begin_signing(&mut store, marks.as_mut(), &meta, now)?;
        let mut stored = stored(&store)?;
        stored.ask_every_engine = is_recent(&meta, now.wall);
        stored.past = past(&meta);
        if let Some(marks) = &marks {
            // A log that is not whole is no copy of anything.
            let marked = |id: &SessionId| meta.marked_to.is_some() || marks.has(&keys::session(id));
            stored.uncopied =
                stored.sessions.iter().map(|session| session.id.clone()).filter(marked).collect();
        }
        let (revocations, served) = (revocations(&store)?, gateways(&store)?);
        let any = revocations.roles().next().is_some();
        let revoked = stored.charge_points.iter().filter(|_| any).map(|point| &point.id);
        let revoked = revoked.filter(|id| !engine_stands(&revocations, id, served.all().of(id)));
        stored.revoked_engines = revoked.cloned().collect();
        let offsets = offsets(&store)?;
        let audit = Chain::restore(keys::AUDIT, meta.audit.as_ref(), config.audit_ttl);
        let mut network = Network::restore(config, now, stored);
        network.resume_at(offsets.iter().map(|(&partition, &offset)| Source { partition, offset }));
        let rules = Self {
            network,
            meta,
            notifications: Rows::restore(RowKind::Notification, &store)?,
            dead_letters: Rows::restore(RowKind::DeadLetter, &store)?,
            marks,
            refill: Refill::default(),
            standing: Standing::default(),
            keys: Arc::new(keys),
            people: Self::people(&revocations),
            revocations,
            to_refuse: ToRefuse::default(),
            card_key: CardKeys::known(card_key(&store)?),
            served: Served::known(served),
            last_seen: LastSeen::default(),
            interval_told: Duration::ZERO,
            moves_told: false,
            audit,
            tells_kafka: true,
            unkept: None,
            offsets,
            checkpointed: now.mono,
            saved: now.mono,
        };
        Ok(Owner { rules, store })
    }

    /// The key that is signed with, and those that are known.
    pub fn keys(&self) -> Arc<Keys> {
        self.keys.clone()
    }

    /// Where Kafka is to be read on, and whose offsets these are.
    pub fn position(&self) -> (Option<String>, BTreeMap<i32, i64>) {
        let id = &self.meta.cluster_id;
        ((!id.is_empty()).then(|| id.clone()), self.offsets.clone())
    }
}

/// Made once a store: not in the changelog, where whoever reads it would read all telemetry too. After a rebuild there
/// is another one, and engines get other keys.
fn sealing_secret(store: &impl Store, batch: &mut Batch) -> Result<SealingSecret, Error> {
    if let Some(known) =
        store.get(keys::SEALING_SECRET)?.and_then(|value| <[u8; 32]>::try_from(&value[..]).ok())
    {
        return Ok(SealingSecret::new(known));
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| Error::Random(io::Error::other(error.to_string())))?;
    batch.put(keys::SEALING_SECRET.to_vec(), secret.to_vec());
    Ok(SealingSecret::new(secret))
}

/// The key of this start, on disk before anything is signed with it. The page goes with the first mark.
fn begin_signing(
    store: &mut impl Store,
    marks: Option<&mut Marks>,
    meta: &StoredMeta,
    now: Now,
) -> Result<Keys, Error> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| Error::Random(io::Error::other(error.to_string())))?;
    let known = signing_keys(store)?;
    let mut batch = Batch::default();
    let keys = Keys::new(&secret, now, &known).with_sealing(sealing_secret(store, &mut batch)?);
    let mut changed = drop_oldest_keys(&known, &mut batch);
    changed.push(put_signing_key(&keys.own(), &mut batch));
    if let Some(marks) = marks {
        changed.iter().for_each(|key| marks.mark(key, now.wall));
        marks.write(&mut batch);
        batch.put(keys::META, codec::encode(meta));
    } else {
        keys.is_copied(); // as far as it ever is
    }
    store.commit(batch)?;
    Ok(keys)
}
