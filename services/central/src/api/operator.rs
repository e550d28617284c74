//! `OperatorService`.

use super::{
    Answers, audit,
    following::Following,
    judgement,
    pages::{self, Page},
    requests::{Arrived, MAX_NAMED, Mutation},
    signing_keys, view,
};
use crate::{
    roster::RosterHandle,
    store::{Filter, Snapshot},
    writer::Handle,
};
use domain::network::{Command, Method, Order, Ordered, Which};
use domain::{ChargePointId, Wall};
use evmesh_proto::operations::{self as proto, operator_service_server::OperatorService};
use mesh::{
    convert,
    grpc::{Failure, parse},
    trace,
};
use prost_types::Timestamp;
use tonic::{Request, Response, Status};

/// An order to all is written so many charge points at a time: some milliseconds, where 100,000 at once hold up the
/// writer for about a second.
const ORDER_PART: usize = 500;

#[derive(Debug, Clone)]
pub(crate) struct Operators {
    pub(crate) handle: Handle,
    pub(crate) roster: RosterHandle,
}

fn which(ids: &[String], all: bool) -> Result<Which, Failure> {
    match (ids, all) {
        ([], true) => Ok(Which::All),
        ([], false) => {
            Err(Failure::invalid("charge_point_ids", "must name charge points, unless all is set"))
        }
        (_, true) => Err(Failure::invalid("all", "must not be set beside charge_point_ids")),
        (ids, false) if ids.len() > MAX_NAMED => Err(Failure::invalid(
            "charge_point_ids",
            format!("must have at most {MAX_NAMED} ids; it has {}", ids.len()),
        )),
        (ids, false) => {
            let ids = ids.iter().map(|id| parse("charge_point_ids", id)).collect::<Result<_, _>>()?;
            Ok(Which::Some(ids))
        }
    }
}

/// What a list is narrowed to, and its name for the tokens of its pages.
fn filter(
    driver: &str,
    charge_point: &str,
    from: Option<&Timestamp>,
    before: Option<&Timestamp>,
) -> Result<(Filter, String), Failure> {
    let filter = Filter {
        driver: (!driver.is_empty()).then(|| parse("driver_id", driver)).transpose()?,
        charge_point: (!charge_point.is_empty())
            .then(|| parse("charge_point_id", charge_point))
            .transpose()?,
        from: convert::wall("from_time", from)?,
        before: convert::wall("before_time", before)?,
    };
    let ms = |at: Option<Wall>| at.map(|at| at.0.to_string()).unwrap_or_default();
    let name = format!("{driver}/{charge_point}/{}/{}", ms(filter.from), ms(filter.before));
    Ok((filter, name))
}

impl Operators {
    /// Orders, and goes on when its caller has left: half a network would be neither in nor out of service.
    async fn order(&self, mutation: Mutation, which: Which, out_of_order: bool) -> Result<i32, Failure> {
        let this = self.clone();
        let ordering = async move {
            if which == Which::All {
                this.order_in_parts(&mutation, out_of_order).await?;
            }
            let order = Order::Service { which, out_of_order };
            let ask = |token| Command::Order { asked: mutation.asked(token), order };
            let Ordered { count } = this.handle.ask(ask).await?;
            Ok(i32::try_from(count).unwrap_or(i32::MAX))
        };
        let place = trace::current().unwrap_or_else(trace::root);
        let ordered = tokio::spawn(trace::scope(place, ordering)).await;
        ordered.map_err(|_| Failure::internal("the order broke off"))?
    }

