//! Tokens by which people say who they are, for networks without an identity provider.

use super::{Data, DataError, named, read_private};
use domain::Wall;
use identity::{
    Identity, Kind, Role,
    folder::{self, CORE, KEY, NETWORK, TOKEN},
    token::Signer,
};
use serde::Serialize;
use std::{fmt, path::Path, time::Duration};

/// A token that was made. Who has the word is who it names.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub word: String,
    pub identity: Identity,
    pub not_after: Wall,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Token").field(&self.identity).finish()
    }
}

impl Data {
    /// A token for a driver, a viewer or an operator: see [`Signer::sign`].
    ///
    /// # Errors
    ///
    /// If there is no registry, or it gives that one none.
    pub fn token(&self, role: Role, lifetime: Duration, now: Wall) -> Result<Token, DataError> {
        let trust_domain = self.authority(Kind::Network)?.trust_domain().clone();
        let word = self.signer()?.sign(&trust_domain, &role, lifetime, now)?;
        Ok(Token { word, identity: Identity { trust_domain, role }, not_after: now + lifetime })
    }

    /// Gives out a token as a folder, with what its owner believes: for `--identity`, as [`Data::issue`] does.
    ///
    /// # Errors
    ///
    /// If the folder is somebody's by a certificate, or cannot be written.
    pub fn put_token(&self, token: &Token, to: &Path) -> Result<(), DataError> {
        if let Some(found) = named(to)? {
            return Err(DataError::Anothers { folder: to.to_owned(), found });
        }
        let [core, network] = [self.certificate(Kind::Core)?, self.network_authorities()?];
        folder::private_folder(to)?;
        for (name, text) in [(CORE, core), (NETWORK, network), (TOKEN, format!("{}\n", token.word))] {
            folder::write_file(to, name, &text)?;
        }
        Ok(())
    }

    /// The public half of the key that signs tokens, as a JWKS: for `--token-keys`.
    ///
    /// # Errors
    ///
    /// If there is no registry, or no key can be had.
    pub fn token_keys(&self) -> Result<impl Serialize, DataError> {
        self.certificate(Kind::Network)?;
        Ok(self.signer()?.keys()?)
    }

    /// The key that signs tokens. A registry of before there were any gets one with its first.
    pub(super) fn signer(&self) -> Result<Signer, DataError> {
        let folder = self.folder.join("tokens");
        let path = folder.join(KEY);
        if let Some(pem) = read_private(&path)? {
            return Signer::from_pem(&pem).map_err(|error| DataError::Key { path, error });
        }
        let signer = Signer::new().map_err(|error| DataError::Key { path, error })?;
        folder::private_folder(&folder)?;
        folder::write_file(&folder, KEY, &signer.key_pem())?;
        Ok(signer)
    }
}
