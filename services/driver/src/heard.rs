//! What comes in from outside, for the one loop that owns the rules.

use domain::requests::{FreePoint, Input};
use mesh::grpc::CallError;
use std::time::Duration;
use tokio::sync::mpsc;

#[derive(Debug)]
pub(crate) enum Heard {
    /// For the rules as it is.
    Input(Input),
    /// A call was not answered; central may have said when to try again.
    Unanswered { why: String, retry_after: Duration },
    /// The charge points free now, by Kafka.
    Broadcast(Vec<FreePoint>),
    /// The charge points free now, by central, with their prices.
    Listed(Vec<FreePoint>),
}

impl From<CallError> for Heard {
    fn from(error: CallError) -> Self {
        Self::Unanswered { why: error.briefly(), retry_after: error.retry_after().unwrap_or_default() }
    }
}

/// Tells the loop. Its end is gone only while the app ends.
pub(crate) async fn tell(heard: &mpsc::Sender<Heard>, what: impl Into<Heard>) {
    let _ = heard.send(what.into()).await;
}

impl From<Input> for Heard {
    fn from(input: Input) -> Self {
        Self::Input(input)
    }
}
