//! People who say who they are by a token.

mod common;

use common::{PATIENCE, Process, Run, broker::Broker, process::run_with_stdin, run, up};
use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};
use tempfile::TempDir;

fn refused(run: &Run, says: &str) {
    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run:?}");
    assert!(run.stderr.contains(says) && run.stderr.lines().count() == 1, "{says}: {run:?}");
}

/// A registry's folder.
fn begun() -> (TempDir, String) {
    let top = tempfile::tempdir().expect("a folder");
    let data = top.path().join("registry").display().to_string();
    let made = run(["registry", "init", "--trust-domain", "madrid.example", "--data", &data]);
    assert_eq!(made.code, 0, "{made:?}");
    (top, data)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

fn token(data: &str, whose: &[&str]) -> String {
    let made = run([&["registry"], whose, &["--data", data]].concat());
    assert_eq!((made.code, made.stdout.lines().count()), (0, 1), "{made:?}");
    made.stdout
}

#[test]
fn the_registry_makes_tokens_and_says_by_which_keys_they_are_checked() {
    let (top, data) = begun();
    let tokens = Path::new(&data).join("tokens");
    assert_eq!((mode(&tokens), mode(&tokens.join("key.pem"))), (0o700, 0o600));
    let keys = || run(["registry", "token-keys", "--data", &data]).json();
    let before = keys();
    assert_eq!((&before["keys"][0]["kty"], &before["keys"][0]["alg"]), (&"EC".into(), &"ES256".into()));
    assert_eq!(before["keys"][0]["d"], serde_json::Value::Null, "only what is public");
    assert_eq!(token(&data, &["driver-token", "101"]).trim().split('.').count(), 3);
    assert_eq!(keys(), before);
    // A registry of before there were tokens.
    fs::remove_dir_all(&tokens).unwrap();
    assert_ne!(keys(), before);
    assert_eq!(mode(&tokens.join("key.pem")), 0o600);

    let to = top.path().join("x").display().to_string();
    for wrong in [&["driver-token", "INVITADO"][..], &["operator-token", "a", "--role", "admin"]] {
        assert_eq!(run([&["registry"], wrong, &["--data", &data]].concat()).code, 2, "{wrong:?}");
    }
    let too_long = ["registry", "driver-token", "1", "--lifetime", "31d", "--data", &data];
    assert_eq!(run(too_long).code, 2);
    refused(&run(["registry", "driver-token", "1", "--data", &to]), "make one with 'evmesh registry init'");
    run(["registry", "issue", "driver/1", "--data", &data, "--to", &to]);
    let over = run(["registry", "driver-token", "1", "--data", &data, "--to", &to]);
    refused(&over, "is the identity of spiffe://madrid.example/driver/1; choose another one");
}

#[test]
fn a_token_is_kept_for_its_owner_alone_and_says_whose_it_is() {
    let (top, data) = begun();
    let folder = top.path().join("mine");
    let at = folder.display().to_string();
    let login = |who: &str, token: &str| run_with_stdin([who, "login", "--identity", &at], token);
    let of_driver = token(&data, &["driver-token", "101"]);
    refused(&login("driver", &of_driver), "has no core.pem, by which central is known; copy it there");
    fs::create_dir(&folder).unwrap();
    fs::copy(Path::new(&data).join("core/certificate.pem"), folder.join("core.pem")).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    refused(&login("driver", &of_driver), "is open to other users (mode 0755); close it with: chmod");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();

    let kept = login("driver", &of_driver);
    let said = format!("{at} is driver/101, by the token in {at}/token, until 20");
    assert!(kept.code == 0 && kept.stdout.starts_with(&said), "{kept:?}");
    assert!(
        ![&kept.stdout, &kept.stderr].into_iter().any(|text| text.contains(of_driver.trim())),
        "{kept:?}"
    );
    assert_eq!(mode(&folder.join("token")), 0o600);
    assert_eq!(fs::read_to_string(folder.join("token")).unwrap(), of_driver);

    let of_viewer = token(&data, &["operator-token", "ana", "--role", "viewer"]);
    refused(&login("driver", &of_viewer), "is the token of viewer/ana, and that of a driver is needed here");
    refused(
        &login("operator", &of_driver),
        "is the token of driver/101, and that of an operator or a viewer",
    );
    refused(&login("driver", "hunter2\n"), "what was read is no signed token");
    assert!(!login("driver", "hunter2\n").stderr.contains("hunter2"));
    assert_eq!(fs::read_to_string(folder.join("token")).unwrap(), of_driver, "nothing was changed");
    assert!(login("operator", &of_viewer).stdout.contains(" is viewer/ana, by the token in "));
    let of_admin = format!("{data}/identities/admin");
    let over = run_with_stdin(["driver", "login", "--identity", &of_admin], &of_driver);
    refused(&over, "says who it is by a certificate already; choose another one");
}

#[test]
fn whom_a_token_names_works_with_a_secured_network() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("requests"), folder.path().join("data"));
    fs::write(&file, "MAD-01\n").unwrap();
    let more = ["--secure", "--data", data.to_str().unwrap(), "--requests", file.to_str().unwrap()];
    let broker = Broker::open();
    let network = Process::start(up::flags(&broker, &more));
    network.line(&["1 of 1 requests concluded as expected"], PATIENCE);
    let central = network.line(&["central "], PATIENCE);
    let central = central.split_whitespace().nth(1).unwrap();
    let pasted = network.line(&["TOKEN=\"$(cat ", "-H 'authorization: Bearer ${TOKEN}'"], PATIENCE);
    let of_101 = data.join("identities/by-token/driver/101");
    assert!(pasted.contains(&of_101.join("token").display().to_string()), "{pasted}");
    let secret = fs::read_to_string(of_101.join("token")).unwrap();
    assert!(!network.text().contains(secret.trim()));

    let as_driver = of_101.display().to_string();
    let tickets = |driver: &str| {
        run(["driver", "tickets", "--driver", driver, "--central", central, "--identity", &as_driver])
    };
    assert_eq!(tickets("101").code, 0, "{:?}", tickets("101"));
    refused(&tickets("102"), "driver/101 does not act for another driver");

    let app = ["driver", "--driver", "101", "--plain", "--charge-point", "MAD-02", "--central", central];
    let app = app.into_iter().chain(["--identity", &as_driver]).map(str::to_owned).chain(broker.flags());
    let charged = run(app);
    assert_eq!(charged.code, 0, "{charged:?}");

    let registry = data.join("registry").display().to_string();
    let at = folder.path().join("ana").display().to_string();
    let of_ana = ["registry", "operator-token", "ana", "--role", "viewer", "--data", &registry, "--to", &at];
    let made = run(of_ana);
    assert!(
        made.stdout.starts_with(&format!("{at} is spiffe://evmesh.local/viewer/ana, by a token")),
        "{made:?}"
    );
    let operator =
        |command: &[&str]| run([&["operator", "--central", central, "--identity", &at], command].concat());
    let looked = operator(&["tickets"]);
    assert!(looked.code == 0 && looked.stdout.contains("MAD-01"), "{looked:?}");
    refused(
        &operator(&["stop", "--all"]),
        "viewer/ana may not call StopChargePoints, which is for an operator",
    );
    let engine = network.line(&["MAD-01 ", " engine 127.0.0.1:"], PATIENCE);
    let engine = engine.split_whitespace().skip_while(|word| *word != "engine").nth(1).unwrap();
    let shown = run(["point", "show", "--engine", engine, "--identity", &at]);
    refused(&shown, "no identity was shown"); // an engine that is sent a token could come to central with it
    let checked = run(["check", central, "--ready", "--identity", &at]);
    refused(
        &checked,
        "does not say whether it is ready: this server asks who calls, and no identity was shown",
    );
    assert!(checked.stderr.ends_with("; 'check' shows no token\n"), "{checked:?}");

    // Of a registry of another network with the same name.
    let (_top, other) = begun();
    let foreign = token(&other, &["operator-token", "ana", "--role", "viewer"]);
    assert_eq!(run_with_stdin(["operator", "login", "--identity", &at], &foreign).code, 0);
    refused(
        &operator(&["tickets"]),
        "is signed by nobody who gives tokens for this network; get another one",
    );
}

#[test]
fn tokens_are_for_those_who_have_tls() {
    let (_top, data) = begun();
    let file = format!("{data}/keys.json");
    let in_plain_text = run(["central", "--token-keys", &file]);
    assert_eq!(in_plain_text.code, 2, "{in_plain_text:?}");
    assert!(in_plain_text.stderr.contains("--identity"), "{in_plain_text:?}");
    let [own, of_admin] = ["central", "admin"].map(|name| format!("{data}/identities/{name}"));
    // What Kafka is not told is no matter yet.
    let central = ["central", "--listen", "127.0.0.1:0"];
    let unreadable = run([&central[..], &["--identity", &own, "--token-keys", &file]].concat());
    refused(&unreadable, &format!("the keys for tokens in {file} cannot be used: "));
    let anothers = run([&central[..], &["--identity", &of_admin]].concat());
    refused(
        &anothers,
        "/admin/admin, and that of central/NAME is needed here; name its folder with --identity",
    );
}
