//! Gateways, each of which stands for charge points that are at one address: the registry says for which
//! ([`Gateways`]), and central holds what it was told ([`Held`]).
//!
//! A charge point that a gateway serves is served by that alone: its own engine's and monitor's certificates, of before
//! perhaps, count for nothing meanwhile. So one word of the registry's says who a charge point is, and whoever still
//! has a certificate of before takes no place.

use crate::{ChargePointId, Name};
use std::collections::{BTreeMap, BTreeSet};

/// So many charge points a gateway serves at most.
pub const MAX_OF_GATEWAY: usize = 1_000;
/// And all gateways of a network: as many as central takes.
pub const MAX_SERVED: usize = 100_000;

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error(
        "gateway/{1} serves {0}, and a charge point is at one gateway alone; take it from there first: \
         'evmesh registry gateway remove {1} {0}'"
    )]
    Anothers(ChargePointId, Name),
    #[error(
        "gateway/{0} would serve more than {MAX_OF_GATEWAY} charge points, as many as one may; use another for the rest"
    )]
    TooManyOfGateway(Name),
    #[error("gateways would serve more than {MAX_SERVED} charge points, as many as a network's may")]
    TooMany,
}

/// Which gateway serves which charge points: each is at one, or at none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gateways {
    by_point: BTreeMap<ChargePointId, Name>,
    by_gateway: BTreeMap<Name, BTreeSet<ChargePointId>>,
}

impl Gateways {
    /// From what was written.
    pub fn restore(written: impl IntoIterator<Item = (ChargePointId, Name)>) -> Self {
        let mut all = Self::default();
        written.into_iter().for_each(|(point, gateway)| drop(all.put(&point, Some(gateway))));
        all
    }

    /// The gateway that serves a charge point.
    pub fn of(&self, point: &ChargePointId) -> Option<&Name> {
        self.by_point.get(point)
    }

    /// What a gateway serves.
    pub fn points_of(&self, gateway: &Name) -> impl Iterator<Item = &ChargePointId> {
        self.by_gateway.get(gateway).into_iter().flatten()
    }

    /// Each gateway that serves any, with those.
    pub fn by_gateway(&self) -> impl Iterator<Item = (&Name, &BTreeSet<ChargePointId>)> {
        self.by_gateway.iter()
    }

    /// Served charge points in the order of their ids, from the one after this on; of an empty text: all.
    pub fn after(&self, point: &str) -> impl Iterator<Item = (&ChargePointId, &Name)> {
        let later = (std::ops::Bound::Excluded(point), std::ops::Bound::Unbounded);
        self.by_point.range::<str, _>(later)
    }

    /// The gateway serves these too. Gives those that it did not serve before; a repeat changes nothing.
    ///
    /// # Errors
    ///
    /// If another serves one of them, or there would be too many: then nothing is changed.
    pub fn add(
        &mut self,
        gateway: &Name,
        points: BTreeSet<ChargePointId>,
    ) -> Result<Vec<ChargePointId>, Denied> {
        self.none_is_anothers(gateway, &points)?;
        let new: Vec<_> = points.into_iter().filter(|point| self.of(point).is_none()).collect();
        if self.points_of(gateway).count() + new.len() > MAX_OF_GATEWAY {
            return Err(Denied::TooManyOfGateway(gateway.clone()));
        }
        if self.by_point.len() + new.len() > MAX_SERVED {
            return Err(Denied::TooMany);
        }
        new.iter().for_each(|point| drop(self.put(point, Some(gateway.clone()))));
        Ok(new)
    }

    /// The gateway serves these no more. Gives those that it served; a repeat changes nothing.
    ///
    /// # Errors
    ///
    /// If another serves one of them: then nothing is changed.
    pub fn remove(
        &mut self,
        gateway: &Name,
        points: BTreeSet<ChargePointId>,
    ) -> Result<Vec<ChargePointId>, Denied> {
        self.none_is_anothers(gateway, &points)?;
        let known: Vec<_> = points.into_iter().filter(|point| self.of(point).is_some()).collect();
        known.iter().for_each(|point| drop(self.put(point, None)));
        Ok(known)
    }

