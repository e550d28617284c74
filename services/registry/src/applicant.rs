//! Whoever wants an identity: its folder, its key, and what it believes of an answer.

use crate::{
    DataError,
    data::{named, own_key},
};
use evmesh_proto::registry::Credentials;
use identity::{
    AuthorityError, EnrolmentToken, Identity, Kind, Request, are_authorities, fingerprint,
    folder::{self, CERTIFICATE, Folder, KEY, NETWORK, REGISTRY},
    is_for, named_in,
};
use std::path::{Path, PathBuf};

/// Somebody with a key in a folder, who wants a certificate for it.
#[derive(Debug)]
pub struct Applicant {
    folder: PathBuf,
    request: Request,
}

impl Applicant {
    /// Who is not enrolled yet. The key is on disk when this returns, before anybody hears of it: one whose answer was
    /// lost asks again with the same.
    ///
    /// # Errors
    ///
    /// If the folder is somebody's identity, or cannot be written.
    pub fn new(folder: &Path) -> Result<Self, DataError> {
        folder::private_folder(folder)?;
        if let Some(found) = named(folder)? {
            return Err(DataError::Enrolled { folder: folder.to_owned(), found });
        }
        let request = match own_key(folder)? {
            Some(request) => request,
            None => {
                let request = Request::new().map_err(AuthorityError::from)?;
                folder::write_file(folder, KEY, &request.key_pem())?;
                request
            }
        };
        Ok(Self { folder: folder.to_owned(), request })
    }

    /// Who is enrolled, and wants to be for longer.
    ///
    /// # Errors
    ///
    /// If the folder is nobody's identity.
    pub fn again(folder: &Path) -> Result<Self, DataError> {
        match (named(folder)?, own_key(folder)?) {
            (Some(_), Some(request)) => Ok(Self { folder: folder.to_owned(), request }),
            _ => Err(DataError::NoIdentity(folder.to_owned())),
        }
    }

    /// What is asked: PKCS #10, PEM.
    pub fn csr_pem(&self) -> &str {
        self.request.csr_pem()
    }

    /// Keeps what was answered for a token, if it is for this key and by the network of the token.
    ///
    /// # Errors
    ///
    /// If it is not, or the folder cannot be written.
    pub fn keep(&self, token: &EnrolmentToken, given: Credentials) -> Result<Identity, DataError> {
        let identity = self.named(&given)?;
        if fingerprint(&given.core_authorities) != Some(token.core) {
            return Err(DataError::Stranger("its core authority is not that of the token"));
        }
        if identity.trust_domain != token.trust_domain {
            return Err(DataError::Stranger("its network is not that of the token"));
        }
        folder::write_file(&self.folder, REGISTRY, &token.registry)?;
        let Credentials { certificate, core_authorities: core, network_authorities: network } = given;
        folder::write(&self.folder, &Folder { core, network, certificate, key: self.request.key_pem() })?;
        Ok(identity)
    }

    /// Keeps a newer certificate, if it is for this key and in this name; and which authorities vouch for the network
    /// by now. For the core, whose authority is not the registry's, they stay those that they were.
    ///
    /// # Errors
    ///
    /// If it is not, or the folder cannot be written.
    pub fn keep_newer(&self, given: &Credentials) -> Result<Identity, DataError> {
        let identity = self.named(given)?;
        if named(&self.folder)?.is_none_or(|before| before != identity) {
            return Err(DataError::Stranger("its certificate is in another name"));
        }
        if !are_authorities(&given.network_authorities, Kind::Network) {
            return Err(DataError::Stranger("it names no authorities of a network"));
        }
        folder::write_file(&self.folder, NETWORK, &given.network_authorities)?;
        folder::write_file(&self.folder, CERTIFICATE, &given.certificate)?;
        Ok(identity)
    }

