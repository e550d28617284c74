//! Who is enrolled in a network: tokens that were made for somebody, and the certificates that were given for them.
//!
//! Whoever has a token proves to have a key, and gets a certificate for the role of the token. From then on the key
//! alone renews it. Answers get lost: what is asked again with the same key is answered the same. Here nothing is
//! signed and no secret is known: of a token and of a key there is a hash.

use crate::Wall;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

/// How long a token may be used.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How long after its end a certificate may still be renewed: a charge point that was stored away comes back.
pub const RENEWABLE_FOR: Duration = Duration::from_secs(90 * 24 * 3600);
/// Who renews more often than this, or than twice in a certificate's time, is given the newest one again.
pub const RENEWED_AT_MOST_EVERY: Duration = Duration::from_secs(12 * 3600);
/// So many certificates of one identity are valid at once at most: two a day for a month, and room.
pub const MAX_CERTIFICATES: usize = 100;

/// The path of a SPIFFE name: `charge-point/MAD-01/engine`.
pub type RolePath = Arc<str>;

/// SHA-256 of a token's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash(pub [u8; 32]);

/// SHA-256 of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(pub [u8; 32]);

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tokens that wait to be used. One that was used is kept beside its identity until it has run out.
    pub tokens: usize,
    pub identities: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // Two for each of the 100,000 charge points of a large network, and its people.
        Self { tokens: 1_000, identities: 250_000 }
    }
}

/// A token for one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub role: RolePath,
    /// Where it is found, for its certificate.
    pub hosts: Vec<String>,
    pub expires: Wall,
    /// Who came with it.
    pub used_by: Option<KeyHash>,
}

/// A certificate that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub serial: String,
    pub not_after: Wall,
    pub revoked: Option<Wall>,
}

/// Somebody who is enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    pub key: KeyHash,
    pub hosts: Vec<String>,
    pub newest: Certificate,
    /// When the newest was given.
    pub issued: Wall,
    /// Those before it that are still valid, or were when they were last looked at, of keys before this one too.
    pub earlier: Vec<Certificate>,
    /// The newest was revoked to be cut off at once: a charge point does not end what it does first.
    pub revoked_now: bool,
}

impl Enrolled {
    pub fn is_revoked(&self) -> bool {
        self.newest.revoked.is_some()
    }

    /// Every certificate of it that is kept, the newest last.
    pub fn all(&self) -> impl Iterator<Item = &Certificate> {
        self.earlier.iter().chain([&self.newest])
    }

    pub fn certificate(&self, serial: &str) -> Option<&Certificate> {
        self.all().find(|certificate| certificate.serial == serial)
    }

    /// Every certificate of it that is valid now but for being revoked, the newest last.
    pub fn valid(&self, now: Wall) -> impl Iterator<Item = &Certificate> {
        self.all().filter(move |certificate| certificate.not_after > now)
    }

    fn good(&self, now: Wall) -> impl Iterator<Item = &Certificate> {
        self.valid(now).filter(|certificate| certificate.revoked.is_none())
    }

    /// Is there a certificate of it that has to be refused because it was revoked?
    pub fn is_refused(&self, now: Wall) -> bool {
        self.valid(now).any(|certificate| certificate.revoked.is_some())
    }

    /// Is it to be told to who refuses others? Until it has been enrolled again it is out, whatever has run out.
    pub fn is_told(&self, now: Wall) -> bool {
        self.is_revoked() || self.is_refused(now)
    }

    /// The newest is too young to be followed by another one.
    fn is_fresh(&self, now: Wall) -> bool {
        let lifetime = u64::try_from(self.newest.not_after.0 - self.issued.0).unwrap_or_default();
        let young = RENEWED_AT_MOST_EVERY.min(Duration::from_millis(lifetime) / 2);
        now < self.issued + young && now < self.newest.not_after
    }

    fn is_over(&self, now: Wall) -> bool {
        self.newest.not_after + RENEWABLE_FOR <= now && self.valid(now).next().is_none()
    }
}

/// What is to be given to whoever asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// A certificate for this role at these hosts; then [`Enrolments::gave`].
    New(RolePath, Vec<String>),
    /// The newest certificate of this role, once more.
    Again(RolePath),
}

/// Why nothing is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error(
        "this token is not known: it was mistyped, ran out some time ago, or was withdrawn; ask for another one"
    )]
    TokenUnknown,
    #[error("this token has run out; ask for another one")]
    TokenExpired,
    #[error(
        "this token was used with another key, or its identity was enrolled anew since; ask for another one"
    )]
    TokenUsed,
    #[error("this key is another identity's; make another one")]
    KeyTaken,
    #[error("nobody is enrolled so; 'evmesh registry list' shows who is")]
    IdentityUnknown,
    #[error(
        "nobody is enrolled with this key, or another key has its place: enrol into an empty folder, with a new token"
    )]
    KeyUnknown,
    #[error("this identity was revoked; it has to be enrolled again, with another key")]
    IdentityRevoked,
    #[error("this identity ran out more than 90 days ago; it has to be enrolled again")]
    IdentityExpired,
    #[error("too many tokens wait to be used; wait until some have run out")]
    TooManyTokens,
    #[error("the registry has as many identities as it may have")]
    TooManyIdentities,
    #[error("this identity has too many valid certificates; wait until some have run out")]
    TooManyCertificates,
}

