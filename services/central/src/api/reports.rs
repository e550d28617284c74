//! A monitor's stream of reports: one a charge point and registration, for as long as reports come.

use super::requests::Arrived;
use crate::writer::Handle;
use domain::ChargePointId;
use domain::network::{Asked, Command, Health, Reason, Reported};
use evmesh_proto::chargepoint as proto;
use mesh::{
    convert,
    grpc::{Failure, RETRY_AFTER, StreamShare},
};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

/// So many answers to reports may wait for a slow monitor; beyond, its next report waits.
const ANSWERS: usize = 16;
/// A stream without a valid report for so long ends, or for three intervals, if that is longer: nobody keeps a place
/// for nothing.
const NO_REPORT: Duration = Duration::from_secs(5);

/// So many reports an interval come before the writer, that of the interval and one of a change, so that no stream
/// takes more than its share of it: a further one that says the same is answered as the last one was, else it waits.
const AN_INTERVAL: u32 = 2;

/// The charge points that are reported of now, each under its registration's epoch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reporting(Arc<Mutex<HashSet<(ChargePointId, u64)>>>);

impl Reporting {
    /// One stream a registration: a second one would end the first one's charge point with its own end.
    fn hold(&self, charge_point: ChargePointId, epoch: u64) -> Result<Holds, Failure> {
        let what = (charge_point, epoch);
        if !self.open().insert(what.clone()) {
            let text =
                format!("another stream reports of {} under this registration; register again", what.0);
            let reason = Reason::MonitorAlreadyConnected.as_str();
            return Err(Failure::aborted(reason, text, RETRY_AFTER));
        }
        Ok(Holds { what, reporting: self.clone() })
    }

    fn open(&self) -> MutexGuard<'_, HashSet<(ChargePointId, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one stream reports of.
#[derive(Debug)]
struct Holds {
    what: (ChargePointId, u64),
    reporting: Reporting,
}

impl Drop for Holds {
    fn drop(&mut self) {
        self.reporting.open().remove(&self.what);
    }
}

/// One monitor's stream of reports.
pub(super) struct Reports {
    handle: Handle,
    reporting: Reporting,
    interval: Duration,
    arrived: Arrived,
    share: StreamShare,
    answers: mpsc::Sender<Result<proto::ReportHealthResponse, Status>>,
    /// The charge point and the epoch of its first report.
    holds: Option<Holds>,
    /// Where that charge point is said, once.
    names: Option<oneshot::Sender<ChargePointId>>,
}

impl Reports {
    /// Takes the reports, in a task of its own; the answers come here.
    pub(super) fn follow(
        handle: Handle,
        reporting: Reporting,
        interval: Duration,
        arrived: Arrived,
        (reports, share): (Streaming<proto::ReportHealthRequest>, StreamShare),
    ) -> ReceiverStream<Result<proto::ReportHealthResponse, Status>> {
        let (answers, stream) = mpsc::channel(ANSWERS);
        let (names, named) = oneshot::channel();
        let (holds, names) = (None, Some(names));
        let following = Self { handle, reporting, interval, arrived, share, answers, holds, names };
        tokio::spawn(following.run(reports, named));
        ReceiverStream::new(stream)
    }

    async fn run(
        mut self,
        mut reports: Streaming<proto::ReportHealthRequest>,
        named: oneshot::Receiver<ChargePointId>,
    ) {
        let (answers, handle, arrived) = (self.answers.clone(), self.handle.clone(), self.arrived.clone());
        let is_anothers = async {
            match named.await {
                Ok(charge_point) => arrived.is_anothers(&charge_point, handle.served()).await,
                Err(_) => std::future::pending().await, // it has not reported yet
            }
        };
        let end = tokio::select! {
            end = self.take(&mut reports) => end,
            () = answers.closed() => Ok(()), // the monitor is gone, or the server stops
            () = handle.stopped() => Err(crate::writer::stopping().into()),
            failure = is_anothers => Err(failure.into()),
        };
        if let Err(status) = end {
            let _ = answers.try_send(Err(status)); // a monitor that does not read is told nothing
        }
        // The charge point is disconnected from here on, unless a newer registration holds it (INV-8).
        if let Some(holds) = self.holds {
            let (charge_point, epoch) = holds.what.clone();
            handle.tell(Command::MonitorGone { charge_point, epoch }).await;
        }
    }

