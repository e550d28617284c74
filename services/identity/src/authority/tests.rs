use super::*;
use crate::{MAX_HOSTS, MAX_REQUEST_BYTES, check_hosts};
use std::{
    net::{IpAddr, Ipv6Addr},
    sync::LazyLock,
};
use x509_parser::extensions::{GeneralName, ParsedExtension};

const NOW: Wall = Wall(1_800_000_000_500);
const DAY: Duration = Duration::from_secs(24 * 3600);

static MADRID: LazyLock<TrustDomain> = LazyLock::new(|| "madrid.example".parse().unwrap());
static CORE: LazyLock<Authority> = LazyLock::new(|| Authority::create(&MADRID, Kind::Core, NOW).unwrap());
static NETWORK: LazyLock<Authority> =
    LazyLock::new(|| Authority::create(&MADRID, Kind::Network, NOW).unwrap());

fn named(path: &str) -> Identity {
    Identity { trust_domain: MADRID.clone(), role: path.parse().unwrap() }
}

fn hosts(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn authority_of(path: &str) -> &'static Authority {
    match Kind::of(&named(path).role) {
        Kind::Core => &CORE,
        Kind::Network => &NETWORK,
    }
}

/// A certificate for a new key, by whoever vouches for this role.
fn issue(path: &str, names: &[&str]) -> Result<Issued, AuthorityError> {
    let request = Request::new().unwrap();
    authority_of(path).issue(request.csr_pem(), &named(path), &hosts(names), DAY, NOW)
}

/// Looks at the certificates of a PEM text.
fn parsed<T>(pem: &str, look: impl FnOnce(&[X509Certificate<'_>]) -> T) -> T {
    let pems: Vec<Pem> = Pem::iter_from_buffer(pem.as_bytes()).map(Result::unwrap).collect();
    let certificates: Vec<_> = pems.iter().map(|pem| pem.parse_x509().unwrap()).collect();
    look(&certificates)
}

fn leaf<T>(issued: &Issued, look: impl FnOnce(&X509Certificate<'_>) -> T) -> T {
    parsed(&issued.certificate_pem, |certificates| look(&certificates[0]))
}

/// Its names, as text.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Some(names) = certificate.subject_alternative_name().unwrap() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(four) => IpAddr::from(four).to_string(),
            Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(*bytes).unwrap()).to_string(),
        },
        GeneralName::URI(text) | GeneralName::DNSName(text) => text.to_string(),
        other => panic!("{other:?}"),
    };
    names.value.general_names.iter().map(name).collect()
}

fn common_name_of(certificate: &X509Certificate<'_>) -> String {
    let names: Vec<&str> =
        certificate.subject().iter_common_name().map(|name| name.as_str().unwrap()).collect();
    assert_eq!((names.len(), certificate.subject().iter_attributes().count()), (1, 1));
    names[0].to_owned()
}

#[test]
fn an_authority_says_whose_it_is_and_signs_no_other_authority() {
    for (authority, kind) in [(&*CORE, "core"), (&*NETWORK, "network")] {
        parsed(authority.certificate_pem(), |certificates| {
            let [certificate] = certificates else { panic!("{certificates:?}") };
            let constraints = certificate.basic_constraints().unwrap().unwrap();
            assert!(constraints.critical && constraints.value.ca);
            assert_eq!(constraints.value.path_len_constraint, Some(0));
            let usage = certificate.key_usage().unwrap().unwrap();
            assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
            assert!(!usage.value.digital_signature());
            assert_eq!(names(certificate), ["spiffe://madrid.example"]);
            assert!(common_name_of(certificate).starts_with(&format!("evmesh {kind} CA ")));
            let validity = certificate.validity();
            assert_eq!(validity.not_before.timestamp(), 1_800_000_000 - 300);
            assert_eq!(validity.not_after.timestamp(), 1_800_000_000 + 3650 * 86_400);
            certificate.verify_signature(None).unwrap();
        });
    }
}

#[test]
fn two_authorities_have_two_names_and_two_serials() {
    let other = Authority::create(&MADRID, Kind::Core, NOW).unwrap();
    let look = |authority: &Authority| {
        parsed(authority.certificate_pem(), |found| {
            (common_name_of(&found[0]), found[0].raw_serial_as_string())
        })
    };
    let (one, two) = (look(&CORE), look(&other));
    assert!(one.0 != two.0 && one.1 != two.1, "{one:?} {two:?}");
}

