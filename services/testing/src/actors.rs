//! Calls of whoever acts, without certificates: to a stack that has no socket.

use bytes::Bytes;
use domain::Wall;
use http_body_util::{BodyExt as _, Full};
use mesh::grpc::{Actor, Known, Refused, Stack};
use std::{convert::Infallible, sync::Arc};
use tonic::{Status, body::Body};
use tower::{ServiceExt as _, util::BoxCloneService};

/// A stack as one who acts has it, for clients: `DriverServiceClient::new(called_by(&stack, &actor))`.
pub type CalledBy = BoxCloneService<http::Request<Body>, http::Response<Body>, Infallible>;

/// Every call is this one's, as over a connection to a protected server.
pub fn called_by(stack: &Stack, actor: &Actor) -> CalledBy {
    let actor = actor.clone();
    stack.clone().map_request(move |request| actor.calls(request)).boxed_clone()
}

/// Whom a certificate names so that never expires: `driver/101`.
pub fn known(path: &str) -> Actor {
    let identity = format!("spiffe://test/{path}").parse().expect("the path of a name");
    let (identity, serial) = (Arc::new(identity), Some("1".into()));
    Actor::Known(Known { identity, expires: Wall::MAX, serial, refused: Refused::default() })
}

/// Whom a token names so that never expires.
pub fn known_by_token(path: &str) -> Actor {
    let Actor::Known(known) = known(path) else { unreachable!("it is known") };
    Actor::Known(Known { serial: None, ..known })
}

/// Sends one message (its bytes) to the method with this path: the error, if that comes before any answer does.
pub async fn refusal(stack: &Stack, actor: &Actor, path: &str, message: &[u8]) -> Option<Status> {
    let size = u32::try_from(message.len()).expect("it is small").to_be_bytes();
    let body = [&[0], &size[..], message].concat();
    let request =
        http::Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
    let request = request.body(Body::new(Full::new(Bytes::from(body)))).expect("a path is a URI");
    let Ok(response) = called_by(stack, actor).oneshot(request).await;
    let (head, mut body) = response.into_parts();
    let status = match Status::from_header_map(&head.headers) {
        Some(status) => Some(status),
        // Of a stream that is silent there is no error: its head has come.
        None => match body.frame().await {
            Some(Ok(frame)) => frame.trailers_ref().and_then(Status::from_header_map),
            Some(Err(status)) => Some(status),
            None => None,
        },
    };
    status.filter(|status| status.code() != tonic::Code::Ok)
}
