//! The two streams: pings to the engine, reports to central. Each attempt is a task of its own; a newer one ends it.
//!
//! A task only carries: what comes in goes to the watchdog with the attempt's number, what the watchdog wants sent goes
//! out. It ends with exactly one input that says so.

use crate::Options;
use domain::{
    InstanceId, MonitorId,
    text::printable,
    watchdog::{Health, Input, Link, Trouble},
};
use evmesh_proto::{
    chargepoint::{
        EngineHealth, RegisterChargePointRequest, ReportHealthRequest,
        charge_point_service_client::ChargePointServiceClient,
    },
    engine::{AttendRequest, AttendResponse, engine_service_client::EngineServiceClient},
    network::Price,
};
use mesh::{
    backoff::Backoff,
    convert,
    grpc::{CALL_TIMEOUT, CallError, Expected, Peer, Peers},
};
use std::time::Duration;
use tokio::{sync::mpsc, task::JoinSet, time::sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

/// What waits to be sent on one stream: a ping or report a second, and one at each change. Whoever does not take so
/// many is cut for its silence long before more would help.
const OUTGOING: usize = 8;

/// The interval between reports where central names none.
const DEFAULT_REPORT_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Links {
    options: Options,
    monitor: MonitorId,
    inputs: mpsc::Sender<Input>,
    engine: Peer,
    engine_task: JoinSet<()>,
    engine_backoff: Backoff,
    pings: Option<mpsc::Sender<AttendRequest>>,
    central: Peer,
    central_task: JoinSet<()>,
    central_backoff: Backoff,
    reports: Option<mpsc::Sender<ReportHealthRequest>>,
}

impl Links {
    /// None is open yet. What comes in goes to `inputs`.
    pub(crate) fn new(
        options: Options,
        (peers, engine): (&Peers, Expected),
        monitor: MonitorId,
        inputs: mpsc::Sender<Input>,
    ) -> Self {
        Self {
            engine: peers.peer(&options.engine, engine, CALL_TIMEOUT),
            engine_task: JoinSet::new(),
            engine_backoff: Backoff::default(),
            pings: None,
            central: peers.peer(&options.central, Expected::Central, CALL_TIMEOUT),
            central_task: JoinSet::new(),
            central_backoff: Backoff::default(),
            reports: None,
            options,
            monitor,
            inputs,
        }
    }

    /// Opens the next stream to the engine; the one before ends.
    pub(crate) fn attend(&mut self, link: Link, attempt: u32) {
        let delay = delay(&mut self.engine_backoff, attempt);
        let (pings, outgoing) = mpsc::channel(OUTGOING);
        self.pings = Some(pings);
        let (peer, inputs) = (self.engine.clone(), self.inputs.clone());
        self.engine_task = JoinSet::new(); // dropping the set ends its task
        self.engine_task.spawn(async move {
            sleep(delay).await;
            tell(&inputs, Input::AttendStarted { link }).await;
            let (why, stale) = attend(peer, link, outgoing, &inputs).await;
            tell(&inputs, Input::EngineEnded { link, why, stale }).await;
        });
    }

    pub(crate) fn ping(&self, epoch: u64, central_reachable: bool) {
        if let Some(pings) = &self.pings {
            let charge_point_id = self.options.charge_point.to_string();
            let ping = AttendRequest { epoch, central_reachable, charge_point_id };
            // Full: the engine takes none, and its silence is being counted. Closed: the end is on its way.
            let _ = pings.try_send(ping);
        }
    }

    /// Registers with central, and goes on with the stream of reports; the one before ends.
    pub(crate) fn register(
        &mut self,
        link: Link,
        instance: &InstanceId,
        attempt: u32,
        retry_after: Duration,
        newest_epoch: u64,
    ) {
        let delay = delay(&mut self.central_backoff, attempt).max(retry_after);
        let (reports, outgoing) = mpsc::channel(OUTGOING);
        self.reports = Some(reports);
        let engine = self.options.engine_advertised.as_ref().unwrap_or(&self.options.engine);
        let request = RegisterChargePointRequest {
            charge_point_id: self.options.charge_point.to_string(),
            location: self.options.location.to_string(),
            price: Some(convert::price_proto(self.options.price)),
            engine_address: engine.to_string(),
            instance_id: instance.to_string(),
            monitor_id: self.monitor.to_string(),
            newest_epoch,
        };
        let (peer, inputs) = (self.central.clone(), self.inputs.clone());
        self.central_task = JoinSet::new();
        self.central_task.spawn(async move {
            sleep(delay).await;
            let trouble = report(peer, link, request, outgoing, &inputs).await;
            tell(&inputs, Input::CentralEnded { link, trouble }).await;
        });
    }

    pub(crate) fn report(&self, epoch: u64, health: Health) {
        let (health, reason) = match health {
            Health::Ok => (EngineHealth::Ok, String::new()),
            Health::Faulted(fault) => (EngineHealth::Faulted, fault),
            Health::Unreachable(why) => (EngineHealth::Unreachable, why),
        };
        if let Some(reports) = &self.reports {
            let report = ReportHealthRequest {
                charge_point_id: self.options.charge_point.to_string(),
                epoch,
                health: health.into(),
                reason,
            };
            // Full or closed: as for pings.
            let _ = reports.try_send(report);
        }
    }
}

/// The first attempt goes at once; after that, jitter between bounds that double.
fn delay(backoff: &mut Backoff, attempt: u32) -> Duration {
    if attempt <= 1 {
        backoff.reset();
    }
    if attempt == 0 { Duration::ZERO } else { backoff.next_wait() }
}

/// The receiver is gone only while the monitor stops.
async fn tell(inputs: &mpsc::Sender<Input>, input: Input) {
    let _ = inputs.send(input).await;
}

/// Until the stream ends: why, and the epoch of the newer registration that the engine has seen, if that is why.
async fn attend(
    peer: Peer,
    link: Link,
    pings: mpsc::Receiver<AttendRequest>,
    inputs: &mpsc::Sender<Input>,
) -> (String, Option<u64>) {
    let mut client = EngineServiceClient::new(peer);
    let mut answers = match client.attend(ReceiverStream::new(pings)).await {
        Ok(answers) => answers.into_inner(),
        Err(status) => return engine_trouble(&status),
    };
    loop {
        match answers.message().await {
            Ok(Some(answer)) => match answered(link, answer) {
                Ok(input) => tell(inputs, input).await,
                Err(why) => return (why, None),
            },
            Ok(None) => return ("it closed the stream".into(), None),
            Err(status) => return engine_trouble(&status),
        }
    }
}

/// The engine's answer to a ping as the rules take it; the error says in words what makes no sense.
pub fn answered(link: Link, answer: AttendResponse) -> Result<Input, String> {
    let instance = answer.instance_id.parse();
    Ok(Input::EngineAnswered {
        link,
        instance: instance.map_err(|wrong| format!("its instance id {wrong}"))?,
        fault: printable(&answer.fault),
        supplying: answer.supplying,
    })
}

fn engine_trouble(status: &Status) -> (String, Option<u64>) {
    let error = CallError::from(status);
    let newest = match &error {
        CallError::Answered(failure) if failure.reason == "EPOCH_STALE" => {
            Some(failure.metadata("epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or(0))
        }
        _ => None,
    };
    (error.briefly(), newest)
}

/// Registers, and reports until the stream ends: why.
async fn report(
    peer: Peer,
    link: Link,
    request: RegisterChargePointRequest,
    reports: mpsc::Receiver<ReportHealthRequest>,
    inputs: &mpsc::Sender<Input>,
) -> Trouble {
    let mut client = ChargePointServiceClient::new(peer);
    let (charge_point, price) = (request.charge_point_id.clone(), request.price.clone());
    let registration = match client.register_charge_point(request).await {
        Ok(registration) => registration.into_inner(),
        Err(status) => return central_trouble(&status),
    };
    if let Some(text) = another_price(price.as_ref(), registration.price.as_ref()) {
        tracing::warn!(%charge_point, "{text}");
    }
    let interval = convert::duration("report_interval", registration.report_interval.as_ref());
    let registered = Input::Registered {
        link,
        epoch: registration.epoch,
        report_interval: interval.unwrap_or(DEFAULT_REPORT_INTERVAL),
    };
    tell(inputs, registered).await;
    let mut answers = match client.report_health(ReceiverStream::new(reports)).await {
        Ok(answers) => answers.into_inner(),
        Err(status) => return central_trouble(&status),
    };
    loop {
        match answers.message().await {
            Ok(Some(answer)) => {
                let out_of_order = answer.out_of_order;
                let interval = convert::duration("report_interval", answer.report_interval.as_ref());
                let report_interval = interval.ok(); // an older central does not say
                tell(inputs, Input::Acknowledged { link, out_of_order, report_interval }).await;
            }
            Ok(None) => {
                return Trouble::Unreachable { why: "it closed the stream".into() };
            }
            Err(status) => return central_trouble(&status),
        }
    }
}

/// What a kWh costs is central's to say once somebody has set it; its owner should know where that is not what it asks.
fn another_price(asked: Option<&Price>, kept: Option<&Price>) -> Option<String> {
    let (asked, kept) = (convert::price("price", asked).ok()?, convert::price("price", kept).ok()?);
    (asked != kept).then(|| {
        format!(
            "a kWh costs {kept} here, not {asked} as --price says: an operator set that, or whoever registered first; \
             'evmesh operator price' changes it"
        )
    })
}

fn central_trouble(status: &Status) -> Trouble {
    let error = CallError::from(status);
    let why = error.briefly();
    match error {
        CallError::Answered(failure) if decided(failure.code) => {
            Trouble::Refused { reason: failure.reason, why, retry_after: failure.retry_after }
        }
        _ => Trouble::Unreachable { why },
    }
}

/// Was there somebody who could decide?
fn decided(code: Code) -> bool {
    !matches!(
        code,
        Code::Ok
            | Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
            | Code::DataLoss
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_owner_hears_that_central_keeps_another_price() {
        let price = |text: &str| convert::price_proto(text.parse().unwrap());
        let (asked, kept) = (price("0.30 EUR"), price("10000 EUR"));
        assert_eq!(another_price(Some(&asked), Some(&asked)), None);
        let text = another_price(Some(&asked), Some(&kept)).unwrap();
        assert!(text.contains("not 0.30 EUR") && text.contains("operator price"), "{text}");
        assert_eq!(another_price(Some(&asked), None), None, "an older central does not say");
    }
}
