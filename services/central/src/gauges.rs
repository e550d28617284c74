//! What is shown of a supply beside its energy, between Kafka's messages, the rules and the contracts.

use domain::{Power, network::Gauges};
use evmesh_proto::{network::LiveSupply, topics::Telemetry};

/// What a message tells of it.
pub(crate) fn told<S>(message: &Telemetry<S>) -> Result<Gauges, String> {
    let power = |kw| Power::from_kw(kw).ok_or_else(|| format!("kw is {kw}, which no charge point has"));
    Ok(Gauges { power: message.kw.map(power).transpose()? })
}

/// It as it is shown; the rest of the supply is left to the caller.
pub(crate) fn shown(gauges: Gauges) -> LiveSupply {
    LiveSupply { power_w: gauges.power.unwrap_or_default().w(), ..LiveSupply::default() }
}
