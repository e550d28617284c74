//! A charge point for which another is to act, as the registry says: what runs there ends under the name that it has,
//! over restarts of central too, and with the registry away.

use super::{gateways::SITE, *};
use domain::{
    gateways::News,
    network::Standing,
    revocations::{News as Revocations, Told},
};

/// Who acts for MAD-01 before, and who is to: gateways; `""`: none.
const MOVES: [(&str, &str); 3] = [("", "site-7"), ("site-7", ""), ("site-7", "site-8")];

impl Bench {
    /// MAD-01 supplies, and the registry says that another is to act for it. Its epoch of before.
    fn moving(before: &str, after: &str) -> (Self, u64) {
        let mut bench = Self::new();
        bench.says_all(before);
        bench.connect();
        bench.supplies();
        let epoch = bench.epoch;
        bench.reached = false; // its engine hears of nothing yet
        bench.says(after);
        (bench, epoch)
    }

    fn supplies(&mut self) {
        self.request("s1").unwrap();
        self.engine.supply(400);
        self.message(&reading(1, 0.4));
        self.engine.supply(500);
    }

    /// The registry says who serves it.
    fn says(&mut self, gateway: &str) {
        let told = vec![("MAD-01".parse().unwrap(), gateway.parse().ok())];
        self.step(vec![Input::Gateways(News { told, ..News::default() })]);
    }

    /// The registry says all: that this one serves it, and nothing else.
    fn says_all(&mut self, gateway: &str) {
        let told = gateway.parse().map(|gateway| ("MAD-01".parse().unwrap(), Some(gateway)));
        let told = told.into_iter().collect();
        self.step(vec![Input::Gateways(News { begins: true, told, complete: true })]);
    }

    /// Who acts for it, and how it stands.
    fn is(&self) -> (String, Standing) {
        (self.gateway().unwrap_or_default(), self.standing("MAD-01").unwrap())
    }

    fn newest_epoch(&self) -> u64 {
        self.ask(|all| all.network.charge_point(&"MAD-01".parse().unwrap()).unwrap().epoch)
    }

    fn has_moved(&mut self) {
        self.until(|bench| bench.standing("MAD-01") == Some(Standing::Good));
    }

    fn ticket(&mut self) -> Option<(u64, bool)> {
        self.session("s1").ticket().map(|ticket| (ticket.energy.wh(), ticket.estimated()))
    }
}

#[test]
fn a_supply_ends_under_the_name_that_it_has_and_the_move_counts_then_over_restarts_too() {
    for (before, after) in MOVES {
        for crashes in [false, true] {
            let (mut bench, epoch) = Bench::moving(before, after);
            let waits = (before.to_owned(), Standing::Draining);
            assert_eq!(bench.is(), waits, "{before} {after}");
            if crashes {
                bench.crash();
                assert_eq!(bench.is(), waits, "{before} {after}: after a restart");
            }
            bench.says(after);
            assert_eq!(bench.is(), waits, "{before} {after}: it is known");
            bench.reached = true;
            bench.has_moved();
            assert_eq!(bench.ticket(), Some((500, false)), "{before} {after}, {crashes}");
            assert!(bench.engine.unsettled.is_empty(), "its end was confirmed");
            bench.crash();
            assert_eq!(bench.is(), (after.to_owned(), Standing::Good));
            assert!(bench.newest_epoch() > epoch, "{before} {after}: it begins anew");
            let more = bench.writer.rules.served.waiting();
            assert_eq!(more, []);
        }
    }
}

#[test]
fn an_engine_that_is_silent_holds_a_move_up_for_30_s_and_with_nothing_to_end_it_counts_at_once() {
    for (before, after) in MOVES {
        let (mut bench, _) = Bench::moving(before, after);
        bench.crash();
        let begun = bench.now.mono;
        bench.has_moved();
        assert!((29..=31).contains(&bench.now.mono.since(begun).as_secs()));
        assert_eq!((bench.is().0.as_str(), bench.ticket()), (after, None), "the ticket waits for its engine");
        bench.says(before);
        assert_eq!(
            bench.is(),
            (after.to_owned(), Standing::Draining),
            "its engine still has something to say"
        );
        let mut idle = Bench::new();
        idle.says_all(before);
        idle.connect();
        idle.says(after);
        assert_eq!(idle.is(), (after.to_owned(), Standing::Good), "at once");
    }
}

