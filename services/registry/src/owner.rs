//! The rules of enrolment in mesh's group commit (INV-6): who asks hears once what was decided is on disk.

use crate::{Data, Error, credentials::Credentials, storage};
use domain::{
    Now,
    enrolment::{Certificate, Change, Denied, Due, Enrolments, KeyHash, Limits, RolePath, TokenHash},
};
use identity::{AskersKey, Authority, AuthorityError, Identity, Kind, Role, fingerprint, sha256};
use mesh::{
    group_commit::{self, Order, Owner, Queue, Rules, Step},
    grpc::{Actor, Failure, RETRY_AFTER},
    store::{Batch, Store, StoreError},
};
use std::fmt;
use tokio::sync::{broadcast, oneshot};
use tonic::Code;

/// At most so many calls wait.
pub(crate) const QUEUE: usize = 256;
/// At most so many calls share a commit: each may be a signature.
pub(crate) const A_STEP: usize = 64;
/// So many changes wait for whoever follows them.
pub(crate) const CHANGES: usize = 1_024;

/// Who is enrolled, and the authority that vouches for them.
pub struct Registry {
    enrolments: Enrolments,
    limits: Limits,
    authority: Authority,
    /// The certificates of the core's authorities.
    core: String,
    /// Those of the network's: more than one while it is followed by another.
    network: String,
    /// Who has changed, of those whom others refuse: once it is on disk.
    pub(crate) changes: broadcast::Sender<RolePath>,
    /// The same, while it is not.
    unwritten: Vec<RolePath>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("authority", &self.authority).finish_non_exhaustive()
    }
}

/// What was decided, on its way to whoever asked. It may look at what is on disk by then.
pub(crate) type Reply = Box<dyn FnOnce(&dyn Store) -> Result<(), StoreError> + Send>;
/// A call on its way into the rules.
pub(crate) type Input = Box<dyn FnOnce(&mut Registry, Now, &mut Step<Reply>) + Send>;

impl Rules for Registry {
    type Input = Input;
    type Effect = Reply;
    type Error = Error;

    fn apply(&mut self, now: Now, _: &dyn Store, input: Input, step: &mut Step<Reply>) -> Result<(), Error> {
        input(self, now, step);
        Ok(())
    }
}

/// Whose certificate an answer is, and the certificate if it was made in this step.
pub(crate) struct Settled {
    role: RolePath,
    chain: Option<String>,
}

impl Registry {
    /// Whoever asks has not been revoked here: its certificate is good elsewhere until its end.
    pub(crate) fn stands(&self, actor: &Actor) -> Result<(), Failure> {
        let Actor::Known(known) = actor else { return Ok(()) };
        let enrolled = self.enrolments().get(&known.identity.role.to_string());
        let mut certificates = enrolled.iter().flat_map(|one| one.earlier.iter().chain([&one.newest]));
        if certificates.any(|one| one.revoked.is_some() && known.serial.as_deref() == Some(&*one.serial)) {
            return Err(denied(Denied::IdentityRevoked));
        }
        Ok(())
    }

    /// Reads the registry's folder and its store.
    ///
    /// # Errors
    ///
    /// If something is not there, or not what it should be.
    pub fn open<S: Store>(mut store: S, data: &Data) -> Result<Owner<Self, S>, Error> {
        let authority = data.authority(Kind::Network)?;
        let (core, network) = (data.certificate(Kind::Core)?, data.network_authorities()?);
        let enrolments = storage::load(&mut store, &data.store(), authority.trust_domain())?;
        let (limits, changes) = (Limits::default(), broadcast::Sender::new(CHANGES));
        let rules = Self { enrolments, limits, authority, core, network, changes, unwritten: Vec::new() };
        Ok(Owner { rules, store })
    }

    /// By which its tokens are told from those of another network of the same name.
    pub(crate) fn core_fingerprint(&self) -> Option<[u8; 32]> {
        fingerprint(&self.core)
    }

    pub(crate) fn trust_domain(&self) -> &identity::TrustDomain {
        self.authority.trust_domain()
    }

    pub(crate) fn enrolments(&self) -> &Enrolments {
        &self.enrolments
    }

    pub(crate) fn create_token(
        &mut self,
        now: Now,
        batch: &mut Batch,
        (hash, role, hosts): (TokenHash, RolePath, Vec<String>),
    ) -> Result<(), Failure> {
        let changes = self.enrolments.create_token(now.wall, self.limits, hash, role, hosts);
        write(batch, &changes.map_err(denied)?);
        Ok(())
    }

