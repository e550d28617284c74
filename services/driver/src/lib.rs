//! The driver's app: it requests charges, one or a file of them, and shows its own supply and the charge points free
//! now.
//!
//! What it decides is [`domain::requests`]; here are the calls to central, the two Kafka topics, and what people and
//! scripts see: lines ([`words`]) or a [`panel`]. It keeps nothing: what it missed it asks central for.
//!
//! Deliberately absent: a Kafka producer. A request is a call, and works with Kafka away.

mod calls;
pub mod decode;
mod free_points;
mod heard;
mod missed;
mod options;
mod pages;
pub mod panel;
mod service;
pub mod topics;
mod view;
pub mod words;

pub use domain::requests::{Conclusion, Event as DriverEvent, Expectation, Left, Row, Summary};
pub use options::{Options, Output};
pub use service::{Service, Stop};
pub use view::{Now, Supply, View};

use std::path::PathBuf;

/// Why a driver's app cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the requests in {}: {problem}; name another file with --requests", .file.display())]
    Unreadable { file: PathBuf, problem: mesh::files::TextError },
    #[error(transparent)]
    File(#[from] domain::requests::FileError),
    #[error(transparent)]
    Identity(#[from] mesh::grpc::IdentityError),
    #[error(transparent)]
    Kafka(#[from] mesh::kafka::Error),
}
