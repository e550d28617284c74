use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn watchdog() -> Watchdog {
    Watchdog::new(Settings { ping_interval: SECOND, misses: 3 })
}

fn instance(name: &str) -> InstanceId {
    name.parse().unwrap()
}

fn answer(link: u64, name: &str, fault: &str) -> Input {
    Input::EngineAnswered {
        link: Link(link),
        instance: instance(name),
        fault: fault.into(),
        supplying: false,
    }
}

fn ended(link: u64) -> Input {
    Input::EngineEnded { link: Link(link), why: "connection refused".into(), stale: None }
}

fn registered(link: u64, epoch: u64) -> Input {
    Input::Registered { link: Link(link), epoch, report_interval: SECOND }
}

fn unreachable() -> Trouble {
    Trouble::Unreachable { why: "connection refused".into() }
}

fn refused(reason: &str, after_s: u64) -> Trouble {
    Trouble::Refused {
        reason: reason.into(),
        why: "another engine holds the id".into(),
        retry_after: Some(Duration::from_secs(after_s)),
    }
}

fn said(effects: &[Effect]) -> Vec<Notice> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Say(notice) => Some(notice.clone()),
            _ => None,
        })
        .collect()
}

fn reports(effects: &[Effect]) -> Vec<Health> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Report { health, .. } => Some(health.clone()),
            _ => None,
        })
        .collect()
}

/// A watchdog whose engine is well and whose reports central answers, at 0 ms.
fn connected() -> Watchdog {
    let mut dog = watchdog();
    dog.apply(Mono(0), Input::Started);
    dog.apply(Mono(0), Input::AttendStarted { link: Link(1) });
    dog.apply(Mono(0), answer(1, "store-a", ""));
    dog.apply(Mono(0), registered(1, 7));
    dog.apply(Mono(0), Input::Acknowledged { link: Link(1), out_of_order: false, report_interval: None });
    dog
}

#[test]
fn a_charge_point_is_registered_once_its_engine_is_known_and_reported_at_once() {
    let mut dog = watchdog();
    assert_eq!(dog.apply(Mono(0), Input::Started), [Effect::Attend { link: Link(1), attempt: 0 }]);
    assert_eq!(
        dog.apply(Mono(0), Input::AttendStarted { link: Link(1) }),
        [Effect::Ping { link: Link(1), epoch: 0, central_reachable: false }]
    );
    assert_eq!(dog.status().central, CentralStatus::WaitingForEngine);
    let effects = dog.apply(Mono(5), answer(1, "store-a", ""));
    assert_eq!(
        effects,
        [
            Effect::Say(Notice::EngineReached { instance: instance("store-a") }),
            Effect::Register {
                link: Link(1),
                instance: instance("store-a"),
                attempt: 0,
                retry_after: Duration::ZERO,
                newest_epoch: 0
            },
        ]
    );
    assert_eq!(
        dog.apply(Mono(9), registered(1, 7)),
        [
            Effect::Say(Notice::Registered { epoch: 7 }),
            Effect::Report { link: Link(1), epoch: 7, health: Health::Ok },
            Effect::Ping { link: Link(1), epoch: 7, central_reachable: false },
        ]
    );
    assert_eq!(
        dog.apply(
            Mono(12),
            Input::Acknowledged { link: Link(1), out_of_order: false, report_interval: None }
        ),
        [Effect::Ping { link: Link(1), epoch: 7, central_reachable: true }]
    );
    assert_eq!(dog.status().central, CentralStatus::Connected { epoch: 7, out_of_order: false });
}

#[test]
fn an_engine_that_is_down_at_the_start_is_said_once_and_tried_for_ever() {
    let mut dog = watchdog();
    dog.apply(Mono(0), Input::Started);
    let effects = dog.apply(Mono(1), ended(1));
    assert_eq!(
        effects,
        [
            Effect::Say(Notice::EngineUnreachable { why: "connection refused".into(), never_reached: true }),
            Effect::Attend { link: Link(2), attempt: 1 },
        ]
    );
    for link in 2..50 {
        let effects = dog.apply(Mono(link), ended(link));
        assert_eq!(effects, [Effect::Attend { link: Link(link + 1), attempt: link as u32 }]);
    }
    assert_eq!(dog.status().central, CentralStatus::WaitingForEngine);
}

