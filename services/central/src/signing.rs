//! Central's signature over what it authorises, by which it knows its own word again when its store does not: after a
//! loss, or because the row is younger than the changelog that the store was rebuilt from.
//!
//! The private key is made at each start and stays in memory. Its public half is a row of the store, and of the
//! changelog, before its first use; those of earlier starts stay there. What is signed, and in which bytes, is in
//! `authorization.proto` of `evmesh.store.v1`. Deliberately absent: a signature over what an engine meters, which is
//! its own word.

use crate::store::codec::{KnownKey, PublicKey};
use domain::{ChargePointId, DriverId, InstanceId, NetworkId, Now, Price, SessionId, Wall};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use evmesh_proto::store::{AuthorizationSignature, SignedAuthorization};
use identity::{KeyName, SealingKey, SealingSecret};
use mesh::convert::{hex, price_stored};
use prost::Message as _;
use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};
use tokio::{sync::watch, time::timeout};

/// What all that is signed begins with, so that no other signature of the same key could be taken for one of these.
const CONTEXT: &[u8] = b"evmesh authorization 1\0";
/// So many signatures are known to be valid, some 4 MB: every answer of an engine repeats those of what it has in hand.
const REMEMBERED: usize = 16_384;
/// So long after the start the first authorisation waits for the changelog to have the key: with Kafka there, it takes
/// some 0.3 s; with Kafka away nobody is kept from charging. It is half of what a try lasts while other charge points
/// are free: the engine has the other half for its answer.
const FIRST_USE: Duration = Duration::from_millis(500);

/// What an authorisation is for: all of it is signed, beside its times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Authorized<'a> {
    pub(crate) charge_point: &'a ChargePointId,
    pub(crate) instance: &'a InstanceId,
    pub(crate) session: &'a SessionId,
    pub(crate) driver: &'a DriverId,
    pub(crate) number: u64,
    pub(crate) price: Price,
}

/// What a signature turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Central's own: the session was asked for then.
    Valid(Wall),
    /// There is none, or its key is not known: nothing was reckoned.
    Unknown,
    /// It names a key of central's, which never signed this.
    Forged,
}

/// The key that central signs with, and those that it knows.
pub struct Keys {
    own: SigningKey,
    /// When it was made.
    made: Now,
    /// The changelog has it, or none is kept.
    copied: watch::Sender<bool>,
    network: NetworkId,
    /// The network of each.
    known: RwLock<HashMap<PublicKey, NetworkId>>,
    /// What was signed, with its signature.
    valid: Mutex<HashSet<Vec<u8>>>,
    /// Out of which engines get the keys that they seal telemetry with.
    sealing: Option<SealingSecret>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("network", &self.network).finish_non_exhaustive()
    }
}

impl Keys {
    /// A new key, out of 32 random bytes, beside those of earlier starts. It is the network's of the newest that
    /// was central's own, or a new one's.
    pub(crate) fn new(secret: &[u8; 32], made: Now, known: &[KnownKey]) -> Self {
        let own = SigningKey::from_bytes(secret);
        let own_before = known.iter().filter(|known| !known.trusted);
        let newest = own_before.max_by_key(|known| known.made).map(|known| known.network.clone());
        let network =
            newest.unwrap_or_else(|| uuid::Uuid::new_v4().to_string().parse().expect("a UUID is an id"));
        let mut all: HashMap<_, _> = known.iter().map(|known| (known.key, known.network.clone())).collect();
        all.insert(own.verifying_key().to_bytes(), network.clone());
        let (copied, _) = watch::channel(false);
        Self { own, made, copied, network, known: RwLock::new(all), valid: Mutex::default(), sealing: None }
    }

    /// The same, which gives engines keys to seal with, and opens what they sealed.
    pub(crate) fn with_sealing(self, secret: SealingSecret) -> Self {
        Self { sealing: Some(secret), ..self }
    }

    /// What an engine seals its telemetry with from this epoch on.
    pub(crate) fn telemetry_key(&self, charge_point: &ChargePointId, epoch: u64) -> Option<SealingKey> {
        self.sealing.as_ref()?.key(charge_point, epoch)
    }

