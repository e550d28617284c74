//! Whom central refuses, as the registry told it: certificates that were revoked, each until it runs out. It is known
//! from here while the registry is away.
//!
//! A certificate that was refused stays so until its end, whatever is told later. One of a charge point that ends what
//! it does is *spared* until that is over. Who was revoked stays so beyond the end of its last certificate, until it
//! has been enrolled again.

use crate::{Wall, enrolment::RolePath, network::Standing};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// So many revoked certificates are held at most, each some 200 bytes: one for each identity that a registry may have,
/// and as many again. Beyond it those go that run out first. And so many who are revoked: beyond it those go of whom no
/// certificate is left.
pub const MAX_REVOKED: usize = 500_000;

/// A certificate's number, in hexadecimal.
pub type Serial = Arc<str>;

/// What the registry says of one who has revoked certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub role: RolePath,
    /// Those of its certificates that are revoked, and until when they would be valid.
    pub certificates: Vec<(Serial, Wall)>,
    /// The newest is among them: it has not been enrolled again.
    pub newest: bool,
    /// It is to be cut off at once.
    pub now: bool,
}

/// A part of what the registry says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// From here on everybody is told who there is, until `complete`.
    pub begins: bool,
    pub told: Vec<Told>,
    /// Everybody has been told since `begins`.
    pub complete: bool,
}

/// One of whom certificates were revoked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revoked {
    /// None: all of them have run out.
    pub certificates: BTreeMap<Serial, Held>,
    pub newest: bool,
    pub now: bool,
}

/// A certificate that was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub not_after: Wall,
    /// It is not refused yet.
    pub spared: bool,
}

impl Revoked {
    pub fn standing(&self) -> Standing {
        match self.newest {
            false => Standing::Good,
            true if self.now || !self.certificates.values().any(|held| held.spared) => Standing::Cut,
            true => Standing::Draining,
        }
    }

    /// There is nothing to refuse, and it has been enrolled again.
    fn is_over(&self) -> bool {
        self.certificates.is_empty() && !self.newest
    }

    /// Spares none any more; those that are refused from now on.
    fn cut(&mut self) -> Vec<Serial> {
        let spared = self.certificates.iter_mut().filter(|(_, held)| held.spared);
        spared.map(|(serial, held)| (held.spared = false, serial.clone()).1).collect()
    }
}

/// What came of the registry's news.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// What is held of these has changed: they are to be written as they are.
    pub changed: BTreeSet<RolePath>,
    /// These were not revoked before.
    pub revoked: Vec<RolePath>,
    /// These certificates are refused from now on.
    pub refused: Vec<Serial>,
    /// These are not held any more.
    pub gone: Vec<Serial>,
    /// So many went because of [`MAX_REVOKED`]: certificates that have not run out, and who has none.
    pub dropped: usize,
    /// With this everybody has been told: who is not held is good.
    pub all: bool,
}

/// All that is held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations {
    roles: BTreeMap<RolePath, Revoked>,
    /// The certificates, by their ends.
    ends: BTreeSet<(Wall, Serial, RolePath)>,
    /// Who was told since the registry began to tell everybody; `None`: it has told.
    told: Option<BTreeSet<RolePath>>,
}

impl Revocations {
    /// From what was written.
    pub fn restore(written: impl IntoIterator<Item = (RolePath, Revoked)>) -> Self {
        let mut all = Self::default();
        for (role, revoked) in written {
            let of_role = revoked.certificates.iter();
            all.ends.extend(of_role.map(|(serial, held)| (held.not_after, serial.clone(), role.clone())));
            all.roles.insert(role, revoked);
        }
        all
    }

    pub fn get(&self, role: &str) -> Option<&Revoked> {
        self.roles.get(role)
    }

    pub fn roles(&self) -> impl Iterator<Item = &RolePath> {
        self.roles.keys()
    }

    /// How one stands; who is not held is good.
    pub fn standing(&self, role: &str) -> Standing {
        self.get(role).map_or(Standing::Good, Revoked::standing)
    }

    /// Every certificate that is refused.
    pub fn refused(&self) -> impl Iterator<Item = &Serial> {
        self.roles.values().flat_map(refused)
    }

    /// The same of one role's.
    pub fn refused_of(&self, role: &str) -> impl Iterator<Item = &Serial> {
        self.get(role).into_iter().flat_map(refused)
    }