    /// Takes reports until the stream ends, or none came for too long.
    async fn take(&mut self, reports: &mut Streaming<proto::ReportHealthRequest>) -> Result<(), Status> {
        let patience = NO_REPORT.max(self.interval * 3);
        let mut until = Instant::now() + patience;
        let (mut last, mut free) = (None, Instant::now());
        loop {
            let wait = self.interval.min(until.saturating_duration_since(Instant::now()));
            match timeout(wait, reports.message()).await {
                Ok(Ok(Some(report))) => {
                    let answer = match &last {
                        Some((before, answer)) if *before == report && Instant::now() < free => *answer,
                        Some(_) | None => {
                            sleep_until(free).await;
                            free = Instant::now() + self.interval / AN_INTERVAL;
                            let answer = self.report(report.clone()).await?;
                            last = Some((report, answer));
                            answer
                        }
                    };
                    until = Instant::now() + patience;
                    if self.answers.send(Ok(answer)).await.is_err() {
                        return Ok(());
                    }
                }
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(status)) => return Err(status),
                Err(_) if Instant::now() >= until => {
                    let text = format!("no report came for {:.0} s; register again", patience.as_secs_f64());
                    return Err(Failure::aborted("REPORTS_MISSING", text, RETRY_AFTER).into());
                }
                Err(_) => self.still_newest().await?,
            }
        }
    }

    async fn report(
        &mut self,
        report: proto::ReportHealthRequest,
    ) -> Result<proto::ReportHealthResponse, Status> {
        let charge_point = self.arrived.charge_point(&report.charge_point_id, self.handle.served())?;
        let health = match report.health() {
            proto::EngineHealth::Unspecified => {
                return Err(Failure::invalid("health", "must be OK, FAULTED or UNREACHABLE").into());
            }
            proto::EngineHealth::Ok => Health::Ok,
            proto::EngineHealth::Faulted => Health::Faulted,
            proto::EngineHealth::Unreachable => Health::Unreachable,
        };
        let epoch = report.epoch;
        let reason = convert::reason("reason", &report.reason)?;
        let holds = match &self.holds {
            Some(holds) => holds,
            None => {
                if let Some(names) = self.names.take() {
                    let _ = names.send(charge_point.clone()); // its other end goes with this stream
                }
                self.holds.insert(self.reporting.hold(charge_point.clone(), epoch)?)
            }
        };
        if holds.what.0 != charge_point {
            let problem = format!("must be {} in every report of this stream", holds.what.0);
            return Err(Failure::invalid("charge_point_id", problem).into());
        }
        if holds.what.1 != epoch {
            let problem = format!("must be {} in every report of this stream", holds.what.1);
            return Err(Failure::invalid("epoch", problem).into());
        }
        let context = self.arrived.context(charge_point.as_str());
        let report = |token| {
            let asked = Asked::once(token, context);
            Command::Report { asked, charge_point, epoch, health, reason }
        };
        let Reported { out_of_order } = self.handle.ask_in_turn(report).await?; // a full queue ends no stream
        self.share.give_back(); // it is of a charge point that is registered
        Ok(proto::ReportHealthResponse { out_of_order })
    }

    /// A stream that is silent learns here that a newer registration holds its charge point.
    async fn still_newest(&self) -> Result<(), Status> {
        let Some((id, epoch)) = self.holds.as_ref().map(|holds| holds.what.clone()) else {
            return Ok(());
        };
        let point = id.clone();
        let newest = self.handle.query(move |snapshot| snapshot.network.charge_point(&point)).await?;
        match newest {
            Some(detail) if detail.epoch > epoch => {
                let text = format!("a newer registration holds {id}; register again");
                Err(Failure::new(tonic::Code::Aborted, Reason::EpochStale.as_str(), text).into())
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use mesh::grpc::{Actor, reason};
    use prost::Message as _;
    use tokio_stream::StreamExt as _;
    use tonic::{Request, codec::Codec as _};

    /// A stream that has this one report.
    fn with(report: &proto::ReportHealthRequest) -> Streaming<proto::ReportHealthRequest> {
        let message = report.encode_to_vec();
        let head = [0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
        let body = http_body_util::Full::new(bytes::Bytes::from([&head, &message[..]].concat()));
        let mut codec = tonic_prost::ProstCodec::<(), _>::new();
        Streaming::new_request(codec.decoder(), body, None, None)
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_ends_no_stream() {
        let (handle, inboxes) = crate::writer::queues();
        let gone = || Command::MonitorGone { charge_point: "MAD-01".parse().unwrap(), epoch: 1 };
        while handle.tell(gone()).now_or_never().is_some() {}
        let health = proto::EngineHealth::Ok.into();
        let report = proto::ReportHealthRequest {
            charge_point_id: "MAD-01".into(),
            epoch: 1,
            health,
            reason: String::new(),
        };
        let interval = Duration::from_secs(1);
        let mut request = Request::new(with(&report));
        request.extensions_mut().insert(Actor::Unchecked);
        let (arrived, reports) = Arrived::take(request);
        let share = StreamShare::default();
        let mut answers = Reports::follow(handle, Reporting::default(), interval, arrived, (reports, share));
        let waits = timeout(Duration::from_secs(60), answers.next()).await;
        assert!(waits.is_err(), "it waits for its place: {waits:?}");
        drop(inboxes);
        let end = answers.next().await.unwrap().unwrap_err();
        assert_eq!(reason(&end).as_deref(), Some("SHUTTING_DOWN"), "the writer is gone: {end:?}");
    }
}
