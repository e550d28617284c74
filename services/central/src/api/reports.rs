//! A monitor's stream of reports: one a charge point and registration, for as long as reports come.

use super::requests::Arrived;
use crate::{last_seen::Holds, writer::Handle};
use domain::ChargePointId;
use domain::network::{Asked, Command, Health, Reason, Reported, Seen};
use evmesh_proto::chargepoint as proto;
use mesh::{
    convert,
    grpc::{Failure, RETRY_AFTER, StreamShare},
};
use std::time::Duration;
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

/// So many reports an interval come before the writer or are noted for it, that of the interval and one of a change, so
/// that no stream takes more than its share of it: a further one that says the same is answered as the last one was,
/// else it waits. Where something changed it does for half the shortest interval at most, whatever its monitor was
/// told.
const AN_INTERVAL: u32 = 2;

/// What a stream said last, and was answered.
struct Last {
    report: proto::ReportHealthRequest,
    seen: Seen,
    answer: proto::ReportHealthResponse,
}

/// One monitor's stream of reports.
pub(super) struct Reports {
    handle: Handle,
    /// How often its monitor was told to report, as far as is known here.
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
        interval: Duration,
        arrived: Arrived,
        (reports, share): (Streaming<proto::ReportHealthRequest>, StreamShare),
    ) -> ReceiverStream<Result<proto::ReportHealthResponse, Status>> {
        let (answers, stream) = mpsc::channel(ANSWERS);
        let (names, named) = oneshot::channel();
        let (holds, names) = (None, Some(names));
        let following = Self { handle, interval, arrived, share, answers, holds, names };
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
            let (charge_point, epoch) = (holds.charge_point.clone(), holds.epoch);
            handle.tell(Command::MonitorGone { charge_point, epoch }).await;
        }
    }

    /// Takes reports until the stream ends, or none came for too long.
    async fn take(&mut self, reports: &mut Streaming<proto::ReportHealthRequest>) -> Result<(), Status> {
        let apart = self.interval / AN_INTERVAL;
        let mut until = Instant::now() + self.patience();
        let (mut last, mut free): (Option<Last>, _) = (None, Instant::now());
        let mut noted_again = Instant::now();
        loop {
            let wait = self.interval.min(until.saturating_duration_since(Instant::now()));
            match timeout(wait, reports.message()).await {
                Ok(Ok(Some(report))) => {
                    let answer = match &last {
                        Some(last) if last.report == report && !self.has_news() => {
                            if Instant::now() >= noted_again {
                                noted_again = Instant::now() + self.interval / AN_INTERVAL;
                                self.handle
                                    .last_seen()
                                    .note(Seen { at: mesh::now().mono, ..last.seen.clone() });
                            }
                            last.answer
                        }
                        Some(last) if last.report == report && Instant::now() < free => last.answer,
                        Some(_) | None => {
                            sleep_until(free).await;
                            free = Instant::now() + apart;
                            let (seen, answer) = self.report(&report).await?;
                            last = Some(Last { report, seen, answer });
                            answer
                        }
                    };
                    until = Instant::now() + self.patience();
                    if self.answers.send(Ok(answer)).await.is_err() {
                        return Ok(());
                    }
                }
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(status)) => return Err(status),
                Err(_) if Instant::now() >= until => {
                    let patience = self.patience().as_secs_f64();
                    let text = format!("no report came for {patience:.0} s; register again");
                    return Err(Failure::aborted("REPORTS_MISSING", text, RETRY_AFTER).into());
                }
                Err(_) if self.has_news() => self.still_newest().await?,
                Err(_) => {}
            }
        }
    }

    fn patience(&self) -> Duration {
        NO_REPORT.max(self.interval * 3)
    }

    fn has_news(&self) -> bool {
        self.holds.as_ref().is_some_and(|holds| holds.has_news(mesh::now().mono))
    }

    /// Gives a report to the writer.
    async fn report(
        &mut self,
        report: &proto::ReportHealthRequest,
    ) -> Result<(Seen, proto::ReportHealthResponse), Status> {
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
                self.holds.insert(hold(&self.handle, charge_point.clone(), epoch)?)
            }
        };
        if holds.charge_point != charge_point {
            let problem = format!("must be {} in every report of this stream", holds.charge_point);
            return Err(Failure::invalid("charge_point_id", problem).into());
        }
        if holds.epoch != epoch {
            let problem = format!("must be {} in every report of this stream", holds.epoch);
            return Err(Failure::invalid("epoch", problem).into());
        }
        holds.hears();
        let context = self.arrived.context(charge_point.as_str());
        let seen = Seen { charge_point, epoch, health, reason, at: mesh::now().mono };
        let Seen { charge_point, reason, .. } = seen.clone();
        let report = |token| {
            let asked = Asked::once(token, context);
            Command::Report { asked, charge_point, epoch, health, reason }
        };
        let reported = self.handle.ask_in_turn(report).await?; // a full queue ends no stream
        let Reported { out_of_order, report_interval } = reported;
        self.share.give_back(); // it is of a charge point that is registered
        self.interval = report_interval;
        let report_interval = Some(convert::duration_proto(report_interval));
        Ok((seen, proto::ReportHealthResponse { out_of_order, report_interval }))
    }

    /// A stream that is silent learns here that a newer registration holds its charge point.
    async fn still_newest(&self) -> Result<(), Status> {
        let Some((id, epoch)) = self.holds.as_ref().map(|holds| (holds.charge_point.clone(), holds.epoch))
        else {
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

/// One stream a registration.
fn hold(handle: &Handle, charge_point: ChargePointId, epoch: u64) -> Result<Holds, Failure> {
    let held = handle.last_seen().hold(charge_point.clone(), epoch);
    held.ok_or_else(|| {
        let text =
            format!("another stream reports of {charge_point} under this registration; register again");
        Failure::aborted(Reason::MonitorAlreadyConnected.as_str(), text, RETRY_AFTER)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::running::{register, started};
    use bytes::Bytes;
    use domain::{
        Context,
        network::{Order, Which},
    };
    use futures_util::{FutureExt as _, StreamExt as _};
    use http_body_util::{BodyExt as _, Full, StreamBody};
    use mesh::{
        grpc::{Actor, reason},
        store::MemoryStore,
    };
    use prost::Message as _;
    use tonic::{Request, codec::Codec as _};

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A report as it stands in a stream.
    fn framed(report: &proto::ReportHealthRequest) -> Bytes {
        let message = report.encode_to_vec();
        let head = [0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
        Bytes::from([&head, &message[..]].concat())
    }

    /// A stream of the reports that are given.
    fn stream() -> (mpsc::Sender<Bytes>, Streaming<proto::ReportHealthRequest>) {
        let (reports, given) = mpsc::channel(1);
        let frames =
            ReceiverStream::new(given).then(|report| async { Full::new(report).frame().await.unwrap() });
        let mut codec = tonic_prost::ProstCodec::<(), _>::new();
        (reports, Streaming::new_request(codec.decoder(), StreamBody::new(frames), None, None))
    }

    fn follow(
        handle: &Handle,
        interval: Duration,
    ) -> (mpsc::Sender<Bytes>, ReceiverStream<Result<proto::ReportHealthResponse, Status>>) {
        let (given, reports) = stream();
        let mut request = Request::new(reports);
        request.extensions_mut().insert(Actor::Unchecked);
        let (arrived, reports) = Arrived::take(request);
        let share = StreamShare::default();
        (given, Reports::follow(handle.clone(), interval, arrived, (reports, share)))
    }

    fn report(epoch: u64) -> proto::ReportHealthRequest {
        let health = proto::EngineHealth::Ok.into();
        proto::ReportHealthRequest { charge_point_id: "MAD-01".into(), epoch, health, reason: String::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_ends_no_stream() {
        let (handle, inboxes) = crate::writer::queues();
        let gone = || Command::MonitorGone { charge_point: "MAD-01".parse().unwrap(), epoch: 1 };
        while handle.tell(gone()).now_or_never().is_some() {}
        let (reports, mut answers) = follow(&handle, Duration::from_secs(1));
        reports.send(framed(&report(1))).await.unwrap();
        let waits = timeout(Duration::from_secs(4), answers.next()).await;
        assert!(waits.is_err(), "it waits for its place: {waits:?}");
        drop(inboxes);
        let end = answers.next().await.unwrap().unwrap_err();
        assert_eq!(reason(&end).as_deref(), Some("SHUTTING_DOWN"), "the writer is gone: {end:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_report_without_news_is_answered_while_the_writer_is_busy_and_not_once_it_hangs() {
        let (handle, mut running) = started(MemoryStore::new());
        let epoch = register(&handle, "MAD-01").await.unwrap().epoch;
        let interval = Duration::from_millis(20);
        let (reports, mut answers) = follow(&handle, interval);
        let says = framed(&report(epoch));
        reports.send(says.clone()).await.unwrap();
        let first = answers.next().await.unwrap().unwrap();
        assert!(!first.out_of_order && first.report_interval.is_some(), "{first:?}");
        handle.query(|_| ()).await.unwrap(); // what the first report changed is told
        let (go, wait) = std::sync::mpsc::sync_channel::<()>(0);
        let busy = tokio::spawn({
            let handle = handle.clone();
            async move { handle.query(move |_| wait.recv().is_ok()).await }
        });
        // It lives, however slow this machine is: its last tick is yet to come.
        let before = handle.last_seen().take(domain::Mono(u64::MAX)).len();
        let began = Instant::now();
        while began.elapsed() < interval * 5 {
            reports.send(says.clone()).await.unwrap();
            let again = timeout(PATIENCE, answers.next()).await.expect("it is answered beside the writer");
            assert_eq!(again.unwrap().unwrap(), first);
        }
        // From here on its last tick was long ago: it is not busy any more, it hangs.
        let noted = handle.last_seen().take(domain::Mono(0));
        let told = Duration::try_from(first.report_interval.unwrap()).unwrap();
        let most = began.elapsed().as_secs_f64() / told.as_secs_f64() * 2.0 + 1.0;
        let count = before + noted.len();
        assert!((1.0..=most).contains(&(count as f64)), "two an interval at most: {count}");
        assert!(noted.iter().all(|seen| seen.epoch == epoch && seen.health == Health::Ok), "{noted:?}");
        reports.send(says.clone()).await.unwrap();
        let hangs = timeout(Duration::from_secs(1), answers.next()).await;
        assert!(hangs.is_err(), "nobody is told that central has heard: {hangs:?}");
        assert!(handle.last_seen().take(domain::Mono(0)).is_empty(), "nor is it noted");
        go.send(()).unwrap();
        busy.await.unwrap().unwrap();
        // What its monitor is answered is another from here on.
        let order = Order::Service { which: Which::All, out_of_order: true };
        let ordered = |token| Command::Order { asked: Asked::once(token, Context::default()), order };
        handle.ask(ordered).await.unwrap();
        let hears = async {
            loop {
                reports.send(says.clone()).await.unwrap();
                if answers.next().await.unwrap().unwrap().out_of_order {
                    return;
                }
            }
        };
        timeout(PATIENCE, hears).await.expect("the order is told");
        register(&handle, "MAD-01").await.unwrap();
        let ends = async {
            loop {
                let _ = reports.send(says.clone()).await; // it may have ended
                if let Err(end) = answers.next().await.unwrap() {
                    return end;
                }
            }
        };
        let end = timeout(PATIENCE, ends).await.expect("the older stream ends");
        assert_eq!(reason(&end).as_deref(), Some("EPOCH_STALE"));
        running.stop();
        running.ended().await.unwrap().unwrap();
    }
}