    /// Writes what a sealed message says into `plain`, see [`SealingSecret::open`].
    pub(crate) fn open(&self, sealed: &[u8], plain: &mut Vec<u8>) -> Result<Arc<KeyName>, &'static str> {
        self.sealing.as_ref().ok_or("it is sealed, and this central gave nobody a key")?.open(sealed, plain)
    }

    /// The row of the key that it signs with.
    pub(crate) fn own(&self) -> KnownKey {
        KnownKey {
            key: self.own.verifying_key().to_bytes(),
            network: self.network.clone(),
            made: self.made.wall,
            trusted: false,
        }
    }

    /// Says which key it is, so that it can be trusted again from the log alone.
    pub(crate) fn tell(&self) {
        let own = self.own();
        tracing::info!(network = %own.network, key = hex(&own.key), "central signs what it authorises with a new key");
    }

    /// The changelog has the key.
    pub(crate) fn is_copied(&self) {
        self.copied.send_replace(true);
    }

    /// Waits until it may be used.
    pub(crate) async fn ready(&self) {
        let left = FIRST_USE.saturating_sub(mesh::now().mono.since(self.made.mono));
        let _ = timeout(left, self.copied.subscribe().wait_for(|copied| *copied)).await; // or the time is over
    }

    pub(crate) fn knows(&self, key: &PublicKey) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).contains_key(key)
    }

    /// What was signed with this one is central's word from now on.
    pub(crate) fn trust(&self, known: &KnownKey) {
        let mut all = self.known.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(known.key, known.network.clone());
    }

    /// Signs an authorisation, for its engine to keep.
    pub(crate) fn sign(&self, what: &Authorized<'_>, created: Wall, reserved_until: Wall) -> Vec<u8> {
        let message = message(&self.network, what, (created.0, reserved_until.0));
        let signature = AuthorizationSignature {
            public_key: self.own.verifying_key().to_bytes().to_vec(),
            created_ms: created.0,
            reserved_until_ms: reserved_until.0,
            signature: self.own.sign(&message).to_bytes().to_vec(),
        };
        remember(&mut self.valid(), whole(message, &signature)); // the engine's very next answer has it
        signature.encode_to_vec()
    }

    /// Is it central's own word that this was authorised?
    pub(crate) fn verify(&self, what: &Authorized<'_>, kept: &[u8]) -> Verdict {
        let Ok(signature) = AuthorizationSignature::decode(kept) else { return Verdict::Unknown };
        let Ok(key) = PublicKey::try_from(signature.public_key.as_slice()) else { return Verdict::Unknown };
        let network = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let Some(network) = network else { return Verdict::Unknown };
        let message = message(&network, what, (signature.created_ms, signature.reserved_until_ms));
        let whole = whole(message.clone(), &signature);
        let valid = Verdict::Valid(Wall(signature.created_ms));
        if self.valid().contains(&whole) {
            return valid;
        }
        let verified = Signature::from_slice(&signature.signature)
            .and_then(|proof| VerifyingKey::from_bytes(&key)?.verify_strict(&message, &proof));
        if verified.is_err() {
            return Verdict::Forged;
        }
        remember(&mut self.valid(), whole);
        valid
    }

    fn valid(&self) -> MutexGuard<'_, HashSet<Vec<u8>>> {
        self.valid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Is this a key at all?
pub(crate) fn is_key(key: &PublicKey) -> bool {
    VerifyingKey::from_bytes(key).is_ok_and(|key| !key.is_weak())
}

/// What is signed, by which key, and the proof of it: there is one such for each authorisation, however its envelope is
/// written.
fn whole(mut message: Vec<u8>, signature: &AuthorizationSignature) -> Vec<u8> {
    message.extend(&signature.public_key);
    message.extend(&signature.signature);
    message
}

/// Only what is valid is remembered, so that nobody's inventions push it out.
fn remember(valid: &mut HashSet<Vec<u8>>, whole: Vec<u8>) {
    if valid.len() >= REMEMBERED {
        valid.clear(); // whatever is still in hand is verified once more
    }
    valid.insert(whole);
}