    /// All charge points, a part at a time, so that others are served between two parts; a crash leaves what was
    /// done. The order to all at once, which has the answer for repeats, finds nothing left to write then.
    async fn order_in_parts(&self, mutation: &Mutation, out_of_order: bool) -> Result<(), Failure> {
        if let Some(key) = mutation.key().cloned() {
            let answered =
                move |snapshot: &Snapshot<'_>| snapshot.network.has_answered(mesh::now().wall, &key);
            if self.handle.query(answered).await? {
                return Ok(()); // a repeat orders nothing
            }
        }
        let mut after: Option<ChargePointId> = None;
        loop {
            let from = after.clone();
            let part = move |snapshot: &Snapshot<'_>| -> Vec<ChargePointId> {
                let points = snapshot.network.charge_points_after(from.as_ref());
                points.take(ORDER_PART).map(|detail| detail.id).collect()
            };
            let part = self.handle.query(part).await?;
            if part.len() < ORDER_PART {
                return Ok(()); // the rest is little enough for one order
            }
            after = part.last().cloned();
            let order = Order::Service { which: Which::Some(part), out_of_order };
            self.handle.ask(|token| Command::Order { asked: mutation.part(token), order }).await?;
        }
    }
}

#[tonic::async_trait]
impl OperatorService for Operators {
    type WatchNetworkStream = Answers<proto::WatchNetworkResponse>;

    async fn stop_charge_points(
        &self,
        request: Request<proto::StopChargePointsRequest>,
    ) -> Result<Response<proto::StopChargePointsResponse>, Status> {
        let (arrived, mut message) = Arrived::take(request);
        let which = which(&message.charge_point_ids, message.all)?;
        let request_id = std::mem::take(&mut message.request_id);
        let mutation =
            arrived.mutation(Method::StopChargePoints, &arrived.operator(), &request_id, &message)?;
        let charge_point_count = self.order(mutation, which, true).await?;
        Ok(Response::new(proto::StopChargePointsResponse { charge_point_count }))
    }

    async fn resume_charge_points(
        &self,
        request: Request<proto::ResumeChargePointsRequest>,
    ) -> Result<Response<proto::ResumeChargePointsResponse>, Status> {
        let (arrived, mut message) = Arrived::take(request);
        let which = which(&message.charge_point_ids, message.all)?;
        let request_id = std::mem::take(&mut message.request_id);
        let mutation =
            arrived.mutation(Method::ResumeChargePoints, &arrived.operator(), &request_id, &message)?;
        let charge_point_count = self.order(mutation, which, false).await?;
        Ok(Response::new(proto::ResumeChargePointsResponse { charge_point_count }))
    }

    async fn set_price(
        &self,
        request: Request<proto::SetPriceRequest>,
    ) -> Result<Response<proto::SetPriceResponse>, Status> {
        let (arrived, mut message) = Arrived::take(request);
        let id: ChargePointId = parse("charge_point_id", &message.charge_point_id)?;
        let price = convert::price("price", message.price.as_ref())?;
        let request_id = std::mem::take(&mut message.request_id);
        let mutation = arrived.mutation(Method::SetPrice, &arrived.operator(), &request_id, &message)?;
        let order = Order::SetPrice { charge_point: id.clone(), price };
        self.handle.ask(|token| Command::Order { asked: mutation.asked(token), order }).await?;
        let detail = self.handle.query(move |snapshot| snapshot.network.charge_point(&id)).await?;
        Ok(Response::new(proto::SetPriceResponse { charge_point: detail.as_ref().map(view::charge_point) }))
    }

    async fn forget_charge_point(
        &self,
        request: Request<proto::ForgetChargePointRequest>,
    ) -> Result<Response<proto::ForgetChargePointResponse>, Status> {
        let (arrived, mut message) = Arrived::take(request);
        let order = Order::Forget(parse("charge_point_id", &message.charge_point_id)?);
        let request_id = std::mem::take(&mut message.request_id);
        let mutation =
            arrived.mutation(Method::ForgetChargePoint, &arrived.operator(), &request_id, &message)?;
        self.handle.ask(|token| Command::Order { asked: mutation.asked(token), order }).await?;
        Ok(Response::new(proto::ForgetChargePointResponse {}))
    }

    async fn refuse_sessions(
        &self,
        request: Request<proto::RefuseSessionsRequest>,
    ) -> Result<Response<proto::RefuseSessionsResponse>, Status> {
        let session_count = judgement::refuse(&self.handle, request).await?;
        Ok(Response::new(proto::RefuseSessionsResponse { session_count }))
    }

