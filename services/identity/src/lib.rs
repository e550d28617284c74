//! Who is who in a network, and who may do what.
//!
//! - [`Identity`]: a name, as certificates carry it: `spiffe://TRUST-DOMAIN/charge-point/MAD-01/engine`;
//! - [`Credentials`]: a role's own identity, a folder of files, and how it proves it and has the far side prove its own.

mod certificate;
mod credentials;
mod name;
mod tls;

pub use certificate::{Certified, Misnamed};
pub use credentials::{Credentials, UnusableIdentity};
pub use name::{Identity, InvalidIdentity, InvalidTrustDomain, Role, TrustDomain};
pub use tls::{Expected, RENEWABLE_FOR};
