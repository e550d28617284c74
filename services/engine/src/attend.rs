//! The monitor's stream: a ping comes in, its answer goes out, and the end of the stream is told.

use crate::{Point, convert::obstacle, point::unexpected};
use domain::supply::{Answer, Input, State};
use evmesh_proto::engine::{AttendRequest, AttendResponse};
use mesh::{
    convert,
    grpc::{Failure, error::RETRY_AFTER},
};
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
    point.tell(Input::AttendEnded { link }).await;
}

async fn answer(point: &Point, link: u64, ping: &AttendRequest) -> Result<AttendResponse, Failure> {
    let epoch = convert::number("epoch", ping.epoch)?;
    let input = Input::Attend { link, epoch, central_reachable: ping.central_reachable };
    let reply = point.ask(input).await?;
    match reply.answer {
        Some(Answer::Attend(Ok(()))) => Ok(AttendResponse {
            instance_id: reply.view.instance.to_string(),
            fault: obstacle(&reply.view),
            supplying: reply.view.current.as_ref().is_some_and(|record| record.state == State::Supplying),
        }),
        Some(Answer::Attend(Err(stale))) => {
            Err(Failure::aborted("EPOCH_STALE", stale.to_string(), RETRY_AFTER).with("epoch", stale.newest))
        }
        other => Err(unexpected(other.as_ref())),
    }
}