    /// The same, each with its end.
    pub fn refused_with_ends(&self, role: &str) -> impl Iterator<Item = (&Serial, Wall)> {
        let all = self.get(role).into_iter().flat_map(|held| &held.certificates);
        all.filter(|(_, held)| !held.spared).map(|(serial, held)| (serial, held.not_after))
    }

    /// The same of all whose role begins so.
    pub fn refused_under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a Serial, Wall)> {
        let from = (std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded);
        let roles = self.roles.range::<str, _>(from).take_while(move |(role, _)| role.starts_with(prefix));
        let certificates = roles.flat_map(|(_, held)| &held.certificates);
        certificates.filter(|(_, held)| !held.spared).map(|(serial, held)| (serial, held.not_after))
    }

    /// Takes the registry's news; lets go what has run out. Who may `drain` ends what it does before it is refused.
    pub fn hear(&mut self, now: Wall, news: News, drains: impl Fn(&str) -> bool) -> Heard {
        self.hear_up_to(MAX_REVOKED, now, news, drains)
    }

    fn hear_up_to(&mut self, most: usize, now: Wall, news: News, drains: impl Fn(&str) -> bool) -> Heard {
        let mut heard = Heard::default();
        if news.begins {
            self.told = Some(BTreeSet::new());
        }
        for told in news.told {
            if let Some(all) = &mut self.told {
                all.insert(told.role.clone());
            }
            self.take(now, told, &drains, &mut heard);
        }
        if news.complete
            && let Some(told) = self.told.take()
        {
            heard.all = true;
            let untold = self.roles.iter_mut().filter(|(role, held)| held.newest && !told.contains(*role));
            for (role, held) in untold {
                held.newest = false;
                heard.refused.extend(held.cut());
                heard.changed.insert(role.clone());
            }
            self.roles.retain(|_, held| !held.is_over());
        }
        while let Some((not_after, _, _)) = self.ends.first()
            && (*not_after <= now || self.ends.len() > most)
        {
            heard.dropped += usize::from(*not_after > now);
            self.drop_first(&mut heard);
        }
        let bare = self.roles.iter().filter(|(_, held)| held.certificates.is_empty());
        let excess = self.roles.len().saturating_sub(most);
        let bare: Vec<_> = bare.take(excess).map(|(role, _)| role.clone()).collect();
        heard.dropped += bare.len();
        for role in bare {
            self.roles.remove(&role);
            heard.changed.insert(role);
        }
        heard
    }

    fn take(&mut self, now: Wall, told: Told, drains: impl Fn(&str) -> bool, heard: &mut Heard) {
        let Told { role, certificates, newest, now: at_once } = told;
        let known = self.roles.get(&role).cloned().unwrap_or_default();
        let mut held = known.clone();
        let spared = newest && !at_once && drains(&role);
        if !spared {
            heard.refused.extend(held.cut());
        }
        for (serial, not_after) in certificates.into_iter().filter(|(_, not_after)| *not_after > now) {
            if held.certificates.contains_key(&serial) {
                continue;
            }
            if !spared {
                heard.refused.push(serial.clone());
            }
            self.ends.insert((not_after, serial.clone(), role.clone()));
            held.certificates.insert(serial, Held { not_after, spared });
        }
        if newest && !held.newest {
            heard.revoked.push(role.clone());
        }
        (held.newest, held.now) = (newest, newest && at_once);
        if known == held {
            return;
        }
        heard.changed.insert(role.clone());
        match held.is_over() {
            true => drop(self.roles.remove(&role)),
            false => drop(self.roles.insert(role, held)),
        }
    }

    fn drop_first(&mut self, heard: &mut Heard) {
        let Some((_, serial, role)) = self.ends.pop_first() else { return };
        if let Some(held) = self.roles.get_mut(&role) {
            held.certificates.remove(&serial);
            if held.is_over() {
                self.roles.remove(&role);
            }
        }
        heard.changed.insert(role);
        heard.gone.push(serial);
    }

    /// What this one did is over. Whether that changed anything.
    pub fn cut(&mut self, role: &str) -> bool {
        self.roles.get_mut(role).is_some_and(|held| !held.cut().is_empty())
    }
}

fn refused(held: &Revoked) -> impl Iterator<Item = &Serial> {
    held.certificates.iter().filter(|(_, held)| !held.spared).map(|(serial, _)| serial)
}

#[cfg(test)]
mod tests;
