//! The rules of enrolment in mesh's group commit (INV-6): who asks hears once what was decided is on disk.

use crate::{Data, Error, audit::Audit, cards::Cards, credentials::Credentials, data::Copies, storage};
use domain::{
    Deed, Now,
    enrolment::{
        Certificate, Change, Denied, Due, Enrolled, Enrolments, KeyHash, Limits, RolePath, TokenHash,
    },
};
use identity::{AskersKey, Authority, Identity, Kind, Role, fingerprint, sha256};
use marks::Marks;
use mesh::{
    audit::Unaudited,
    group_commit::{self, Order, Owner, Queue, Rules, Step},
    grpc::{Actor, Failure},
    store::{Batch, Store, StoreError},
};
pub(crate) use refusals::stopping;
use refusals::{denied, failed};
use std::fmt;
use tokio::sync::{broadcast, oneshot};

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
    pub(crate) cards: Cards,
    pub(crate) gateways: crate::gateways::Gateways,
    /// Who has changed, of those whom others refuse: once it is on disk.
    pub(crate) changes: broadcast::Sender<RolePath>,
    /// The same, while it is not.
    unwritten: Vec<RolePath>,
    /// Who was revoked, beside the store.
    marks: Marks,
    /// What was given out by hand, as it was found last.
    copies: Copies,
    /// The folder, where identities are given out by hand.
    pub(crate) data: Data,
    pub(crate) audit: Audit,
    /// Who was refused before anything was to be decided.
    pub(crate) unaudited: Unaudited,
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
        if let Some((deeds, more)) = self.unaudited.take() {
            self.audit.refused(deeds, more, now, &mut step.batch);
        }
        input(self, now, step);
        Ok(())
    }

    fn seal(&mut self, now: Now, store: &dyn Store, step: &mut Step<Reply>) -> Result<(), Error> {
        self.audit.seal(now, store, &mut step.batch)
    }

    fn save_all(&mut self, batch: &mut Batch) {
        self.audit.save_all(batch);
    }
}

/// Whose certificate an answer is, and the certificate if it was made in this step.
pub(crate) struct Settled {
    pub(crate) role: RolePath,
    chain: Option<String>,
    /// Its number, likewise.
    pub(crate) serial: Option<String>,
}

impl Registry {
    /// Whoever asks has not been revoked here: its certificate is good elsewhere until its end.
    pub(crate) fn stands(&self, actor: &Actor) -> Result<(), Failure> {
        let Actor::Known(known) = actor else { return Ok(()) };
        let enrolled = self.enrolments().get(&known.identity.role.to_string());
        // One that the list lacks, since its store was lost or is an older copy, is as good as its owner.
        let is_revoked =
            |(one, shown): (&Enrolled, &str)| one.certificate(shown).unwrap_or(&one.newest).revoked.is_some();
        if enrolled.zip(known.serial.as_deref()).is_some_and(is_revoked) {
            return Err(denied(Denied::IdentityRevoked));
        }
        Ok(())
    }

    /// Reads the registry's folder and its store.
    ///
    /// # Errors
    ///
    /// If something is not there, or not what it should be.
    pub fn open<S: Store>(store: S, data: &Data) -> Result<Owner<Self, S>, Error> {
        Self::open_at(mesh::now(), store, data)
    }

