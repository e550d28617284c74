//! Who is who in a network, and who may do what.
//!
//! - [`Identity`]: a name, as certificates carry it: `spiffe://TRUST-DOMAIN/charge-point/MAD-01/engine`.
//! - [`permissions`]: the one table of who may call which method, and in whose name.

mod name;
pub mod permissions;

pub use name::{Identity, InvalidIdentity, InvalidTrustDomain, Role, TrustDomain};
