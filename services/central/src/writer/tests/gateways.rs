//! What the registry says of gateways: on disk, known after every restart, and each charge point stands as its gateway.

use super::*;
use domain::{
    gateways::News,
    network::Standing,
    revocations::{self, Told},
};

pub(super) const SITE: &str = "gateway/site-7";
const OWN: &str = "charge-point/MAD-01/engine";

impl Bench {
    /// What gateways serve is told: charge points, each with its gateway; `""`: none serves it.
    pub(super) fn serves(&mut self, told: &[(&str, &str)]) -> Vec<Effect> {
        let one = |(point, gateway): &(&str, &str)| (point.parse().unwrap(), gateway.parse().ok());
        let news = News { told: told.iter().map(one).collect(), ..News::default() };
        self.writer.step(self.now, [Input::Gateways(news)]).unwrap()
    }

    pub(super) fn gateway(&self) -> Option<String> {
        self.writer.rules.served.of(&"MAD-01".parse().unwrap()).map(|name| name.to_string())
    }

    pub(super) fn standing(&self, point: &str) -> Option<Standing> {
        let point = point.parse().unwrap();
        self.ask(move |snapshot| snapshot.network.standing(&point))
    }

    pub(super) fn newly_refused(&mut self) -> Vec<String> {
        let refused = self.writer.rules.take_to_refuse().refused;
        refused.into_iter().map(|serial| serial.to_string()).collect()
    }

    /// Another one, whose engine answers for it.
    fn register(&mut self, point: &str) {
        let registration = Registration {
            charge_point: point.parse().unwrap(),
            location: "Madrid".parse().unwrap(),
            price: "0.30 EUR".parse().unwrap(),
            engine_address: format!(
                "127.0.0.1:{}",
                point.len() + usize::from(point.as_bytes()[point.len() - 1])
            ),
            instance: format!("store-of-{point}").parse().unwrap(),
            monitor: format!("monitor-of-{point}").parse().unwrap(),
            newest_epoch: 0,
        };
        let register = Command::Register { asked: asked(9), registration };
        let mut effects = self.writer.step(self.now, [Input::Command(register)]).unwrap();
        while let Some(Effect::Call(EngineCall { charge_point, call, request, .. })) =
            effects.iter().find(|effect| matches!(effect, Effect::Call(_))).cloned()
        {
            let mut answer = Engine::default().answer(request);
            (answer.report.charge_point, answer.report.instance) =
                (Some(charge_point.clone()), format!("store-of-{point}").parse().unwrap());
            let answered = Command::EngineAnswered { charge_point, call, result: Ok(answer) };
            effects = self.writer.step(self.now, [Input::Command(answered)]).unwrap();
        }
        assert!(self.standing(point).is_some(), "{point} is registered");
    }

    /// Time passes, a second at a time, until that is so.
    pub(super) fn until(&mut self, what: impl Fn(&Self) -> bool) {
        for _ in 0..60 {
            if what(self) {
                return;
            }
            self.pass(Duration::from_secs(1));
            self.give(Command::Tick);
        }
        panic!("never");
    }
}

#[test]
fn what_gateways_serve_is_known_after_a_restart_until_the_registry_says_otherwise() {
    let mut bench = Bench::new();
    let effects = bench.serves(&[("MAD-01", "site-7"), ("MAD-02", "site-7")]);
    let says = "gateway/site-7 serves MAD-01, and nobody else acts for it";
    let said = |effect: &Effect| matches!(effect, Effect::Happened(event) if event.text == says);
    assert!(effects.iter().any(said), "{effects:?}");
    bench.crash();
    assert_eq!(bench.gateway().as_deref(), Some("site-7"));
    assert_eq!(bench.serves(&[("MAD-01", "site-7")]), [], "it is known");
    bench.serves(&[("MAD-01", "site-8")]);
    bench.crash();
    assert_eq!(bench.gateway().as_deref(), Some("site-8"));
    // Told all anew, and this one not.
    let all = News { begins: true, told: vec![], complete: true };
    bench.step(vec![Input::Gateways(all)]);
    bench.crash();
    assert_eq!(bench.gateway(), None);
    assert_eq!(bench.writer.rules.served.hear(News::default()), []);
}

