//! A call as bytes: the request's frames, and what comes back.

use bytes::{BufMut as _, Bytes};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use mesh::grpc::Stack;
use std::time::Duration;
use tonic::{Code, Status, body::Body};
use tower::Service as _;

/// So many answers of a stream are taken.
const ANSWERS: usize = 3;
/// A stream that has nothing to say for so long is let go of.
const SILENCE: Duration = Duration::from_millis(20);
/// A request has at most so many messages.
const MESSAGES: usize = 4;

/// How a call ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// With an answer, or with a stream that goes on.
    Answered,
    /// With a status.
    Refused(Status),
}

/// The body of a request: with 0 the bytes as they are, otherwise so many messages (at most 4) of equal parts of them.
pub(super) fn framed(how: u8, bytes: &[u8]) -> Vec<u8> {
    let messages = match usize::from(how) {
        0 => return bytes.to_vec(),
        how => (how - 1) % MESSAGES + 1,
    };
    let mut body = Vec::with_capacity(bytes.len() + 5 * messages);
    let length = bytes.len().div_ceil(messages);
    for n in 0..messages {
        let message = &bytes[(n * length).min(bytes.len())..((n + 1) * length).min(bytes.len())];
        body.put_u8(0); // not compressed
        body.put_u32(u32::try_from(message.len()).expect("inputs are short"));
        body.extend_from_slice(message);
    }
    body
}

/// Sends a request with this body, and reads until its end is known.
pub(super) async fn ending(stack: &mut Stack, path: &str, body: Vec<u8>) -> Ending {
    let request = http::Request::post(format!("http://evmesh{path}"))
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Full::new(Bytes::from(body))))
        .expect("a request is a request");
    let Ok(response) = stack.call(request).await;
    if let Some(status) = Status::from_header_map(response.headers()) {
        return refused(status);
    }
    let mut answers = response.into_body();
    let mut taken = 0;
    while !answers.is_end_stream() && taken < ANSWERS {
        let Ok(frame) = tokio::time::timeout(SILENCE, answers.frame()).await else { break };
        match frame {
            Some(Ok(frame)) => match frame.into_trailers() {
                Ok(trailers) => {
                    let status = Status::from_header_map(&trailers);
                    return status.map_or(Ending::Answered, refused);
                }
                Err(_) => taken += 1,
            },
            Some(Err(status)) => return refused(status),
            None => break,
        }
    }
    Ending::Answered
}

fn refused(status: Status) -> Ending {
    if status.code() == Code::Ok { Ending::Answered } else { Ending::Refused(status) }
}
