//! What a network costs, measured: each row starts central as a process of its own, on a broker and a disk, offers it
//! a load, and reads its CPU time and its memory alone.
//!
//! A figure stands beside what was measured in the same run by the barest thing that does the same, since machines
//! differ; a row that lasts says how much its runs differ, and each whether the machine had other work.

mod backlog;
mod bare;
mod bench;
mod beside;
mod broker;
mod calls;
mod central;
mod cost;
mod drivers;
mod error;
mod figure;
mod files;
mod listener;
mod machine;
mod network;
mod options;
mod readings;
mod report;
mod row;
mod rows;
mod runs;

pub use bare::Bare;
pub use error::Error;
pub use figure::{Figure, Load};
pub use options::{Options, Output, Size};
pub use report::Report;
pub use row::Row;

use bench::Bench;
use machine::Watch;
use mesh::Shutdown;

/// Measures these rows, one after the other. However it ends, nothing is left running or lying about.
///
/// # Errors
///
/// If a row cannot be measured, or the order to stop came.
pub async fn run(options: &Options, shutdown: Shutdown) -> Result<Report, Error> {
    let bench = Bench::new(options)?;
    let rows = async {
        let mut figures = Vec::new();
        for row in Row::in_turn(&options.rows) {
            figures.extend(measured(row, &bench).await?);
        }
        Ok(figures)
    };
    let rows = tokio::select! {
        rows = rows => rows,
        () = shutdown.started() => Err(Error::Interrupted),
    };
    bench.end().await;
    Ok(Report::new(rows?))
}

/// One row's figures, each with a word on the machine if it had other work. Its topics are gone afterwards.
async fn measured(row: Row, bench: &Bench) -> Result<Vec<Figure>, Error> {
    bench.say(&format!("{} is measured", row.name()));
    let watch = Watch::begin()?;
    let figures = rows::measure(row, bench).await?;
    let busy = watch.shares()?.too_busy();
    bench.forget_topics().await;
    let noted = figures.into_iter().map(|figure| match &busy {
        Some(busy) => figure.noting(busy),
        None => figure,
    });
    Ok(noted.collect())
}
