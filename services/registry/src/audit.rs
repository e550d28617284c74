//! Who did what at the registry: [`mesh::audit`]'s chain in its store, in the commit of what was done.

use crate::{Error, storage, stored::ValueError};
use domain::{AUDIT_KEPT, Came, Context, Deed, Now};
use evmesh_proto::{registry as proto, store::StoredRegistry};
use identity::sha256;
use mesh::{
    audit::{self, Chain, Filter, signed},
    convert::{hex, page_size},
    grpc::{Actor, Caller, Failure},
    store::{Batch, Store},
};
use prost::Message as _;
use std::path::Path;
use tonic::Request;

/// What the keys of its rows begin with.
const PREFIX: &[u8] = b"audit/";

/// A call as a deed; what came of it is not known yet.
pub(crate) fn deed<T>(request: &Request<T>, method: &str, subject: String, parameters: String) -> Deed {
    let identity = Actor::of(request).role().map(ToString::to_string).unwrap_or_default();
    let address = Caller::of(request).map(|caller| caller.to_string()).unwrap_or_default();
    Deed::by(&Context { identity, address, ..Context::default() }, method, subject, parameters)
}

/// The chain, and the row with both its ends.
#[derive(Debug)]
pub(crate) struct Audit {
    chain: Chain,
    row: StoredRegistry,
}

impl Audit {
    pub(crate) fn open(store: &impl Store, folder: &Path) -> Result<Self, Error> {
        let row = store.get(storage::REGISTRY)?.unwrap_or_default();
        let row = StoredRegistry::decode(row.as_slice()).map_err(|error| Error::Value {
            folder: folder.to_owned(),
            what: "registry",
            source: ValueError::from(error),
        })?;
        Ok(Self { chain: Chain::restore(PREFIX, row.audit.as_ref(), AUDIT_KEPT), row })
    }

    pub(crate) fn write(&mut self, deed: Deed, now: Now, batch: &mut Batch) {
        self.chain.write(deed, now, batch);
    }

    /// Calls that the server's stack refused, and how many more.
    pub(crate) fn refused(&mut self, deeds: Vec<Deed>, more: u64, now: Now, batch: &mut Batch) {
        deeds.into_iter().for_each(|deed| self.write(deed, now, batch));
        self.chain.counts(more, now.wall);
    }

    /// What came of a deed: what was answered, or `None`, where nothing has changed.
    pub(crate) fn came(
        &mut self,
        deed: Deed,
        came: Result<Option<&str>, &Failure>,
        now: Now,
        batch: &mut Batch,
    ) {
        let came = match came {
            Ok(None) => return,
            Ok(Some(answer)) => Came::Done(answer.to_owned()),
            Err(failure) => Came::Denied(failure.reason.to_string()),
        };
        self.write(Deed { came, ..deed }, now, batch);
    }

    /// One that was given out by hand, where nobody was asked, is known: a good one, or one that is revoked.
    pub(crate) fn issued(
        &mut self,
        role: &str,
        (serial, revoked): (&str, bool),
        now: Now,
        batch: &mut Batch,
    ) {
        let came = Came::Done(format!("serial={serial}{}", if revoked { ", revoked=yes" } else { "" }));
        let (method, subject) = ("Issue".to_owned(), role.to_owned());
        self.write(Deed { method, subject, came, ..Deed::default() }, now, batch);
    }

    /// The certificates of the network's authorities, that which signs first, as they are at a start: by a rotation,
    /// which is done by hand too, they are others than before.
    pub(crate) fn authorities(&mut self, now: Now, found: &[&str], batch: &mut Batch) {
        let found = sha256(found.concat().as_bytes()).to_vec();
        let before = std::mem::replace(&mut self.row.authorities, found);
        if before == self.row.authorities {
            return;
        }
        if !before.is_empty() {
            let parameters = format!("before={}, after={}", hex(&before), hex(&self.row.authorities));
            let (method, subject) = ("Rotate".to_owned(), "network".to_owned());
            let came = Came::Done(String::new());
            self.write(Deed { method, subject, parameters, came, ..Deed::default() }, now, batch);
        }
        batch.put(storage::REGISTRY, self.row.encode_to_vec());
    }

    /// What all deeds of a step have in common.
    pub(crate) fn seal(&mut self, now: Now, store: &dyn Store, batch: &mut Batch) -> Result<(), Error> {
        self.chain.minute_is_over(now.mono, batch);
        self.chain.drop_old(now.wall, store, batch)?;
        self.put_ends(batch);
        Ok(())
    }

    /// The last thing before the end.
    pub(crate) fn save_all(&mut self, batch: &mut Batch) {
        self.chain.write_count(batch);
        self.put_ends(batch);
    }

    fn put_ends(&mut self, batch: &mut Batch) {
        if let Some(ends) = self.chain.news() {
            self.row.audit = Some(ends);
            batch.put(storage::REGISTRY, self.row.encode_to_vec());
        }
    }
}

/// What is asked of the list.
#[derive(Debug)]
pub(crate) struct Asked {
    filter: Filter,
    after: u64,
    size: usize,
}

impl Asked {
    pub(crate) fn of(request: proto::ListAuditEntriesRequest) -> Result<Self, Failure> {
        let proto::ListAuditEntriesRequest { from_time, actor, page_size: size, page_token } = request;
        let filter = Filter::asked(from_time.as_ref(), actor)?;
        let problem = "must be a next_page_token of the same list, or empty";
        let after = if page_token.is_empty() { Some(0) } else { page_token.parse().ok() };
        let after = after.ok_or_else(|| Failure::invalid("page_token", problem))?;
        Ok(Self { filter, after, size: page_size(size)? })
    }

    /// A page of what is on disk.
    pub(crate) fn page(&self, store: &dyn Store) -> Result<proto::ListAuditEntriesResponse, Error> {
        let row = store.get(storage::REGISTRY)?.unwrap_or_default();
        let row = StoredRegistry::decode(row.as_slice()).unwrap_or_default(); // it was read at the start
        let ends = row.audit.unwrap_or_else(|| audit::behind(0, Vec::new()));
        let part = audit::read(store, PREFIX, &self.filter, self.after, self.size)?;
        Ok(proto::ListAuditEntriesResponse {
            entries: part.entries.into_iter().map(Into::into).collect(),
            next_page_token: part.next.map(|next| next.to_string()).unwrap_or_default(),
            first_number: signed(ends.first),
            before_first_hash: ends.before_first,
            newest_number: signed(ends.newest),
            newest_hash: ends.newest_hash,
        })
    }
}
