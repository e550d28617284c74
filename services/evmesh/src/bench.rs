//! `evmesh bench`: what a network costs, as a table or as JSON.

use crate::{
    exit::{Because as _, Failure},
    output,
};
use bench::{Bare, Options, Output};
use mesh::Shutdown;
use std::time::Duration;

/// What it has started it ends within this, a broker too.
const GRACE: Duration = Duration::from_secs(60);

pub(crate) async fn run(options: Options) -> Result<(), Failure> {
    let report = bench::run(&options, Shutdown::on_signals(GRACE, || {})).await.because()?;
    match options.output {
        Output::Text => output::print(&report.table(ui::width())),
        Output::Json => output::json(&report),
    }
}

pub(crate) async fn serve(bare: Bare) -> Result<(), Failure> {
    bare.serve().await.because()
}
