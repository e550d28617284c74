//! Whatever has a secret in it is shown without it.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use domain::Wall;
use identity::{
    Authority, EnrolmentToken, Kind, Request, SealingSecret, Secret, Shows, folder::Folder, token::Signer,
};
use std::{fmt::Debug, time::Duration};

fn shown(what: &impl Debug) -> String {
    format!("{what:?} {what:#?}")
}

/// Bytes in the forms in which they would be shown.
fn shows(text: &str, bytes: &[u8]) -> bool {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
    let text: String = text.split_whitespace().collect();
    text.contains(&hex) || text.contains(&numbers.join(","))
}

#[test]
fn no_debug_output_has_a_secret() {
    assert!(shows(&shown(&[171_u8; 32]), &[171; 32]), "it would be seen");
    let of_all = SealingSecret::new([171; 32]);
    let key = of_all.key(&"MAD-01".parse().unwrap(), 4).unwrap();
    assert!(!shows(&shown(&of_all), &[171; 32]) && !shows(&shown(&key), key.bytes()));

    let (trust_domain, registry) = ("madrid.example".parse().unwrap(), "127.0.0.1:1".to_owned());
    let token = EnrolmentToken { trust_domain, registry, core: [1; 32], secret: Secret([171; 32]) };
    assert!(!shows(&shown(&token), &[171; 32]) && !shown(&token).contains(&token.word()));

    let signer = Signer::new().unwrap();
    let role = "driver/101".parse().unwrap();
    let word = signer.sign(&token.trust_domain, &role, Duration::from_secs(60), Wall(1_000)).unwrap();
    assert!(!shown(&Shows::Token(word.as_str().into())).contains(&word));

    let request = Request::new().unwrap();
    let authority = Authority::create(&token.trust_domain, Kind::Core, Wall(1_000)).unwrap();
    let folder = Folder {
        core: authority.certificate_pem().to_owned(),
        network: authority.certificate_pem().to_owned(),
        certificate: authority.certificate_pem().to_owned(),
        key: request.key_pem(),
    };
    let all = [shown(&signer), shown(&request), shown(&authority), shown(&folder)].concat();
    for pem in [request.key_pem(), authority.key_pem(), signer.key_pem()] {
        assert!(pem.lines().skip(1).take(2).all(|line| !all.contains(line)), "{all}");
    }
}