/// What is to be written; nothing removes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Token(TokenHash, Option<Token>),
    Identity(RolePath, Option<Enrolled>),
}

/// All tokens and identities of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Enrolments {
    tokens: BTreeMap<TokenHash, Token>,
    identities: BTreeMap<RolePath, Enrolled>,
    by_key: HashMap<KeyHash, RolePath>,
}

impl Enrolments {
    /// From what was written.
    pub fn restore(written: impl IntoIterator<Item = Change>) -> Self {
        let mut all = Self::default();
        written.into_iter().for_each(|change| all.put(change));
        all
    }

    pub fn get(&self, role: &str) -> Option<&Enrolled> {
        self.identities.get(role)
    }

    /// The same, with its role.
    pub fn get_key_value(&self, role: &str) -> Option<(&RolePath, &Enrolled)> {
        self.identities.get_key_value(role)
    }

    /// Identities in the order of their roles, from the one after this role on.
    pub fn after(&self, role: &str) -> impl Iterator<Item = (&RolePath, &Enrolled)> {
        let later = (std::ops::Bound::Excluded(role), std::ops::Bound::Unbounded);
        self.identities.range::<str, _>(later)
    }

    /// A token for a role, which may be enrolled already: whoever comes with it takes its place. Forgets what has run
    /// out; who was revoked only if its place is needed.
    ///
    /// # Errors
    ///
    /// If there are too many tokens, or no identity more fits in.
    pub fn create_token(
        &mut self,
        now: Wall,
        limits: Limits,
        hash: TokenHash,
        role: RolePath,
        hosts: Vec<String>,
    ) -> Result<Vec<Change>, Denied> {
        let waiting = self.tokens.values().filter(|token| token.used_by.is_none() && token.expires > now);
        if waiting.count() >= limits.tokens {
            return Err(Denied::TooManyTokens);
        }
        let mut changes = self.forget(now, limits);
        let has_room = self.has_room(limits, &role);
        if !changes.iter().any(|change| matches!(change, Change::Identity(..))) {
            has_room?;
        }
        changes.push(Change::Token(
            hash,
            Some(Token { role, hosts, expires: now + TOKEN_LIFETIME, used_by: None }),
        ));
        Ok(self.done(changes))
    }

    /// Somebody comes with a token, and has this key, which the mark of the token's role may say was revoked: whoever
    /// had the name since, it does not get it again.
    ///
    /// # Errors
    ///
    /// If nothing is due: with the reason.
    pub fn enrol(
        &self,
        now: Wall,
        limits: Limits,
        (token, key): (TokenHash, KeyHash),
        was_revoked: impl FnOnce(&str) -> bool,
    ) -> Result<Due, Denied> {
        let token = self.tokens.get(&token).ok_or(Denied::TokenUnknown)?;
        let enrolled = self.identities.get(&token.role);
        let own = enrolled.filter(|enrolled| enrolled.key == key);
        if own.is_some_and(Enrolled::is_revoked) || was_revoked(&token.role) {
            return Err(Denied::IdentityRevoked);
        }
        if token.expires <= now {
            return Err(Denied::TokenExpired);
        }
        match token.used_by {
            Some(by) if by != key || own.is_none() => return Err(Denied::TokenUsed),
            Some(_) => return Ok(Due::Again(token.role.clone())),
            None => {}
        }
        if self.by_key.get(&key).is_some_and(|role| *role != token.role) {
            return Err(Denied::KeyTaken);
        }
        self.has_room(limits, &token.role)?;
        if enrolled.is_some_and(|enrolled| enrolled.valid(now).count() >= MAX_CERTIFICATES) {
            return Err(Denied::TooManyCertificates);
        }
        Ok(Due::New(token.role.clone(), token.hosts.clone()))
    }

    /// Somebody who is enrolled asks for a certificate that is valid for longer, and has this key.
    ///
    /// # Errors
    ///
    /// If nothing is due: with the reason.
    pub fn renew(&self, now: Wall, key: KeyHash) -> Result<Due, Denied> {
        let role = self.by_key.get(&key).ok_or(Denied::KeyUnknown)?;
        let enrolled = self.identities.get(role).ok_or(Denied::KeyUnknown)?;
        if enrolled.is_revoked() {
            return Err(Denied::IdentityRevoked);
        }
        if enrolled.newest.not_after + RENEWABLE_FOR <= now {
            return Err(Denied::IdentityExpired);
        }
        if enrolled.is_fresh(now) {
            return Ok(Due::Again(role.clone()));
        }
        if enrolled.good(now).count() >= MAX_CERTIFICATES {
            return Err(Denied::TooManyCertificates);
        }
        Ok(Due::New(role.clone(), enrolled.hosts.clone()))
    }

