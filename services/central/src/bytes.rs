//! Central's decoders and encoders by themselves, for whoever throws bytes at them: `proof`'s fuzzing.
//!
//! Everything here is what runs in production; nothing here decides anything.

use crate::{
    Error, codec,
    events::Events,
    parts::Page,
    roster::{self, Roster},
    services::{ChargePoints, Drivers, Operators},
    telemetry,
    writer::{self, Outlets, Running, Writer},
};
use domain::network::{Config, Message};
use evmesh_proto::{
    chargepoint::{self, charge_point_service_server::ChargePointService as _},
    driver::{self, driver_service_server::DriverService as _},
    operations::{self, operator_service_server::OperatorService as _},
    store::StoredOffset,
};
use mesh::{
    Shutdown,
    kafka::{KafkaOptions, Producer},
    store::MemoryStore,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use tonic::{Request, Status};

/// Reads a message on `cp_telemetry`; the error is the reason beside its dead letter.
pub fn telemetry(payload: &[u8]) -> Result<Message, String> {
    telemetry::decode(payload)
}

/// Writes an entry of the store's, as [`crate::parts::page`] reads it.
pub fn encode(page: &Page) -> Vec<u8> {
    match page {
        Page::ChargePoint(point) => codec::charge_point_value(point),
        Page::Session(session) => codec::session_value(session),
        Page::Notification(_, message) => codec::encode(message),
        Page::Offset(_, next) => codec::encode(&StoredOffset { next: *next }),
        Page::Answer(key, answered) => codec::answered_value(key, answered),
        Page::Active(_) | Page::Other => Vec::new(),
    }
}

/// No call takes longer: nothing is registered that could be asked.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The services of a central without charge points, without sockets.
#[derive(Debug)]
pub struct Calls {
    drivers: Drivers,
    points: ChargePoints,
    operators: Operators,
    _running: Running,
}

impl Calls {
    /// How many methods [`Calls::call`] knows.
    pub const METHODS: u8 = 13;

    /// Needs a tokio runtime.
    pub fn start() -> Result<Self, Error> {
        let writer = Writer::open(MemoryStore::new(), Config::default(), mesh::now())?;
        let (handle, running) = writer::spawn(
            writer,
            Outlets {
                events: Events::new().0,
                producer: Producer::new(&KafkaOptions::at("127.0.0.1:1"), "bytes")?,
                notifications: Arc::default(),
                dead_letters: Arc::default(),
                changelog: Arc::default(),
                lag: watch::Sender::default(),
                engine_timeout: TIMEOUT,
            },
        )?;
        let newest = watch::Sender::new(Arc::new(Roster::default()));
        let roster = roster::spawn(newest, handle.clone(), Shutdown::new());
        Ok(Self {
            drivers: Drivers { handle: handle.clone() },
            points: ChargePoints { handle: handle.clone(), report_interval: TIMEOUT },
            operators: Operators { handle, roster },
            _running: running,
        })
    }

    /// Decodes a request of this method's, if that is one, and calls it.
    pub async fn call(&self, method: u8, body: &[u8]) -> Result<(), Status> {
        fn read<T: prost::Message + Default>(body: &[u8]) -> Result<Request<T>, Status> {
            // What a client gets for such bytes, from the layer below the services.
            T::decode(body)
                .map(Request::new)
                .map_err(|_| mesh::grpc::Failure::invalid("request", "cannot be decoded").into())
        }
        let Self { drivers, points, operators, .. } = self;
        match method % Self::METHODS {
            0 => drivers.request_charge(read::<driver::RequestChargeRequest>(body)?).await.map(drop),
            1 => drivers.stop_charge(read::<driver::StopChargeRequest>(body)?).await.map(drop),
            2 => drivers.get_session(read::<driver::GetSessionRequest>(body)?).await.map(drop),
            3 => drivers.list_sessions(read::<driver::ListSessionsRequest>(body)?).await.map(drop),
            4 => drivers.list_charge_points(read::<driver::ListChargePointsRequest>(body)?).await.map(drop),
            5 => drivers.get_ticket(read::<driver::GetTicketRequest>(body)?).await.map(drop),
            6 => drivers.list_tickets(read::<driver::ListTicketsRequest>(body)?).await.map(drop),
            7 => {
                let manual = read::<chargepoint::RequestManualSupplyRequest>(body)?;
                points.request_manual_supply(manual).await.map(drop)
            }
            8 => operators
                .stop_charge_points(read::<operations::StopChargePointsRequest>(body)?)
                .await
                .map(drop),
            9 => {
                let resume = read::<operations::ResumeChargePointsRequest>(body)?;
                operators.resume_charge_points(resume).await.map(drop)
            }
            10 => operators.set_price(read::<operations::SetPriceRequest>(body)?).await.map(drop),
            11 => operators
                .get_network_status(read::<operations::GetNetworkStatusRequest>(body)?)
                .await
                .map(drop),
            _ => operators.list_sessions(read::<operations::ListSessionsRequest>(body)?).await.map(drop),
        }
    }
}
