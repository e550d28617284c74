//! How both sides know that they mean the same certificates.

use crate::sha256;
use domain::Wall;

/// Of certificates, each with its end: the SHA-256 of `SERIAL MILLISECONDS`, all of them put together by exclusive or.
/// So it is quickly reckoned of a few more, or a few less, in any order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct RefusedDigest([u8; 32]);

impl RefusedDigest {
    /// Of these, each named once.
    pub fn of<'a>(all: impl IntoIterator<Item = (&'a str, Wall)>) -> Self {
        let one = |(serial, Wall(ends)): (&str, Wall)| Self(sha256(format!("{serial} {ends}").as_bytes()));
        all.into_iter().map(one).fold(Self::default(), Self::with)
    }

    /// Of what is in one of both.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(byte, other)| *byte ^= other);
        self
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_of_each_once_in_any_order_and_of_its_end() {
        let of = |all: &[(&'static str, i64)]| {
            RefusedDigest::of(all.iter().map(|(serial, at)| (*serial, Wall(*at))))
        };
        assert_eq!(of(&[("a", 1)]).as_bytes(), sha256(b"a 1"));
        assert_eq!(of(&[("a", 1), ("b", 2)]), of(&[("b", 2), ("a", 1)]));
        assert_eq!(of(&[("a", 1), ("b", 2)]).with(of(&[("b", 2)])), of(&[("a", 1)]));
        assert_ne!(of(&[("a", 1)]), of(&[("a", 2)]));
        assert_eq!(of(&[]), RefusedDigest::default());
    }
}
