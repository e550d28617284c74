//! `ChargePointService`.

use super::view;
use super::{
    Answers,
    reports::Reports,
    requests::{Arrived, new_session_id},
};
use crate::writer::Handle;
use domain::cards::held::Shown;
use domain::network::{Asked, Command, Method, Registered, Registration};
use evmesh_proto::chargepoint::{self as proto, charge_point_service_server::ChargePointService};
use mesh::{
    convert,
    grpc::{Address, Failure, StreamShare, parse},
};
use std::time::Duration;
use tonic::{Request, Response, Status, Streaming};

#[derive(Debug, Clone)]
pub(crate) struct ChargePoints {
    pub(crate) handle: Handle,
    /// The shortest.
    pub(crate) report_interval: Duration,
}

impl ChargePoints {
    /// What says whose a supply is. Of a card's number nothing is left in the message but what it is looked up by, so
    /// that the request's digest, which is kept, says nothing of the number.
    fn shown(&self, message: &mut proto::RequestManualSupplyRequest) -> Result<Shown, Failure> {
        let number = std::mem::take(&mut message.card);
        match (message.driver_id.as_str(), number.as_str()) {
            ("", "") => Ok(Shown::Guest),
            ("", number) => {
                let hash = self.handle.card(&parse("card", number)?);
                message.card = hash.map(|hash| convert::hex(&hash.0)).unwrap_or_default();
                Ok(Shown::Card(hash))
            }
            (id, "") => Ok(Shown::Driver(parse("driver_id", id)?)),
            (_, _) => Err(Failure::invalid("card", "must not come with a driver_id: it says whose it is")),
        }
    }
}

#[tonic::async_trait]
impl ChargePointService for ChargePoints {
    type ReportHealthStream = Answers<proto::ReportHealthResponse>;

    async fn register_charge_point(
        &self,
        request: Request<proto::RegisterChargePointRequest>,
    ) -> Result<Response<proto::RegisterChargePointResponse>, Status> {
        let (arrived, message) = Arrived::take(request);
        let charge_point = arrived.charge_point(&message.charge_point_id, self.handle.served())?;
        let address: Address = parse("engine_address", &message.engine_address)?;
        let registration = Registration {
            charge_point,
            location: parse("location", &message.location)?,
            price: convert::price("price", message.price.as_ref())?,
            engine_address: address.to_string(),
            instance: parse("instance_id", &message.instance_id)?,
            monitor: parse("monitor_id", &message.monitor_id)?,
            newest_epoch: convert::number("newest_epoch", message.newest_epoch)?,
        };
        let context = arrived.context(message.charge_point_id.as_str());
        let register = |token| Command::Register { asked: Asked::once(token, context), registration };
        let Registered { epoch, location, price, report_interval } = self.handle.ask(register).await?;
        Ok(Response::new(proto::RegisterChargePointResponse {
            epoch,
            report_interval: Some(convert::duration_proto(report_interval)),
            location: location.to_string(),
            price: Some(convert::price_proto(price)),
        }))
    }

    async fn report_health(
        &self,
        request: Request<Streaming<proto::ReportHealthRequest>>,
    ) -> Result<Response<Self::ReportHealthStream>, Status> {
        let share = StreamShare::of(&request);
        let (arrived, reports) = Arrived::take(request);
        let (handle, interval) = (self.handle.clone(), self.report_interval);
        let stream = Reports::follow(handle, interval, arrived, (reports, share));
        Ok(Response::new(Box::pin(stream)))
    }

    async fn request_manual_supply(
        &self,
        request: Request<proto::RequestManualSupplyRequest>,
    ) -> Result<Response<proto::RequestManualSupplyResponse>, Status> {
        let (arrived, mut message) = Arrived::take(request);
        let charge_point = arrived.charge_point(&message.charge_point_id, self.handle.served())?;
        let instance = parse("instance_id", &message.instance_id)?;
        let request_id = std::mem::take(&mut message.request_id);
        let shown = self.shown(&mut message)?;
        let mutation =
            arrived.mutation(Method::RequestManualSupply, charge_point.as_str(), &request_id, &message)?;
        let ask = |token| Command::RequestManualSupply {
            asked: mutation.asked(token),
            session: new_session_id(),
            charge_point,
            instance,
            shown,
        };
        let session = self.handle.ask(ask).await?;
        Ok(Response::new(proto::RequestManualSupplyResponse { session: Some(view::session(&session)) }))
    }
}
