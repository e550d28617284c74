//! `evmesh registry`: identities made and given out by hand, and for tokens.

mod common;

use common::{
    PATIENCE, free_address,
    registry::{ask, ask_as, begun, started, token},
    run,
};
use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

fn files(folder: &Path) -> Vec<(String, u32)> {
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(folder), 0o700, "{}", folder.display());
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("it is there")
        .map(|entry| entry.expect("it is there"))
        .map(|entry| (entry.file_name().into_string().expect("a name"), mode(&entry.path())))
        .collect();
    files.sort();
    files
}

#[test]
fn a_network_begins_with_its_authorities_and_three_identities() {
    let network = begun();
    let data = Path::new(&network.data);
    let private = |names: &[&str]| names.iter().map(|name| (name.to_string(), 0o600)).collect::<Vec<_>>();
    for kind in ["core", "network"] {
        assert_eq!(files(&data.join(kind)), private(&["certificate.pem", "key.pem"]));
    }
    for name in ["registry", "central", "admin"] {
        let folder = data.join("identities").join(name);
        assert_eq!(files(&folder), private(&["certificate.pem", "core.pem", "key.pem", "network.pem"]));
        let authority = if name == "admin" { "network" } else { "core" };
        let chain = fs::read_to_string(folder.join("certificate.pem")).unwrap();
        assert!(chain.ends_with(&fs::read_to_string(data.join(authority).join("certificate.pem")).unwrap()));
    }
    let again = run(["registry", "init", "--trust-domain", "madrid.example", "--data", &network.data]);
    assert_eq!((again.code, again.stdout.as_str()), (1, ""), "{again:?}");
    assert!(again.stderr.contains("an authority is not made over another; choose another one"), "{again:?}");
}

#[test]
fn identities_are_given_out_and_renewed_by_hand() {
    let network = begun();
    let json = ["--output", "json"];
    let engine =
        network.issue("charge-point/MAD-01/engine", "engine", &[&["--host", "10.0.0.7"], &json[..]].concat());
    let engine = engine.json();
    assert_eq!(engine["identity"], "spiffe://madrid.example/charge-point/MAD-01/engine");
    let key = fs::read_to_string(network.path("engine/key.pem")).unwrap();
    let renewed = network.issue("charge-point/MAD-01/engine", "engine", &json).json();
    assert_ne!(renewed["serial"], engine["serial"]);
    assert_eq!(fs::read_to_string(network.path("engine/key.pem")).unwrap(), key);

    let refused = |role: &str, to: &str, more: &[&str], says: &str| {
        let refused = network.issue(role, to, more);
        assert_eq!((refused.code, refused.stdout.as_str()), (1, ""), "{refused:?}");
        assert!(
            refused.stderr.starts_with("evmesh: ") && refused.stderr.contains(says),
            "{says}: {refused:?}"
        );
        assert_eq!(refused.stderr.lines().count(), 1, "{refused:?}");
    };
    let anothers =
        "is the identity of spiffe://madrid.example/charge-point/MAD-01/engine; choose another one";
    refused("charge-point/MAD-02/engine", "engine", &[], anothers);
    refused("operator/ana", "ana", &["--host", "a"], "operator/ana serves nobody, and has no host names");
    refused("gateway/a", "gateway", &["--host", "*.a"], "neither an IP address nor the name of a host");

    let core = Path::new(&network.data).join("core/key.pem");
    fs::rename(&core, network.path("usb")).unwrap();
    refused(
        "central/second",
        "second",
        &[],
        &format!("bring it back as {} while it is needed", core.display()),
    );
    assert_eq!(network.issue("operator/ana", "ana", &["--days", "1"]).code, 0);
    fs::rename(network.path("usb"), &core).unwrap();
    let second = network.issue("central/second", "second", &["--host", "d.example"]);
    assert!(
        second.stdout.contains("is spiffe://madrid.example/central/second, by the core authority"),
        "{second:?}"
    );
}

fn refused(run: &common::Run, says: &str) {
    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run:?}");
    assert!(run.stderr.contains(says) && run.stderr.lines().count() == 1, "{says}: {run:?}");
}

const ENGINE: &str = "charge-point/MAD-01/engine";

