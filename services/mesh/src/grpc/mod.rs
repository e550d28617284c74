//! Calls between services: the server stack, the client stack, and the form of every error.

pub mod address;
mod breaker;
pub mod client;
pub mod error;
mod methods;
pub mod server;
mod stack;
mod uniform;

pub use address::Address;
pub use client::{Peer, PeerOptions, with_request_id};
pub use error::{Failure, cause, explain, parse, reason};
pub use server::{BindError, Deadline, GrpcServer, HealthHandle, Listener, ServeError, ServerOptions};