#[test]
fn a_silent_engine_is_cut_after_three_missed_pings_and_reported() {
    let mut dog = connected();
    let mut pings = 0;
    for at in [1000, 2000] {
        assert_eq!(dog.wake_at(), Some(Mono(at)));
        let effects = dog.apply(Mono(at), Input::Tick);
        pings += effects.iter().filter(|e| matches!(e, Effect::Ping { .. })).count();
        assert_eq!(reports(&effects), [Health::Ok], "the heartbeat");
        dog.apply(
            Mono(at),
            Input::Acknowledged { link: Link(1), out_of_order: false, report_interval: None },
        );
    }
    assert_eq!(pings, 2);
    let effects = dog.apply(Mono(3000), Input::Tick);
    assert_eq!(reports(&effects).first(), Some(&Health::Unreachable("no answer for 3s".into())));
    assert!(effects.contains(&Effect::Attend { link: Link(2), attempt: 1 }));
    // The old stream is void; the new one brings the same store back, without a registration.
    assert_eq!(dog.apply(Mono(3001), answer(1, "store-b", "")), []);
    dog.apply(Mono(3100), Input::AttendStarted { link: Link(2) });
    let effects = dog.apply(Mono(3200), answer(2, "store-a", ""));
    assert_eq!(
        effects,
        [
            Effect::Say(Notice::EngineReached { instance: instance("store-a") }),
            Effect::Report { link: Link(1), epoch: 7, health: Health::Ok },
        ]
    );
}

#[test]
fn each_change_of_health_is_reported_and_said_once() {
    let mut dog = connected();
    for (input, report, notice) in [
        (
            answer(1, "store-a", "smoke"),
            Some(Health::Faulted("smoke".into())),
            Some(Notice::EngineFaulted { fault: "smoke".into() }),
        ),
        (answer(1, "store-a", "smoke"), None, None),
        (
            answer(1, "store-a", "fire"),
            Some(Health::Faulted("fire".into())),
            Some(Notice::EngineFaulted { fault: "fire".into() }),
        ),
        (answer(1, "store-a", ""), Some(Health::Ok), Some(Notice::EngineWell)),
        (answer(1, "store-a", ""), None, None),
        (
            ended(1),
            Some(Health::Unreachable("connection refused".into())),
            Some(Notice::EngineUnreachable { why: "connection refused".into(), never_reached: false }),
        ),
        (ended(2), None, None),
    ] {
        let effects = dog.apply(Mono(10), input.clone());
        assert_eq!(reports(&effects), Vec::from_iter(report), "{input:?}");
        assert_eq!(said(&effects), Vec::from_iter(notice), "{input:?}");
    }
}

#[test]
fn a_reason_is_cut_to_what_a_report_may_carry() {
    let mut dog = connected();
    let effects = dog.apply(Mono(1), answer(1, "store-a", &"ñ".repeat(1000)));
    assert_eq!(reports(&effects), [Health::Faulted("ñ".repeat(crate::text::MAX_REASON_CHARS))]);
}

#[test]
fn central_is_lost_after_three_intervals_without_an_answer() {
    let mut dog = connected();
    for at in [1000, 2000] {
        assert_eq!(reports(&dog.apply(Mono(at), Input::Tick)).len(), 1);
        dog.apply(Mono(at), answer(1, "store-a", ""));
    }
    let effects = dog.apply(Mono(3000), Input::Tick);
    assert_eq!(said(&effects), [Notice::CentralUnreachable { why: "no answer for 3s".into() }]);
    assert!(effects.contains(&Effect::Register {
        link: Link(2),
        instance: instance("store-a"),
        attempt: 1,
        retry_after: Duration::ZERO,
        newest_epoch: 0
    }));
    assert!(effects.contains(&Effect::Ping { link: Link(1), epoch: 7, central_reachable: false }));
    // The late answer of the old stream changes nothing; further failures are not said again.
    assert_eq!(
        dog.apply(
            Mono(3001),
            Input::Acknowledged { link: Link(1), out_of_order: true, report_interval: None }
        ),
        []
    );
    let effects = dog.apply(Mono(3500), Input::CentralEnded { link: Link(2), trouble: unreachable() });
    assert_eq!(said(&effects), []);
    let effects = dog.apply(Mono(4000), registered(3, 8));
    assert_eq!(said(&effects), [Notice::Registered { epoch: 8 }]);
    assert_eq!(reports(&effects), [Health::Ok]);
}