#[test]
fn a_gateway_that_is_revoked_drains_each_of_its_charge_points_before_it_is_refused() {
    let mut bench = Bench::new();
    bench.serves(&[("MAD-01", "site-7"), ("MAD-02", "site-7"), ("MAD-03", "site-7"), ("MAD-09", "site-8")]);
    bench.serves(&[("AAA-01", "site-7")]);
    bench.connect();
    // The first that hears of it has nothing to end, and is cut off in that very step.
    ["AAA-01", "MAD-02", "MAD-09"].iter().for_each(|point| bench.register(point));
    bench.request("s1").unwrap();
    bench.hear(vec![bench.revoked(SITE, "g")]);
    assert_eq!(
        bench.standing("MAD-01"),
        Some(Standing::Draining),
        "the others end what they do all the same"
    );
    assert_eq!(bench.standing("MAD-09"), Some(Standing::Good), "another gateway's");
    assert_eq!((bench.refused(), bench.newly_refused()), (vec![], vec![]), "they end what they do");
    // One that comes only now has nothing to end.
    bench.register("MAD-03");
    assert_eq!(bench.standing("MAD-03"), Some(Standing::Cut));
    bench.until(|bench| {
        bench.standing("MAD-01") == Some(Standing::Cut) || bench.standing("MAD-02") == Some(Standing::Cut)
    });
    let both = |bench: &Bench| ["MAD-01", "MAD-02"].map(|point| bench.standing(point) == Some(Standing::Cut));
    if both(&bench) != [true, true] {
        assert_eq!(bench.refused(), [""; 0], "another one drains");
    }
    bench.until(|bench| both(bench) == [true, true]);
    assert_eq!(bench.refused(), ["g"]);
    let point = "MAD-02".parse().unwrap();
    assert_eq!(bench.writer.rules.refused_of(&point).collect::<Vec<_>>(), ["g".into()]);
    bench.crash();
    let effects = bench.writer.step(bench.now, [Input::Command(Command::Tick)]).unwrap();
    let told = effects.iter().find(|effect| matches!(effect, Effect::Tell(_)));
    assert_eq!(told, None, "it was revoked itself");
    assert_eq!((bench.refused(), bench.standing("MAD-02")), (vec!["g".into()], Some(Standing::Cut)));
    // Enrolled again, they are good; the certificate of before is not.
    bench.hear(vec![Told { newest: false, ..bench.revoked(SITE, "g") }]);
    assert_eq!(["MAD-01", "MAD-02", "MAD-03"].map(|point| bench.standing(point)), [Some(Standing::Good); 3]);
    assert_eq!(bench.refused(), ["g"]);
    let told = bench.writer.rules.told_at(&point);
    assert_eq!(
        told.all().map(|(serial, _)| serial.as_ref()).collect::<Vec<_>>(),
        ["g"],
        "its engine hears of it"
    );
    assert!(bench.writer.rules.told_at(&"MAD-09".parse().unwrap()).is_empty());
}

#[test]
fn a_gateway_is_cut_off_at_once_where_that_is_said_and_its_charge_points_with_it() {
    let mut bench = Bench::new();
    bench.serves(&[("MAD-01", "site-7")]);
    bench.hear(vec![Told { now: true, ..bench.revoked(SITE, "g") }]);
    assert_eq!((bench.standing("MAD-01"), bench.newly_refused()), (Some(Standing::Cut), vec!["g".into()]));
    // Taken from the gateway, it is what its own identity is: nobody revoked that.
    bench.serves(&[("MAD-01", "")]);
    assert_eq!(bench.standing("MAD-01"), Some(Standing::Good));
    bench.serves(&[("MAD-01", "site-7")]);
    assert_eq!(bench.standing("MAD-01"), Some(Standing::Cut));
}

#[test]
fn a_gateway_without_charge_points_has_nothing_to_end() {
    let mut bench = Bench::new();
    bench.serves(&[("MAD-01", "site-7")]);
    bench.connect();
    bench.request("s1").unwrap();
    bench.hear(vec![bench.revoked(SITE, "g")]);
    bench.serves(&[("MAD-01", "")]);
    assert_eq!(bench.refused(), [""; 0], "it ends what it does there first");
    bench.until(|bench| bench.standing("MAD-01") == Some(Standing::Good));
    assert_eq!((bench.refused(), bench.newly_refused()), (vec!["g".into()], vec!["g".into()]));
    bench.crash();
    assert_eq!(bench.refused(), ["g"]);
}

#[test]
fn behind_a_gateway_a_charge_point_s_own_identity_says_nothing() {
    let mut bench = Bench::new();
    bench.request("s1").unwrap();
    bench.hear(vec![bench.revoked(OWN, "e")]);
    assert_eq!((bench.standing("MAD-01"), bench.refused()), (Some(Standing::Draining), vec![]));
    bench.serves(&[("MAD-01", "site-7")]);
    bench.until(|bench| bench.gateway().is_some());
    assert_eq!((bench.standing("MAD-01"), bench.newly_refused()), (Some(Standing::Good), vec!["e".into()]));
    let at_once = Told { now: true, ..bench.revoked("charge-point/MAD-01/monitor", "m") };
    bench.hear(vec![at_once]);
    assert_eq!(
        (bench.standing("MAD-01"), bench.refused()),
        (Some(Standing::Good), vec!["e".into(), "m".into()])
    );
    // All is told anew: how it stands does not change by that.
    let all = revocations::News { begins: true, told: vec![bench.revoked(OWN, "e")], complete: true };
    bench.step(vec![Input::Registry(all)]);
    assert_eq!(bench.standing("MAD-01"), Some(Standing::Good));
}
