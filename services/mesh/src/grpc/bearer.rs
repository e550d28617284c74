//! The tokens with which calls come, on one connection whose caller shows no certificate.

use super::{
    actor::{Actor, Known, bearer_not_taken, bearer_refused},
    error_details::Failure,
    refused::Refused,
};
use domain::Wall;
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use identity::{
    sha256,
    token::{InvalidToken, Keys, Tokens},
};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

const SCHEME: &str = "Bearer ";

/// The header with which calls come in whose token this is; it is kept out of logs, and of tables that a connection has
/// for headers. `None` for what is no word.
pub(super) fn header(token: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::try_from(format!("{SCHEME}{token}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// What one connection's calls may say of who acts.
#[derive(Debug, Default)]
pub(super) struct Bearers {
    /// The tokens that count here, if any do; once, before its first call.
    tokens: OnceLock<Tokens>,
    newest: Mutex<Option<Checked>>,
}

/// The token that was checked last, and by which keys: who calls again with it is not checked again while these count.
#[derive(Debug)]
struct Checked {
    token: [u8; 32],
    keys: Arc<Keys>,
    known: Known,
}

impl Bearers {
    /// These count.
    pub(super) fn take(&self, tokens: Tokens) {
        let _ = self.tokens.set(tokens);
    }

    /// Who acts in a call with this head: a stranger where it has no token.
    pub(super) fn actor(&self, headers: &HeaderMap, now: Wall) -> Result<Actor, Failure> {
        let mut words = headers.get_all(AUTHORIZATION).iter();
        let Some(word) = words.next() else { return Ok(Actor::Stranger) };
        let Some(token) = word.to_str().ok().and_then(bearer) else { return Ok(Actor::Stranger) };
        if words.next().is_some() {
            return Err(bearer_refused(InvalidToken::Form));
        }
        let Some(tokens) = self.tokens.get() else { return Err(bearer_not_taken()) };
        let (hash, keys) = (sha256(token.as_bytes()), tokens.keys());
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(checked) = &*newest
            && checked.token == hash
            && Arc::ptr_eq(&checked.keys, &keys)
        {
            return Ok(Actor::Known(checked.known.clone()));
        }
        let named = tokens.verify(token, &keys, now).map_err(bearer_refused)?;
        let identity = Arc::new(named.identity(tokens.trust_domain()));
        let known = Known { identity, expires: named.not_after, serial: None, refused: Refused::default() };
        *newest = Some(Checked { token: hash, keys, known: known.clone() });
        Ok(Actor::Known(known))
    }
}

/// Of another scheme nothing is said here: it may be for a proxy on the way.
fn bearer(word: &str) -> Option<&str> {
    let (scheme, token) = word.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| token.trim())
}