    fn none_is_anothers(&self, gateway: &Name, points: &BTreeSet<ChargePointId>) -> Result<(), Denied> {
        let serves = |point| Some((point, self.of(point).filter(|by| *by != gateway)?));
        match points.iter().find_map(serves) {
            Some((point, by)) => Err(Denied::Anothers(point.clone(), by.clone())),
            None => Ok(()),
        }
    }

    /// Gives the gateway of before.
    fn put(&mut self, point: &ChargePointId, gateway: Option<Name>) -> Option<Name> {
        let before = match &gateway {
            Some(gateway) => self.by_point.insert(point.clone(), gateway.clone()),
            None => self.by_point.remove(point),
        };
        if let Some(before) = &before
            && let Some(theirs) = self.by_gateway.get_mut(before)
        {
            theirs.remove(point);
            if theirs.is_empty() {
                self.by_gateway.remove(before);
            }
        }
        if let Some(gateway) = gateway {
            self.by_gateway.entry(gateway).or_default().insert(point.clone());
        }
        before
    }
}

/// A part of what the registry says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// From here on all that are served are told, until `complete`.
    pub begins: bool,
    /// Charge points, each with its gateway; `None`: no gateway serves it any more.
    pub told: Vec<(ChargePointId, Option<Name>)>,
    /// All have been told since `begins`.
    pub complete: bool,
}

/// A charge point that another serves than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    pub point: ChargePointId,
    pub before: Option<Name>,
    pub after: Option<Name>,
}

/// Central's: as the registry told it. It is known from here while the registry is away.
///
/// What the registry says of a charge point *waits* until that one has ended what it does under the name that it has:
/// only then it [counts](Self::counts).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    all: Gateways,
    /// Those that another is to serve, each with its gateway; `None`: with none.
    waiting: BTreeMap<ChargePointId, Option<Name>>,
    /// Those told since the registry began to tell all; `None`: it has told.
    told: Option<BTreeSet<ChargePointId>>,
}

impl Held {
    /// From what was written: of each charge point the gateway that counts, and the one that the registry says.
    pub fn restore(written: impl IntoIterator<Item = (ChargePointId, [Option<Name>; 2])>) -> Self {
        let mut held = Self::default();
        for (point, [counts, said]) in written {
            if counts != said {
                held.waiting.insert(point.clone(), said);
            }
            held.all.put(&point, counts);
        }
        held
    }

    /// What counts.
    pub fn all(&self) -> &Gateways {
        &self.all
    }

    /// The gateway of a charge point, as the registry says.
    pub fn said(&self, point: &ChargePointId) -> Option<&Name> {
        self.waiting.get(point).map_or_else(|| self.all.of(point), Option::as_ref)
    }

    /// The charge points of which the registry's word does not count yet.
    pub fn waiting(&self) -> impl Iterator<Item = &ChargePointId> {
        self.waiting.keys()
    }

    /// Is another to serve it?
    pub fn waits(&self, point: &ChargePointId) -> bool {
        self.waiting.contains_key(point)
    }

    /// Takes the registry's news; gives the charge points of which it says something else than before. Of these some
    /// wait from now on, or for something else; the others stay where they are.
    pub fn hear(&mut self, news: News) -> Vec<ChargePointId> {
        if news.begins {
            self.told = Some(BTreeSet::new());
        }
        let mut changed = Vec::new();
        for (point, said) in news.told {
            if let Some(told) = &mut self.told {
                told.insert(point.clone());
            }
            self.says(point, said, &mut changed);
        }
        if news.complete
            && let Some(told) = self.told.take()
        {
            let known = self.all.by_point.keys().chain(self.waiting.keys());
            for point in known.filter(|point| !told.contains(*point)).cloned().collect::<BTreeSet<_>>() {
                self.says(point, None, &mut changed);
            }
        }
        changed
    }

