//! The rows: each a file, and one function that measures it.

mod authorize;
mod catch_up;
mod connected;
mod disk;
mod first;
mod idle;
mod intake;
mod known;
mod peer;
mod restart;

use crate::{bench::Bench, error::Error, figure::Figure, row::Row, runs::merged};

/// What this row gives.
pub(crate) async fn measure(row: Row, bench: &Bench) -> Result<Vec<Figure>, Error> {
    match row {
        Row::All => Ok(Vec::new()), // it is every other
        Row::Authorize => authorize::measure(bench).await,
        Row::CatchUp => catch_up::catch_up(bench).await,
        Row::Connected => repeated(bench, connected::measure).await,
        Row::Disk => disk::measure(bench).await,
        Row::First => first::measure(bench).await,
        Row::Idle => idle::measure(bench).await,
        Row::Intake => intake::measure(bench).await,
        Row::IntakeSingle => catch_up::single(bench).await,
        Row::Known => repeated(bench, known::measure).await,
        Row::Peer => peer::measure(bench).await,
        Row::Restart => restart::measure(bench).await,
    }
}

/// Those of a row that begins anew in each of its runs.
async fn repeated(
    bench: &Bench,
    measure: impl AsyncFn(&Bench) -> Result<Vec<Figure>, Error>,
) -> Result<Vec<Figure>, Error> {
    let mut rows = Vec::new();
    for _ in 0..bench.runs() {
        rows.push(measure(bench).await?);
        bench.forget().await;
    }
    Ok(merged(&rows))
}