    /// What was due has been made: for this key, with the token if it came with one. A token is used from now on.
    pub fn gave(
        &mut self,
        now: Wall,
        (role, hosts): (RolePath, Vec<String>),
        key: KeyHash,
        token: Option<TokenHash>,
        newest: Certificate,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        if let Some((hash, token)) = token.and_then(|hash| Some((hash, self.tokens.get(&hash)?))) {
            changes.push(Change::Token(hash, Some(Token { used_by: Some(key), ..token.clone() })));
        }
        let before = self.identities.get(&role);
        let earlier = before.map(|before| before.valid(now).cloned().collect()).unwrap_or_default();
        let enrolled = Enrolled { key, hosts, newest, issued: now, earlier, revoked_now: false };
        changes.push(Change::Identity(role, Some(enrolled)));
        self.done(changes)
    }

    /// Takes back every certificate of a role, and its tokens that wait. Repeating it changes nothing, but that it is
    /// `at_once` from then on if this time it is to be.
    ///
    /// # Errors
    ///
    /// [`Denied::IdentityUnknown`]: nobody is enrolled so, and no token waits.
    pub fn revoke(&mut self, now: Wall, role: &str, at_once: bool) -> Result<Vec<Change>, Denied> {
        let tokens = self.tokens.iter().filter(|(_, token)| *token.role == *role);
        let mut changes: Vec<Change> = tokens.map(|(hash, _)| Change::Token(*hash, None)).collect();
        let enrolled = self.identities.get_key_value(role);
        if enrolled.is_none() && changes.is_empty() {
            return Err(Denied::IdentityUnknown);
        }
        let is_news = |one: &Enrolled| !one.is_revoked() || (at_once && !one.revoked_now);
        if let Some((role, enrolled)) = enrolled.filter(|(_, enrolled)| is_news(enrolled)) {
            let mut enrolled = enrolled.clone();
            enrolled.revoked_now = at_once;
            enrolled.earlier.retain(|certificate| certificate.not_after > now);
            for certificate in enrolled.earlier.iter_mut().chain([&mut enrolled.newest]) {
                certificate.revoked.get_or_insert(now);
            }
            changes.push(Change::Identity(role.clone(), Some(enrolled)));
        }
        Ok(self.done(changes))
    }

    /// What has run out for good. Who was revoked stays so until it is enrolled again, as long as there is room.
    fn forget(&self, now: Wall, limits: Limits) -> Vec<Change> {
        let full = self.identities.len() >= limits.identities;
        let tokens = self.tokens.iter().filter(|(_, token)| token.expires <= now);
        let tokens = tokens.map(|(hash, _)| Change::Token(*hash, None));
        let identities =
            self.identities.iter().filter(|(_, one)| one.is_over(now) && (full || !one.is_revoked()));
        tokens.chain(identities.map(|(role, _)| Change::Identity(role.clone(), None))).collect()
    }

    fn has_room(&self, limits: Limits, role: &RolePath) -> Result<(), Denied> {
        if self.identities.contains_key(role) || self.identities.len() < limits.identities {
            return Ok(());
        }
        Err(Denied::TooManyIdentities)
    }

    /// Of two with one key the one that was revoked has it: nobody renews with it.
    fn is_revoked_elsewhere(&self, role: &RolePath, enrolled: &Enrolled) -> bool {
        let other = self.by_key.get(&enrolled.key).filter(|of| *of != role).and_then(|of| self.get(of));
        !enrolled.is_revoked() && other.is_some_and(Enrolled::is_revoked)
    }

    fn done(&mut self, changes: impl IntoIterator<Item = Change>) -> Vec<Change> {
        let changes: Vec<Change> = changes.into_iter().collect();
        changes.iter().cloned().for_each(|change| self.put(change));
        changes
    }

    fn put(&mut self, change: Change) {
        match change {
            Change::Token(hash, Some(token)) => drop(self.tokens.insert(hash, token)),
            Change::Token(hash, None) => drop(self.tokens.remove(&hash)),
            Change::Identity(role, enrolled) => {
                let before = match enrolled {
                    Some(enrolled) => {
                        if !self.is_revoked_elsewhere(&role, &enrolled) {
                            self.by_key.insert(enrolled.key, role.clone());
                        }
                        let (key, before) = (enrolled.key, self.identities.insert(role.clone(), enrolled));
                        before.filter(|before| before.key != key)
                    }
                    None => self.identities.remove(&role),
                };
                if let Some(before) = before.filter(|before| self.by_key.get(&before.key) == Some(&role)) {
                    self.by_key.remove(&before.key);
                }
            }
        }
    }
}

mod issued;
mod marks;
pub use marks::{GIVEN_FOR, Gist, Mark};

#[cfg(test)]
mod tests;