    fn named(&self, given: &Credentials) -> Result<Identity, DataError> {
        if !is_for(&given.certificate, &self.request) {
            return Err(DataError::Stranger("its certificate is not for this key"));
        }
        named_in(&given.certificate).ok_or(DataError::Stranger("its certificate names nobody"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Wall;
    use identity::{Authority, Kind, Secret, TrustDomain};
    use std::{fs, time::Duration};

    const NOW: Wall = Wall(1_800_000_000_000);

    struct World {
        top: tempfile::TempDir,
        core: Authority,
        network: Authority,
    }

    fn world() -> World {
        let madrid: TrustDomain = "madrid".parse().unwrap();
        let authority = |kind| Authority::create(&madrid, kind, NOW).unwrap();
        let top = tempfile::tempdir().unwrap();
        World { top, core: authority(Kind::Core), network: authority(Kind::Network) }
    }

    impl World {
        fn folder(&self) -> PathBuf {
            self.top.path().join("a")
        }

        fn token(&self, core: &Authority) -> EnrolmentToken {
            let (trust_domain, core) =
                (core.trust_domain().clone(), fingerprint(core.certificate_pem()).unwrap());
            EnrolmentToken { trust_domain, registry: "127.0.0.1:1".into(), core, secret: Secret([7; 32]) }
        }

        fn given(&self, csr_pem: &str, role: &str) -> Credentials {
            let identity = format!("spiffe://madrid/{role}").parse().unwrap();
            let issued = self.network.issue(csr_pem, &identity, &[], Duration::from_secs(60), NOW).unwrap();
            Credentials {
                certificate: issued.certificate_pem,
                core_authorities: self.core.certificate_pem().to_owned(),
                network_authorities: self.network.certificate_pem().to_owned(),
            }
        }
    }

    #[test]
    fn an_answer_is_kept_only_from_the_registry_of_the_token_and_for_the_own_key() {
        let (world, other) = (world(), world());
        let applicant = Applicant::new(&world.folder()).unwrap();
        let given = world.given(applicant.csr_pem(), "viewer/ana");
        let token = world.token(&world.core);
        let refused = |token: &EnrolmentToken, given: Credentials| {
            let said = applicant.keep(token, given).unwrap_err().to_string();
            assert!(!world.folder().join(CERTIFICATE).exists());
            said.trim_start_matches("what answered is not the registry that was meant: ").to_owned()
        };
        let of_another_key = world.given(Request::new().unwrap().csr_pem(), "viewer/ana");
        assert_eq!(refused(&token, of_another_key), "its certificate is not for this key");
        let of_another_core = world.token(&other.core);
        assert_eq!(refused(&of_another_core, given.clone()), "its core authority is not that of the token");
        let elsewhere = EnrolmentToken { trust_domain: "lisbon".parse().unwrap(), ..token.clone() };
        assert_eq!(refused(&elsewhere, given.clone()), "its network is not that of the token");
        assert_eq!(refused(&token, Credentials::default()), "its certificate is not for this key");
        assert_eq!(applicant.keep(&token, given).unwrap().to_string(), "spiffe://madrid/viewer/ana");
    }

    #[test]
    fn a_key_is_on_disk_before_it_is_used_and_asks_again_after_a_crash() {
        let world = world();
        let first = Applicant::new(&world.folder()).unwrap();
        let key = fs::read_to_string(world.folder().join(KEY)).unwrap();
        assert_eq!(first.request.key_pem(), key);
        let second = Applicant::new(&world.folder()).unwrap();
        assert_eq!(second.request.key_pem(), key);
        assert!(matches!(Applicant::again(&world.folder()), Err(DataError::NoIdentity(_))));
        second.keep(&world.token(&world.core), world.given(first.csr_pem(), "viewer/ana")).unwrap();
        assert!(matches!(Applicant::new(&world.folder()), Err(DataError::Enrolled { .. })));
    }

    #[test]
    fn a_renewal_is_of_the_same_name() {
        let world = world();
        let applicant = Applicant::new(&world.folder()).unwrap();
        applicant.keep(&world.token(&world.core), world.given(applicant.csr_pem(), "viewer/ana")).unwrap();
        let again = Applicant::again(&world.folder()).unwrap();
        let other = world.given(again.csr_pem(), "viewer/bob");
        assert!(matches!(again.keep_newer(&other), Err(DataError::Stranger(_))));
        let newer = world.given(again.csr_pem(), "viewer/ana");
        for wrong in
            [String::new(), newer.core_authorities.clone(), newer.network_authorities.clone() + "x\n"]
        {
            let given = Credentials { network_authorities: wrong, ..newer.clone() };
            let kept = again.keep_newer(&given);
            // What follows the last certificate of a file is no part of it.
            assert_eq!(kept.is_ok(), given.network_authorities.ends_with("x\n"), "{kept:?}");
        }
        let both = newer.network_authorities.clone() + &newer.network_authorities;
        let newer =
            Credentials { network_authorities: both.clone(), core_authorities: String::new(), ..newer };
        again.keep_newer(&newer).unwrap();
        let file = |name: &str| fs::read_to_string(world.folder().join(name)).unwrap();
        assert_eq!(file(CERTIFICATE), newer.certificate);
        assert_eq!(file(NETWORK), both);
        assert_eq!(file(folder::CORE), world.core.certificate_pem());
        assert_eq!(file(REGISTRY), "127.0.0.1:1");
    }
}
