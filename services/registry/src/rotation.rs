//! The network's authority is followed by another one, while everybody goes on.
//!
//! Three steps, with time between them. Prepared, the next one stands beside it, and whoever renews hears that it is to
//! be believed too. Switched, the next one signs, and the one before it is still believed. Forgotten, that one is
//! believed no more: by then everybody has renewed. Each step may be cut off, and done again.

use crate::{Data, DataError};
use domain::Wall;
use identity::{
    Authority, Kind,
    folder::{self, CERTIFICATE, KEY, NETWORK},
};
use mesh::convert::timestamp;
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

/// The authority that is to come, in the folder of the one that signs.
const NEXT: &str = "next";
/// The certificate of the one that has gone.
const FORMER: &str = "former.pem";

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Until a prepared authority signs, roles have renewed twice, and believe it.
const SWITCHED_AFTER: Duration = DAY.saturating_mul(2);
/// A certificate of the one before lasts for 30 days, and can be renewed for 90 more.
const FORGOTTEN_AFTER: Duration = DAY.saturating_mul(120);

/// Why an authority is not followed by another one.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    #[error("the network's next authority is prepared already: {}", .0.display())]
    Prepared(PathBuf),
    #[error("no next authority is prepared: begin with 'evmesh registry rotate prepare'")]
    NotPrepared,
    #[error(
        "the authority before is still believed: 'evmesh registry rotate forget' ends that, once all have renewed"
    )]
    FormerBelieved,
    #[error("no authority before this one is believed any more")]
    NoFormer,
    #[error(
        "it is too early: whoever has not renewed since the step before would be locked out; do it after {}, or with \
         --now", timestamp(*.0)
    )]
    TooEarly(Wall),
    #[error(transparent)]
    Data(#[from] DataError),
}

impl Data {
    /// The next authority stands beside the one that signs.
    ///
    /// # Errors
    ///
    /// If it does already, or the one before the present one is still believed.
    pub fn prepare_rotation(&self, now: Wall) -> Result<(), RotationError> {
        let (network, next) = (self.authority_folder(Kind::Network), self.next());
        let present = self.authority(Kind::Network)?;
        if network.join(FORMER).exists() {
            return Err(RotationError::FormerBelieved);
        }
        if next.join(CERTIFICATE).exists() {
            return Err(RotationError::Prepared(next));
        }
        let authority =
            Authority::create(present.trust_domain(), Kind::Network, now).map_err(DataError::from)?;
        folder::private_folder(&next).map_err(DataError::from)?;
        for (name, text) in
            [(KEY, authority.key_pem()), (CERTIFICATE, authority.certificate_pem().to_owned())]
        {
            folder::write_file(&next, name, &text).map_err(DataError::from)?;
        }
        Ok(self.tell_own()?)
    }

    /// From the registry's next start on the next authority signs. The key of the one before is gone. `at`: when it is
    /// now; `None`: at once, however late it was prepared.
    ///
    /// # Errors
    ///
    /// If none is prepared, or that is not two days ago.
    pub fn switch_rotation(&self, at: Option<Wall>) -> Result<(), RotationError> {
        let (network, next) = (self.authority_folder(Kind::Network), self.next());
        if !next.join(CERTIFICATE).exists() {
            return Err(RotationError::NotPrepared);
        }
        is_time(&next.join(CERTIFICATE), SWITCHED_AFTER, at)?;
        if !network.join(FORMER).exists() {
            let former = self.certificate(Kind::Network)?;
            folder::write_file(&network, FORMER, &former).map_err(DataError::from)?;
        }
        // Cut off in between, key and certificate are of two: the registry does not start until this is done again.
        for name in [KEY, CERTIFICATE] {
            let (from, to) = (next.join(name), network.join(name));
            match fs::rename(&from, &to) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && name == KEY => {}
                moved => moved.map_err(|error| DataError::Unreadable { path: from, error })?,
            }
        }
        let emptied = fs::remove_dir(&next).and_then(|()| fs::File::open(&network)?.sync_all());
        emptied.map_err(|error| DataError::Unreadable { path: next, error })?;
        Ok(self.tell_own()?)
    }

    /// The authority before this one is believed no more, by whoever renews from now on. `at` as above.
    ///
    /// # Errors
    ///
    /// If there is none, or it signed until less than 120 days ago.
    pub fn forget_former(&self, at: Option<Wall>) -> Result<(), RotationError> {
        let path = self.authority_folder(Kind::Network).join(FORMER);
        if path.exists() {
            is_time(&path, FORGOTTEN_AFTER, at)?;
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(RotationError::NoFormer),
            removed => removed.map_err(|error| DataError::Unreadable { path, error })?,
        }
        Ok(self.tell_own()?)
    }

    /// The certificates of every authority that vouches for the network: the one that signs comes first.
    pub(crate) fn network_authorities(&self) -> Result<String, DataError> {
        let others = [self.next().join(CERTIFICATE), self.authority_folder(Kind::Network).join(FORMER)];
        let mut all = vec![self.certificate(Kind::Network)?];
        for path in others {
            match fs::read_to_string(&path) {
                Ok(certificate) if !all.contains(&certificate) => all.push(certificate),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(DataError::Unreadable { path, error }),
            }
        }
        Ok(all.concat())
    }

    fn next(&self) -> PathBuf {
        self.authority_folder(Kind::Network).join(NEXT)
    }

    /// The identities that are still in the registry's own folder are not renewed by it: they hear of it here.
    fn tell_own(&self) -> Result<(), DataError> {
        let all = self.network_authorities()?;
        for identity in self.own_identities()? {
            folder::write_file(&identity, NETWORK, &all)?;
        }
        Ok(())
    }
}

