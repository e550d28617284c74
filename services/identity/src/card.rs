//! Cards' numbers, and what is kept in their place.

use aws_lc_rs::hmac;
use domain::cards::{CardHash, CardNumber};
use std::fmt;

/// The registry's key for cards. Whoever has it and a list of digests tries out the numbers of four bytes in minutes.
#[derive(Clone, PartialEq, Eq)]
pub struct CardKey([u8; 32]);

impl fmt::Debug for CardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardKey")
    }
}

impl CardKey {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For central, and for a store.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What is kept in a number's place.
    pub fn hash(&self, number: &CardNumber) -> CardHash {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), number.bytes());
        let mut hash = [0; 32];
        hash.copy_from_slice(tag.as_ref());
        CardHash(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_looked_up_by_the_hmac_of_its_bytes() {
        // Made by other means: Python's hmac.
        let (key, number) = (CardKey::new([7; 32]), "04:a1:b2:c3".parse().unwrap());
        let hex: String = key.hash(&number).0.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "8f78eab58221d4a4be2b469734df9521e02988d2afd8773b1ad5d93d472d5aae");
        assert_ne!(CardKey::new([8; 32]).hash(&number), key.hash(&number));
        assert_eq!(format!("{key:?}"), "CardKey");
    }
}
