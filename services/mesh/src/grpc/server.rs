//! A server: its services, health and reflection, and its ordered stop. What a call passes is in `stack`.

use super::{
    connection::Connections,
    listen::Listener,
    refusal::{Refusal, Told},
    server_options::ServerOptions,
    stack::{READY, Stack},
};
use crate::Shutdown;
use futures_util::StreamExt as _;
use std::{convert::Infallible, io, time::Duration};
use tonic::{
    body::Body, codec::CompressionEncoding, server::NamedService, service::Routes, transport::Server,
};
use tonic_health::{ServingStatus, server::HealthReporter};
use tower::Service;

#[derive(Debug, thiserror::Error)]
#[error("the gRPC server failed")]
pub struct ServeError(#[from] tonic::transport::Error);

/// A connection that is silent for so long is asked for a sign of life, and closed without one: callers that hang hold
/// no place for longer than [`KEEP_ALIVE_INTERVAL`] + [`KEEP_ALIVE_TIMEOUT`]. The kernel finds sooner who vanished.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(60);
/// See [`KEEP_ALIVE_INTERVAL`].
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// One connection has at most so many calls and streams open; its further ones wait at the caller.
const MAX_STREAMS_PER_CONNECTION: u32 = 1024;
/// How requests may be compressed: a service's largest message bounds them before and after. Answers never are.
pub const REQUEST_CODING: CompressionEncoding = CompressionEncoding::Gzip;
/// The largest request of health and of reflection (bytes): the name of a service, a file or a symbol. What is half
/// sent is kept, and nothing else bounds how many of those there are.
const MAX_OWN_MESSAGE: usize = 1024;
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// After the drain timeout running calls are answered `UNAVAILABLE`; their answers get so long to leave.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// A server of gRPC services, with health and reflection, behind the whole server stack.
#[derive(Debug)]
pub struct GrpcServer {
    options: ServerOptions,
    routes: Routes,
    names: Vec<&'static str>,
    told: Told,
    reporter: HealthReporter,
}

impl GrpcServer {
    /// Without services, but for health.
    pub fn new(options: &ServerOptions) -> Self {
        let (reporter, health) = tonic_health::server::health_reporter();
        let health = health.max_decoding_message_size(MAX_OWN_MESSAGE).accept_compressed(REQUEST_CODING);
        let routes = Routes::new(health);
        Self { options: options.clone(), routes, names: Vec::new(), told: Told::default(), reporter }
    }

    /// Adds a generated server. Give it `max_decoding_message_size(options.max_message_bytes)` and
    /// `accept_compressed(REQUEST_CODING)` first.
    pub fn add_service<S>(mut self, service: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.routes = self.routes.add_service(service);
        self.names.push(S::NAME);
        self
    }

    /// Has each call told of that is refused for who made it, and each connection whose certificate is: on its own
    /// task, which must not wait.
    pub fn tell_refusals(self, whom: impl Fn(Refusal) + Send + Sync + 'static) -> Self {
        Self { told: Told::to(whom), ..self }
    }

    /// What [`GrpcServer::serve`] puts behind its socket, for whoever has requests and no connection: each passes the
    /// whole server stack, and nothing stops it.
    pub fn without_socket(self) -> Stack {
        self.stack(Shutdown::new(), Shutdown::new())
    }

    fn stack(self, stopping: Shutdown, overdue: Shutdown) -> Stack {
        Stack::new(with_reflection(self.routes, &self.names), &self.options, self.told, stopping, overdue)
    }

    /// Serves until the order to stop, then: health says not serving, streams end with `UNAVAILABLE` `SHUTTING_DOWN`,
    /// no new connection is taken, running calls go on for the drain timeout at most.
    pub async fn serve(self, listener: Listener, shutdown: Shutdown) -> Result<(), ServeError> {
        let (stopping, overdue) = (Shutdown::new(), Shutdown::new());
        let (reporter, names) = (self.reporter.clone(), self.names.clone());
        let drain_timeout = self.options.drain_timeout;
        let connections = Connections::new(self.options.max_connections, self.told.clone());
        let stack = self.stack(stopping.clone(), overdue.clone());
        if shutdown.is_started() {
            return Ok(());
        }
        report(&reporter, &names, ServingStatus::Serving).await;
        let serving = Server::builder()
            .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
            .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
            .serve_with_incoming_shutdown(
                stack,
                listener.incoming(connections).then(accepted),
                stopping.token().clone().cancelled_owned(),
            );
        tokio::pin!(serving);
        tokio::select! {
            ended = &mut serving => return Ok(ended?),
            () = shutdown.started() => {}
        }
        report(&reporter, &names, ServingStatus::NotServing).await;
        stopping.start();
        if let Ok(ended) = tokio::time::timeout(drain_timeout, &mut serving).await {
            return Ok(ended?);
        }
        tracing::warn!(
            timeout_s = drain_timeout.as_secs_f64(),
            "calls still ran after the drain timeout; they are cut"
        );
        overdue.start();
        // A connection can stay open for ever (hyper #4170): what has not gone by now goes with the process.
        match tokio::time::timeout(LAST_ANSWERS, &mut serving).await {
            Ok(ended) => Ok(ended?),
            Err(_) => Ok(()),
        }
    }
}

/// What health says of every service, and under the empty name of the server as a whole, which is [`READY`] then.
async fn report(health: &HealthReporter, names: &[&'static str], status: ServingStatus) {
    for name in ["", READY].iter().chain(names) {
        health.set_service_status(*name, status).await;
    }
}

/// With too many open files the next accept fails at once, again and again: without a pause that would take a whole
/// core.
async fn accepted<T>(connection: io::Result<T>) -> io::Result<T> {
    if let Err(error) = &connection {
        tracing::debug!(%error, "a connection was not accepted");
        metrics::counter!("evmesh_server_accept_errors_total").increment(1);
        tokio::time::sleep(ACCEPT_AGAIN).await;
    }
    connection
}

/// Adds reflection, as v1 and as v1alpha: tools differ in which they ask for. It names what is served here and
/// nothing else.
fn with_reflection(routes: Routes, names: &[&'static str]) -> Routes {
    let builder = || {
        let mut builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(evmesh_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // So that a generic client shows an error's details as what they are.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("grpc.health.v1.Health");
        for name in names {
            builder = builder.with_service_name(*name);
        }
        builder
    };
    let v1 = builder().with_service_name("grpc.reflection.v1.ServerReflection").build_v1();
    let v1alpha = builder().with_service_name("grpc.reflection.v1alpha.ServerReflection").build_v1alpha();
    let (v1, v1alpha) = (v1.expect("our descriptors are valid"), v1alpha.expect("our descriptors are valid"));
    routes
        .add_service(v1.max_decoding_message_size(MAX_OWN_MESSAGE).accept_compressed(REQUEST_CODING))
        .add_service(v1alpha.max_decoding_message_size(MAX_OWN_MESSAGE).accept_compressed(REQUEST_CODING))
}