    async fn adopt_sessions(
        &self,
        request: Request<proto::AdoptSessionsRequest>,
    ) -> Result<Response<proto::AdoptSessionsResponse>, Status> {
        let session_count = judgement::adopt(&self.handle, request).await?;
        Ok(Response::new(proto::AdoptSessionsResponse { session_count }))
    }

    async fn settle_session(
        &self,
        request: Request<proto::SettleSessionRequest>,
    ) -> Result<Response<proto::SettleSessionResponse>, Status> {
        let session = judgement::settle(&self.handle, request).await?;
        Ok(Response::new(proto::SettleSessionResponse { session }))
    }

    async fn end_session(
        &self,
        request: Request<proto::EndSessionRequest>,
    ) -> Result<Response<proto::EndSessionResponse>, Status> {
        let session = judgement::end(&self.handle, request).await?;
        Ok(Response::new(proto::EndSessionResponse { session }))
    }

    async fn get_network_status(
        &self,
        request: Request<proto::GetNetworkStatusRequest>,
    ) -> Result<Response<proto::GetNetworkStatusResponse>, Status> {
        let message = request.into_inner();
        let page = Page::new("network".to_owned(), message.page_size, &message.page_token)?;
        let (details, next_page_token) = pages::charge_points(&self.handle, page, false, |_| true).await?;
        let charge_points = details.iter().map(view::detail).collect();
        Ok(Response::new(proto::GetNetworkStatusResponse { charge_points, next_page_token }))
    }

    async fn watch_network(
        &self,
        _: Request<proto::WatchNetworkRequest>,
    ) -> Result<Response<Self::WatchNetworkStream>, Status> {
        let first = self.roster.fresh().await.ok_or_else(crate::writer::stopping)?;
        let following = Following::new(first, self.roster.follow());
        let answers = futures_util::stream::unfold(following, |mut following| async {
            following.next().await.map(|answer| (Ok(answer), following))
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn list_sessions(
        &self,
        request: Request<proto::ListSessionsRequest>,
    ) -> Result<Response<proto::ListSessionsResponse>, Status> {
        let message = request.into_inner();
        let (from, before) = (message.from_time.as_ref(), message.before_time.as_ref());
        let (filter, list) = filter(&message.driver_id, &message.charge_point_id, from, before)?;
        let page = Page::new(format!("sessions {list}"), message.page_size, &message.page_token)?;
        let (sessions, next_page_token) = pages::sessions(&self.handle, filter, false, page).await?;
        let sessions = sessions.iter().map(view::session).collect();
        Ok(Response::new(proto::ListSessionsResponse { sessions, next_page_token }))
    }

    async fn list_tickets(
        &self,
        request: Request<proto::ListTicketsRequest>,
    ) -> Result<Response<proto::ListTicketsResponse>, Status> {
        let message = request.into_inner();
        let (from, before) = (message.from_time.as_ref(), message.before_time.as_ref());
        let (filter, list) = filter(&message.driver_id, &message.charge_point_id, from, before)?;
        let page = Page::new(format!("tickets {list}"), message.page_size, &message.page_token)?;
        let (sessions, next_page_token) = pages::sessions(&self.handle, filter, true, page).await?;
        let tickets = sessions.iter().filter_map(view::ticket).collect();
        Ok(Response::new(proto::ListTicketsResponse { tickets, next_page_token }))
    }

    async fn list_audit_entries(
        &self,
        request: Request<proto::ListAuditEntriesRequest>,
    ) -> Result<Response<proto::ListAuditEntriesResponse>, Status> {
        Ok(Response::new(audit::list(&self.handle, request.into_inner()).await?))
    }

    async fn list_signing_keys(
        &self,
        request: Request<proto::ListSigningKeysRequest>,
    ) -> Result<Response<proto::ListSigningKeysResponse>, Status> {
        Ok(Response::new(signing_keys::list(&self.handle, request.into_inner()).await?))
    }

    async fn trust_signing_keys(
        &self,
        request: Request<proto::TrustSigningKeysRequest>,
    ) -> Result<Response<proto::TrustSigningKeysResponse>, Status> {
        Ok(Response::new(signing_keys::trust(&self.handle, request).await?))
    }
}
