use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {}

pub(crate) fn run(_: &Options) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