#[test]
fn an_authority_is_read_back_as_it_was_and_only_with_its_own_key() {
    let back = Authority::from_pem(CORE.certificate_pem(), &CORE.key_pem()).unwrap();
    assert_eq!((back.trust_domain(), back.kind(), back.not_after), (&*MADRID, Kind::Core, CORE.not_after));
    let request = Request::new().unwrap();
    let issued = back.issue(request.csr_pem(), &named("registry"), &[], DAY, NOW).unwrap();
    parsed(&issued.certificate_pem, |chain| chain[0].verify_signature(Some(chain[1].public_key())).unwrap());

    let wrong = |certificate: &str, key: &str| Authority::from_pem(certificate, key).unwrap_err().to_string();
    let another = "the key is another's: it does not belong to the authority's certificate";
    assert_eq!(wrong(CORE.certificate_pem(), &NETWORK.key_pem()), another);
    assert_eq!(wrong(CORE.certificate_pem(), "x"), "is no ECDSA P-256 key in PKCS #8");
    let none = "is no certificate of one of evmesh's authorities: ";
    let two = [CORE.certificate_pem(), NETWORK.certificate_pem()].concat();
    let leaf = issue("central/main", &[]).unwrap().certificate_pem;
    let leaf = leaf.strip_suffix(CORE.certificate_pem()).unwrap();
    for (certificate, why) in [
        ("", "it is not one PEM block"),
        (two.as_str(), "it is not one PEM block"),
        (CORE.key_pem().as_str(), "it is not one PEM block"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "it cannot be read"),
        (leaf, "it may not sign others"),
    ] {
        assert_eq!(wrong(certificate, &CORE.key_pem()), format!("{none}{why}"));
    }
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let strange = params.self_signed(&key).unwrap().pem();
    assert_eq!(wrong(&strange, &key.serialize_pem()), format!("{none}its name does not say which one it is"));
    params.distinguished_name = common_name("evmesh core CA 1");
    let nameless = params.self_signed(&key).unwrap().pem();
    assert_eq!(wrong(&nameless, &key.serialize_pem()), format!("{none}it names no trust domain"));
}

#[test]
fn a_certificate_says_what_its_authority_says() {
    for path in [
        "central/main",
        "registry",
        "charge-point/MAD-01/engine",
        "charge-point/MAD-01/monitor",
        "gateway/site-7",
        "bridge/old",
        "viewer/ana",
        "operator/ana",
        "admin/ana",
        "driver/101",
    ] {
        let issued = issue(path, &[]).unwrap();
        parsed(&issued.certificate_pem, |chain| {
            let [certificate, authority] = chain else { panic!("{path}: {}", chain.len()) };
            certificate.verify_signature(Some(authority.public_key())).unwrap();
            assert_eq!(certificate.issuer(), authority.subject());
            assert_eq!(common_name_of(certificate), path);
            let uris = names(certificate).into_iter().filter(|name| name.contains("://")).collect::<Vec<_>>();
            assert_eq!(named_in(&issued.certificate_pem), Some(named(path)));
            assert_eq!(uris, [format!("spiffe://madrid.example/{path}")]);
            assert!(!certificate.is_ca());
            let usage = certificate.key_usage().unwrap().unwrap();
            assert!(usage.critical && usage.value.flags == 1, "digitalSignature alone: {:?}", usage.value);
            let extended = certificate.extended_key_usage().unwrap().unwrap().value;
            assert!(
                extended.server_auth && extended.client_auth && !extended.any && extended.other.is_empty()
            );
            let validity = certificate.validity();
            assert_eq!(validity.not_before.timestamp(), 1_800_000_000 - 300);
            assert_eq!(validity.not_after.timestamp(), 1_800_000_000 + 86_400);
            assert_eq!(issued.not_after, Wall((1_800_000_000 + 86_400) * 1000));
            assert_eq!(hex(certificate.raw_serial()), issued.serial);
            assert_eq!(issued.serial.len(), 32);
        });
    }
}

#[test]
fn no_two_certificates_have_one_serial() {
    let request = Request::new().unwrap();
    let serial = || {
        let issued = NETWORK.issue(request.csr_pem(), &named("admin/ana"), &[], DAY, NOW);
        issued.unwrap().serial
    };
    let serials: std::collections::HashSet<String> = (0..50).map(|_| serial()).collect();
    assert_eq!(serials.len(), 50);
}

#[test]
fn a_server_is_known_by_its_hosts_and_on_its_own_machine() {
    let found = |path: &str, hosts: &[&str]| leaf(&issue(path, hosts).unwrap(), names);
    let loopback = ["localhost", "127.0.0.1", "::1"];
    for path in
        ["central/main", "registry", "charge-point/MAD-01/engine", "charge-point/M/monitor", "gateway/a"]
    {
        assert_eq!(found(path, &[])[1..], loopback, "{path}");
        let more = ["central.example", "10.0.0.7", "localhost", "fd00::7", "a_b"];
        let all = [&loopback[..], &["central.example", "10.0.0.7", "fd00::7", "a_b"]].concat();
        assert_eq!(found(path, &more)[1..], all, "{path}");
    }
    for path in ["bridge/old", "viewer/ana", "operator/ana", "admin/ana", "driver/101"] {
        assert_eq!(found(path, &[]).len(), 1, "{path}");
        let said = issue(path, &["a"]).unwrap_err().to_string();
        assert_eq!(said, format!("{path} serves nobody, and has no host names"));
    }
}