#[test]
fn one_that_is_to_stay_after_all_stays_and_else_the_last_word_counts() {
    for (before, after) in MOVES {
        let (mut bench, epoch) = Bench::moving(before, after);
        bench.says(before);
        assert_eq!(bench.is(), (before.to_owned(), Standing::Good), "{before} {after}");
        bench.crash();
        assert_eq!(bench.is(), (before.to_owned(), Standing::Good), "{before} {after}");
        assert_eq!(bench.newest_epoch(), epoch);
        let (mut bench, _) = Bench::moving(before, after);
        bench.says("site-9");
        bench.crash();
        assert_eq!(bench.is(), (before.to_owned(), Standing::Draining));
        bench.reached = true;
        bench.has_moved();
        assert_eq!((bench.is().0.as_str(), bench.ticket()), ("site-9", Some((500, false))));
    }
    // By not being told any more.
    let (mut bench, _) = Bench::moving("", "site-7");
    bench.says_all("");
    assert_eq!(bench.is(), (String::new(), Standing::Good));
}

#[test]
fn whoever_is_revoked_at_once_meanwhile_is_cut_off_at_once_and_the_move_counts() {
    let (mut bench, epoch) = Bench::moving("site-7", "site-8");
    bench.hear(vec![Told { now: true, ..bench.revoked(SITE, "g") }]);
    assert_eq!(bench.is(), ("site-8".to_owned(), Standing::Good));
    assert_eq!((bench.refused(), bench.newly_refused()), (vec!["g".into()], vec!["g".into()]));
    assert!(bench.newest_epoch() > epoch && !bench.session("s1").is_open());
}

#[test]
fn whoever_is_revoked_meanwhile_is_refused_once_the_move_counts() {
    let (mut bench, _) = Bench::moving("site-7", "site-8");
    bench.hear(vec![bench.revoked(SITE, "g")]);
    // Everybody is told again, too.
    let told = vec![bench.revoked(SITE, "g")];
    bench.step(vec![Input::Registry(Revocations { begins: true, told, complete: true })]);
    assert_eq!((bench.is(), bench.refused()), (("site-7".to_owned(), Standing::Draining), vec![]));
    bench.newly_refused();
    bench.reached = true;
    let mut effects = Vec::new();
    while bench.is().1 != Standing::Good {
        bench.pass(Duration::from_secs(1));
        effects = bench.writer.step(bench.now, [Input::Command(Command::Tick)]).unwrap();
    }
    assert_eq!((bench.is().0.as_str(), bench.refused()), ("site-8", vec!["g".into()]));
    let point = "MAD-01".parse().unwrap();
    let refused: Vec<_> = bench.writer.rules.refused_by_cut(&point).collect();
    assert!(effects.contains(&Effect::Cut(point)), "the edge refuses it from now on");
    assert_eq!(refused, ["g".into()]);
}

#[test]
fn a_move_that_was_made_while_central_was_away_ends_what_runs_too() {
    let mut bench = Bench::new();
    bench.says_all("");
    bench.supplies();
    bench.crash(); // nobody is connected
    bench.says_all("site-7");
    assert_eq!(bench.is(), (String::new(), Standing::Draining));
    bench.has_moved();
    assert_eq!((bench.is().0.as_str(), bench.ticket()), ("site-7", Some((500, false))));
}

#[test]
fn of_one_that_drains_a_rebuilt_central_hears_who_acts_for_it_at_once_too() {
    let mut bench = Bench::new();
    bench.supplies();
    bench.hear(vec![bench.revoked("charge-point/MAD-01/engine", "e")]);
    bench.crash();
    assert_eq!(bench.is(), (String::new(), Standing::Draining));
    bench.says_all("site-7");
    assert_eq!(bench.is().0, "site-7", "nobody else is there to be stopped");
}

#[test]
fn to_a_rebuilt_central_all_of_it_is_news_and_ends_nothing() {
    let mut bench = Bench::new();
    bench.supplies();
    bench.crash();
    bench.says_all("site-7");
    assert_eq!(bench.is(), ("site-7".to_owned(), Standing::Good));
    assert!(bench.session("s1").is_open() && bench.engine.supplying());
}
