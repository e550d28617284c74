//! `evmesh completions`: what a shell needs to complete the command line.

use crate::{exit::Failure, output};
use clap_complete::Shell;

/// Prints a script that completes evmesh's commands and flags in a shell.
///
/// bash: evmesh completions bash > ~/.local/share/bash-completion/completions/evmesh
///
/// zsh: evmesh completions zsh > a file _evmesh in a folder of $fpath
///
/// fish: evmesh completions fish > ~/.config/fish/completions/evmesh.fish
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Options {
    /// The shell.
    shell: Shell,
}

pub(crate) fn print(options: &Options, mut command: clap::Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut command, "evmesh", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}
