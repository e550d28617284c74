//! Does the chain hold? Whoever reads the rows can tell, without trusting who keeps them.

use super::hash;
use crate::convert::hex;
use evmesh_proto::{store::StoredAuditEntry, topics::AuditAnchor};
use prost::Message as _;
use std::collections::BTreeMap;

/// The first thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    #[error("entry {0} cannot be read")]
    Unreadable(u64),
    #[error("entry {0} says that it is number {1}")]
    OtherNumber(u64, u64),
    #[error("entry {0} is missing")]
    Missing(u64),
    #[error("entry {0} does not have the hash of the one before it: one of the two was changed")]
    Changed(u64),
    #[error(
        "entry {0} is not as it was when its hash was published: it was changed, with all behind it, or this store is \
         an older copy that went on by itself"
    )]
    NotAsPublished(u64),
}

/// What was looked at, and fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fits {
    /// The first entry that is kept.
    pub first: u64,
    /// The newest one, or one less than the first: there is none.
    pub newest: u64,
    /// How many anchors were held against entries.
    pub anchors: u64,
}

/// Holds each entry against the one before it, and against what was published.
#[derive(Debug)]
pub struct Verifier {
    anchors: BTreeMap<u64, Vec<String>>,
    expected: Vec<u8>,
    fits: Fits,
}

impl Verifier {
    /// Of the chain whose first entry has this number, and the hash of the entry before. Anchors of other stores count
    /// for nothing.
    pub fn new(
        first: u64,
        before_first: Vec<u8>,
        store: &str,
        anchors: &[AuditAnchor],
    ) -> Result<Self, Misfit> {
        let mut published: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for anchor in anchors.iter().filter(|anchor| anchor.store_id == store) {
            published.entry(anchor.number).or_default().push(anchor.hash.clone());
        }
        let fits = Fits { first, newest: first.saturating_sub(1), anchors: 0 };
        let mut verifier = Self { anchors: published, expected: before_first, fits };
        verifier.holds_against_anchors()?;
        Ok(verifier)
    }

    /// The next entry, as it is on disk.
    pub fn take(&mut self, number: u64, record: &[u8]) -> Result<(), Misfit> {
        let expected = self.fits.newest + 1;
        if number != expected {
            return Err(Misfit::Missing(expected));
        }
        let entry = StoredAuditEntry::decode(record).map_err(|_| Misfit::Unreadable(number))?;
        if entry.number != number {
            return Err(Misfit::OtherNumber(number, entry.number));
        }
        if entry.previous_hash != self.expected {
            return Err(Misfit::Changed(number));
        }
        self.fits.newest = number;
        self.expected = hash(record);
        self.holds_against_anchors()
    }

    fn holds_against_anchors(&mut self) -> Result<(), Misfit> {
        let newest = self.fits.newest;
        let Some(published) = self.anchors.get(&newest) else { return Ok(()) };
        let found = hex(&self.expected);
        if published.iter().any(|hash| *hash != found) {
            return Err(Misfit::NotAsPublished(newest));
        }
        self.fits.anchors += published.len() as u64;
        Ok(())
    }

    /// That was the last one, of a chain whose newest entry has this number and this hash.
    pub fn end(self, newest: u64, newest_hash: &[u8]) -> Result<Fits, Misfit> {
        let last = self.anchors.keys().next_back().copied().unwrap_or_default();
        if newest.max(last) > self.fits.newest {
            return Err(Misfit::Missing(self.fits.newest + 1));
        }
        if self.fits.newest == newest && self.expected != newest_hash {
            return Err(Misfit::Changed(newest));
        }
        Ok(self.fits)
    }
}