#[test]
fn a_token_gets_one_identity_and_a_registry_that_was_killed_knows_it() {
    let (network, address) = (begun(), free_address());
    let mut registry = started(&network, &address);
    let word = token(&network, &address, ENGINE);
    let folder = network.path("engine").display().to_string();
    let enrol = |word: &str, folder: &str| run(["enrol", word, "--identity", folder]);
    let enrolled = enrol(&word, &folder);
    assert_eq!(enrolled.stdout, format!("{folder} is spiffe://madrid.example/{ENGINE}\n"), "{enrolled:?}");
    let names: Vec<_> = files(Path::new(&folder)).into_iter().collect();
    let private = ["certificate.pem", "core.pem", "key.pem", "network.pem", "registry"]
        .map(|name| (name.to_owned(), 0o600));
    assert_eq!(names, private);
    let file = |name: &str| fs::read_to_string(Path::new(&folder).join(name)).unwrap();
    let (certificate, key) = (file("certificate.pem"), file("key.pem"));
    refused(
        &enrol(&word, &folder),
        "is the identity of spiffe://madrid.example/charge-point/MAD-01/engine already",
    );

    // Its answer was lost, and the registry was killed.
    registry.kill();
    let said = registry.text();
    let registry = started(&network, &address);
    fs::remove_file(Path::new(&folder).join("certificate.pem")).unwrap();
    assert_eq!(enrol(&word, &folder).code, 0);
    assert_eq!((file("certificate.pem"), file("key.pem")), (certificate.clone(), key));
    refused(&enrol(&word, &network.path("thief").display().to_string()), "was used with another key");
    refused(
        &enrol(
            &token(&network, &address, "viewer/ana").replace("madrid", "lisbon"),
            &network.path("x").display().to_string(),
        ),
        "of another network",
    );

    let renewed = ask_as(&folder, &address, &["renew"]);
    assert_eq!(renewed.code, 0, "{renewed:?}");
    assert_eq!(file("certificate.pem"), certificate, "it is young");
    let listed = ask(&network, &address, &["list"]).stdout;
    assert!(listed.contains(&format!("\n{ENGINE}  until ")), "{listed}");

    // Nobody has it in a log.
    let secret = word.rsplit('/').next().unwrap();
    assert!(
        said.contains("enrolled") && !said.contains(secret) && !registry.text().contains(secret),
        "{said}"
    );
}

#[test]
fn who_is_revoked_renews_no_more_and_comes_back_with_another_key() {
    let (network, address) = (begun(), free_address());
    let mut registry = started(&network, &address);
    let folder = network.path("engine").display().to_string();
    let enrol = |word: &str, folder: &str| run(["enrol", word, "--identity", folder]);
    assert_eq!(enrol(&token(&network, &address, ENGINE), &folder).code, 0);
    let waiting = token(&network, &address, ENGINE);
    let revoked = ask(&network, &address, &["revoke", ENGINE]);
    let says = format!(
        "{ENGINE} is revoked, and has no token; central stops what its charge point does, within 30 s"
    );
    assert!(revoked.stdout.starts_with(&says), "{revoked:?}");
    let at_once = ask(&network, &address, &["revoke", ENGINE, "--now"]).stdout;
    assert_eq!(at_once, format!("{ENGINE} is revoked, and has no token; central refuses it within 2 s\n"));
    assert!(ask(&network, &address, &["list"]).stdout.contains(&format!("\n{ENGINE}  revoked ")));
    refused(&ask_as(&folder, &address, &["renew"]), "this identity was revoked");
    let second = network.path("second").display().to_string();
    refused(&enrol(&waiting, &second), "this token is not known");
    assert_eq!(enrol(&token(&network, &address, ENGINE), &second).code, 0);
    let json = ask(&network, &address, &["list", "--output", "json"]).json();
    let engine = json.as_array().unwrap().iter().find(|one| one["role"] == ENGINE).unwrap();
    let certificates = engine["certificates"].as_array().unwrap();
    let revoked: Vec<bool> = certificates.iter().map(|one| one["revoke_time"].is_string()).collect();
    assert_eq!(revoked, [true, false], "{json}");
    let nobody = "nobody is enrolled so; 'evmesh registry list' shows who is";
    refused(&ask(&network, &address, &["revoke", "admin/nobody"]), nobody);

    // Its key comes back by no token and by no hand, though another one has its place; nor after a restart.
    refused(&ask_as(&folder, &address, &["renew"]), "enrol into an empty folder, with a new token");
    fs::remove_file(Path::new(&folder).join("certificate.pem")).unwrap();
    let word = token(&network, &address, ENGINE);
    refused(&enrol(&word, &folder), "this identity was revoked");
    registry.kill();
    let _registry = started(&network, &address);
    refused(&enrol(&word, &folder), "this identity was revoked");
    let by_hand = network.issue(ENGINE, "engine", &[]);
    refused(&by_hand, "was revoked; issue into an empty folder");
    assert_eq!(ask_as(&second, &address, &["renew"]).code, 0);

    // An admin who was revoked makes no other one.
    let second = network.path("admin").display().to_string();
    assert_eq!(enrol(&token(&network, &address, "admin/bob"), &second).code, 0);
    assert_eq!(ask_as(&second, &address, &["list"]).code, 0);
    assert_eq!(ask(&network, &address, &["revoke", "admin/bob"]).code, 0);
    for words in [&["list"][..], &["token", "admin/eve"], &["revoke", "admin/admin"]] {
        refused(&ask_as(&second, &address, words), "this identity was revoked");
    }
}

