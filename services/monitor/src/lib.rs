//! A charge point's watchdog: it registers the charge point with central, attends its engine with a ping a second, and
//! keeps central informed.
//!
//! What it decides is [`domain::watchdog`]; here are only the streams that carry it (`links`), the words for people
//! (`words`) and the [`panel`]. It keeps nothing: a new process registers again and gets a newer epoch.
//!
//! Deliberately absent: a store, Kafka, and any say in a supply.

pub mod links;
mod options;
pub mod panel;
mod service;
mod view;
mod words;

pub use options::Options;
pub use service::Service;
pub use view::View;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Identity(#[from] mesh::grpc::IdentityError),
    #[error(transparent)]
    Bind(#[from] mesh::grpc::BindError),
    #[error("the monitor's server failed")]
    Serve(#[from] mesh::grpc::ServeError),
}
