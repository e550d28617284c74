//! `evmesh check`: the health probe of a container, and whether Kafka can be used.

use crate::{
    exit::{Because as _, Failure},
    output::{self, Output},
    remote::{security, waiting},
};
use evmesh_proto::{
    driver::{ListChargePointsRequest, driver_service_client::DriverServiceClient},
    engine::{GetPanelRequest, engine_panel_service_client::EnginePanelServiceClient},
    topics,
};
use mesh::{
    grpc::{Address, Expected, Peers, SecurityOptions, cause},
    kafka::KafkaOptions,
};
use serde::Serialize;
use std::{error::Error as _, time::Duration};
use tonic::{Code, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// Asks a server whether it serves (grpc.health.v1), once.
///
/// Exit code 0 if it answers SERVING, 1 if it answers anything else or not in time.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Options {
    /// Not a server of evmesh's.
    #[command(subcommand)]
    other: Option<Other>,

    /// The server: HOST:PORT. Central, the registry, engines and monitors all answer.
    #[arg(value_name = "ADDR", env = "EVMESH_CHECK_ADDRESS", required = true)]
    address: Option<Address>,

    /// Ask for this gRPC service alone, such as evmesh.driver.v1.DriverService; without it, for the whole server.
    #[arg(long, env = "EVMESH_CHECK_SERVICE", default_value = "", hide_default_value = true)]
    service: String,

    /// Ask too whether it is ready for its callers: a real call, within the limits that theirs have. Without it a
    /// server that is too busy for them all is well, since a restart would not help it. A server that asks who calls
    /// answers to a certificate (--identity); a token is not shown to it.
    #[arg(long, env = "EVMESH_CHECK_READY")]
    ready: bool,

    /// How long to wait for the answer, connecting included, in seconds.
    #[arg(long, env = "EVMESH_CHECK_TIMEOUT", default_value = "2", value_name = "SECONDS",
          value_parser = mesh::seconds)]
    timeout: Duration,

    #[command(flatten)]
    security: SecurityOptions,

    /// A sentence for people, or one JSON document for scripts, whatever the answer is.
    #[arg(long, value_enum, env = "EVMESH_CHECK_OUTPUT", default_value = "text")]
    output: Output,
}

#[derive(Debug, clap::Subcommand)]
enum Other {
    /// Asks Kafka whether whoever has these flags, a role's own, can use it: whether it is reached where it says that
    /// it is, takes their certificate or password, and lets them use a topic.
    ///
    /// Exit code 0 if all of that is so; 1, and what is wrong in a sentence, if not.
    Kafka(OfKafka),
}

#[derive(Debug, clap::Args)]
struct OfKafka {
    #[command(flatten)]
    kafka: KafkaOptions,

    /// The topic, without the prefix: one that they may read or write.
    #[arg(long, env = "EVMESH_CHECK_TOPIC", value_name = "NAME", default_value = topics::CP_TELEMETRY)]
    topic: String,

    /// How long to try, in seconds.
    #[arg(long, env = "EVMESH_CHECK_TIMEOUT", default_value = "10", value_name = "SECONDS",
          value_parser = mesh::seconds)]
    timeout: Duration,
}

async fn kafka(options: OfKafka, security: &SecurityOptions) -> Result<(), Failure> {
    let OfKafka { mut kafka, topic, timeout } = options;
    kafka.protect(security.identity.as_deref()).because()?;
    let address = kafka.kafka.clone();
    let asked = mesh::kafka::check(&kafka, &topic, timeout);
    waiting(|| format!("waiting for kafka at {address}"), asked).await.map_err(Failure::Failed)?;
    output::line(&format!("kafka at {address}: reached, and topic {} may be used", kafka.topic(&topic)))
}

/// What came of the question, for scripts.
#[derive(Debug, Serialize)]
struct Answer {
    address: String,
    /// Empty: the whole server.
    service: String,
    status: Status,
    /// Why it is not SERVING, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// The statuses of grpc.health.v1, and those of a server that gives none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Status {
    Serving,
    NotServing,
    Unknown,
    ServiceUnknown,
    /// Nothing listens there, or something that is no gRPC server.
    Unreachable,
    /// It accepted the question, and gave no answer in time.
    Silent,
    /// It answered, but not the question.
    NoHealthService,
    /// It serves, but not its callers now.
    NotReady,
}

