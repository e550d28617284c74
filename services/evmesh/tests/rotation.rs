//! The network's authority is followed by another one, and nobody notices.

mod common;

use common::{
    PATIENCE, Process, eventually, free_address,
    registry::{Network, ask, begun, started, token},
    run,
};
use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

/// Enrolled by a token, in a folder of that name.
fn enrolled(network: &Network, registry: &str, role: &str, name: &str) -> String {
    let folder = network.path(name).display().to_string();
    let enrolled = run(["enrol", &token(network, registry, role), "--identity", &folder]);
    assert_eq!(enrolled.code, 0, "{enrolled:?}");
    folder
}

/// What `evmesh registry rotate` does, at once, and the registry's restart after it.
fn rotated(network: &Network, registry: Process, address: &str, step: &str) -> Process {
    drop(registry);
    let rotated = run(["registry", "rotate", step, "--now", "--data", &network.data]);
    assert_eq!(rotated.code, 0, "{rotated:?}");
    let registry = started(network, address);
    // Central's identity is given by hand, and so is what it believes: here both are in the registry's own folder.
    assert!(rotated.stdout.contains("identities/registry/network.pem there"), "{rotated:?}");
    registry
}

fn authority(identity: &str) -> String {
    let chain = fs::read_to_string(format!("{identity}/certificate.pem")).expect("it is there");
    chain.split_inclusive("-----END CERTIFICATE-----\n").nth(1).expect("its authority's").to_owned()
}

/// Calls central as somebody while the work goes on, one call after the other: each has to be answered.
fn under_load<T>(central: &str, identity: &str, work: impl FnOnce() -> T) -> T {
    let (over, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let caller = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let called = run(["operator", "status", "--central", central, "--identity", identity]);
                assert_eq!(called.code, 0, "{called:?}");
                calls.fetch_add(1, Ordering::Relaxed);
            }
        });
        let done = work();
        let before = calls.load(Ordering::Relaxed);
        eventually("a call after it", PATIENCE, || {
            (caller.is_finished() || calls.load(Ordering::Relaxed) > before + 1).then_some(())
        });
        over.store(true, Ordering::Relaxed);
        caller.join().expect("every call was answered");
        done
    })
}

#[test]
fn an_authority_is_followed_by_another_one_and_no_call_is_refused() {
    let (network, at, central) = (begun(), free_address(), free_address());
    let registry = started(&network, &at);
    let viewer = enrolled(&network, &at, "viewer/ana", "viewer");
    let renewing = enrolled(&network, &at, "viewer/eve", "renewing");
    let data = network.path("central").display().to_string();
    let identity = format!("{}/identities/central", network.data);
    let kafka = free_address(); // nobody is there
    let flags =
        ["central", "--listen", &central, "--data", &data, "--kafka", &kafka, "--identity", &identity];
    let _central = Process::start(flags);
    let status = |identity: &str| run(["operator", "status", "--central", &central, "--identity", identity]);
    eventually("central serves", PATIENCE, || (status(&viewer).code == 0).then_some(()));

    let (registry, later) = under_load(&central, &viewer, || {
        let registry = rotated(&network, registry, &at, "prepare");
        for identity in [&viewer, &renewing] {
            let renewed = run(["registry", "renew", "--registry", &at, "--identity", identity]);
            assert_eq!(renewed.code, 0, "{renewed:?}");
        }
        let believed = fs::read_to_string(format!("{viewer}/network.pem")).expect("it is there");
        assert_eq!(believed.matches("BEGIN CERTIFICATE").count(), 2, "who renews believes the next one too");
        let registry = rotated(&network, registry, &at, "switch");
        let later = enrolled(&network, &at, "viewer/bob", "later");
        assert_ne!(authority(&later), authority(&viewer));
        // However young its certificate is: it is of the authority before.
        let renewed = run(["registry", "renew", "--registry", &at, "--identity", &renewing]);
        assert_eq!((renewed.code, authority(&renewing)), (0, authority(&later)), "{renewed:?}");
        let called = status(&later);
        assert_eq!(called.code, 0, "{called:?}");
        // The first admin's was given by hand, and so it is renewed.
        let admin = network.issue("admin/admin", "registry/identities/admin", &[]);
        assert_eq!(admin.code, 0, "{admin:?}");
        (registry, later)
    });
    let _registry = rotated(&network, registry, &at, "forget");
    let called = under_load(&central, &later, || status(&viewer));
    assert_eq!(called.code, 1, "{called:?}");
    let called = status(&renewing);
    assert_eq!(called.code, 0, "{called:?}");
    let again = run(["registry", "rotate", "forget", "--data", &network.data]);
    assert!(again.code == 1 && again.stderr.contains("no authority before this one"), "{again:?}");
    let listed = ask(&network, &at, &["list"]);
    assert!(listed.code == 0 && listed.stdout.contains("viewer/bob"), "{listed:?}");
}

#[test]
fn a_role_renews_by_itself_where_it_was_enrolled() {
    let (network, at) = (begun(), free_address());
    let registry = started(&network, &at);
    let point = "charge-point/MAD-01/monitor";
    let monitor = enrolled(&network, &at, point, "monitor");
    // By hand, it ends in a day: so it is renewed at once.
    let day = network.issue(point, "monitor", &["--days", "1"]);
    assert_eq!(day.code, 0, "{day:?}");
    let before = fs::read_to_string(format!("{monitor}/certificate.pem")).expect("it is there");
    drop(registry);
    let own =
        ["monitor", "--charge-point", "MAD-01", "--listen", "127.0.0.1:0", "--central", &free_address()];
    let place =
        ["--engine", &free_address(), "--location", "Madrid", "--price", "0.35 EUR", "--identity", &monitor];
    let process = Process::start([&own[..], &place].concat());
    process.line(&["the identity is not renewed yet", "cannot reach the registry"], PATIENCE);
    drop(process);
    let _registry = started(&network, &at);
    let process = Process::start([&own[..], &place].concat());
    process.line(&["renewed", "charge-point/MAD-01/monitor"], PATIENCE);
    let after = fs::read_to_string(format!("{monitor}/certificate.pem")).expect("it is there");
    assert_ne!(after, before);
    process.line(&["the identity's files have changed; they count from now on"], PATIENCE);
}
