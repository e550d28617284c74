//! The registry of a network: who is who in it.
//!
//! [`Data`] is its folder: the authorities, made once, and identities given out by hand, without any server.
//! [`Service`] gives them out for tokens, over the wire: [`Options`], [`Service::bind`], [`Service::run`];
//! [`Applicant`] is the other side. The rules are [`domain::enrolment`].

mod api;
mod applicant;
mod audit;
#[cfg(test)]
mod begun;
mod cards;
mod credentials;
mod data;
mod error;
mod gateways;
mod options;
mod owner;
mod rotation;
mod service;
mod storage;
mod stored;
mod view;
mod watching;

pub use applicant::Applicant;
pub use data::{Beginning, Data, DataError, Given, Token, lifetime};
pub use error::Error;
pub use options::Options;
pub use owner::{Office, Registry};
pub use rotation::RotationError;
pub use service::{Service, server, start};
