//! The first minute of whoever tries it: from `evmesh up` to an answer, and what that costs while nobody asks.

use crate::{
    bench::Bench,
    beside::{self, Beside},
    cost::{settled, share},
    drivers::Drivers,
    error::{Doing as _, Error},
    figure::{Figure, Load},
    runs::runs,
};
use mesh::{
    grpc::Address,
    process::{computed, free_address},
};
use std::time::Duration;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

/// It is started so often.
const STARTS: usize = 5;
/// It answers within this.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Its charge points have registered after this.
const RESTS: Duration = Duration::from_secs(3);

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let (mut times, mut last) = (Vec::new(), None);
    for _ in 0..STARTS {
        drop(last.take()); // two networks at once would disturb each other
        let (up, time) = answered(bench).await?;
        times.push(time.as_secs_f64() * 1000.0);
        last = Some(up);
    }
    let id = last.as_ref().map(Beside::id).unwrap_or_default();
    sleep(RESTS).await;
    let idle = share(bench.time, || computed(id).doing("what 'evmesh up' computes")).await?;
    let (times, memory) = (runs(&times), settled(id).await?);
    let load = Load { runs: times.count, spread: times.spread, ..Load::default() };
    Ok(vec![
        Figure::new("first: 'evmesh up' to its first answer", 4, times.median, "ms").under(load),
        Figure::new("first: idle 'evmesh up'", 4, idle * 100.0, "% of a core"),
        Figure::new("first: memory of 'evmesh up'", 4, memory / 1e6, "MB"),
    ])
}

/// A network, and how long it took until central answered a driver.
async fn answered(bench: &Bench) -> Result<(Beside, Duration), Error> {
    let address = free_address();
    let begun = Instant::now();
    let flags = ["up", "--plain", "--listen", &address.to_string(), "--engine-port-base", "0"];
    let up = beside::evmesh(bench, &flags)?;
    loop {
        if begun.elapsed() > PATIENCE {
            let what = "'evmesh up' answers".to_owned();
            return Err(Error::Late { what, within: PATIENCE.as_secs() });
        }
        // A port that is not open yet says so at once; a client would wait before it tries again.
        let open = TcpStream::connect(address).await.is_ok();
        if open && Drivers::of(&Address::from(address)).lists(false, 1).await.is_ok() {
            return Ok((up, begun.elapsed()));
        }
        sleep(LOOK_EVERY).await;
    }
}
