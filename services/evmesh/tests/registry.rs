//! `evmesh registry`: identities made and given out by hand.

mod common;

use common::run;
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// A network that has just begun.
struct Network {
    top: TempDir,
    data: String,
}

fn begun() -> Network {
    let top = tempfile::tempdir().expect("a folder");
    let data = top.path().join("registry").display().to_string();
    let made =
        run(["registry", "init", "--trust-domain", "madrid.example", "--data", &data, "--host", "c.example"]);
    assert_eq!((made.code, made.stderr.as_str()), (0, ""), "{made:?}");
    for says in [
        &format!(
            "{data}/identities/central is spiffe://madrid.example/central/main, by the core authority, until"
        ),
        &format!("{data}/identities/admin is spiffe://madrid.example/admin/admin, by the network authority"),
        &format!("Now move {data}/core/key.pem offline"),
    ] {
        assert!(made.stdout.contains(says.as_str()), "{says}: {made:?}");
    }
    assert!(!made.stdout.contains("PRIVATE"), "{made:?}");
    Network { top, data }
}

impl Network {
    fn path(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    fn issue(&self, role: &str, to: &str, more: &[&str]) -> common::Run {
        let to = self.path(to).display().to_string();
        run([&["registry", "issue", role, "--data", &self.data, "--to", &to], more].concat())
    }
}

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
