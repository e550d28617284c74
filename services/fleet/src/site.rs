//! A site: up to a hundred charge points behind one address, with one connection to central.

use crate::{
    monitor::Monitor,
    options::Options,
    point::{Point, Points, Told},
    tally::Tally,
};
use domain::ChargePointId;
use engine::wire;
use evmesh_proto::{
    chargepoint::charge_point_service_client::ChargePointServiceClient,
    engine::{
        self as proto,
        engine_service_server::{EngineService, EngineServiceServer},
    },
    topics::CP_TELEMETRY,
};
use mesh::{
    Shutdown,
    grpc::{
        BindError, CALL_TIMEOUT, Expected, Failure, GrpcServer, Listener, Peer, Peers, Security,
        ServerOptions,
    },
    kafka::{Producer, Record},
    trace,
};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};
use tokio::{
    sync::{Semaphore, watch},
    time::MissedTickBehavior,
};
use tonic::{Request, Response, Status, Streaming, codegen::BoxStream};

/// The first address of `127.0.0.0/8` that sites have: what lies below is often taken.
pub(crate) const SITES: u32 = u32::from_be_bytes([127, 16, 0, 1]);
/// The first that drivers have: a million sites are before it.
pub(crate) const DRIVERS: u32 = u32::from_be_bytes([127, 128, 0, 1]);

/// Starts the site with this number, from 0: it lives until the shutdown. Its charge points.
pub(crate) async fn start(
    number: u32,
    options: &Options,
    (producer, tally, places): (&Producer, &Arc<Tally>, &Arc<Semaphore>),
    storms: &watch::Receiver<u64>,
    shutdown: &Shutdown,
) -> Result<Arc<Points>, BindError> {
    let now = mesh::now();
    let ids = options.of_site(number).map(charge_point);
    let points = ids.map(|id| Point::new(id, now, options));
    let points = Arc::new(Points::new(points));

    let own = address(SITES, options.first - 1 + number);
    let listener = Listener::bind(SocketAddr::new(own, 0), "a site", &Security::default()).await?;
    let address = listener.local_addr();
    let server = GrpcServer::new(&ServerOptions::default());
    let server = server.add_service(EngineServiceServer::new(Served(points.clone())));
    let stop = shutdown.clone();
    tokio::spawn(async move {
        if let Err(error) = server.serve(listener, stop).await {
            tracing::error!(%address, %error, "a site serves no more");
        }
    });

    // As real monitors': a report and its answer say that both sides are there.
    let central = Peers::default().calling_from(own).without_pings();
    let central = central.peer(&options.central, Expected::Central, CALL_TIMEOUT);
    for id in points.ids() {
        let central: ChargePointServiceClient<Peer> = ChargePointServiceClient::new(central.clone());
        let monitor = Monitor {
            points: points.clone(),
            id: id.clone(),
            address,
            reports: options.reports,
            tally: tally.clone(),
            places: places.clone(),
        };
        tokio::spawn(monitor.run(central, storms.clone(), shutdown.clone()));
    }
    let seconds = seconds(points.clone(), producer.clone(), tally.clone(), options.clone(), shutdown.clone());
    tokio::spawn(seconds);
    Ok(points)
}

/// The charge point with this number, from 0.
pub(crate) fn charge_point(number: u32) -> ChargePointId {
    format!("FLEET-{:06}", number + 1).parse().expect("letters, digits and a hyphen")
}

/// Its own, of the site or the crowd with this number, from 0.
pub(crate) fn address(first: u32, number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(first + number))
}

