//! What people are told, once per change.

use crate::{Options, View};
use domain::watchdog::{Health, Notice, Status};

pub(crate) fn say(view: &View, notice: &Notice) {
    let Options { charge_point, engine, central, .. } = &view.options;
    match notice {
        Notice::EngineReached { instance } => {
            tracing::info!(%charge_point, %instance, "engine at {engine} answers");
        }
        Notice::EngineWell => tracing::info!(%charge_point, "engine is well again"),
        Notice::EngineFaulted { fault } => {
            tracing::warn!(%charge_point, %fault, "engine is broken; repair it, central is told");
        }
        Notice::EngineUnreachable { why, never_reached: true } => {
            tracing::warn!(
                %charge_point,
                "cannot reach the engine at {engine}: {why}; nothing to register yet, trying until it answers"
            );
        }
        Notice::EngineUnreachable { why, never_reached: false } => {
            tracing::warn!(%charge_point, "cannot reach the engine at {engine}: {why}; trying until it answers");
        }
        Notice::EngineChanged { instance } => {
            tracing::warn!(%charge_point, %instance, "engine has another store than before; registering again with it");
        }
        Notice::Registered { epoch } => {
            tracing::info!(%charge_point, epoch, "registered with central at {central}");
        }
        Notice::CentralUnreachable { why } => {
            tracing::warn!(%charge_point, "cannot reach central at {central}: {why}; trying until it answers");
        }
        Notice::CentralRefuses { why, retry_after } => {
            let next = match retry_after {
                Some(after) => format!("trying again in {:.1} s", after.as_secs_f64()),
                None => "trying again".into(),
            };
            tracing::warn!(%charge_point, "central at {central} refuses: {why}; {next}");
        }
        Notice::OutOfOrder => {
            tracing::warn!(%charge_point, "the operator took the charge point out of service");
        }
        Notice::InService => {
            tracing::info!(%charge_point, "the operator put the charge point back into service")
        }
    }
}

/// For dashboards: 1 while the engine is well, and while central answers.
pub(crate) fn measure(view: &View, status: &Status) {
    let charge_point = view.options.charge_point.to_string();
    let engine_ok = status.engine == Some(Health::Ok);
    let connected = matches!(status.central, domain::watchdog::CentralStatus::Connected { .. });
    metrics::gauge!("evmesh_monitor_engine_ok", "charge_point" => charge_point.clone())
        .set(f64::from(u8::from(engine_ok)));
    metrics::gauge!("evmesh_monitor_central_connected", "charge_point" => charge_point)
        .set(f64::from(u8::from(connected)));
}