    fn open_at<S: Store>(now: Now, mut store: S, data: &Data) -> Result<Owner<Self, S>, Error> {
        let authority = data.authority(Kind::Network)?;
        let (core, network) = (data.certificate(Kind::Core)?, data.network_authorities()?);
        let enrolments = storage::load(&mut store, &data.store(), authority.trust_domain())?;
        let cards = Cards::open(&mut store, &data.store(), CHANGES)?;
        let mut step = Step { batch: Batch::default(), effects: Vec::new() };
        let gateways = crate::gateways::Gateways::open(&store, data, &mut step.batch, CHANGES)?;
        let (limits, changes) = (Limits::default(), broadcast::Sender::new(CHANGES));
        let (audit, data) = (Audit::open(&store, &data.store())?, data.clone());
        let (unwritten, unaudited) = (Vec::new(), Unaudited::default());
        let (marks, copies) = (Marks::default(), Copies::default());
        let mut rules = Self {
            enrolments,
            limits,
            authority,
            core,
            network,
            cards,
            gateways,
            changes,
            unwritten,
            marks,
            copies,
            data,
            audit,
            unaudited,
        };
        rules.audit.authorities(now, &[rules.authority.certificate_pem(), &rules.network], &mut step.batch);
        rules.take_in_marks(now.wall, &mut step.batch)?;
        rules.take_in_issued(now, &mut step.batch);
        rules.mark_all(now.wall);
        rules.seal(now, &store, &mut step)?;
        store.commit(step.batch)?;
        rules.gateways.keep(&rules.data);
        rules.let_out()();
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
        changes.map(|changes| write(batch, &changes)).map_err(denied)
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
        let was_revoked = |role: &str| self.marks.revoked(role, &key).is_some();
        let due = match token {
            Some(token) => self.enrolments.enrol(now.wall, self.limits, (token, key), was_revoked),
            None => self.enrolments.renew(now.wall, key),
        };
        let (role, hosts) = match due.map_err(denied)? {
            Due::Again(role) => match self.enrolments.get(&role).filter(|_| anew) {
                Some(enrolled) => (role, enrolled.hosts.clone()),
                None => return Ok(Settled { role, chain: None, serial: None }),
            },
            Due::New(role, hosts) => (role, hosts),
        };
        let was_told = self.enrolments.get(&role).is_some_and(|enrolled| enrolled.is_told(now.wall));
        let parsed: Role = role.parse().map_err(Failure::internal)?;
        let lifetime = crate::lifetime(&parsed);
        let identity = Identity { trust_domain: self.authority.trust_domain().clone(), role: parsed };
        let issued = self.authority.vouch(asker, &identity, &hosts, lifetime, now.wall).map_err(failed)?;
        let chain = issued.certificate_pem;
        let serial = Some(issued.serial.clone());
        let newest = Certificate { serial: issued.serial, not_after: issued.not_after, revoked: None };
        storage::write_chain(batch, &role, &chain);
        write(batch, &self.enrolments.gave(now.wall, (role.clone(), hosts), key, token, newest));
        if was_told {
            self.changed(&role);
        }
        self.mark(now.wall, &role);
        Ok(Settled { role, chain: Some(chain), serial })
    }

    pub(crate) fn revoke(
        &mut self,
        now: Now,
        batch: &mut Batch,
        role: &str,
        at_once: bool,
    ) -> Result<bool, Failure> {
        let changes = self.enrolments.revoke(now.wall, role, at_once).map_err(denied)?;
        write(batch, &changes);
        if changes.iter().any(|change| matches!(change, Change::Identity(..))) {
            self.changed(role);
            self.offer_issued(now, batch, Some(role)); // those of it that had no place in the list
            self.mark(now.wall, role);
        }
        Ok(!changes.is_empty())
    }

    /// What is to be done once all that was decided is on disk.
    fn let_out(&mut self) -> impl FnOnce() + Send + use<> {
        let (changed, changes) = (std::mem::take(&mut self.unwritten), self.changes.clone());
        let write_marks = self.marks.write(&self.data);
        let (tell_cards, tell_gateways) = (self.cards.tell(), self.gateways.tell());
        move || {
            for role in changed {
                let _ = changes.send(role); // nobody may follow
            }
            tell_gateways();
            tell_cards();
            write_marks();
        }
    }

    /// Who follows hears of this one, once that is on disk.
    pub(crate) fn changed(&mut self, role: &str) {
        self.unwritten.push(role.into());
    }
}

