//! What the registry says: on disk before it is refused, and refused after every restart.

use super::*;
use domain::network::Standing;
use domain::revocations::{News, Told};

const ANA: &str = "operator/ana";
const ENGINE: &str = "charge-point/MAD-01/engine";
const MONITOR: &str = "charge-point/MAD-01/monitor";
const A_DAY: Duration = Duration::from_secs(24 * 3600);

impl Bench {
    pub(super) fn revoked(&self, role: &str, serial: &str) -> Told {
        let certificates = vec![(serial.into(), self.now.wall + A_DAY)];
        Told { role: role.into(), certificates, newest: true, now: false }
    }

    /// The registry says this; whoever is told of it has heard.
    pub(super) fn hear(&mut self, told: Vec<Told>) -> Vec<Effect> {
        let news = News { told, ..News::default() };
        let effects = self.writer.step(self.now, [Input::Registry(news)]).unwrap();
        for effect in &effects {
            if let Effect::Tell(EngineCall { charge_point, call, request, .. }) = effect {
                let result = Ok(self.engine.answer(request.clone()));
                let (charge_point, call) = (charge_point.clone(), *call);
                let answered = Command::EngineAnswered { charge_point, call, result };
                self.writer.step(self.now, [Input::Command(answered)]).unwrap();
            }
        }
        effects
    }

    pub(super) fn refused(&self) -> Vec<String> {
        self.writer.rules.refused().map(|serial| serial.to_string()).collect()
    }

    fn restart(&mut self) {
        let disk = self.writer.store.clone();
        self.start_on(disk);
    }
}

/// Is its engine told whom to refuse?
fn tells(effects: &[Effect]) -> bool {
    let point = "MAD-01".parse().unwrap();
    let one = |effect: &Effect| matches!(effect, Effect::Tell(call) if call.charge_point == point);
    effects.iter().any(one)
}

fn is_cut(effects: &[Effect]) -> bool {
    let point = "MAD-01".parse().unwrap();
    effects.contains(&Effect::Cut(point))
}

#[test]
fn who_is_revoked_is_refused_after_a_restart_and_until_its_certificate_runs_out() {
    let mut bench = Bench::new();
    bench.hear(vec![bench.revoked(ANA, "a"), bench.revoked("charge-point/BCN-09/engine", "unknown")]);
    let all = ["unknown", "a"];
    assert_eq!(bench.refused(), all, "a charge point that is not registered ends nothing");
    bench.restart();
    assert_eq!(bench.refused(), all);
    let ToRefuse { refused, gone } = bench.writer.rules.take_to_refuse();
    assert!(refused.is_empty() && gone.is_empty());
    bench.pass(A_DAY);
    bench.hear(Vec::new());
    assert_eq!(bench.writer.rules.take_to_refuse().gone.len(), 2);
    bench.restart();
    assert_eq!(bench.refused(), [""; 0]);
}

#[test]
fn what_is_not_on_disk_is_not_refused() {
    let mut bench = Bench::new();
    let disk = bench.writer.store.clone();
    bench.writer.store.fail_after(0);
    let news = News { told: vec![bench.revoked(ANA, "a")], ..News::default() };
    bench.writer.step(bench.now, [Input::Registry(news)]).unwrap_err();
    bench.start_on(disk);
    assert_eq!(bench.refused(), [""; 0]);
}

#[test]
fn a_charge_point_is_refused_once_the_rules_have_cut_it_and_stays_so() {
    let mut bench = Bench::new();
    let mut effects = bench.hear(vec![bench.revoked(ENGINE, "e")]);
    let mut seconds = 0;
    while !is_cut(&effects) {
        assert_eq!(bench.refused(), [""; 0], "it ends what it does");
        assert!(seconds < 60, "never");
        seconds += 1;
        bench.pass(Duration::from_secs(1));
        effects = bench.writer.step(bench.now, [Input::Command(Command::Tick)]).unwrap();
    }
    assert_eq!(bench.refused(), ["e"]);
    let point = "MAD-01".parse().unwrap();
    assert_eq!(bench.writer.rules.refused_of(&point).collect::<Vec<_>>(), ["e".into()]);
    bench.restart();
    assert_eq!(bench.refused(), ["e"]);
    // Told again, and its monitor too: there is nothing to end any more.
    bench.hear(vec![bench.revoked(ENGINE, "e"), bench.revoked(MONITOR, "m")]);
    assert_eq!(bench.refused(), ["e", "m"]);
}

#[test]
fn who_is_to_be_cut_at_once_is_and_enrolled_again_is_good() {
    let mut bench = Bench::new();
    let at_once = Told { now: true, ..bench.revoked(MONITOR, "m") };
    assert!(is_cut(&bench.hear(vec![at_once])));
    assert_eq!(bench.refused(), ["m"]);
    bench.restart();
    assert_eq!(bench.refused(), ["m"]);
    let again = Told { newest: false, ..bench.revoked(MONITOR, "m") };
    bench.hear(vec![again]);
    let point = "MAD-01".parse().unwrap();
    assert_eq!(bench.ask(|snapshot| snapshot.network.standing(&point)), Some(Standing::Good));
    assert_eq!(bench.refused(), ["m"], "the certificate of before");
}

