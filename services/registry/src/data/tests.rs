use super::*;

const NOW: Wall = Wall(1_800_000_000_000);

fn beginning(host: &str) -> Beginning {
    let name = |name: &str| name.parse().unwrap();
    let trust_domain = "madrid.example".parse().unwrap();
    Beginning { trust_domain, central: name("main"), admin: name("ana"), hosts: vec![host.to_owned()] }
}

fn init(folder: &Path) -> Data {
    let data = Data::at(&folder.join("registry"));
    let given = data.init(beginning("central.example"), NOW).unwrap();
    let names: Vec<String> = given.iter().map(|given| given.identity.to_string()).collect();
    let spiffe = |path: &str| format!("spiffe://madrid.example/{path}");
    assert_eq!(names, [spiffe("registry"), spiffe("central/main"), spiffe("admin/ana")]);
    let days: Vec<i64> = given.iter().map(|given| (given.not_after.0 - NOW.0) / 86_400_000).collect();
    assert_eq!(days, [397, 397, 30]);
    data
}

fn issue(data: &Data, role: &str, to: &Path) -> Result<Given, DataError> {
    let role: Role = role.parse().unwrap();
    let lifetime = lifetime(&role);
    data.issue(role, to, &[], lifetime, NOW)
}

#[test]
fn a_network_begins_once_in_a_folder() {
    let top = tempfile::tempdir().unwrap();
    let data = init(top.path());
    let key = fs::read(data.core_key()).unwrap();
    let again = data.init(beginning("central.example"), NOW);
    assert!(matches!(again, Err(DataError::NotEmpty(_))), "{again:?}");
    assert_eq!(fs::read(data.core_key()).unwrap(), key);
    let elsewhere = Data::at(&top.path().join("b"));
    let badly = elsewhere.init(beginning("*"), NOW);
    assert!(badly.is_err() && !elsewhere.folder.exists(), "{badly:?}");
}

#[test]
fn a_folder_is_renewed_with_its_key_and_is_nobody_elses() {
    let top = tempfile::tempdir().unwrap();
    let data = init(top.path());
    let to = top.path().join("engine");
    let file = |name: &str| fs::read_to_string(to.join(name)).unwrap();
    let first = issue(&data, "charge-point/MAD-01/engine", &to).unwrap();
    let before = (file(KEY), file(CERTIFICATE));
    let second = issue(&data, "charge-point/MAD-01/engine", &to).unwrap();
    assert_ne!(first.serial, second.serial);
    assert_eq!(file(KEY), before.0);
    assert_ne!(file(CERTIFICATE), before.1);
    let other = issue(&data, "charge-point/MAD-02/engine", &to).unwrap_err().to_string();
    let says = "is the identity of spiffe://madrid.example/charge-point/MAD-01/engine; choose another one";
    assert!(other.ends_with(says), "{other}");
}

#[test]
fn without_the_cores_key_the_network_still_gives_out_its_own() {
    let top = tempfile::tempdir().unwrap();
    let data = init(top.path());
    let offline = top.path().join("usb");
    fs::rename(data.core_key(), &offline).unwrap();
    let said = issue(&data, "central/second", &top.path().join("second")).unwrap_err().to_string();
    let path = data.core_key();
    let says = format!("the core authority is not there; bring it back as {} while", path.display());
    assert!(said.contains(&says), "{said}");
    assert!(!top.path().join("second").exists());
    issue(&data, "operator/ana", &top.path().join("ana")).unwrap();
    fs::rename(&offline, &path).unwrap();
    issue(&data, "central/second", &top.path().join("second")).unwrap();
    let file = |folder: &str, name: &str| fs::read_to_string(top.path().join(folder).join(name)).unwrap();
    for name in [folder::CORE, folder::NETWORK] {
        assert_eq!(file("ana", name), file("second", name));
        let authority = name.trim_end_matches(".pem");
        assert_eq!(file("ana", name), file(&format!("registry/{authority}"), CERTIFICATE));
    }
}

#[test]
fn what_is_not_right_in_the_folder_is_said() {
    let top = tempfile::tempdir().unwrap();
    let to = top.path().join("to");
    let none = issue(&Data::at(&top.path().join("none")), "viewer/ana", &to).unwrap_err().to_string();
    assert!(none.ends_with("none: make one with 'evmesh registry init'"), "{none}");
    let data = init(top.path());
    let network = data.authority_folder(Kind::Network);
    let key = network.join(KEY);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let open = issue(&data, "viewer/ana", &to).unwrap_err().to_string();
    assert!(open.ends_with(&format!("close it with: chmod go= '{}'", key.display())), "{open}");
    for name in [KEY, CERTIFICATE] {
        fs::copy(data.authority_folder(Kind::Core).join(name), network.join(name)).unwrap();
        fs::set_permissions(network.join(name), fs::Permissions::from_mode(0o600)).unwrap();
        let said = issue(&data, "viewer/ana", &to).unwrap_err().to_string();
        let says = if name == KEY { "the key is another's" } else { "is the core one" };
        assert!(said.contains(says), "{said}");
    }
    assert!(!to.exists());
}
