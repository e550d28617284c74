//! A network's registry: its folder, and the process that runs over it.

use super::{PATIENCE, Process, Run, eventually, run};
use std::path::PathBuf;
use tempfile::TempDir;

/// A network that has just begun.
pub struct Network {
    top: TempDir,
    pub data: String,
}

impl Network {
    /// Its first admin's identity.
    pub fn admin(&self) -> String {
        format!("{}/identities/admin", self.data)
    }
}

pub fn begun() -> Network {
    let top = tempfile::tempdir().expect("a folder");
    let data = top.path().join("registry").display().to_string();
    let made =
        run(["registry", "init", "--trust-domain", "madrid.example", "--data", &data, "--host", "c.example"]);
    assert_eq!(made.outcome(), (0, String::new()), "{made:?}");
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
    pub fn path(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    pub fn issue(&self, role: &str, to: &str, more: &[&str]) -> Run {
        let to = self.path(to).display().to_string();
        run([&["registry", "issue", role, "--data", &self.data, "--to", &to], more].concat())
    }
}

/// A registry that runs, until it is dropped.
pub fn started(network: &Network, address: &str) -> Process {
    let registry = Process::start(["registry", "run", "--data", &network.data, "--listen", address]);
    let check = ["check", address, "--identity", &network.admin()];
    eventually("the registry serves", PATIENCE, || (run(check).code == 0).then_some(()));
    registry
}

/// A command that asks it, as somebody.
pub fn ask_as(identity: &str, address: &str, words: &[&str]) -> Run {
    run([&["registry"], words, &["--registry", address, "--identity", identity]].concat())
}

/// As its admin.
pub fn ask(network: &Network, address: &str, words: &[&str]) -> Run {
    ask_as(&network.admin(), address, words)
}

pub fn token(network: &Network, address: &str, role: &str) -> String {
    let made = ask(network, address, &["token", role]);
    assert_eq!(made.outcome(), (0, String::new()), "{made:?}");
    made.stdout.trim().to_owned()
}