/// A store that was rebuilt from its changelog has what the rules know, and nothing of certificates.
#[test]
fn once_everybody_was_told_the_rules_know_how_each_charge_point_stands() {
    let mut bench = Bench::new();
    let charge_point = "MAD-01".parse().unwrap();
    bench.give(Command::Identity { charge_point, standing: Standing::Cut, engine_stands: true });
    let all = News { begins: true, complete: true, ..News::default() };
    bench.writer.step(bench.now, [Input::Registry(all)]).unwrap();
    let point = "MAD-01".parse().unwrap();
    assert_eq!(bench.ask(|snapshot| snapshot.network.standing(&point)), Some(Standing::Good));
}

#[test]
fn a_charge_point_that_is_forgotten_has_nothing_to_end() {
    let mut bench = Bench::new();
    let (now, told) = (bench.now.wall, vec![bench.revoked(ENGINE, "e")]);
    bench.writer.rules.revocations.hear(now, News { told, ..News::default() }, |_| true);
    bench.pass(A_DAY / 2); // its monitor is lost
    let order = Order::Forget("MAD-01".parse().unwrap());
    bench.writer.step(bench.now, [Input::Command(Command::Tick)]).unwrap();
    assert_eq!(bench.refused(), [""; 0]);
    let forgotten = Input::Command(Command::Order { asked: asked(1), order });
    assert!(is_cut(&bench.writer.step(bench.now, [forgotten]).unwrap()));
    assert_eq!(bench.refused(), ["e"]);
    bench.restart();
    assert_eq!(bench.refused(), ["e"]);
}

#[test]
fn engines_are_told_when_people_are_revoked_and_each_hears_of_those_and_of_its_own() {
    let mut bench = Bench::new();
    let now = bench.now.wall;
    assert!(!tells(&bench.hear(vec![bench.revoked("driver/101", "d")])), "who calls no engine");
    assert!(tells(&bench.hear(vec![bench.revoked(ANA, "a")])));
    bench.hear(vec![Told { now: true, ..bench.revoked("charge-point/BCN-09/monitor", "b") }]);
    let at_once = Told { now: true, ..bench.revoked(MONITOR, "m") };
    let point = "MAD-01".parse().unwrap();
    assert!(tells(&bench.hear(vec![at_once])));
    let told = |bench: &Bench| bench.writer.rules.told_at(&point).all().cloned().collect::<Vec<_>>();
    let all: Vec<_> = ["m", "a"].map(|serial| (serial.into(), now + A_DAY)).into();
    assert_eq!(told(&bench), all);
    assert!(tells(&bench.hear(vec![bench.revoked("viewer/eva", "v")])));
    bench.restart();
    let all: Vec<_> = ["m", "v", "a"].map(|serial| (serial.into(), now + A_DAY)).into();
    assert_eq!(told(&bench), all);
    assert!(tells(&bench.writer.step(bench.now, [Input::Command(Command::Tick)]).unwrap()));
    bench.restart();
    let engine = bench.revoked(ENGINE, "e");
    assert!(!tells(&bench.hear(vec![engine.clone()])), "it was revoked itself");
    bench.restart();
    assert!(!tells(&bench.writer.step(bench.now, [Input::Command(Command::Tick)]).unwrap()));
    assert!(tells(&bench.hear(vec![Told { newest: false, ..engine }])), "its monitor is revoked still");
}

/// What was revoked, and enrolled again, before central heard of either.
#[test]
fn an_engine_hears_at_once_of_a_certificate_of_before_and_not_again_whenever_the_registry_is_back() {
    let mut bench = Bench::new();
    let before = Told { newest: false, ..bench.revoked(MONITOR, "m") };
    assert!(tells(&bench.hear(vec![before.clone()])));
    let point = "MAD-01".parse().unwrap();
    assert_eq!(bench.ask(|snapshot| snapshot.network.standing(&point)), Some(Standing::Good));
    assert_eq!(bench.writer.rules.told_at(&point).all().count(), 1);
    let all = News { begins: true, told: vec![before], complete: true };
    assert!(!tells(&bench.writer.step(bench.now, [Input::Registry(all)]).unwrap()));
}

#[test]
fn a_charge_point_stays_revoked_after_its_certificates_ran_out_until_it_is_enrolled_again() {
    let mut bench = Bench::new();
    let at_once = Told { now: true, ..bench.revoked(ENGINE, "e") };
    bench.hear(vec![at_once.clone()]);
    bench.pass(A_DAY);
    bench.hear(Vec::new());
    let point = "MAD-01".parse().unwrap();
    let standing = |bench: &Bench| bench.ask(|snapshot| snapshot.network.standing(&point));
    // Whoever begins to hear is told everybody, and of this one no certificate is left.
    let all = News { begins: true, told: vec![at_once.clone()], complete: true };
    for _ in 0..2 {
        bench.writer.step(bench.now, [Input::Registry(all.clone())]).unwrap();
        assert_eq!((bench.refused().len(), standing(&bench)), (0, Some(Standing::Cut)));
        bench.restart();
    }
    bench.hear(vec![Told { certificates: vec![], newest: false, ..at_once }]);
    assert_eq!(standing(&bench), Some(Standing::Good));
}