#[test]
fn another_stores_health_is_never_reported_under_the_registration_before() {
    let mut dog = connected();
    let lost = Input::EngineEnded { link: Link(1), why: "gone".into(), stale: None };
    let effects = dog.apply(Mono(10), lost);
    assert!(matches!(reports(&effects)[..], [Health::Unreachable(_)]));
    dog.apply(Mono(20), Input::AttendStarted { link: Link(2) });
    let effects = dog.apply(Mono(21), answer(2, "store-b", ""));
    assert!(effects.iter().any(|e| matches!(e, Effect::Register { link: Link(2), .. })));
    assert_eq!(reports(&effects), [], "central would take store-a for a store that is well");
    let effects = dog.apply(Mono(30), registered(2, 8));
    assert_eq!(reports(&effects), [Health::Ok]);
}

#[test]
fn a_refusal_is_said_once_and_retried_when_central_says_so() {
    let mut dog = connected();
    let effects = dog.apply(Mono(10), answer(1, "store-b", ""));
    assert_eq!(said(&effects), [Notice::EngineChanged { instance: instance("store-b") }]);
    assert!(effects.contains(&Effect::Register {
        link: Link(2),
        instance: instance("store-b"),
        attempt: 0,
        retry_after: Duration::ZERO,
        newest_epoch: 0
    }));
    let trouble = refused("INSTANCE_ALREADY_CONNECTED", 3);
    let effects = dog.apply(Mono(11), Input::CentralEnded { link: Link(2), trouble: trouble.clone() });
    assert!(matches!(said(&effects)[..], [Notice::CentralRefuses { .. }]));
    assert!(effects.contains(&Effect::Register {
        link: Link(3),
        instance: instance("store-b"),
        attempt: 1,
        retry_after: Duration::from_secs(3),
        newest_epoch: 0
    }));
    assert_eq!(dog.status().central, CentralStatus::Registering(Some(trouble)));
    let again = refused("INSTANCE_ALREADY_CONNECTED", 1);
    let effects = dog.apply(Mono(3011), Input::CentralEnded { link: Link(3), trouble: again });
    assert_eq!(said(&effects), []);
    let other = refused("REGISTRATION_CLOSED", 1);
    let effects = dog.apply(Mono(4011), Input::CentralEnded { link: Link(4), trouble: other });
    assert_eq!(said(&effects).len(), 1);
}

#[test]
fn a_stale_epoch_on_either_side_registers_again() {
    let mut dog = connected();
    let effects =
        dog.apply(Mono(1), Input::CentralEnded { link: Link(1), trouble: refused("EPOCH_STALE", 0) });
    assert!(effects.iter().any(|e| matches!(e, Effect::Register { link: Link(2), attempt: 1, .. })));

    // The engine has seen epoch 40, of a time that central has forgotten: the next registration is to be above it.
    let stale =
        |link| Input::EngineEnded { link: Link(link), why: "epoch 7 is stale".into(), stale: Some(40) };
    let mut dog = connected();
    let effects = dog.apply(Mono(1), stale(1));
    assert!(
        effects.iter().any(|e| matches!(e, Effect::Register { link: Link(2), newest_epoch: 40, .. })),
        "{effects:?}"
    );
    // While that registration is under way, another stale answer starts no second one.
    let effects = dog.apply(Mono(2), stale(2));
    assert_eq!(effects, [Effect::Attend { link: Link(3), attempt: 2 }]);
    // Meanwhile it holds none, and is answered as such: the store that it has to register may be another by now.
    let effects = dog.apply(Mono(3), Input::AttendStarted { link: Link(3) });
    assert!(matches!(effects[..], [Effect::Ping { link: Link(3), epoch: 0, .. }]), "{effects:?}");
    let effects = dog.apply(Mono(4), answer(3, "another", ""));
    let another = instance("another");
    let registers =
        |effect: &Effect| matches!(effect, Effect::Register { instance, .. } if *instance == another);
    assert!(effects.iter().any(registers), "{effects:?}");
}

