//! Who is who in a network, and who may do what.
//!
//! - [`Identity`]: a name, as certificates carry it: `spiffe://TRUST-DOMAIN/charge-point/MAD-01/engine`.
//! - [`Authority`]: vouches for names; [`Request`]: a key, and the question for a certificate over it.
//! - [`EnrolmentToken`]: the word with which somebody gets an identity from the registry.
//! - [`folder`]: where certificates and keys lie.

mod authority;
mod enrolment_token;
pub mod folder;
mod hosts;
mod name;
mod request;

pub use authority::{AUTHORITY_LIFETIME, Authority, AuthorityError, Issued, Kind, LEEWAY, is_for, named_in};
pub use enrolment_token::{EnrolmentToken, InvalidEnrolmentToken, Secret, fingerprint, sha256};
pub use hosts::{InvalidHosts, MAX_HOSTS, check_hosts};
pub use name::{Identity, InvalidIdentity, InvalidTrustDomain, Role, TrustDomain};
pub use request::{AskersKey, InvalidRequest, KeyError, MAX_REQUEST_BYTES, Request};
