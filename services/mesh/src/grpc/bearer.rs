//! The tokens with which calls come, on one connection whose caller shows no certificate.

use super::{
    actor::{Actor, Known, refused},
    error_details::Failure,
};
use domain::Wall;
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use identity::{
    sha256,
    token::{InvalidToken, Keys, Tokens},
};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tonic::Code;

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
            return Err(invalid(InvalidToken::Form));
        }
        let Some(tokens) = self.tokens.get() else { return Err(not_taken()) };
        let (hash, keys) = (sha256(token.as_bytes()), tokens.keys());
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(checked) = &*newest
            && checked.token == hash
            && Arc::ptr_eq(&checked.keys, &keys)
        {
            return Ok(Actor::Known(checked.known.clone()));
        }
        let named = tokens.verify(token, &keys, now).map_err(invalid)?;
        let identity = Arc::new(named.identity(tokens.trust_domain()));
        let known = Known { identity, expires: named.not_after, serial: None };
        *newest = Some(Checked { token: hash, keys, known: known.clone() });
        Ok(Actor::Known(known))
    }
}

/// Of another scheme nothing is said here: it may be for a proxy on the way.
fn bearer(word: &str) -> Option<&str> {
    let (scheme, token) = word.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| token.trim())
}

fn not_taken() -> Failure {
    let message = "this server takes no tokens; call it with a certificate";
    refused("bearer", Failure::new(Code::Unauthenticated, "BEARER_NOT_TAKEN", message))
}

fn invalid(why: InvalidToken) -> Failure {
    let (reason, advice) = match why {
        InvalidToken::Form | InvalidToken::Signature => {
            ("BEARER_INVALID", "get another one from who gives them, and pass it on whole")
        }
        InvalidToken::Nobody => ("BEARER_INVALID", "ask who gives the tokens"),
        InvalidToken::Foreign => ("BEARER_FOREIGN", "use the one that was given for this network"),
        InvalidToken::Expired => ("BEARER_EXPIRED", "get another one, and log in again"),
        InvalidToken::Early => ("BEARER_EARLY", "wait, or see to the clocks"),
    };
    let message = format!("the token that this call came with {why}; {advice}");
    refused("bearer", Failure::new(Code::Unauthenticated, reason, message))
}

/// It was valid, and is no more.
pub(super) fn expired() -> Failure {
    invalid(InvalidToken::Expired)
}
