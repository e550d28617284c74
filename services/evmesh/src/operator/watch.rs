//! `operator watch`: the network as it changes. A panel on a terminal, a line a change elsewhere.

use crate::{
    exit::Failure,
    far::Far,
    output::{self, Output},
    view,
};
use crossterm::event::{KeyCode, KeyEvent};
use evmesh_proto::operations::{
    WatchNetworkRequest, WatchNetworkResponse, operator_service_client::OperatorServiceClient,
};
use mesh::{
    Shutdown,
    terminal::{self, Screen},
};
use std::{io, time::Duration};
use tonic::Streaming;

/// The panel is painted at each change, and so often for a terminal that was resized.
const REPAINT: Duration = Duration::from_secs(1);
/// So many rows further with one of the page keys.
const PAGE: isize = 10;

/// Says every charge point, and then each that changes, until central ends the stream, which is a failure: central is gone.
pub(crate) async fn follow(
    central: &Far,
    say: impl Fn(&view::ChargePoint) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut stream = open(central).await?;
    loop {
        for charge_point in next(central, &mut stream).await? {
            say(&charge_point)?;
        }
    }
}

/// `operator watch` without a panel.
pub(super) async fn print(central: &Far, output: Output) -> Result<(), Failure> {
    let say = |one: &view::ChargePoint| match output {
        Output::Text => output::line(&view::charge_point_line(one)),
        Output::Json => output::json_line(one),
    };
    follow(central, say).await
}

/// Shows a panel until `q`, Ctrl-C or the order to stop; or until central is gone, which is a failure.
pub(super) async fn show(central: &Far, shutdown: &Shutdown) -> Result<(), Failure> {
    let mut stream = open(central).await?;
    let address = central.peer.address().to_string();
    let failed = |error: io::Error| Failure::Failed(format!("the terminal failed: {error}; use --plain"));
    let mut network = view::Network::default();
    let mut screen = Screen::open().map_err(failed)?;
    let mut keys = terminal::keys();
    loop {
        screen.draw(|frame| network.draw(frame, &address)).map_err(failed)?;
        tokio::select! {
            () = shutdown.started() => return Ok(()),
            Some(key) = keys.recv() => {
                if terminal::is_quit(&key) {
                    return Ok(());
                }
                network.scroll(rows(&key));
            }
            changed = next(central, &mut stream) => changed?.for_each(|one| network.take(one)),
            () = tokio::time::sleep(REPAINT) => {}
        }
    }
}

/// How far a key scrolls.
fn rows(key: &KeyEvent) -> isize {
    match key.code {
        KeyCode::Down | KeyCode::Char('j') => 1,
        KeyCode::Up | KeyCode::Char('k') => -1,
        KeyCode::PageDown => PAGE,
        KeyCode::PageUp => -PAGE,
        _ => 0,
    }
}

async fn open(central: &Far) -> Result<Streaming<WatchNetworkResponse>, Failure> {
    let mut client = OperatorServiceClient::new(central.peer.clone());
    let stream = central.waited(client.watch_network(WatchNetworkRequest {})).await;
    Ok(stream.map_err(|status| central.failed(&status))?.into_inner())
}

/// The next charge points that changed; the first time, all of them.
async fn next(
    central: &Far,
    stream: &mut Streaming<WatchNetworkResponse>,
) -> Result<impl Iterator<Item = view::ChargePoint> + use<>, Failure> {
    let message = stream.message().await.map_err(|status| central.failed(&status))?;
    let charge_points = message.ok_or_else(|| central.ended())?.charge_points;
    Ok(charge_points.into_iter().map(view::ChargePoint::from))
}
