//! `evmesh check`: the health probe of a container.

use crate::{exit::Failure, far::root_cause, output};
use mesh::grpc::Address;
use std::time::Duration;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// Asks a server whether it serves (grpc.health.v1), once.
///
/// Exit code 0 if it answers SERVING, 1 if it answers anything else or not in time.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The server: HOST:PORT, or http://HOST:PORT. Central, engines and monitors all answer.
    #[arg(value_name = "ADDR", env = "EVMESH_CHECK_ADDRESS")]
    address: Address,

    /// Ask for this gRPC service alone, such as evmesh.driver.v1.DriverService; without it, for the whole server.
    #[arg(
        long,
        env = "EVMESH_CHECK_SERVICE",
        default_value = "",
        hide_default_value = true
    )]
    service: String,

    /// How long to wait for the answer, connecting included in seconds.
    #[arg(long, env = "EVMESH_CHECK_TIMEOUT", default_value = "2", value_name = "SECONDS", value_parser = mesh::seconds)]
    timeout: Duration,
}

/// Asks, and says what the answer was.
pub(crate) async fn run(options: Options) -> Result<(), Failure> {
    let Options {
        address,
        service,
        timeout,
    } = options;
    let what = match service.as_str() {
        "" => address.to_string(),
        service => format!("{service} at {address}"),
    };
    let ask = async {
        let channel = address.endpoint().connect().await.map_err(|error| {
            Failure::Failed(format!(
                "cannot reach {address}: {}; is it started?",
                root_cause(&error)
            ))
        })?;
        let request = HealthCheckRequest { service };
        let answer = HealthClient::new(channel).check(request).await;
        answer.map_err(|status| match status.code() {
            Code::NotFound => Failure::Failed(format!(
                "{what} is not a service of this server: see 'grpcurl -plaintext {address} list'"
            )),
            Code::Unimplemented => Failure::Failed(format!(
                "the server at {address} answers, but has no health service"
            )),
            _ => Failure::Failed(format!("{what} did not answer: {}", status.message())),
        })
    };
    let Ok(answer) = tokio::time::timeout(timeout, ask).await else {
        return Err(Failure::Failed(format!(
            "{what} did not answer within {timeout:?}; is it overloaded, or another kind of server?"
        )));
    };
    match answer?.into_inner().status() {
        ServingStatus::Serving => output::line(&format!("{what}: serving")),
        ServingStatus::NotServing => Err(Failure::Failed(format!(
            "{what} is not serving: it starts, stops, or waits for what it needs; its log says which"
        ))),
        ServingStatus::Unknown | ServingStatus::ServiceUnknown => {
            Err(Failure::Failed(format!("{what} does not say whether it serves")))
        }
    }
}