/// Was this file written so long ago?
fn is_time(file: &Path, wait: Duration, at: Option<Wall>) -> Result<(), RotationError> {
    let Some(now) = at else { return Ok(()) };
    let written = fs::metadata(file).and_then(|found| found.modified());
    let written = written.map_err(|error| DataError::Unreadable { path: file.to_owned(), error })?;
    let written = written.duration_since(UNIX_EPOCH).unwrap_or_default() + wait;
    let from = Wall(i64::try_from(written.as_millis()).unwrap_or(i64::MAX));
    if now < from { Err(RotationError::TooEarly(from)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::begun;
    use identity::{Role, are_authorities};

    const NOW: Wall = Wall(1_800_000_000_000);

    fn believed(data: &Data) -> usize {
        let all = data.network_authorities().unwrap();
        assert!(are_authorities(&all, Kind::Network));
        for name in ["registry", "central", "admin"] {
            let file = data.own_identities().unwrap().into_iter().find(|path| path.ends_with(name)).unwrap();
            assert_eq!(fs::read_to_string(file.join(NETWORK)).unwrap(), all, "{name}");
        }
        all.matches("BEGIN CERTIFICATE").count()
    }

    fn signs(data: &Data, to: &Path) -> String {
        let role: Role = "viewer/ana".parse().unwrap();
        data.issue(role, to, &[], Duration::from_secs(60), NOW).unwrap();
        let certificate = fs::read_to_string(to.join(CERTIFICATE)).unwrap();
        let authority = certificate.split_inclusive("-----END CERTIFICATE-----\n").nth(1).unwrap().to_owned();
        assert!(fs::read_to_string(to.join(NETWORK)).unwrap().contains(&authority));
        authority
    }

    #[test]
    fn an_authority_is_followed_by_another_one_in_three_steps() {
        let (top, data) = begun::folder(NOW);
        let to = top.path().join("ana");
        let first = signs(&data, &to);
        assert!(matches!(data.switch_rotation(None), Err(RotationError::NotPrepared)));
        assert!(matches!(data.forget_former(None), Err(RotationError::NoFormer)));
        data.prepare_rotation(NOW).unwrap();
        assert_eq!((believed(&data), signs(&data, &to)), (2, first.clone()));
        assert!(matches!(data.prepare_rotation(NOW), Err(RotationError::Prepared(_))));
        let made = mesh::now().wall;
        let early = data.switch_rotation(Some(made + DAY)).unwrap_err().to_string();
        assert!(early.starts_with("it is too early: ") && early.ends_with("Z, or with --now"), "{early}");
        assert_eq!((believed(&data), signs(&data, &to)), (2, first.clone()));
        data.switch_rotation(Some(made + 3 * DAY)).unwrap();
        assert_eq!(believed(&data), 2);
        let second = signs(&data, &to);
        assert_ne!(second, first);
        assert!(matches!(data.prepare_rotation(NOW), Err(RotationError::FormerBelieved)));
        assert!(matches!(data.forget_former(Some(made + 119 * DAY)), Err(RotationError::TooEarly(_))));
        data.forget_former(Some(made + 121 * DAY)).unwrap();
        assert_eq!((believed(&data), signs(&data, &to)), (1, second));
    }

    #[test]
    fn a_switch_that_was_cut_off_is_done_again() {
        for moved in [&[][..], &[KEY], &[KEY, CERTIFICATE]] {
            let (_top, data) = begun::folder(NOW);
            data.prepare_rotation(NOW).unwrap();
            let network = data.authority_folder(Kind::Network);
            fs::copy(network.join(CERTIFICATE), network.join(FORMER)).unwrap();
            for name in moved {
                fs::rename(network.join(NEXT).join(name), network.join(name)).unwrap();
            }
            match data.switch_rotation(None) {
                Err(RotationError::NotPrepared) => assert_eq!(moved.len(), 2, "nothing is left to do"),
                switched => switched.unwrap(),
            }
            data.authority(Kind::Network).unwrap();
            assert_eq!(data.network_authorities().unwrap().matches("BEGIN CERTIFICATE").count(), 2);
        }
    }
}
