//! The monitor's stream: a ping comes in, its answer goes out, and the end of the stream is told.

use crate::{Point, owner::Reply, wire};
use domain::supply::{Act, Happened};
use evmesh_proto::engine::{AttendRequest, AttendResponse};
use mesh::grpc::Failure;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

/// Answers wait for a monitor that is slow to read; then its pings are not read either, and it counts as lost.
pub(crate) const ANSWERS: usize = 4;

/// Serves one stream to its end.
pub(crate) async fn attend(
    point: Point,
    link: u64,
    mut pings: Streaming<AttendRequest>,
    answers: mpsc::Sender<Result<AttendResponse, Status>>,
) {
    loop {
        let ping = tokio::select! {
            ping = pings.message() => ping,
            () = answers.closed() => break,
        };
        let Ok(Some(ping)) = ping else { break };
        let answer = answer(&point, link, &ping).await;
        let over = answer.is_err();
        if answers.send(answer.map_err(Status::from)).await.is_err() || over {
            break;
        }
    }
    point.tell(Happened::AttendEnded { link }).await;
}

async fn answer(point: &Point, link: u64, ping: &AttendRequest) -> Result<AttendResponse, Failure> {
    let whose = ping.charge_point_id.as_str();
    if !whose.is_empty() && whose != point.charge_point().as_str() {
        // It learns whose engine this is, and counts for nothing: a mistyped address must not keep a supply running
        // that its own monitor has left.
        return wire::pong(Reply { answer: Ok(()), view: point.act(Act::Look).await? });
    }
    wire::pong(point.ask(wire::ping(link, ping)?).await?)
}
