//! The gRPC services: each checks what came in, gives it to the writer as a command or a question, and shows the
//! answer.
//!
//! No rule is here, and nothing here touches the network or the store.

mod audit;
mod charge_point;
mod driver;
mod following;
mod judgement;
mod operator;
mod pages;
mod reports;
mod requests;
mod signing_keys;
pub mod view;

pub(crate) use charge_point::ChargePoints;
pub(crate) use driver::Drivers;
pub(crate) use operator::Operators;

use std::{pin::Pin, time::Duration};
use tokio_stream::Stream;
use tonic::Status;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A follower hears something at least so often, news or not: a proxy between cuts a stream that is silent for a
/// minute, and pings of HTTP/2 do not pass it.
const HEARTBEAT: Duration = Duration::from_secs(20);
