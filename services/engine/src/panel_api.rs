//! `EnginePanelService`: what a person does at the charge point, from a shell.

use crate::{Point, Shown, convert};
use domain::supply::{Act, View};
use evmesh_proto::engine::{self as proto, engine_panel_service_server::EnginePanelService};
use mesh::{
    convert::reason,
    grpc::{Actor, Deadline, Failure, parse},
};
use tonic::{Request, Response, Status};

/// What has broken, if nobody says.
pub(crate) const INJECTED: &str = "injected fault";

#[derive(Debug)]
pub(crate) struct PanelApi(pub(crate) Point);

impl PanelApi {
    /// Every call is about this charge point, whatever it says.
    fn check<T>(&self, request: &Request<T>) -> Result<(), Failure> {
        self.0.is_named_by(&Actor::of(request))
    }

    fn panel(&self, view: &View) -> Option<proto::Panel> {
        Some(proto::Panel {
            charge_point_id: self.0.charge_point().to_string(),
            plugged_in: view.plugged_in,
            attended: view.attended,
            fault: convert::obstacle(view),
            current: view.current.as_ref().map(convert::record_proto),
            last: view.last.as_ref().map(convert::record_proto),
        })
    }
}

#[tonic::async_trait]
impl EnginePanelService for PanelApi {
    async fn plug_in(
        &self,
        request: Request<proto::PlugInRequest>,
    ) -> Result<Response<proto::PlugInResponse>, Status> {
        self.check(&request)?;
        let panel = self.panel(&self.0.act(Act::PlugIn).await?);
        Ok(Response::new(proto::PlugInResponse { panel }))
    }

    async fn unplug(
        &self,
        request: Request<proto::UnplugRequest>,
    ) -> Result<Response<proto::UnplugResponse>, Status> {
        self.check(&request)?;
        let panel = self.panel(&self.0.act(Act::Unplug).await?);
        Ok(Response::new(proto::UnplugResponse { panel }))
    }

    async fn start_manual_supply(
        &self,
        request: Request<proto::StartManualSupplyRequest>,
    ) -> Result<Response<proto::StartManualSupplyResponse>, Status> {
        self.check(&request)?;
        let deadline = Deadline::of(&request);
        let request = request.into_inner();
        let shown = match (request.driver_id.as_str(), request.card.as_str()) {
            ("", "") => Shown::Guest,
            (driver, "") => Shown::Driver(parse("driver_id", driver)?),
            ("", card) => Shown::Card(parse("card", card)?),
            (_, _) => {
                let problem = "must not come with a driver_id: it says whose it is";
                return Err(Failure::invalid("card", problem).into());
            }
        };
        let request_id = match request.request_id.as_str() {
            "" => None,
            id => Some(parse("request_id", id)?),
        };
        let (session, view) = self.0.start_manual(shown, request_id, deadline).await?;
        let (session_id, panel) = (session.to_string(), self.panel(&view));
        Ok(Response::new(proto::StartManualSupplyResponse { session_id, panel }))
    }

    async fn inject_fault(
        &self,
        request: Request<proto::InjectFaultRequest>,
    ) -> Result<Response<proto::InjectFaultResponse>, Status> {
        self.check(&request)?;
        let reason = reason("reason", &request.into_inner().reason)?;
        let reason = if reason.trim().is_empty() { INJECTED.to_owned() } else { reason };
        let panel = self.panel(&self.0.act(Act::Break(reason)).await?);
        Ok(Response::new(proto::InjectFaultResponse { panel }))
    }

    async fn clear_fault(
        &self,
        request: Request<proto::ClearFaultRequest>,
    ) -> Result<Response<proto::ClearFaultResponse>, Status> {
        self.check(&request)?;
        let panel = self.panel(&self.0.act(Act::Repair).await?);
        Ok(Response::new(proto::ClearFaultResponse { panel }))
    }

    async fn get_panel(
        &self,
        request: Request<proto::GetPanelRequest>,
    ) -> Result<Response<proto::GetPanelResponse>, Status> {
        self.check(&request)?;
        let panel = self.panel(&self.0.act(Act::Look).await?);
        Ok(Response::new(proto::GetPanelResponse { panel }))
    }
}
