//! Before the faults everything is ready; after them everything has to settle, in bounded time.

use super::{
    hands,
    journal::Journal,
    watch::{Watch, channel},
    world::World,
};
use evmesh_proto::{
    engine::{GetEngineStateRequest, engine_service_client::EngineServiceClient},
    network::{ChargePointStatus, SessionState},
};
use std::time::Duration;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// The first start, Kafka's included, on a machine that does other things too.
const FIRST_READY: Duration = Duration::from_secs(60);
/// INV-9: within this, every charge point is there again once nothing disturbs it.
const READY: Duration = Duration::from_secs(10);
/// The longest deadline of the run is 15 s, and a call repeats within 3 s; what is left belongs to nobody.
const SETTLED: Duration = Duration::from_secs(75);
/// Messages reach Kafka at once when it is there, and it is: this is what a reconnection takes, twice.
pub(super) const PUBLISHED: Duration = Duration::from_secs(20);

/// Waits until every charge point is there.
pub(super) async fn ready(world: &World, watch: &Watch) -> anyhow::Result<()> {
    let there = async {
        while !all_there(world, watch).await {
            tokio::time::sleep(LOOK).await;
        }
    };
    timeout(FIRST_READY, there).await.map_err(|_| {
        anyhow::anyhow!(
            "the charge points are not there within {FIRST_READY:?}; see the logs in the run's folder"
        )
    })
}

async fn all_there(world: &World, watch: &Watch) -> bool {
    let status = watch.status().await.unwrap_or_default();
    let there = status.iter().filter_map(|detail| detail.charge_point.as_ref()).filter(|point| {
        !matches!(
            point.status(),
            ChargePointStatus::Disconnected | ChargePointStatus::Faulted | ChargePointStatus::Unspecified
        )
    });
    there.count() == world.points.len()
}

/// Nothing is disturbed any more: within their times, everything is there, every session is settled, no engine keeps
/// anything, and all messages are on the topics.
pub(super) async fn settle(
    world: &World,
    journal: &Journal,
    watch: &Watch,
    clients: &mut JoinSet<()>,
) -> anyhow::Result<()> {
    let began = Instant::now();
    for point in &world.points {
        hands::repair(point).await;
    }
    // The supervisor keeps what ended by itself running.
    let there = async {
        while !all_there(world, watch).await {
            tokio::time::sleep(LOOK).await;
        }
    };
    if timeout(READY, there).await.is_err() {
        let status = watch.status().await.unwrap_or_default();
        let text = format!("{READY:?} after the last fault not every charge point is there: {status:?}");
        journal.violated("INV-9", None, text);
    }
    for app in &world.apps {
        let mut life = app.take().await; // the supervisor sees it no more: it is taken for good
        app.signal(&life, "TERM");
        tokio::time::sleep(LOOK).await;
        app.kill(&mut life);
    }
    let settled = async {
        while clients.join_next().await.is_some() {}
        while !all_settled(world, journal, watch).await {
            tokio::time::sleep(LOOK).await;
        }
    };
    if timeout(SETTLED, settled).await.is_err() {
        let kept = kept(world).await;
        let text =
            format!("not everything is settled {SETTLED:?} after the last fault; engines keep {kept:?}");
        journal.violated("INV-3", None, text);
        clients.abort_all();
    }
    println!("{} settled after {:?}", crate::process::clock(mesh::now().wall.0), began.elapsed());
    // Central says how many rows wait for Kafka; the engines' last messages are waited for on the topic itself.
    let published = async {
        while watch.rows_waiting().await != Some(0) {
            tokio::time::sleep(LOOK).await;
        }
    };
    if timeout(PUBLISHED, published).await.is_err() {
        journal.violated("INV-9", None, "central's outbox is not empty though Kafka is there");
    }
    Ok(())
}

async fn all_settled(world: &World, journal: &Journal, watch: &Watch) -> bool {
    if watch.sessions(true).await.is_err() {
        return false;
    }
    let settled =
        |session: &evmesh_proto::network::Session| session.state() == SessionState::Ended && session.settled;
    journal.facts().sessions.values().all(settled) && kept(world).await.is_empty()
}

/// The sessions that engines still keep, and the engines that do not answer.
async fn kept(world: &World) -> Vec<String> {
    let mut kept = Vec::new();
    for point in &world.points {
        let mut client = EngineServiceClient::new(channel(point.engine_address));
        // Any instance's id will do: another one's is answered with the state too.
        let instance_id = "00000000-0000-4000-8000-000000000000".into();
        let request = GetEngineStateRequest { instance_id, ..Default::default() };
        match timeout(READY, client.get_engine_state(request)).await {
            Ok(Ok(answer)) => {
                let state = answer.into_inner().state.unwrap_or_default();
                let records = state.current.into_iter().chain(state.unsettled);
                kept.extend(records.map(|record| format!("{} at {}", record.session_id, point.id)));
            }
            Ok(Err(_)) | Err(_) => kept.push(format!("{} does not answer", point.id)),
        }
    }
    kept
}
