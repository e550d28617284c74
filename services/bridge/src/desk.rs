//! One request from its turn to its conclusion: central is asked, or the bridge denies it.

use crate::request::{Asked, Denial, Heard, Verdict, hear};
use domain::ChargePointId;
use evmesh_proto::{
    driver::{RequestChargeRequest, driver_service_client::DriverServiceClient},
    topics::DRIVER_NOTIFICATIONS,
};
use mesh::{
    backoff::Backoff,
    grpc::{self, CallError, Peer},
    kafka::Producer,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::sleep;
use tonic::Request;

/// Whom the bridge asks, and where it denies.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    central: Peer,
    producer: Producer,
    max_age: Duration,
    /// Was central away when it was last asked? That is said once, and once when it is back.
    away: Arc<AtomicBool>,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Granted,
    /// By central, which tells the driver.
    Denied,
    /// By the bridge.
    Refused(Denial),
}

impl Desk {
    pub(crate) fn new(central: Peer, producer: Producer, max_age: Duration) -> Self {
        Self { central, producer, max_age, away: Arc::default() }
    }

    /// Concludes a request: whoever made it is told, or will be by central.
    pub(crate) async fn conclude(&self, asked: &Asked) -> Outcome {
        let outcome = match asked.judge(mesh::now().wall, self.max_age) {
            Verdict::Ask { charge_point, left } => self.ask(asked, &charge_point, left).await,
            Verdict::Deny(denial) => Outcome::Refused(denial),
        };
        if let Outcome::Refused(denial) = &outcome {
            self.deny(asked, denial).await;
        }
        outcome
    }

    /// Asks central until it has decided, or the request is too old. A repeat has the same `request_id`: so it is no
    /// second request, whatever became of the first.
    async fn ask(&self, asked: &Asked, charge_point: &ChargePointId, left: Duration) -> Outcome {
        let until = mesh::now().mono + left;
        let mut client = DriverServiceClient::new(self.central.clone());
        let mut backoff = Backoff::default();
        loop {
            let request = RequestChargeRequest {
                driver_id: asked.driver.to_string(),
                charge_point_id: charge_point.to_string(),
                request_id: asked.id.clone(),
                ..Default::default()
            };
            let request = grpc::with_request_id(Request::new(request), &asked.id);
            let answer = client.request_charge(request).await.map_err(|status| CallError::from(&status));
            self.heard_of_central(answer.as_ref().err());
            let Err(error) = answer else {
                return Outcome::Granted;
            };
            match hear(&error) {
                Heard::Decided => return Outcome::Denied,
                Heard::Deny(denial) => return Outcome::Refused(denial),
                Heard::Again => {}
            }
            let left = until.since(mesh::now().mono);
            if left.is_zero() {
                return Outcome::Refused(Denial::unasked(&error));
            }
            let wait = backoff.next_wait().max(error.retry_after().unwrap_or_default());
            sleep(wait.min(left)).await;
        }
    }

    fn heard_of_central(&self, error: Option<&CallError>) {
        let why = error.filter(|error| !matches!(error, CallError::Answered(_)));
        if self.away.swap(why.is_some(), Ordering::Relaxed) == why.is_some() {
            return;
        }
        let central = self.central.address();
        match why {
            Some(why) => tracing::warn!(
                "cannot reach central at {central}: {}; asking until it answers, or a request is too old",
                why.briefly()
            ),
            None => tracing::info!("central at {central} answers again"),
        }
    }

    /// Tells a driver what central does not: the topic has it when this returns.
    pub(crate) async fn deny(&self, asked: &Asked, denial: &Denial) {
        let told = asked.denied(denial, mesh::now().wall);
        // Only maps with strange keys, or a failing writer, are no JSON: this is a struct, and the writer is memory.
        let payload = serde_json::to_vec(&told).expect("a notification is JSON");
        let sent = self.producer.send(DRIVER_NOTIFICATIONS, asked.driver.as_str(), &payload, &[]);
        if let Err(error) = sent.await {
            tracing::warn!(%error, driver = %asked.driver, "kafka did not take a denial");
        }
    }
}
