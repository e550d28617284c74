//! Calls between services: the server stack, the client stack, and the form of every error.

mod address;
mod answer;
mod call_error;
mod caller;
mod circuit_breaker;
mod client;
mod connection;
mod deadline;
mod error_details;
mod listen;
mod methods;
mod names;
mod request;
mod retry_budget;
mod server;
mod server_options;
mod shares;
mod socket;
mod stack;
mod streams;
mod tally;
mod uniform;

pub use crate::convert::parse;
pub use address::{Address, InvalidAddress};
pub use call_error::{CallError, cause};
pub use caller::Caller;
pub use client::{CALL_TIMEOUT, Peer, with_request_id};
pub use deadline::Deadline;
pub use error_details::{DOMAIN, Failure, RETRY_AFTER, reason, retry_after, with_causes};
pub use listen::{BindError, InvalidListen, Listen, Listener};
pub use names::Names;
pub use server::{GrpcServer, REQUEST_CODING, ServeError};
pub use server_options::ServerOptions;
pub use stack::Stack;
pub use streams::StreamShare;