/// Each second of a site: its charge points read their meters, and tell.
async fn seconds(
    points: Arc<Points>,
    producer: Producer,
    tally: Arc<Tally>,
    options: Options,
    shutdown: Shutdown,
) {
    let (faults, every) = (options.faults, options.look_every());
    // Not all sites at once.
    tokio::time::sleep(every.mul_f64(fastrand::f64())).await;
    let mut seconds = tokio::time::interval(every);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut supplying_before = 0;
    while !shutdown.is_started() {
        seconds.tick().await;
        let now = mesh::now();
        let (mut told, mut supplying) = (Vec::new(), 0);
        for id in points.ids() {
            let Some(mut point) = points.get(id) else { continue };
            if faults.is_some_and(|mean| fastrand::f64() * mean.as_secs_f64() < 1.0) {
                point.breaks(now);
                tally.broke();
            }
            told.extend(point.second(now));
            supplying += u64::from(point.supply().is_some());
        }
        tally.supplies(supplying_before, supplying);
        supplying_before = supplying;
        for Told { message, trace, must } in told {
            let payload = engine::telemetry::payload(&message);
            if must {
                let record = Record {
                    topic: CP_TELEMETRY,
                    partition: None,
                    key: message.cp_id.as_bytes(),
                    payload: Some(&payload),
                    headers: &[],
                };
                // It is in the queue; what becomes of it central hears by its own calls, too.
                let _ = trace::scope(trace, producer.delivery(&record)).await;
            } else if !options.told_by_others {
                tally.read();
                trace::within(trace, || producer.send_lossy(CP_TELEMETRY, &message.cp_id, &payload));
            }
        }
    }
}

#[derive(Debug)]
struct Served(Arc<Points>);

impl Served {
    fn call<R: wire::Request>(
        &self,
        charge_point: &str,
        request: Request<R>,
    ) -> Result<Response<R::Response>, Status> {
        let trace = trace::parent(request.metadata().as_ref());
        let input = request.into_inner().input(trace)?;
        let id = charge_point.parse().ok();
        let point = id.as_ref().and_then(|id| self.0.get(id));
        let mut point =
            point.ok_or_else(|| Failure::invalid("charge_point_id", "names no charge point of this site"))?;
        Ok(Response::new(R::response(point.apply(mesh::now(), input))))
    }
}

#[tonic::async_trait]
impl EngineService for Served {
    type AttendStream = BoxStream<proto::AttendResponse>;

    async fn authorize_supply(
        &self,
        request: Request<proto::AuthorizeSupplyRequest>,
    ) -> Result<Response<proto::AuthorizeSupplyResponse>, Status> {
        let id = request.get_ref().charge_point_id.clone();
        self.call(&id, request)
    }

    async fn revoke_authorization(
        &self,
        request: Request<proto::RevokeAuthorizationRequest>,
    ) -> Result<Response<proto::RevokeAuthorizationResponse>, Status> {
        let id = request.get_ref().charge_point_id.clone();
        self.call(&id, request)
    }

    async fn stop_supply(
        &self,
        request: Request<proto::StopSupplyRequest>,
    ) -> Result<Response<proto::StopSupplyResponse>, Status> {
        let id = request.get_ref().charge_point_id.clone();
        self.call(&id, request)
    }

    async fn get_engine_state(
        &self,
        request: Request<proto::GetEngineStateRequest>,
    ) -> Result<Response<proto::GetEngineStateResponse>, Status> {
        let (id, without_sessions) =
            (request.get_ref().charge_point_id.clone(), request.get_ref().without_sessions);
        let mut response = self.call(&id, request)?;
        if let Some(state) = &mut response.get_mut().state {
            state.seals_telemetry = Some(false);
            if without_sessions {
                (state.current, state.unsettled) = (None, Vec::new());
            }
        }
        Ok(response)
    }

    async fn confirm_settled(
        &self,
        request: Request<proto::ConfirmSettledRequest>,
    ) -> Result<Response<proto::ConfirmSettledResponse>, Status> {
        let id = request.get_ref().charge_point_id.clone();
        self.call(&id, request)
    }

    async fn attend(
        &self,
        _: Request<Streaming<proto::AttendRequest>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        Err(Status::unimplemented("the monitors of a fleet are in it"))
    }
}
