//! The rows: each a file, and one function that measures it.

mod catch_up;
mod intake;
mod peer;

use crate::{bench::Bench, error::Error, figure::Figure, row::Row};

/// What this row gives.
pub(crate) async fn measure(row: Row, bench: &Bench) -> Result<Vec<Figure>, Error> {
    match row {
        Row::CatchUp => catch_up::catch_up(bench).await,
        Row::IntakeSingle => catch_up::single(bench).await,
        Row::Peer => peer::measure(bench).await,
        Row::Intake => intake::measure(bench).await,
        Row::All => Ok(Vec::new()), // it is every other
        _ => Err(Error::Lacks(format!("{} is not measured yet", row.name()))),
    }
}