#[test]
fn the_operators_order_is_said_once() {
    let mut dog = connected();
    for (out_of_order, notice) in
        [(true, Some(Notice::OutOfOrder)), (true, None), (false, Some(Notice::InService)), (false, None)]
    {
        let effects =
            dog.apply(Mono(1), Input::Acknowledged { link: Link(1), out_of_order, report_interval: None });
        assert_eq!(said(&effects), Vec::from_iter(notice));
    }
}

#[test]
fn an_absurd_report_interval_is_bounded() {
    for (given, wake) in [(Duration::ZERO, 50), (Duration::MAX, 300_000)] {
        let mut dog = connected();
        dog.apply(Mono(0), Input::CentralEnded { link: Link(1), trouble: unreachable() });
        dog.apply(Mono(0), ended(1));
        dog.apply(Mono(0), Input::Registered { link: Link(2), epoch: 8, report_interval: given });
        assert_eq!(dog.wake_at(), Some(Mono(wake)));
    }
}

#[test]
fn a_longer_interval_counts_from_the_next_report_on() {
    let (mut dog, mut at) = (connected(), 0);
    for (report_interval, next) in [(None, 1_000), (Some(SECOND * 5), 1_000), (None, 5_000), (None, 5_000)] {
        let told = Input::Acknowledged { link: Link(1), out_of_order: false, report_interval };
        dog.apply(Mono(at), told);
        for now in (at + 500..=at + next).step_by(500) {
            let reported = reports(&dog.apply(Mono(now), Input::Tick));
            dog.apply(Mono(now), answer(1, "store-a", "")); // its engine is there all the while
            assert_eq!(reported.len(), usize::from(now == at + next), "{now}");
        }
        at += next;
    }
}

fn inputs() -> impl Strategy<Value = Vec<(u64, u8, u64, bool)>> {
    proptest::collection::vec((0_u64..2_000, 0_u8..8, 0_u64..3, any::<bool>()), 0..200)
}

proptest! {
    /// Whatever comes in whatever order: what an older attempt says has no effect, a link to the engine is always under
    /// way, a report is of the health that the status shows, and time always moves on to the next wake.
    #[test]
    fn any_history_keeps_both_links_alive(steps in inputs()) {
        let mut dog = watchdog();
        let mut now = Mono(0);
        let (mut engine, mut central) = (Link(0), Link(0));
        let mut epoch = 0;
        for effect in dog.apply(now, Input::Started) {
            if let Effect::Attend { link, .. } = effect { engine = link; }
        }
        for (delay_ms, what, back, flag) in steps {
            now = now + Duration::from_millis(delay_ms);
            let (e, c) = (Link(engine.0.saturating_sub(back)), Link(central.0.saturating_sub(back)));
            epoch += 1;
            let (input, stale) = match what {
                0 => (Input::Tick, false),
                1 => (Input::AttendStarted { link: e }, e != engine),
                2 => (answer(e.0, if flag { "store-a" } else { "store-b" }, ""), e != engine),
                3 => (answer(e.0, "store-a", "smoke"), e != engine),
                4 => (Input::EngineEnded { link: e, why: "gone".into(), stale: flag.then_some(9) }, e != engine),
                5 => (registered(c.0, epoch), c != central || central.0 == 0),
                6 => {
                    let (link, out_of_order, report_interval) = (c, flag, None);
                    let input = Input::Acknowledged { link, out_of_order, report_interval };
                    (input, c != central || central.0 == 0)
                }
                _ => (Input::CentralEnded { link: c, trouble: unreachable() }, c != central),
            };
            if central.0 == 0 && what >= 5 { continue; } // nothing was asked of central yet
            let effects = dog.apply(now, input);
            if stale { prop_assert_eq!(&effects, &vec![]); }
            for effect in &effects {
                match effect {
                    Effect::Attend { link, .. } => { prop_assert!(*link > engine); engine = *link; }
                    Effect::Register { link, .. } => { prop_assert!(*link > central); central = *link; }
                    Effect::Ping { link, .. } => prop_assert_eq!(*link, engine),
                    Effect::Report { link, .. } => prop_assert_eq!(*link, central),
                    Effect::Say(_) => {}
                }
            }
            if let Some(health) = reports(&effects).last() {
                prop_assert_eq!(Some(health.clone()), dog.status().engine);
            }
            dog.apply(now, Input::Tick);
            prop_assert!(dog.wake_at().is_none_or(|at| at > now));
        }
    }
}
