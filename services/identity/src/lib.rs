//! Who is who in a network, and who may do what.
//!
//! - [`Identity`]: a name, as certificates carry it: `spiffe://TRUST-DOMAIN/charge-point/MAD-01/engine`;
//! - [`Authority`]: vouches for names; [`Request`]: a key, and the question for a certificate over it;
//! - [`EnrolmentToken`]: the word with which somebody gets an identity from the registry;
//! - [`folder`]: where certificates and keys lie;
//! - [`token`]: who somebody is by a word of an identity provider's, or of the registry's;
//! - [`Credentials`]: a role's own identity, how it proves it, and how it has the far side prove its own;
//! - [`SealingSecret`], [`SealingKey`]: what a charge point tells on a topic, sealed;
//! - [`RefusedDigest`]: by which an engine says which certificates it refuses;
//! - [`CardKey`]: by which cards' numbers are looked up, and not kept;
//! - [`permissions`]: the one table of who may call which method, and in whose name.

mod authority;
mod card;
mod certificate;
mod credentials;
mod enrolment_token;
pub mod folder;
mod hosts;
mod name;
pub mod permissions;
mod refused;
mod request;
mod seal;
mod stamp;
mod tls;
pub mod token;

pub use authority::{
    AUTHORITY_LIFETIME, Authority, AuthorityError, GivenOut, Issued, Kind, LEEWAY, are_authorities,
    given_out, is_for, named_in,
};
pub use card::CardKey;
pub use certificate::{Certified, Misnamed};
pub use credentials::{Credentials, Shows, UnusableIdentity};
pub use enrolment_token::{EnrolmentToken, InvalidEnrolmentToken, Secret, fingerprint, sha256};
pub use hosts::{InvalidHosts, MAX_HOSTS, check_hosts};
pub use name::{Identity, InvalidIdentity, InvalidTrustDomain, Role, TrustDomain};
pub use refused::RefusedDigest;
pub use request::{AskersKey, InvalidRequest, KeyError, MAX_REQUEST_BYTES, Request};
pub use seal::{InvalidKeyName, KeyName, SealingKey, SealingSecret, is_sealed};
pub use tls::{Expected, Pin};