#[test]
fn a_token_is_made_by_an_admin_for_nobody_of_the_core_and_goes_to_its_own_registry() {
    let (network, address) = (begun(), free_address());
    let none =
        run(["registry", "run", "--data", &network.path("none").display().to_string(), "--listen", &address]);
    refused(&none, "make one with 'evmesh registry init'");
    assert!(!network.path("none").exists());
    let _registry = started(&network, &address);
    refused(&ask(&network, &address, &["token", "central/main"]), "must not be of the core");
    let word = token(&network, &address, "viewer/ana");
    // Of two that would answer: who has no identity of this network, and who is no admin.
    let viewer = network.path("viewer").display().to_string();
    assert_eq!(run(["enrol", &word, "--identity", &viewer]).code, 0);
    refused(&ask_as(&viewer, &address, &["list"]), "may not call ListIdentities");
    refused(
        &run(["registry", "list", "--registry", &address]),
        "a server with TLS, which wants an identity (--identity DIR)",
    );
    // The registry of another network is not the one that its token means.
    let (other, elsewhere) = (begun(), free_address());
    let _other = started(&other, &elsewhere);
    let astray = token(&network, &address, "viewer/eve").replace(&address, &elsewhere);
    let x = network.path("x").display().to_string();
    refused(&run(["enrol", &astray, "--identity", &x]), "no authority of this network signed it");
    let cut = run(["enrol", &word[..word.len() - 1], "--identity", &x]);
    assert!(cut.code == 2 && !cut.stderr.contains(&word[..40]), "{cut:?}");
}

