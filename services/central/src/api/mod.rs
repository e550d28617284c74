//! The gRPC services: each checks what came in, gives it to the writer as a command or a question, and shows the
//! answer.
//!
//! No rule is here, and nothing here touches the network or the store.

mod charge_point;
mod driver;
mod operator;
mod pages;
mod requests;
pub mod view;

pub(crate) use charge_point::ChargePoints;
pub(crate) use driver::Drivers;
pub(crate) use operator::Operators;

use std::pin::Pin;
use tokio_stream::Stream;
use tonic::Status;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