    /// With a token somebody is enrolled, without one renewed; `anew`, whatever it has is not given again.
    pub(crate) fn certify(
        &mut self,
        now: Now,
        batch: &mut Batch,
        (token, anew): (Option<TokenHash>, bool),
        asker: &AskersKey,
    ) -> Result<Settled, Failure> {
        let key = KeyHash(sha256(asker.bytes()));
        let due = match token {
            Some(token) => self.enrolments.enrol(now.wall, self.limits, token, key),
            None => self.enrolments.renew(now.wall, key),
        };
        let (role, hosts) = match due.map_err(denied)? {
            Due::Again(role) => match self.enrolments.get(&role).filter(|_| anew) {
                Some(enrolled) => (role, enrolled.hosts.clone()),
                None => return Ok(Settled { role, chain: None }),
            },
            Due::New(role, hosts) => (role, hosts),
        };
        let parsed: Role = role.parse().map_err(Failure::internal)?;
        let lifetime = crate::lifetime(&parsed);
        let identity = Identity { trust_domain: self.authority.trust_domain().clone(), role: parsed };
        let issued = self.authority.vouch(asker, &identity, &hosts, lifetime, now.wall).map_err(failed)?;
        let chain = issued.certificate_pem;
        let newest = Certificate { serial: issued.serial, not_after: issued.not_after, revoked: None };
        storage::write_chain(batch, &role, &chain);
        write(batch, &self.enrolments.gave(now.wall, (role.clone(), hosts), key, token, newest));
        if self.enrolments.get(&role).is_some_and(|enrolled| enrolled.is_refused(now.wall)) {
            self.changed(&role);
        }
        Ok(Settled { role, chain: Some(chain) })
    }

    pub(crate) fn revoke(
        &mut self,
        now: Now,
        batch: &mut Batch,
        role: &str,
        at_once: bool,
    ) -> Result<(), Failure> {
        let changes = self.enrolments.revoke(now.wall, role, at_once).map_err(denied)?;
        write(batch, &changes);
        if changes.iter().any(|change| matches!(change, Change::Identity(..))) {
            self.changed(role);
        }
        Ok(())
    }

    /// Who follows hears of this one, once that is on disk.
    pub(crate) fn changed(&mut self, role: &str) {
        self.unwritten.push(role.into());
    }
}

fn write(batch: &mut Batch, changes: &[Change]) {
    changes.iter().for_each(|change| storage::write(batch, change));
}

fn failed(error: AuthorityError) -> Failure {
    match error {
        AuthorityError::Expired => Failure::precondition("AUTHORITY_EXPIRED", error.to_string()),
        error => Failure::internal(error),
    }
}

fn denied(why: Denied) -> Failure {
    let (code, reason) = match why {
        Denied::TokenUnknown => (Code::NotFound, "TOKEN_UNKNOWN"),
        Denied::TokenExpired => (Code::FailedPrecondition, "TOKEN_EXPIRED"),
        Denied::TokenUsed => (Code::FailedPrecondition, "TOKEN_USED"),
        Denied::KeyTaken => (Code::FailedPrecondition, "KEY_TAKEN"),
        Denied::IdentityUnknown => (Code::NotFound, "IDENTITY_UNKNOWN"),
        Denied::IdentityRevoked => (Code::FailedPrecondition, "IDENTITY_REVOKED"),
        Denied::IdentityExpired => (Code::FailedPrecondition, "IDENTITY_EXPIRED"),
        Denied::TooManyTokens => (Code::ResourceExhausted, "TOO_MANY_TOKENS"),
        Denied::TooManyIdentities => (Code::ResourceExhausted, "TOO_MANY_IDENTITIES"),
        Denied::TooManyCertificates => (Code::ResourceExhausted, "TOO_MANY_CERTIFICATES"),
    };
    Failure::new(code, reason, why.to_string())
}

/// Where the owner's thread lets answers out.
#[derive(Debug)]
pub(crate) struct Outlet;

impl group_commit::Outlet<Registry> for Outlet {
    fn release(
        &mut self,
        _: Now,
        _: usize,
        owner: Owner<&Registry, &dyn Store>,
        replies: Vec<Reply>,
    ) -> Result<(), Error> {
        replies.into_iter().try_for_each(|reply| Ok(reply(owner.store)?))
    }
}

/// The way to the registry's owner. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Office(pub(crate) Queue<Registry, Outlet>);

impl Office {
    /// Has something decided, and waits until it is on disk.
    pub(crate) async fn decide<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut Registry, Now, &mut Batch) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.decide_and_read(decide, |decided, _| Ok(decided)).await
    }

    /// The same for a certificate. One of the authority before is not given again: whoever asks once this one signs can
    /// go on when that one is forgotten.
    pub(crate) async fn certify(
        &self,
        token: Option<TokenHash>,
        asker: AskersKey,
    ) -> Result<Credentials, Failure> {
        let given = self.certified((token, false), asker.clone()).await?;
        if given.is_current() { Ok(given) } else { self.certified((token, true), asker).await }
    }

    async fn certified(
        &self,
        what: (Option<TokenHash>, bool),
        asker: AskersKey,
    ) -> Result<Credentials, Failure> {
        let decide = move |registry: &mut Registry, now, batch: &mut Batch| {
            let settled = registry.certify(now, batch, what, &asker)?;
            Ok((settled, registry.core.clone(), registry.network.clone()))
        };
        let read = |(Settled { role, chain }, core, network): (Settled, String, String),
                    store: &dyn Store| {
            let chain = match chain {
                Some(chain) => Some(chain),
                None => storage::chain(store, &role)?,
            };
            Ok(chain.map(|chain| Credentials { chain, core, network }))
        };
        let credentials = self.decide_and_read(decide, read).await?;
        credentials.ok_or_else(|| Failure::internal("an identity without its certificate"))
    }

    async fn decide_and_read<D: Send + 'static, T: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut Registry, Now, &mut Batch) -> Result<D, Failure> + Send + 'static,
        read: impl FnOnce(D, &dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Failure> {
        let (to, answer) = oneshot::channel();
        let input: Input = Box::new(move |registry, now, step| {
            let decided = decide(registry, now, &mut step.batch);
            let (changed, changes) = (std::mem::take(&mut registry.unwritten), registry.changes.clone());
            step.effects.push(Box::new(move |store| {
                for role in changed {
                    let _ = changes.send(role); // nobody may follow
                }
                let answer = match decided {
                    Ok(decided) => Ok(read(decided, store)?),
                    Err(failure) => Err(failure),
                };
                let _ = to.send(answer); // whoever asked may have gone
                Ok(())
            }));
        });
        self.0.give(Order::input(input)).await;
        answer.await.map_err(|_| stopping())?
    }
}