fn write(batch: &mut Batch, changes: &[Change]) {
    changes.iter().for_each(|change| storage::write(batch, change));
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
pub struct Office {
    pub(crate) queue: Queue<Registry, Outlet>,
    pub(crate) unaudited: Unaudited,
}

impl Office {
    /// Has something decided, and waits until it is on disk.
    pub(crate) async fn decide<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut Registry, Now, &mut Batch) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.decide_and_read(decide, |decided, _| Ok(decided)).await
    }

    /// The same of what is a deed of the caller's: it is written with what came of it, `Some` of what was answered.
    /// What changed nothing is none.
    pub(crate) async fn does<T: Send + 'static>(
        &self,
        deed: Deed,
        decide: impl FnOnce(&mut Registry, Now, &mut Batch) -> Result<(T, Option<String>), Failure>
        + Send
        + 'static,
    ) -> Result<T, Failure> {
        let decide = move |registry: &mut Registry, now: Now, batch: &mut Batch| {
            let decided = decide(registry, now, batch);
            registry.audit.came(deed, decided.as_ref().map(|(_, told)| told.as_deref()), now, batch);
            decided.map(|(decided, _)| decided)
        };
        self.decide(decide).await
    }

    /// Has it written down who was refused since something was decided, and once a minute is over, its count.
    ///
    /// # Errors
    ///
    /// If the registry is stopping.
    pub(crate) async fn tick(&self) -> Result<(), Failure> {
        self.decide(|_, _, _| Ok(())).await
    }

    /// The same for a certificate. One of the authority before is not given again: whoever asks once this one signs can
    /// go on when that one is forgotten. That somebody renewed is not written down: each does daily.
    pub(crate) async fn certify(
        &self,
        deed: Deed,
        token: Option<TokenHash>,
        asker: AskersKey,
    ) -> Result<Credentials, Failure> {
        // Of an entry that is known by its mark alone, there is none to give again.
        let given = self.certified(deed.clone(), (token, false), asker.clone()).await?;
        if let Some(given) = given.filter(Credentials::is_current) {
            return Ok(given);
        }
        let given = self.certified(deed, (token, true), asker).await?;
        given.ok_or_else(|| Failure::internal("an identity without its certificate"))
    }

    async fn certified(
        &self,
        deed: Deed,
        what: (Option<TokenHash>, bool),
        asker: AskersKey,
    ) -> Result<Option<Credentials>, Failure> {
        let decide = move |registry: &mut Registry, now: Now, batch: &mut Batch| {
            let settled = registry.certify(now, batch, what, &asker);
            let role = settled.as_ref().map(|settled| settled.role.to_string()).unwrap_or_default();
            let told = settled.as_ref().map(|settled| settled.serial.as_deref().filter(|_| what.0.is_some()));
            let told = told.map(|serial| serial.map(|serial| format!("serial={serial}")));
            let deed = Deed { subject: role, ..deed };
            registry.audit.came(
                deed,
                told.as_ref().map(Option::as_deref).map_err(|failure| *failure),
                now,
                batch,
            );
            Ok((settled?, registry.core.clone(), registry.network.clone()))
        };
        let read = |(Settled { role, chain, .. }, core, network): (Settled, String, String),
                    store: &dyn Store| {
            let chain = match chain {
                Some(chain) => Some(chain),
                None => storage::chain(store, &role)?,
            };
            Ok(chain.map(|chain| Credentials { chain, core, network }))
        };
        self.decide_and_read(decide, read).await
    }

    pub(crate) async fn decide_and_read<D: Send + 'static, T: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut Registry, Now, &mut Batch) -> Result<D, Failure> + Send + 'static,
        read: impl FnOnce(D, &dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Failure> {
        let (to, answer) = oneshot::channel();
        let input: Input = Box::new(move |registry, now, step| {
            let decided = decide(registry, now, &mut step.batch);
            let let_out = registry.let_out();
            step.effects.push(Box::new(move |store| {
                let_out();
                let answer = match decided {
                    Ok(decided) => Ok(read(decided, store)?),
                    Err(failure) => Err(failure),
                };
                let _ = to.send(answer); // whoever asked may have gone
                Ok(())
            }));
        });
        let order = Order::input(input).then(|rules: &mut Registry, _, _| {
            rules.gateways.keep(&rules.data); // of all that was decided, once
            Ok(())
        });
        self.queue.give(order).await;
        answer.await.map_err(|_| stopping())?
    }
}

mod issued;
mod marked;
mod marks;
mod refusals;
#[cfg(test)]
mod tests;
