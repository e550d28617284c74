//! The bridge for drivers of the old system: it reads `driver_requests`, where they publish, and asks central for a
//! charge for each message, so that an unchanged driver works beside new ones while its owner moves.
//!
//! - [`request`] is what a message asks for, and what is to be done with it: plain functions on plain data.
//! - [`progress`] is how far the topic is read, [`offsets`] the small file that keeps that, and [`keeper`] who keeps
//!   it.
//! - [`lanes`] is who waits for whom: each driver's requests are asked for in their order, a few at a time.
//! - [`desk`] asks central, and denies what central is not asked for; [`service`] is the loop.
//!
//! A message that is read twice (a crash, two bridges side by side) is asked for twice under one `request_id`, which
//! is one request to central. Only what was granted in the second before a crash, and is read again when it is too old,
//! is denied too. Deliberately absent: a server, a panel, and any answer but a denial: what a driver hears
//! of its charge is published by central, as always.

mod desk;
mod keeper;
mod lanes;
mod offsets;
mod options;
mod progress;
mod request;
mod service;

pub use options::Options;
pub use request::understood;
pub use service::Service;

use std::{io, path::PathBuf};

/// Why the bridge cannot run, or stopped. Each says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the bridge cannot keep how far it has read in '{}'; name another folder with --data", .folder.display())]
    Folder { folder: PathBuf, source: io::Error },
    #[error(
        "'{}' does not say how far the bridge has read; remove it, and the bridge begins with what comes from then on",
        .file.display()
    )]
    Unreadable { file: PathBuf, source: io::Error },
    #[error(transparent)]
    Identity(#[from] mesh::grpc::IdentityError),
    #[error(transparent)]
    Kafka(#[from] mesh::kafka::Error),
    #[error(
        "drivers of the old system ask and are answered on Kafka, which is reached in plain text: give --kafka-ca FILE \
         or --kafka-tls, or say --kafka-in-clear where nobody else is on the way; the same at central"
    )]
    InClear,
    #[error("driver_requests is read no more; start the bridge again: it goes on where it was")]
    ReaderEnded,
}
