//! The network as central tells it: every charge point, and then each that changes, for as long as somebody watches.

use crate::{exit::Failure, remote::Remote};
use evmesh_proto::{
    network::ChargePointDetail,
    operations::{WatchNetworkRequest, WatchNetworkResponse, operator_service_client::OperatorServiceClient},
};
use mesh::{backoff::Backoff, grpc::CallError};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};
use tokio::sync::watch;
use tonic::{Status, Streaming};

/// Each charge point by its id, as central told it last.
pub(crate) type Network = BTreeMap<String, ChargePointDetail>;

/// What a watcher knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) network: Network,
    /// Why nothing new is heard at the moment, in a sentence.
    pub(crate) lost: Option<String>,
}

/// What a watcher hears.
#[derive(Debug)]
pub(crate) enum News<'a> {
    /// A charge point that is new, or not as it was.
    Changed(&'a ChargePointDetail),
    /// The id of a charge point that is not there any more: its operator had it forgotten.
    Forgotten(&'a str),
    /// How it stands with central, in a sentence.
    Said(&'a str),
}

pub(crate) async fn open(central: &Remote) -> Result<Streaming<WatchNetworkResponse>, Failure> {
    watch_network(central).await.map_err(|status| central.failed(&status))
}

async fn watch_network(central: &Remote) -> Result<Streaming<WatchNetworkResponse>, Status> {
    let mut client = OperatorServiceClient::new(central.peer.clone());
    Ok(client.watch_network(WatchNetworkRequest {}).await?.into_inner())
}

/// Watches until `tell` fails. A stream that ends, for central restarts or for something between cuts it, is opened
/// again, and only what is new by then is told.
pub(crate) async fn follow(
    central: &Remote,
    mut stream: Streaming<WatchNetworkResponse>,
    seen: &watch::Sender<Seen>,
    mut tell: impl FnMut(News<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let address = central.peer.address();
    let (mut backoff, mut said_cut) = (Backoff::default(), false);
    loop {
        let why = read(stream, seen, &mut backoff, &mut tell).await?;
        let mut lost = false;
        stream = loop {
            backoff.wait().await;
            match watch_network(central).await {
                Ok(stream) => break stream,
                Err(_) if lost => {}
                Err(status) => {
                    lost = true;
                    let why = CallError::from(&status).briefly();
                    let text = format!("cannot reach central at {address}, retrying: {why}");
                    tell(News::Said(&text))?;
                    seen.send_modify(|seen| seen.lost = Some(text));
                }
            }
        };
        if lost {
            seen.send_modify(|seen| seen.lost = None);
            tell(News::Said(&format!("central at {address} answers")))?;
        } else if !mem::replace(&mut said_cut, true) {
            // Something between may do so every minute: once is enough.
            let text = format!("central at {address}, or something between, ended the stream ({why})");
            tell(News::Said(&format!("{text}; it is opened again, and so each time")))?;
        }
    }
}

/// Tells what is new until the stream ends, and gives why it did.
async fn read(
    mut stream: Streaming<WatchNetworkResponse>,
    seen: &watch::Sender<Seen>,
    backoff: &mut Backoff,
    tell: &mut impl FnMut(News<'_>) -> Result<(), Failure>,
) -> Result<String, Failure> {
    // Every charge point comes first: one that is not among them is not there any more.
    let mut first = Some(BTreeSet::new());
    loop {
        let message = match stream.message().await {
            Ok(Some(message)) => message,
            Ok(None) => return Ok("it gave no reason".to_owned()),
            Err(status) => return Ok(CallError::from(&status).briefly()),
        };
        backoff.reset();
        forget(&message.forgotten_charge_point_ids, seen, tell)?; // one that has come back since is among the others
        for one in message.charge_points {
            let id = one.charge_point.as_ref().map(|one| one.charge_point_id.clone()).unwrap_or_default();
            if let Some(first) = &mut first {
                first.insert(id.clone());
            }
            if seen.borrow().network.get(&id) != Some(&one) {
                tell(News::Changed(&one))?;
                seen.send_modify(|seen| _ = seen.network.insert(id, one));
            }
        }
        if message.complete
            && let Some(first) = first.take()
        {
            let there = seen.borrow().network.keys().cloned().collect::<BTreeSet<_>>();
            forget(there.difference(&first), seen, tell)?;
        }
    }
}

fn forget<'a>(
    ids: impl IntoIterator<Item = &'a String>,
    seen: &watch::Sender<Seen>,
    tell: &mut impl FnMut(News<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for id in ids {
        seen.send_modify(|seen| _ = seen.network.remove(id));
        tell(News::Forgotten(id))?;
    }
    Ok(())
}
