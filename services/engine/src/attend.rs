//! The monitor's stream: a ping comes in, its answer goes out, and the end of the stream is told.

use crate::{Point, wire};
use domain::supply::Happened;
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
    wire::pong(point.ask(wire::ping(link, ping)?).await?)
}
