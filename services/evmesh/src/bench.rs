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
        Output::Text => output::print(&report.table(ui::width()))?,
        Output::Json => output::json(&report)?,
        Output::Markdown => output::print(&report.markdown())?,
    }
    if let Some(folder) = &options.plot {
        report.plot(folder).because()?; // it is printed whatever becomes of this
    }
    match report.missing.len() {
        missing if missing > 0 && options.from.is_empty() => Err(Failure::Failed(format!(
            "{missing} of what was to be measured could not be, as is said above"
        ))),
        _ => Ok(()),
    }
}

pub(crate) async fn serve(bare: Bare) -> Result<(), Failure> {
    bare.serve().await.because()
}
