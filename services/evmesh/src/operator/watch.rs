//! `operator watch`: the network as it changes. A panel on a terminal, a line a change elsewhere.

use super::{
    network::{News, Seen, follow, open},
    watch_panel::WatchPanel,
};
use crate::{
    exit::Failure,
    json,
    output::{self, Output},
    remote::Remote,
    tables,
};
use mesh::Shutdown;
use tokio::sync::watch;

/// Without a panel. A central that cannot be reached at first is a failure; one that goes away later is waited for.
pub(super) async fn print(central: &Remote, output: Output) -> Result<(), Failure> {
    let stream = central.waited(open(central)).await?;
    let say = |news: News<'_>| match (news, output) {
        (News::Changed(one), Output::Text) => output::line(&tables::charge_point_line(one)),
        (News::Changed(one), Output::Json) => output::json_line(&json::of(one)),
        (News::Forgotten(id), Output::Text) => output::line(&tables::forgotten_line(id)),
        (News::Forgotten(id), Output::Json) => {
            output::json_line(&serde_json::json!({ "forgotten_charge_point_id": id }))
        }
        (News::Said(text), Output::Text | Output::Json) => {
            eprintln!("evmesh: {text}");
            Ok(())
        }
    };
    follow(central, stream, &watch::Sender::default(), say).await
}

/// Shows a panel until `q`, Ctrl-C or the order to stop.
pub(super) async fn show(
    central: &Remote,
    warning: Option<&'static str>,
    shutdown: &Shutdown,
) -> Result<(), Failure> {
    let stream = central.waited(open(central)).await?;
    let seen = watch::Sender::new(Seen::default());
    let panel = WatchPanel::new(central.peer.address().to_string(), seen.subscribe());
    let panel = ui::Warned { panel, warning };
    tokio::select! {
        failed = follow(central, stream, &seen, |_| Ok(())) => failed,
        closed = ui::show(panel, shutdown.started()) => closed.map_err(|error| Failure::terminal(&error)),
    }
}
