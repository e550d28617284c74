//! What a person decides of sessions.

use super::{
    requests::{Arrived, MAX_NAMED, Mutation},
    view,
};
use crate::writer::Handle;
use domain::network::{Command, Method, Order, Verdict};
use domain::{ChargePointId, SessionId};
use evmesh_proto::{
    network,
    operations::{
        AdoptSessionsRequest, EndSessionRequest, RefuseSessionsRequest, SettleSessionRequest,
        settle_session_request,
    },
};
use mesh::{
    convert,
    grpc::{Failure, parse},
};
use tonic::Request;

/// Says what a session under review bills. The session as it is then.
pub(super) async fn settle(
    handle: &Handle,
    request: Request<SettleSessionRequest>,
) -> Result<Option<network::Session>, Failure> {
    let (arrived, mut message) = Arrived::take(request);
    let session: SessionId = parse("session_id", &message.session_id)?;
    let verdict = match message.verdict {
        Some(settle_session_request::Verdict::Accept(true)) => Verdict::Accepted,
        Some(settle_session_request::Verdict::Accept(false)) => {
            return Err(Failure::invalid("accept", "must be true, or energy_wh must say what is billed"));
        }
        Some(settle_session_request::Verdict::EnergyWh(wh)) => {
            Verdict::Energy(convert::energy("energy_wh", wh)?)
        }
        None => return Err(Failure::invalid("verdict", "must be accept, or energy_wh")),
    };
    let reason = convert::reason("reason", message.reason.trim())?;
    if reason.is_empty() {
        return Err(Failure::invalid("reason", "must say why"));
    }
    let request_id = std::mem::take(&mut message.request_id);
    let mutation = arrived.mutation(Method::SettleSession, &arrived.operator(), &request_id, &message)?;
    let order = Order::Settle { session: session.clone(), verdict, by: arrived.name(), reason };
    handle.ask(|token| Command::Order { asked: mutation.asked(token), order }).await?;
    as_it_is(handle, session).await
}

/// Has an engine forget what it claims and central never authorised. How many it is told to.
pub(super) async fn refuse(handle: &Handle, request: Request<RefuseSessionsRequest>) -> Result<i32, Failure> {
    let (arrived, mut message) = Arrived::take(request);
    let (charge_point, sessions) = claimed(&message.charge_point_id, &message.session_ids)?;
    let request_id = std::mem::take(&mut message.request_id);
    let mutation = arrived.mutation(Method::RefuseSessions, &arrived.operator(), &request_id, &message)?;
    counted(handle, mutation, Order::Refuse { charge_point, sessions }).await
}

/// Has what an engine claims and central never authorised taken over, under review. How many it is asked about.
pub(super) async fn adopt(handle: &Handle, request: Request<AdoptSessionsRequest>) -> Result<i32, Failure> {
    let (arrived, mut message) = Arrived::take(request);
    let (charge_point, sessions) = claimed(&message.charge_point_id, &message.session_ids)?;
    let request_id = std::mem::take(&mut message.request_id);
    let mutation = arrived.mutation(Method::AdoptSessions, &arrived.operator(), &request_id, &message)?;
    counted(handle, mutation, Order::Adopt { charge_point, sessions }).await
}

fn claimed(charge_point: &str, sessions: &[String]) -> Result<(ChargePointId, Vec<SessionId>), Failure> {
    let charge_point = parse("charge_point_id", charge_point)?;
    if !(1..=MAX_NAMED).contains(&sessions.len()) {
        return Err(Failure::invalid("session_ids", format!("must be 1 to {MAX_NAMED}")));
    }
    let sessions = sessions.iter().map(|id| parse("session_ids", id)).collect::<Result<_, _>>()?;
    Ok((charge_point, sessions))
}

async fn counted(handle: &Handle, mutation: Mutation, order: Order) -> Result<i32, Failure> {
    let ordered = handle.ask(|token| Command::Order { asked: mutation.asked(token), order }).await?;
    Ok(i32::try_from(ordered.count).unwrap_or(i32::MAX))
}

/// Ends an open session, whatever its engine does. The session as it is then.
pub(super) async fn end(
    handle: &Handle,
    request: Request<EndSessionRequest>,
) -> Result<Option<network::Session>, Failure> {
    let (arrived, mut message) = Arrived::take(request);
    let session: SessionId = parse("session_id", &message.session_id)?;
    let request_id = std::mem::take(&mut message.request_id);
    let mutation = arrived.mutation(Method::EndSession, &arrived.operator(), &request_id, &message)?;
    let order = Order::End(session.clone());
    handle.ask(|token| Command::Order { asked: mutation.asked(token), order }).await?;
    as_it_is(handle, session).await
}

async fn as_it_is(handle: &Handle, id: SessionId) -> Result<Option<network::Session>, Failure> {
    let found = handle.read(move |snapshot| snapshot.session(&id)).await?;
    Ok(found.as_ref().map(view::session))
}