#[test]
fn what_was_given_out_by_hand_is_in_the_list_and_can_be_taken_back() {
    let (network, address) = (begun(), free_address());
    assert_eq!(network.issue("operator/before", "before", &[]).code, 0);
    let mut registry = started(&network, &address);
    assert_eq!(network.issue(ENGINE, "engine", &["--host", "10.0.0.7"]).code, 0);
    let listed = ask(&network, &address, &["list", "--output", "json"]).json();
    let roles: Vec<_> = listed.as_array().unwrap().iter().map(|one| one["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["admin/admin", ENGINE, "operator/before"], "those of the core are not its own");
    assert_eq!(listed[1]["hosts"][0], "10.0.0.7");

    // One that it has not been asked about since, with the same key; and its holder renews it no more.
    let newest = network.issue(ENGINE, "engine", &["--output", "json"]).json();
    assert_eq!(ask(&network, &address, &["revoke", ENGINE, "--now"]).code, 0);
    let listed = ask(&network, &address, &["list", "--output", "json"]).json();
    let certificates = listed[1]["certificates"].as_array().unwrap();
    assert!(certificates.len() == 2 && certificates.iter().all(|one| one["revoke_time"].is_string()));
    assert_eq!(certificates[1]["serial"], newest["serial"]);
    let folder = network.path("engine").display().to_string();
    refused(&ask_as(&folder, &address, &["renew"]), "this identity was revoked");
    registry.kill();
    let _registry = started(&network, &address);
    assert_eq!(ask(&network, &address, &["list", "--output", "json"]).json(), listed);
}

#[test]
fn what_gateways_serve_is_known_without_the_store_and_by_an_older_copy_of_it() {
    let (network, address) = (begun(), free_address());
    let gateway = |words: &[&str]| {
        let asked = ask(&network, &address, &[&["gateway"], words].concat());
        assert_eq!(asked.code, 0, "{asked:?}");
        asked.stdout.trim().to_owned()
    };
    let mut registry = started(&network, &address);
    gateway(&["add", "site-7", "MAD-01", "MAD-02"]);
    registry.kill();
    let (store, older) = (Path::new(&network.data).join("store"), network.path("older"));
    fs::rename(&store, &older).unwrap();
    let mut registry = started(&network, &address);
    registry.line(&["the store was lost, or is an older copy: what gateways serve is known"], PATIENCE);
    assert_eq!(gateway(&["list"]), "gateway/site-7  MAD-01 MAD-02");
    gateway(&["remove", "site-7", "MAD-01"]);
    gateway(&["add", "site-8", "MAD-01"]);
    registry.kill();
    fs::remove_dir_all(&store).unwrap();
    fs::rename(&older, &store).unwrap();
    let _registry = started(&network, &address);
    assert_eq!(gateway(&["list"]), "gateway/site-7  MAD-02\ngateway/site-8  MAD-01");
}

#[test]
fn who_did_what_is_written_down_and_fits() {
    let (network, address) = (begun(), free_address());
    let mut registry = started(&network, &address);
    let folder = network.path("engine").display().to_string();
    let word = token(&network, &address, ENGINE);
    assert_eq!(run(["enrol", &word, "--identity", &folder]).code, 0);
    ask_as(&folder, &address, &["list"]); // it may not
    ask(&network, &address, &["revoke", ENGINE]);
    ask(&network, &address, &["revoke", ENGINE]); // changes nothing
    refused(&run(["enrol", &word, "--identity", &network.path("x").display().to_string()]), "this token");
    registry.kill();
    for step in ["prepare", "switch"] {
        assert_eq!(run(["registry", "rotate", step, "--now", "--data", &network.data]).code, 0);
    }
    let _registry = started(&network, &address);
    let audit = ask(&network, &address, &["audit", "--output", "json"]).json();
    let entries = audit.as_array().unwrap();
    let shown: Vec<_> = entries
        .iter()
        .map(|one| {
            ["method", "actor", "subject", "result"].map(|field| one[field].as_str().unwrap_or_default())
        })
        .collect();
    let admin = "admin/admin";
    let wanted = [
        ["Issue", "", admin, "done"],
        ["CreateEnrolmentToken", admin, ENGINE, "done"],
        ["Enrol", "", ENGINE, "done"],
        ["ListIdentities", ENGINE, "", "NOT_ALLOWED"],
        ["RevokeIdentity", admin, ENGINE, "done"],
        ["Enrol", "", "", "TOKEN_UNKNOWN"],
        ["Rotate", "", "network", "done"],
    ];
    assert_eq!(shown, wanted, "{audit}");
    assert!(
        entries[1]["address"] == "127.0.0.1" && entries[2]["answer"].as_str().unwrap().starts_with("serial=")
    );
    assert!(!audit.to_string().contains(word.rsplit('/').next().unwrap()), "no secret");
    let of_admin = ask(&network, &address, &["audit", "--actor", admin, "--output", "csv"]);
    assert_eq!(of_admin.stdout.lines().count(), 3, "{of_admin:?}");
    let verified = ask(&network, &address, &["audit", "verify"]);
    let says = "7 entries fit: number 1 to number 7; nobody can tell whether all of it was written anew";
    assert_eq!(verified.stdout.trim(), says, "{verified:?}");
    refused(&ask_as(&folder, &address, &["audit"]), "");
}