    fn says(&mut self, point: ChargePointId, said: Option<Name>, changed: &mut Vec<ChargePointId>) {
        if self.said(&point) == said.as_ref() {
            return;
        }
        match self.all.of(&point) == said.as_ref() {
            true => self.waiting.remove(&point),
            false => self.waiting.insert(point.clone(), said),
        };
        changed.push(point);
    }

    /// From now on the registry's word of it counts; `None`: it did before.
    pub fn counts(&mut self, point: &ChargePointId) -> Option<Moved> {
        let after = self.waiting.remove(point)?;
        let before = self.all.put(point, after.clone());
        Some(Moved { point: point.clone(), before, after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn point(text: &str) -> ChargePointId {
        text.parse().unwrap()
    }

    fn points(all: &[&str]) -> BTreeSet<ChargePointId> {
        all.iter().map(|text| point(text)).collect()
    }

    fn numbered(prefix: &str, numbers: std::ops::Range<usize>) -> BTreeSet<ChargePointId> {
        numbers.map(|n| point(&format!("{prefix}-{n:06}"))).collect()
    }

    fn served(all: &Gateways, by: &str) -> Vec<String> {
        all.points_of(&name(by)).map(ToString::to_string).collect()
    }

    #[test]
    fn a_charge_point_is_at_one_gateway_until_it_is_taken_from_there() {
        let mut all = Gateways::default();
        let (seven, eight) = (name("site-7"), name("site-8"));
        assert_eq!(all.add(&seven, points(&["B", "A"])), Ok(vec![point("A"), point("B")]));
        assert_eq!(all.add(&seven, points(&["A", "C"])), Ok(vec![point("C")]), "what is new of it");
        let before = all.clone();
        for denied in [all.add(&eight, points(&["D", "B"])), all.remove(&eight, points(&["D", "B"]))] {
            assert_eq!(denied, Err(Denied::Anothers(point("B"), seven.clone())));
            assert!(denied.unwrap_err().to_string().ends_with("'evmesh registry gateway remove site-7 B'"));
        }
        assert_eq!(all, before, "all of it, or nothing");
        assert_eq!(all.remove(&seven, points(&["B", "D"])), Ok(vec![point("B")]));
        assert_eq!(all.remove(&seven, points(&["B"])), Ok(vec![]), "a repeat");
        all.add(&eight, points(&["B"])).unwrap();
        assert_eq!(
            (served(&all, "site-7"), served(&all, "site-8")),
            (vec!["A".into(), "C".into()], vec!["B".into()])
        );
        assert_eq!((all.of(&point("B")), all.of(&point("D"))), (Some(&eight), None));
        assert_eq!(all.after("A").map(|(point, _)| point.as_str()).collect::<Vec<_>>(), ["B", "C"]);
        let again = Gateways::restore(all.after("").map(|(point, by)| (point.clone(), by.clone())));
        assert_eq!(again, all);
    }

    #[test]
    fn there_are_so_many_at_most() {
        let mut all = Gateways::default();
        let full = name("full");
        all.add(&full, numbered("A", 0..MAX_OF_GATEWAY)).unwrap();
        assert_eq!(all.add(&full, points(&["B"])), Err(Denied::TooManyOfGateway(full.clone())));
        assert_eq!(all.add(&full, numbered("A", 0..9)), Ok(vec![]), "they are there");
        for n in 1..MAX_SERVED / MAX_OF_GATEWAY {
            all.add(&name(&format!("g{n}")), numbered(&format!("A{n}"), 0..MAX_OF_GATEWAY)).unwrap();
        }
        assert_eq!(all.add(&name("more"), points(&["B"])), Err(Denied::TooMany));
        all.remove(&full, numbered("A", 0..1)).unwrap();
        all.add(&name("more"), points(&["B"])).unwrap();
    }

    /// Whatever waits counts.
    fn all_count(held: &mut Held) -> Vec<Moved> {
        let waiting: Vec<_> = held.waiting().cloned().collect();
        waiting.iter().filter_map(|point| held.counts(point)).collect()
    }

    fn told(all: &[(&str, Option<&str>)]) -> Vec<(ChargePointId, Option<Name>)> {
        all.iter().map(|(id, by)| (point(id), by.map(name))).collect()
    }

    #[test]
    fn central_holds_what_it_was_told_and_lets_go_what_is_told_no_more() {
        let mut held = Held::default();
        let mut hear = |news| {
            let changed = held.hear(news);
            let moved = all_count(&mut held);
            assert_eq!(changed, moved.iter().map(|moved| moved.point.clone()).collect::<Vec<_>>());
            moved
        };
        let moved = |id: &str, before: Option<&str>, after: Option<&str>| Moved {
            point: point(id),
            before: before.map(name),
            after: after.map(name),
        };
        let begins = News { begins: true, told: told(&[("A", Some("7"))]), complete: false };
        assert_eq!(hear(begins.clone()), [moved("A", None, Some("7"))]);
        let rest = News { begins: false, told: told(&[("B", Some("7"))]), complete: true };
        assert_eq!(hear(rest), [moved("B", None, Some("7"))]);
        let change = News { told: told(&[("A", Some("8")), ("B", None), ("C", None)]), ..News::default() };
        assert_eq!(hear(change), [moved("A", Some("7"), Some("8")), moved("B", Some("7"), None)]);
        // A stream that ends before all were told lets nothing go.
        let anew = News { told: told(&[("C", Some("7"))]), ..begins.clone() };
        assert_eq!(hear(anew), [moved("C", None, Some("7"))]);
        assert_eq!(hear(begins), [moved("A", Some("8"), Some("7"))]);
        assert_eq!(hear(News { complete: true, ..News::default() }), [moved("C", Some("7"), None)]);
        assert_eq!(hear(News { complete: true, ..News::default() }), [], "they were told before");
        assert_eq!(held.all().after("").count(), 1);
    }

    #[test]
    fn what_the_registry_says_waits_until_it_is_said_to_count_and_its_last_word_is_what_counts() {
        let all = |told| News { begins: true, told, complete: true };
        let says = |told| News { told, ..News::default() };
        let mut held = Held::default();
        held.hear(all(told(&[("A", Some("7")), ("B", Some("7"))])));
        all_count(&mut held);
        assert_eq!(held.hear(says(told(&[("A", Some("8")), ("C", Some("7"))]))), [point("A"), point("C")]);
        assert_eq!(
            (served(held.all(), "7"), served(held.all(), "8").len()),
            (vec!["A".into(), "B".into()], 0)
        );
        assert_eq!((held.said(&point("A")), held.said(&point("B"))), (Some(&name("8")), Some(&name("7"))));
        // Known over a restart, and said again.
        let row = |id: &str| {
            (point(id), [held.all().of(&point(id)), held.said(&point(id))].map(Option::<&_>::cloned))
        };
        assert_eq!(Held::restore(["A", "B", "C"].map(row)), held);
        assert_eq!(held.hear(says(told(&[("A", Some("8")), ("B", Some("7"))]))), []);
        // Taken back before it counted: both are what they were, one of them by being told no more.
        assert_eq!(held.hear(all(told(&[("A", Some("7")), ("B", Some("7"))]))), [point("A"), point("C")]);
        assert!(
            !held.waits(&point("A")) && held.counts(&point("A")).is_none() && held.waiting().count() == 0
        );
        // Another word meanwhile.
        held.hear(says(told(&[("A", Some("8"))])));
        assert_eq!(held.hear(says(told(&[("A", None)]))), [point("A")]);
        let moved = Moved { point: point("A"), before: Some(name("7")), after: None };
        assert_eq!((held.counts(&point("A")), held.counts(&point("A"))), (Some(moved), None));
    }
}