/// The bytes that are signed.
fn message(
    network: &NetworkId,
    what: &Authorized<'_>,
    (created_ms, reserved_until_ms): (i64, i64),
) -> Vec<u8> {
    let &Authorized { charge_point, instance, session, driver, number, price } = what;
    let message = SignedAuthorization {
        network_id: network.to_string(),
        session_id: session.to_string(),
        driver_id: driver.to_string(),
        charge_point_id: charge_point.to_string(),
        instance_id: instance.to_string(),
        authorization_number: number,
        price: Some(price_stored(price)),
        created_ms,
        reserved_until_ms,
    };
    [CONTEXT, &message.encode_to_vec()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Mono;

    const SECRET: [u8; 32] = [7; 32];

    fn keys(secret: [u8; 32], known: &[KnownKey]) -> Keys {
        Keys::new(&secret, Now { mono: Mono(0), wall: Wall(1_000) }, known)
    }

    /// What the tests authorise, changed by one field at a time.
    struct Facts {
        charge_point: ChargePointId,
        instance: InstanceId,
        session: SessionId,
        driver: DriverId,
        number: u64,
        price: Price,
    }

    fn facts() -> Facts {
        Facts {
            charge_point: "MAD-01".parse().unwrap(),
            instance: "store-1".parse().unwrap(),
            session: "s1".parse().unwrap(),
            driver: "101".parse().unwrap(),
            number: 7,
            price: "0.30 EUR".parse().unwrap(),
        }
    }

    fn of(facts: &Facts) -> Authorized<'_> {
        let Facts { charge_point, instance, session, driver, number, price } = facts;
        Authorized { charge_point, instance, session, driver, number: *number, price: *price }
    }

    fn signed(keys: &Keys) -> Vec<u8> {
        keys.sign(&of(&facts()), Wall(5_000), Wall(65_000))
    }

    #[test]
    fn it_stands_for_this_very_authorisation_and_fits_its_bound() {
        let keys = keys(SECRET, &[]);
        let kept = signed(&keys);
        assert!(kept.len() <= 128 && domain::Signature::try_from(kept.as_slice()).is_ok());
        assert_eq!(keys.verify(&of(&facts()), &kept), Verdict::Valid(Wall(5_000)));
        let others: [fn(&mut Facts); 7] = [
            |facts| facts.charge_point = "MAD-02".parse().unwrap(),
            |facts| facts.instance = "store-2".parse().unwrap(),
            |facts| facts.session = "s2".parse().unwrap(),
            |facts| facts.driver = "9001".parse().unwrap(),
            |facts| facts.number = 8,
            |facts| facts.price = "1000 EUR".parse().unwrap(),
            |facts| facts.price = "0.30 USD".parse().unwrap(),
        ];
        for (n, other) in others.into_iter().enumerate() {
            let mut facts = facts();
            other(&mut facts);
            assert_eq!(keys.verify(&of(&facts), &kept), Verdict::Forged, "{n}");
        }
        let mut envelope = AuthorizationSignature::decode(kept.as_slice()).unwrap();
        envelope.created_ms += 1;
        assert_eq!(keys.verify(&of(&facts()), &envelope.encode_to_vec()), Verdict::Forged);
        for nothing in [&b""[..], b"\xff", &kept[..40]] {
            assert_eq!(keys.verify(&of(&facts()), nothing), Verdict::Unknown);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_use_leaves_a_try_time_for_its_answer() {
        let keys = Keys::new(&SECRET, mesh::now(), &[]);
        let before = tokio::time::Instant::now();
        keys.ready().await; // Kafka is away
        assert!(before.elapsed() <= Duration::from_millis(510), "{:?}", before.elapsed());
        keys.ready().await;
        assert!(before.elapsed() <= Duration::from_millis(520), "once a start");
    }

    #[test]
    fn a_later_start_knows_what_an_earlier_one_signed_by_its_row_alone() {
        let before = keys(SECRET, &[]);
        let kept = signed(&before);
        // One that is only trusted may say that it is the newest: it names no network for this central.
        let key = keys([6; 32], &[]).own().key;
        let trusted = KnownKey { key, network: "another".parse().unwrap(), made: Wall::MAX, trusted: true };
        let after = keys([8; 32], &[before.own(), trusted]);
        assert_eq!(after.verify(&of(&facts()), &kept), Verdict::Valid(Wall(5_000)));
        assert_eq!(after.own().network, before.own().network, "the network stays");
        assert_ne!(after.own().key, before.own().key);

        let stranger = keys([9; 32], &[]);
        assert_eq!(stranger.verify(&of(&facts()), &kept), Verdict::Unknown);
        assert!(!stranger.knows(&before.own().key));
        stranger.trust(&before.own());
        assert_eq!(stranger.verify(&of(&facts()), &kept), Verdict::Valid(Wall(5_000)));
        // The key's network is signed too.
        stranger.trust(&KnownKey { network: "another".parse().unwrap(), ..before.own() });
        assert_eq!(stranger.verify(&of(&facts()), &kept), Verdict::Forged);
    }

    /// The bytes are the contract with every later version: what one signed, the next has to verify.
    #[test]
    fn the_bytes_that_are_signed_stay_as_they_are() {
        let bytes = message(&"net".parse().unwrap(), &of(&facts()), (1, 2));
        let expected = b"evmesh authorization 1\0\
            \x0a\x03net\x12\x02s1\x1a\x03101\x22\x06MAD-01\x2a\x07store-1\x30\x07\
            \x3a\x09\x0a\x03EUR\x10\xe0\xa7\x12\x40\x01\x48\x02";
        assert_eq!(bytes.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }
}
