//! Which registrations are refused at present: one that goes on being refused is said once.

use crate::{ChargePointId, Mono};
use std::{collections::BTreeMap, time::Duration};

/// So many are remembered; whoever makes up more gets a line for each again, of which a log has its own bound.
const MOST: usize = 1024;
/// One that was not asked for again within this is over: monitors try again far sooner.
const OVER_AFTER: Duration = Duration::from_secs(300);

/// A charge point, and the host that it registers from.
type Who = (ChargePointId, String);

#[derive(Debug, Default)]
pub(super) struct TurnedAway(BTreeMap<Who, Refusal>);

#[derive(Debug)]
struct Refusal {
    why: String,
    newest: Mono,
}

impl TurnedAway {
    /// It is refused; is that new, or the reason another?
    pub(super) fn is_news(&mut self, who: Who, why: &str, now: Mono) -> bool {
        if !self.0.contains_key(&who) && self.0.len() >= MOST {
            let oldest = self.0.iter().min_by_key(|(_, refusal)| refusal.newest).map(|(who, _)| who.clone());
            oldest.map(|oldest| self.0.remove(&oldest));
        }
        let before = self.0.insert(who, Refusal { why: why.to_owned(), newest: now });
        before.is_none_or(|before| before.why != why || now.since(before.newest) >= OVER_AFTER)
    }

    /// It is registered.
    pub(super) fn over(&mut self, who: &Who) {
        self.0.remove(who);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_news_once_and_a_thousand_are_remembered() {
        let mut turned_away = TurnedAway::default();
        let who = |n: u64| (format!("X-{n}").parse().unwrap(), "host".to_owned());
        assert!(turned_away.is_news(who(0), "closed", Mono(0)));
        assert!((1..300).all(|second| !turned_away.is_news(who(0), "closed", Mono(second * 1000))));
        assert!(turned_away.is_news(who(0), "full", Mono(300_000)), "another reason");
        let from_elsewhere = (who(0).0, "another".to_owned());
        assert!(turned_away.is_news(from_elsewhere, "full", Mono(300_000)), "another monitor's");
        turned_away.over(&who(0));
        assert!(turned_away.is_news(who(0), "full", Mono(301_000)), "it was registered meanwhile");
        assert!(turned_away.is_news(who(0), "full", Mono(601_000)), "it was away for long");
        for n in 1..5000 {
            assert!(turned_away.is_news(who(n), "full", Mono(700_000 + n)));
        }
        assert_eq!(turned_away.0.len(), MOST);
        assert!(!turned_away.is_news(who(4999), "full", Mono(706_000)));
    }
}
