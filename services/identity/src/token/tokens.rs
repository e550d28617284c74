//! The keys of who gives tokens, in a file that is read again when it changes.

use super::{InvalidKeys, InvalidToken, Keys, MAX_KEYS_BYTES, Named, Rules};
use crate::{
    TrustDomain,
    stamp::{Stamp, Unusable, second, stamp},
};
use domain::Wall;
use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Keys for tokens cannot be had from a file.
#[derive(Debug, thiserror::Error)]
#[error("the keys for tokens in {} cannot be used: {problem}", file.display())]
pub struct UnusableKeys {
    file: PathBuf,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Keys(#[from] InvalidKeys),
}

/// Which tokens count. Clones share the keys.
#[derive(Debug, Clone)]
pub struct Tokens(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: PathBuf,
    rules: Rules,
    newest: Mutex<Newest>,
}

#[derive(Debug)]
struct Newest {
    /// Of the file that was read.
    stamp: Option<Stamp>,
    keys: Arc<Keys>,
    /// Of the one that could not be used, which was said.
    unusable: Unusable<Option<Stamp>>,
}

impl Tokens {
    /// Those that a key in this JWKS has signed.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or used.
    pub fn open(file: &Path, rules: Rules) -> Result<Self, UnusableKeys> {
        let stamp = stamp(file);
        let keys = read(file).map_err(|problem| UnusableKeys { file: file.to_owned(), problem })?;
        let newest = Mutex::new(Newest { stamp, keys: Arc::new(keys), unusable: Unusable::default() });
        Ok(Self(Arc::new(Shared { file: file.to_owned(), rules, newest })))
    }

    pub fn trust_domain(&self) -> &TrustDomain {
        &self.0.rules.trust_domain
    }

    /// As the file is now. Where it cannot be used, as it was.
    pub fn keys(&self) -> Arc<Keys> {
        self.keys_in(second())
    }

    /// The same, in this second.
    pub(super) fn keys_in(&self, second: u64) -> Arc<Keys> {
        let now = stamp(&self.0.file);
        let mut newest = self.0.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.stamp != now && newest.unusable.is_due(&now, second) {
            let file = self.0.file.display();
            match read(&self.0.file) {
                Ok(keys) => {
                    tracing::info!(%file, "the keys for tokens have changed; they count from now on");
                    *newest = Newest { stamp: now, keys: Arc::new(keys), unusable: Unusable::default() };
                }
                Err(problem) if newest.unusable.is_news(now, second) => {
                    tracing::warn!(%file, %problem, "the keys for tokens have changed, and cannot be used");
                }
                Err(_) => {}
            }
        }
        newest.keys.clone()
    }

    /// Whom a token names by these keys, [`Rules::verify`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn verify(&self, token: &str, keys: &Keys, now: Wall) -> Result<Named, InvalidToken> {
        self.0.rules.verify(token, keys, now)
    }
}

fn read(file: &Path) -> Result<Keys, Problem> {
    let mut text = String::new();
    let most = u64::try_from(MAX_KEYS_BYTES).unwrap_or(u64::MAX);
    File::open(file)?.take(most.saturating_add(1)).read_to_string(&mut text)?;
    Ok(Keys::read(&text)?)
}
