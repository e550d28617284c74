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
mod curve;
mod drivers;
mod error;
mod figure;
mod files;
mod listener;
mod machine;
mod marks;
mod network;
mod number;
mod options;
mod readings;
mod report;
mod row;
mod rows;
mod runs;
mod target;

pub use bare::Bare;
pub use error::Error;
pub use figure::{Figure, Load};
pub use options::{Options, Output, Size};
pub use report::Report;
pub use row::Row;

use bench::{Bench, Missing};
use error::Doing as _;
use machine::Watch;
use mesh::Shutdown;
use std::fs;
use tokio::time::Instant;

/// Measures these rows, one after the other, or reads what was measured. However it ends, nothing is left running or
/// lying about. What cannot be measured is said in the report, beside the figures that there are.
///
/// # Errors
///
/// If there is no figure at all, or a file cannot be read or written.
pub async fn run(options: &Options, shutdown: Shutdown) -> Result<Report, Error> {
    if let Some(folder) = &options.plot {
        fs::create_dir_all(folder).doing(folder.display().to_string())?; // rather than after hours
    }
    match options.from.as_slice() {
        [] => measured(options, shutdown).await,
        files => Report::read(files),
    }
}

async fn measured(options: &Options, shutdown: Shutdown) -> Result<Report, Error> {
    let bench = Bench::new(options)?;
    let mut figures = Vec::new();
    let ended = tokio::select! {
        ended = all(&bench, &options.rows, &mut figures) => ended,
        () = shutdown.started() => Err(Missing { what: "what comes after".to_owned(), why: Error::Interrupted }),
    };
    let mut missing = bench.end().await;
    match ended {
        Err(last) if figures.is_empty() && missing.is_empty() => Err(last.why),
        ended => {
            missing.extend(ended.err());
            Ok(Report::new(figures, &missing))
        }
    }
}

/// All rows. An error is the last row's, or one of which no row would be spared.
async fn all(bench: &Bench, rows: &[Row], figures: &mut Vec<Figure>) -> Result<(), Missing> {
    let mut rows = Row::in_turn(rows).into_iter().peekable();
    while let Some(row) = rows.next() {
        match of_row(row, bench).await {
            Ok(of_row) => figures.extend(of_row),
            Err(why) if why.is_of_all_rows() || rows.peek().is_none() => {
                return Err(Missing { what: row.name(), why });
            }
            Err(why) => bench.lacks(row.name(), why),
        }
    }
    Ok(())
}

/// One row's figures, each with a word on the machine if it had other work.
async fn of_row(row: Row, bench: &Bench) -> Result<Vec<Figure>, Error> {
    bench.say(&format!("{} is measured", row.name()));
    let (watch, begun) = (Watch::begin()?, Instant::now());
    let figures = rows::measure(row, bench).await;
    bench.say(&format!("{} took {:.0} s", row.name(), begun.elapsed().as_secs_f64()));
    let busy = watch.shares()?.too_busy();
    bench.forget().await;
    let noted = figures?.into_iter().map(|figure| match &busy {
        Some(busy) => figure.noting(busy),
        None => figure,
    });
    Ok(noted.collect())
}