#[test]
fn what_is_no_host_is_refused() {
    let long = ["a".repeat(63).as_str(); 4].join(".");
    for host in [
        "",
        "a b",
        "a..b",
        ".a",
        "a.",
        "*",
        "*.a",
        "-a",
        "a-",
        "ñ",
        "a/b",
        "10.0.0.256",
        "1",
        "a:1",
        "[::1]",
        &"a".repeat(64),
        &long,
        "spiffe://x",
    ] {
        let said = issue("registry", &[host]).unwrap_err();
        assert!(matches!(said, AuthorityError::Hosts(InvalidHosts::Host(_))), "{host}: {said}");
        assert!(check_hosts(&Role::Registry, &hosts(&[host])).is_err(), "{host}");
    }
    let many: Vec<String> = (0..=MAX_HOSTS).map(|n| format!("h{n}")).collect();
    assert!(check_hosts(&Role::Registry, &many[1..]).is_ok());
    let said = check_hosts(&Role::Registry, &many).unwrap_err().to_string();
    assert_eq!(said, "there are 17 host names; at most 16 are allowed");
}

#[test]
fn each_authority_vouches_for_its_own_alone() {
    let request = Request::new().unwrap();
    for (authority, path, says) in [
        (&*NETWORK, "central/main", "central/main is of the core authority, and this is the network one"),
        (&*NETWORK, "registry", "registry is of the core authority, and this is the network one"),
        (&*CORE, "admin/ana", "admin/ana is of the network authority, and this is the core one"),
        (
            &*CORE,
            "charge-point/M/engine",
            "charge-point/M/engine is of the network authority, and this is the core one",
        ),
    ] {
        let said = authority.issue(request.csr_pem(), &named(path), &[], DAY, NOW).unwrap_err().to_string();
        assert_eq!(said, says);
    }
    let elsewhere: Identity = "spiffe://lisbon/registry".parse().unwrap();
    let said = CORE.issue(request.csr_pem(), &elsewhere, &[], DAY, NOW).unwrap_err().to_string();
    assert_eq!(said, "the authority is that of madrid.example, and vouches for nobody of lisbon");
}

#[test]
fn nothing_outlives_its_authority() {
    let request = Request::new().unwrap();
    let end = CORE.not_after;
    let issue = |now| CORE.issue(request.csr_pem(), &named("registry"), &[], DAY, now);
    assert_eq!(issue(before(end, DAY / 2)).unwrap().not_after, end);
    assert!(issue(before(end, Duration::from_millis(1))).is_ok());
    assert!(matches!(issue(end), Err(AuthorityError::Expired)));
    assert!(matches!(Authority::create(&MADRID, Kind::Core, Wall::MAX), Err(AuthorityError::Date)));
}

/// A request that asks for all that it should not get.
fn greedy(key: &KeyPair) -> String {
    let mut params = CertificateParams::new(hosts(&["central.example", "10.0.0.1"])).unwrap();
    let uri = |uri: &str| SanType::URI(uri.to_owned().try_into().unwrap());
    params.subject_alt_names.push(uri("spiffe://madrid.example/central/main"));
    params.distinguished_name = common_name("central/main");
    params.distinguished_name.push(DnType::OrganizationName, "evmesh");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![Usage::KeyCertSign];
    params.extended_key_usages = vec![Extended::CodeSigning, Extended::Other(vec![1, 2, 3])];
    params.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0])];
    params.serialize_request(key).unwrap().pem().unwrap()
}

#[test]
fn of_a_request_only_its_key_counts() {
    let key = KeyPair::generate().unwrap();
    let issued = NETWORK.issue(&greedy(&key), &named("viewer/ana"), &[], DAY, NOW).unwrap();
    let plain = issue("viewer/ana", &[]).unwrap();
    let extensions = |certificate: &X509Certificate<'_>| {
        let known = certificate.extensions().iter().filter(|extension| {
            // The key's own number differs as the key does.
            !matches!(extension.parsed_extension(), ParsedExtension::SubjectKeyIdentifier(_))
        });
        known.map(|extension| (extension.oid.to_string(), extension.value.to_vec())).collect::<Vec<_>>()
    };
    assert_eq!(leaf(&issued, extensions), leaf(&plain, extensions));
    assert_eq!(leaf(&issued, common_name_of), "viewer/ana");
    let own = key.subject_public_key_info();
    leaf(&issued, |certificate| assert_eq!(certificate.public_key().raw, own));
}