/// Asks, and says what the answer was.
pub(crate) async fn run(options: Options) -> Result<(), Failure> {
    if let Some(Other::Kafka(of_kafka)) = options.other {
        return kafka(of_kafka, &options.security).await;
    }
    let Some(server) = options.address.clone() else {
        return Err(Failure::Usage("which server? Name its address, HOST:PORT".to_owned()));
    };
    let (address, output) = (server.to_string(), options.output);
    let service = options.service.clone();
    let peers = Peers::new(security(&options.security)?);
    let asked = waiting(|| format!("waiting for {address}"), ask(peers, server, options)).await;
    let (status, problem) = match asked {
        Ok(()) => (Status::Serving, None),
        Err((status, problem)) => (status, Some(problem)),
    };
    match (output, &problem) {
        (Output::Text, None) => output::line(&format!("{}: serving", named(&address, &service)))?,
        (Output::Text, Some(_)) => {}
        (Output::Json, _) => output::json(&Answer { address, service, status, problem: problem.clone() })?,
    }
    problem.map_or(Ok(()), |problem| Err(Failure::Failed(problem)))
}

fn named(address: &str, service: &str) -> String {
    match service {
        "" => address.to_owned(),
        service => format!("{service} at {address}"),
    }
}

async fn ask(peers: Peers, address: Address, options: Options) -> Result<(), (Status, String)> {
    let Options { service, ready, timeout, security, .. } = options;
    let plain = if security.identity.is_some() { "" } else { "-plaintext " };
    let what = named(&address.to_string(), &service);
    let unreachable = |cause| {
        let advice =
            "is it started, and is this the address of central, the registry, an engine or a monitor?";
        (Status::Unreachable, format!("cannot reach {address}: {cause}; {advice}"))
    };
    let ask = async {
        let channel =
            peers.connect(&address, Expected::Anyone).await.map_err(|error| unreachable(cause(&error)))?;
        let request = HealthCheckRequest { service };
        let answer = HealthClient::new(channel.clone()).check(request).await;
        if ready && let Err(status) = call(channel).await {
            return Err(not_ready(&what, &status));
        }
        answer.map_err(|status| match (status.code(), status.source()) {
            (Code::NotFound, _) => {
                let advice = format!("see 'grpcurl {plain}{address} list'");
                (Status::ServiceUnknown, format!("{what} is not a service of this server: {advice}"))
            }
            (Code::Unimplemented, _) => {
                let problem =
                    format!("the server at {address} answers, but has no health service; is it evmesh's?");
                (Status::NoHealthService, problem)
            }
            (_, Some(error)) => unreachable(cause(error)),
            (_, None) => {
                let problem = format!("{what} did not answer: {}; its log says more", status.message());
                (Status::Unknown, problem)
            }
        })
    };
    let Ok(answer) = tokio::time::timeout(timeout, ask).await else {
        let advice = "is it overloaded, or another kind of server? --timeout waits longer";
        return Err((Status::Silent, format!("{what} did not answer within {timeout:?}; {advice}")));
    };
    let unsaid = |status| (status, format!("{what} does not say whether it serves; its log says more"));
    match answer?.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        ServingStatus::NotServing => Err((
            Status::NotServing,
            format!(
                "{what} is not serving: it starts, stops, or waits for what it needs; its log says which"
            ),
        )),
        ServingStatus::Unknown => Err(unsaid(Status::Unknown)),
        ServingStatus::ServiceUnknown => Err(unsaid(Status::ServiceUnknown)),
    }
}

/// Why the call came to nothing: whom the server does not let call learns nothing of how it is.
fn not_ready(what: &str, status: &tonic::Status) -> (Status, String) {
    let why = status.message();
    let unsaid = format!("{what} does not say whether it is ready: {why}");
    match status.code() {
        Code::Unauthenticated => (Status::Unknown, format!("{unsaid}; 'check' shows no token")),
        Code::PermissionDenied => (Status::Unknown, unsaid),
        _ => {
            let advice = "it is too busy for its callers, or starts or stops";
            (Status::NotReady, format!("{what} is not ready: {why}; {advice}"))
        }
    }
}

/// A call as this server's callers make it: central's, or else an engine's; a monitor has none but health.
async fn call(channel: Channel) -> Result<(), tonic::Status> {
    let list = ListChargePointsRequest { page_size: 1, ..Default::default() };
    let central = DriverServiceClient::new(channel.clone()).list_charge_points(list).await.map(drop);
    let not_there = |answer: &Result<(), tonic::Status>| {
        answer.as_ref().is_err_and(|status| status.code() == Code::Unimplemented)
    };
    if !not_there(&central) {
        return central;
    }
    let engine = EnginePanelServiceClient::new(channel).get_panel(GetPanelRequest {}).await.map(drop);
    if not_there(&engine) { Ok(()) } else { engine }
}
