//! What a connection and a call cost: one in plain text, one secured, by turns.

use super::{
    ROUNDS,
    side::{Side, client, tickets},
    table::{Bound, Figure, median, micros, quantile},
};
use evmesh_proto::driver::driver_service_client::DriverServiceClient;
use mesh::grpc::Peer;
use std::time::Duration;
use tokio::time::Instant;

const DRIVER: &str = "caller";
/// A handshake and its first call (microseconds).
const HANDSHAKE: f64 = 3_000.0;
/// A call over an open connection, of the same in plain text.
const CALL: f64 = 1.15;
/// The first calls of a process are slower.
const WARM_UP: usize = 50;

/// A new connection for each call: how long it takes until the answer is there.
pub(super) async fn handshakes(sides: [&Side; 2], time: Duration) -> anyhow::Result<Figure> {
    let peers = [sides[0].peers(DRIVER)?, sides[1].peers(DRIVER)?];
    let mut taken = [Vec::new(), Vec::new()];
    let until = Instant::now() + time;
    while Instant::now() < until {
        for ((side, peers), taken) in sides.iter().zip(&peers).zip(&mut taken) {
            taken.push(call(&mut client(peers, side.address)).await?);
        }
    }
    let [plain, secured] = taken;
    let count = secured.len();
    let (p50, p99) = (median(&secured), quantile(secured, 0.99));
    Ok(Figure {
        what: "a new connection and its first call, p50",
        plain: format!("{:.2} ms", median(&plain) / 1e3),
        secured: format!("{:.2} ms", p50 / 1e3),
        bound: Some(Bound::Time("<= 3 ms", p50 <= HANDSHAKE)),
        measured: format!("{:.2} ms; p99 {:.2} ms; {count} of each", p50 / 1e3, p99 / 1e3),
    })
}

/// The same over a connection that is open.
pub(super) async fn over_open_connections(sides: [&Side; 2], time: Duration) -> anyhow::Result<Figure> {
    let mut clients = [sides[0].driver(DRIVER)?, sides[1].driver(DRIVER)?];
    for _ in 0..WARM_UP {
        for client in &mut clients {
            call(client).await?;
        }
    }
    let (mut all, mut ratios) = ([Vec::new(), Vec::new()], Vec::new());
    for _ in 0..ROUNDS {
        let mut round = [Vec::new(), Vec::new()];
        let until = Instant::now() + time / ROUNDS;
        while Instant::now() < until {
            for (client, taken) in clients.iter_mut().zip(&mut round) {
                taken.push(call(client).await?);
            }
        }
        ratios.push(median(&round[1]) / median(&round[0]));
        all.iter_mut().zip(round).for_each(|(all, round)| all.extend(round));
    }
    let (ratio, [plain, secured]) = (median(&ratios), all);
    let p50 = |all: &[f64]| format!("{:.0} µs", median(all));
    let (count, p99) = (plain.len(), [&plain, &secured].map(|all| quantile(all.clone(), 0.99)));
    Ok(Figure {
        what: "a call over an open connection, p50",
        plain: p50(&plain),
        secured: p50(&secured),
        bound: Some(Bound::Time("<= 1.15 x", ratio <= CALL)),
        measured: format!("{ratio:.3} x; p99 {:.0} and {:.0} µs; {count} of each", p99[0], p99[1]),
    })
}

async fn call(client: &mut DriverServiceClient<Peer>) -> anyhow::Result<f64> {
    let began = Instant::now();
    client.list_tickets(tickets(DRIVER)).await?;
    Ok(micros(began.elapsed()))
}
