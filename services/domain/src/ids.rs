//! Names of things. A value of one of these types is valid: it was checked where it came in.

use crate::Wall;
use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc, time::Duration};

/// What a card's id begins with.
pub const CARD: &str = "card-";
/// The longest id, in bytes.
pub const MAX_ID_LEN: usize = 64;

/// The highest number of an authorisation, an epoch or a message: 2^53, exact in every language's numbers. They rise
/// one by one or with the clock's milliseconds, so a higher one is a mistake, and taking it would leave no room above
/// it.
pub const MAX_NUMBER: u64 = 1 << 53;

/// What anybody claims of authorisation numbers counts up to this: one a millisecond since 1970, and as many as there
/// are in seven weeks, for clocks that begin there. No network gives as many in its life, and the room above grows.
pub fn most_claimed(now: Wall) -> u64 {
    u64::try_from(now.0).unwrap_or(0).saturating_add(1 << 32)
}

/// An engine's clock may be behind central's by so much: what central was led to by whoever took the engine's place is
/// no lie at the engine itself. Where somebody took central's, central's own clock is there in that time.
pub const CLOCKS_DIFFER: Duration = Duration::from_secs(24 * 3600);

/// What a monitor says of the epochs that its engine has seen counts up to this: central's own go on above it one by
/// one, and never come to [`MAX_NUMBER`], which no engine takes.
pub const MAX_CLAIMED_EPOCH: u64 = MAX_NUMBER / 2;

/// Why a text is not an id. Says what is wrong, for the person who typed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    #[error("must not be empty")]
    Empty,
    #[error("has {0} characters; at most {MAX_ID_LEN} are allowed")]
    TooLong(usize),
    #[error("has {0:?}; only letters, digits, '-', '_' and '.' are allowed")]
    Character(char),
    #[error("{GUEST} is the name of guests at a charge point; choose another")]
    Guest,
    #[error("must be a card's id, card-…; its number is a secret, and names no card here")]
    NoCard,
}

fn check(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > MAX_ID_LEN {
        return Err(InvalidId::TooLong(text.chars().count()));
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))) {
        Some(c) => Err(InvalidId::Character(c)),
        None => Ok(()),
    }
}

fn check_card(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() || text.starts_with(CARD) { check(text) } else { Err(InvalidId::NoCard) }
}

/// Cheap to clone, unless said otherwise.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        id!($(#[$doc])* $name, check, Arc<str>);
    };
    ($(#[$doc:meta])* $name:ident, $check:ident, $text:ty) => {
        $(#[$doc])*
        ///
        /// 1 to 64 ASCII letters, digits, `-`, `_` or `.`.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($text);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                $check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

id!(ChargePointId);
id!(
    /// A driver, or [`DriverId::guest`].
    DriverId
);
id!(SessionId);
id!(
    /// An engine's store: a lost store has another.
    InstanceId
);
id!(
    /// A monitor's process. Each charge point has one of its own, which is hardly ever cloned.
    MonitorId,
    check,
    Box<str>
);
id!(
    /// A network: all that one central authorises, on whatever store.
    NetworkId
);
id!(
    /// A central, a gateway, a bridge or a person, as its certificate names it.
    Name
);
id!(
    /// A card, by the name that is said of it, which begins with `card-`: so it is never the number that the card
    /// shows, nor that with a digit too few, which would be written where ids are.
    CardId,
    check_card,
    Arc<str>
);
id!(
    /// A caller's name for one mutation (AIP-155).
    RequestId
);

impl From<&SessionId> for RequestId {
    fn from(session: &SessionId) -> Self {
        Self(session.0.clone())
    }
}

/// The driver id of whoever takes a supply at the charge point without a name.
pub const GUEST: &str = "INVITADO";

impl DriverId {
    /// Whoever takes a supply at the charge point without a name. Several may be under way at once.
    pub fn guest() -> Self {
        Self(GUEST.into())
    }

    pub fn is_guest(&self) -> bool {
        self.as_str() == GUEST
    }

    /// A driver with a name: anything but the guest's.
    pub fn named(text: &str) -> Result<Self, InvalidId> {
        if text == GUEST { Err(InvalidId::Guest) } else { text.parse() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked() {
        assert_eq!("MAD-01".parse::<ChargePointId>().unwrap().as_str(), "MAD-01");
        assert_eq!("".parse::<DriverId>(), Err(InvalidId::Empty));
        assert_eq!("a b".parse::<DriverId>(), Err(InvalidId::Character(' ')));
        assert_eq!("ñ".parse::<DriverId>(), Err(InvalidId::Character('ñ')));
        assert_eq!("x".repeat(65).parse::<DriverId>(), Err(InvalidId::TooLong(65)));
        assert_eq!(DriverId::named("INVITADO"), Err(InvalidId::Guest));
        assert!(DriverId::guest().is_guest());
        assert!("card-0123456789".parse::<CardId>().is_ok() && "04A1B2C3".parse::<DriverId>().is_ok());
        assert_eq!("card-é".parse::<CardId>(), Err(InvalidId::Character('é')));
        for number in ["04A1B2C3", "04-a1-b2-c3", "04:A1:B2:C3", "04.A1_B2.C3", "04A1B2C", "O4A1B2C3"] {
            assert_eq!(number.parse::<CardId>(), Err(InvalidId::NoCard), "{number}");
        }
    }
}