/// What a caller is told once nothing is decided any more.
pub(crate) fn stopping() -> Failure {
    Failure::unavailable("SHUTTING_DOWN", "the registry is stopping", RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Beginning;
    use domain::{Mono, Wall};
    use identity::Request;
    use mesh::testing::MemoryStore;
    use std::time::Duration;
    use tempfile::TempDir;

    const ROLE: &str = "charge-point/MAD-01/engine";
    const TOKEN: TokenHash = TokenHash([7; 32]);

    fn at(day: u64) -> Now {
        let day = Duration::from_secs(day * 86_400);
        Now { mono: Mono::default() + day, wall: Wall(1_800_000_000_000) + day }
    }

    fn begun() -> (TempDir, Data) {
        let folder = tempfile::tempdir().unwrap();
        let data = Data::at(&folder.path().join("registry"));
        let name = |name: &str| name.parse().unwrap();
        let beginning = Beginning {
            trust_domain: "madrid".parse().unwrap(),
            central: name("main"),
            admin: name("ana"),
            hosts: vec![],
        };
        data.init(beginning, at(0).wall).unwrap();
        (folder, data)
    }

    type Call = Box<dyn Fn(&mut Registry, Now, &mut Batch) -> Result<(), Failure> + Send>;

    /// A life: enrolled, asked again, renewed, revoked.
    fn life(asker: &AskersKey) -> Vec<(u64, Call)> {
        let (enrolling, renewing) = (asker.clone(), asker.clone());
        let enrol = move |registry: &mut Registry, now: Now, batch: &mut Batch| {
            registry.certify(now, batch, (Some(TOKEN), false), &enrolling).map(drop)
        };
        let again = enrol.clone();
        let renew = move |registry: &mut Registry, now: Now, batch: &mut Batch| {
            registry.certify(now, batch, (None, false), &renewing).map(drop)
        };
        vec![
            (
                0,
                Box::new(|registry, now, batch| {
                    registry.create_token(now, batch, (TOKEN, ROLE.into(), vec![]))
                }),
            ),
            (0, Box::new(enrol)),
            (0, Box::new(again)),
            (1, Box::new(renew)),
            (2, Box::new(|registry, now, batch| registry.revoke(now, batch, ROLE, false))),
        ]
    }

    #[test]
    fn what_was_answered_is_there_after_a_crash_at_any_commit_and_nothing_else_is() {
        let (_folder, data) = begun();
        let asker = AskersKey::of_request(Request::new().unwrap().csr_pem()).unwrap();
        for crash in 0..6 {
            let mut owner = Registry::open(MemoryStore::new(), &data).unwrap();
            owner.store.fail_after(crash);
            let mut answered = owner.rules.enrolments.clone();
            for (day, call) in life(&asker) {
                let input: Input = Box::new(move |registry, now, step| {
                    call(registry, now, &mut step.batch).unwrap();
                });
                match owner.step(at(day), [input]) {
                    Ok(_) => answered = owner.rules.enrolments.clone(),
                    Err(_) => break,
                }
            }
            let revoked = answered.get(ROLE).is_some_and(|enrolled| enrolled.is_revoked());
            assert_eq!(revoked, crash >= 4, "{crash}");
            let chain = storage::chain(&owner.store, ROLE).unwrap();
            assert_eq!(chain.is_some(), answered.get(ROLE).is_some(), "{crash}");
            let back = Registry::open(owner.store, &data).unwrap();
            assert_eq!(back.rules.enrolments, answered, "{crash}");
        }
    }

    #[test]
    fn a_store_is_of_its_network() {
        let ((_one, data), (_two, other)) = (begun(), begun());
        let store = Registry::open(MemoryStore::new(), &data).unwrap().store;
        let store = Registry::open(store, &other).unwrap().store; // of the same name
        let lisbon =
            data.authority(Kind::Network).unwrap().trust_domain().to_string().replace("madrid", "lisbon");
        let mut store = store;
        let loaded = storage::load(&mut store, &data.store(), &lisbon.parse().unwrap());
        assert!(matches!(loaded, Err(Error::OtherNetwork { .. })), "{loaded:?}");
    }
}
