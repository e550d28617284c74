//! `ChargePointService`.

use super::view;
use super::{
    Answers,
    requests::{Arrived, new_session_id},
};
use crate::writer::Handle;
use domain::network::{Asked, Command, Health, Method, Reason, Registered, Registration, Reported};
use domain::{ChargePointId, DriverId};
use evmesh_proto::chargepoint::{self as proto, charge_point_service_server::ChargePointService};
use mesh::{
    convert,
    grpc::{Address, Failure, parse},
};
use std::time::Duration;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// So many answers to reports may wait for a slow monitor; beyond, its next report waits.
const ANSWERS: usize = 16;

#[derive(Debug, Clone)]
pub(crate) struct ChargePoints {
    pub(crate) handle: Handle,
    pub(crate) report_interval: Duration,
}

#[tonic::async_trait]
impl ChargePointService for ChargePoints {
    type ReportHealthStream = Answers<proto::ReportHealthResponse>;

    async fn register_charge_point(
        &self,
        request: Request<proto::RegisterChargePointRequest>,
    ) -> Result<Response<proto::RegisterChargePointResponse>, Status> {
        let (arrived, message) = Arrived::take(request);
        let address: Address = parse("engine_address", &message.engine_address)?;
        let registration = Registration {
            charge_point: parse("charge_point_id", &message.charge_point_id)?,
            location: parse("location", &message.location)?,
            price: convert::price("price", message.price.as_ref())?,
            engine_address: address.to_string(),
            instance: parse("instance_id", &message.instance_id)?,
            monitor: parse("monitor_id", &message.monitor_id)?,
            newest_epoch: convert::number("newest_epoch", message.newest_epoch)?,
        };
        let context = arrived.context(message.charge_point_id.as_str());
        let register = |token| Command::Register { asked: Asked::once(token, context), registration };
        let Registered { epoch, location, price } = self.handle.ask(register).await?;
        Ok(Response::new(proto::RegisterChargePointResponse {
            epoch,
            report_interval: Some(convert::duration_proto(self.report_interval)),
            location: location.to_string(),
            price: Some(convert::price_proto(price)),
        }))
    }

    async fn report_health(
        &self,
        request: Request<Streaming<proto::ReportHealthRequest>>,
    ) -> Result<Response<Self::ReportHealthStream>, Status> {
        let (answers, stream) = mpsc::channel(ANSWERS);
        let (arrived, reports) = Arrived::take(request);
        let (handle, interval) = (self.handle.clone(), self.report_interval);
        let following = Reports { handle, arrived, interval, answers, holds: None };
        tokio::spawn(following.run(reports));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn request_manual_supply(
        &self,
        request: Request<proto::RequestManualSupplyRequest>,
    ) -> Result<Response<proto::RequestManualSupplyResponse>, Status> {
        let (arrived, mut message) = Arrived::take(request);
        let charge_point: ChargePointId = parse("charge_point_id", &message.charge_point_id)?;
        let instance = parse("instance_id", &message.instance_id)?;
        let driver = match message.driver_id.as_str() {
            "" => DriverId::guest(),
            id => parse("driver_id", id)?,
        };
        let request_id = std::mem::take(&mut message.request_id);
        let mutation =
            arrived.mutation(Method::RequestManualSupply, charge_point.as_str(), &request_id, &message)?;
        let ask = |token| Command::RequestManualSupply {
            asked: mutation.asked(token),
            session: new_session_id(),
            charge_point,
            instance,
            driver,
        };
        let session = self.handle.ask(ask).await?;
        Ok(Response::new(proto::RequestManualSupplyResponse { session: Some(view::session(&session)) }))
    }
}

/// One monitor's stream of reports.
struct Reports {
    handle: Handle,
    arrived: Arrived,
    interval: Duration,
    answers: mpsc::Sender<Result<proto::ReportHealthResponse, Status>>,
    /// What it reports of: the charge point and the epoch of its first report.
    holds: Option<(ChargePointId, u64)>,
}

impl Reports {
    async fn run(mut self, mut reports: Streaming<proto::ReportHealthRequest>) {
        let (answers, handle) = (self.answers.clone(), self.handle.clone());
        let end = tokio::select! {
            end = self.follow(&mut reports) => end,
            () = answers.closed() => Ok(()), // the monitor is gone, or the server stops
            () = handle.stopped() => Err(crate::writer::stopping().into()),
        };
        if let Err(status) = end {
            let _ = answers.try_send(Err(status)); // a monitor that does not read is told nothing
        }
        // The charge point is disconnected from here on, unless a newer registration holds it (INV-8).
        if let Some((charge_point, epoch)) = self.holds {
            handle.tell(Command::MonitorGone { charge_point, epoch }).await;
        }
    }

    /// Takes reports until the stream ends.
    async fn follow(&mut self, reports: &mut Streaming<proto::ReportHealthRequest>) -> Result<(), Status> {
        loop {
            match timeout(self.interval, reports.message()).await {
                Ok(Ok(Some(report))) => {
                    let answer = self.report(report).await?;
                    if self.answers.send(Ok(answer)).await.is_err() {
                        return Ok(());
                    }
                }
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(status)) => return Err(status),
                Err(_) => self.still_newest().await?,
            }
        }
    }

    async fn report(
        &mut self,
        report: proto::ReportHealthRequest,
    ) -> Result<proto::ReportHealthResponse, Status> {
        let health = match report.health() {
            proto::EngineHealth::Unspecified => {
                return Err(Failure::invalid("health", "must be OK, FAULTED or UNREACHABLE").into());
            }
            proto::EngineHealth::Ok => Health::Ok,
            proto::EngineHealth::Faulted => Health::Faulted,
            proto::EngineHealth::Unreachable => Health::Unreachable,
        };
        let charge_point: ChargePointId = parse("charge_point_id", &report.charge_point_id)?;
        let epoch = report.epoch;
        let reason = convert::reason("reason", &report.reason)?;
        let holds = self.holds.get_or_insert_with(|| (charge_point.clone(), epoch));
        if holds.0 != charge_point {
            let problem = format!("must be {} in every report of this stream", holds.0);
            return Err(Failure::invalid("charge_point_id", problem).into());
        }
        if holds.1 != epoch {
            let problem = format!("must be {} in every report of this stream", holds.1);
            return Err(Failure::invalid("epoch", problem).into());
        }
        let context = self.arrived.context(charge_point.as_str());
        let report = |token| {
            let asked = Asked::once(token, context);
            Command::Report { asked, charge_point, epoch, health, reason }
        };
        let Reported { out_of_order } = self.handle.ask(report).await?;
        Ok(proto::ReportHealthResponse { out_of_order })
    }

    /// A stream that is silent learns here that a newer registration holds its charge point.
    async fn still_newest(&self) -> Result<(), Status> {
        let Some((id, epoch)) = self.holds.clone() else {
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
