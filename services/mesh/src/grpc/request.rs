//! A call's message on its way here: read whole before anything is done for it, so that a call that is never sent whole
//! keeps no place from anybody.

use super::connection::Account;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tonic::{Status, body::Body};

/// How gRPC begins a message: whether it is compressed, and how long it is.
const HEAD: usize = 5;

/// All of a call's body, in memory, and its data beside it. Of one that is longer than `most` (bytes), or says that it
/// will be, only what is there: that is enough to refuse it.
pub(super) async fn whole(mut body: Body, most: usize, account: &Account) -> Result<(Body, Bytes), Status> {
    if body.is_end_stream() {
        return Ok((body, Bytes::new()));
    }
    let (mut unsent, mut data, mut trailers) = (account.unsent(), BytesMut::new(), None);
    while let Some(frame) = body.frame().await.transpose()? {
        match frame.into_data() {
            // Copied: a short piece may keep all the rest that was read with it.
            Ok(piece) => {
                unsent.grows(piece.len());
                data.extend_from_slice(&piece);
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
        if data.len() > HEAD + most || length(&data).is_some_and(|length| length > most) {
            break;
        }
    }
    let data = data.freeze();
    Ok((Body::new(Whole { data: data.clone(), trailers }), data))
}

/// The message of a call's data, as its first one is framed.
pub(super) fn message<T: prost::Message + Default>(data: &[u8]) -> Option<T> {
    T::decode(data.get(HEAD..)?).ok()
}

/// How long a message says that it is (bytes).
fn length(data: &[u8]) -> Option<usize> {
    let [_, length @ ..] = data.first_chunk::<HEAD>()?;
    usize::try_from(u32::from_be_bytes(*length)).ok()
}

/// The body of [`whole`].
struct Whole {
    data: Bytes,
    trailers: Option<HeaderMap>,
}

impl http_body::Body for Whole {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if !this.data.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.data)))));
        }
        Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{connection::Connections, refusal::Told};
    use futures_util::FutureExt as _;

    #[test]
    fn of_too_many_calls_half_sent_the_connection_that_holds_most_is_closed() {
        const MOST: usize = 8_192;
        let connections = Connections::new(100, Told::default());
        let (most, less) = (connections.account(None), connections.account(None));
        drop((0..MOST).map(|_| less.unsent()).collect::<Vec<_>>()); // of what is gone nothing counts
        let mut one = less.unsent();
        let _most: Vec<_> = (1..MOST).map(|_| most.unsent()).collect();
        let closed = || [&most, &less].map(|account| account.closed().now_or_never().is_some());
        assert_eq!(closed(), [false, false], "as many as there may be");
        one.grows(1);
        assert_eq!(closed(), [true, false]);
    }
}