fn request_pem(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n", base64(der))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = |three: &[u8]| {
        let number = three.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        let number = number << (8 * (3 - three.len()));
        let digit = |at: usize| char::from(DIGITS[(number >> (18 - 6 * at)) as usize & 63]);
        (0..4).map(|at| if at <= three.len() { digit(at) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(digits).collect()
}

#[test]
fn a_request_is_signed_by_its_own_key_and_that_is_of_p_256() {
    let good = Pem::iter_from_buffer(Request::new().unwrap().csr_pem().as_bytes()).next().unwrap().unwrap();
    let other = Pem::iter_from_buffer(Request::new().unwrap().csr_pem().as_bytes()).next().unwrap().unwrap();
    let refused = |csr: &str| {
        let refused = AskersKey::of_request(csr).unwrap_err();
        let issue = NETWORK.issue(csr, &named("viewer/ana"), &[], DAY, NOW).unwrap_err();
        assert_eq!(issue.to_string(), format!("the request {refused}"));
        refused
    };
    assert!(AskersKey::of_request(&request_pem(&good.contents)).is_ok());

    // Another's key with one's own signature: the point lies at the same place in both.
    let point = |der: &[u8]| der.windows(4).position(|bytes| bytes == [0x03, 0x42, 0, 4]).unwrap() + 3;
    let (at, from) = (point(&good.contents), point(&other.contents));
    let mut stolen = good.contents.clone();
    stolen[at..at + 65].copy_from_slice(&other.contents[from..from + 65]);
    assert_eq!(refused(&request_pem(&stolen)), InvalidRequest::Signature);
    let mut off_the_curve = good.contents.clone();
    off_the_curve[at + 40] ^= 1;
    assert_eq!(refused(&request_pem(&off_the_curve)), InvalidRequest::Signature);

    for algorithm in [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P384_SHA384] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        assert_eq!(refused(&greedy(&key)), InvalidRequest::Key);
    }
    let trailing = [&good.contents[..], b"x"].concat();
    let certificate = NETWORK.certificate_pem();
    for none in
        ["", "x", certificate, &request_pem(b""), &request_pem(&good.contents[1..]), &request_pem(&trailing)]
    {
        assert_eq!(refused(none), InvalidRequest::Form, "{none}");
    }
    assert_eq!(refused(&"x".repeat(MAX_REQUEST_BYTES + 1)), InvalidRequest::TooLarge);
}

/// What lies outside its signature may be read laxly: never as another key.
#[test]
fn an_altered_request_is_for_no_other_key_and_half_a_one_is_none() {
    let good = Request::new().unwrap();
    let own = AskersKey::of_request(good.csr_pem()).unwrap();
    let bytes = Pem::iter_from_buffer(good.csr_pem().as_bytes()).next().unwrap().unwrap().contents;
    for at in 0..bytes.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            let read = AskersKey::of_request(&request_pem(&changed));
            assert!(read.as_ref().is_err() || read.as_ref() == Ok(&own), "{at} {change}");
        }
        assert!(AskersKey::of_request(&request_pem(&bytes[..at])).is_err(), "{at}");
    }
}

#[test]
fn a_key_made_before_asks_again_for_itself() {
    let first = Request::new().unwrap();
    let again = Request::with_key(&first.key_pem()).unwrap();
    let key = |request: &Request| AskersKey::of_request(request.csr_pem()).unwrap();
    assert_eq!(key(&first), key(&again));
    assert_eq!(key(&first).bytes().len(), 65);
    assert_ne!(key(&first), key(&Request::new().unwrap()));
    assert!(matches!(Request::with_key("x"), Err(KeyError::Form)));
    let issued = NETWORK.issue(first.csr_pem(), &named("admin/ana"), &[], DAY, NOW).unwrap();
    assert!(is_for(&issued.certificate_pem, &again) && !is_for("", &again));
    assert!(!is_for(&issued.certificate_pem, &Request::new().unwrap()));
}

#[test]
fn no_key_is_ever_shown() {
    let request = Request::new().unwrap();
    let shown = format!("{request:?} {:?} {request:#?} {:#?}", *CORE, *NETWORK);
    for key in [request.key_pem(), CORE.key_pem(), NETWORK.key_pem()] {
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----\n"), "PKCS #8");
        assert!(key.lines().all(|line| !shown.contains(line)), "{shown}");
    }
    let error = Request::with_key(&request.key_pem().replace("MIG", "MIH")).unwrap_err();
    assert_eq!(format!("{error:?} {error}"), "Form is no ECDSA P-256 key in PKCS #8");
}
