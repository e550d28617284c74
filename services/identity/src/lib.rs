//! Who is who in a network, and who may do what.
//!
//! - [`Identity`]: a name, as certificates carry it: `spiffe://TRUST-DOMAIN/charge-point/MAD-01/engine`.

mod name;

pub use name::{Identity, InvalidIdentity, InvalidTrustDomain, Role, TrustDomain};
