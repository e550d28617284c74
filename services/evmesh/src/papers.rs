//! What is made from the definition of the command line: shell completions and man pages.

use crate::{cli, exit::Failure, output};
use clap_complete::Shell;
use std::{fs, path::PathBuf};

/// Prints a script that completes evmesh's commands and flags in a shell.
///
/// bash: evmesh completions bash > ~/.local/share/bash-completion/completions/evmesh
///
/// zsh: evmesh completions zsh > a file _evmesh in a folder of $fpath
///
/// fish: evmesh completions fish > ~/.config/fish/completions/evmesh.fish
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

/// Prints the man page of evmesh, or writes one for each command.
///
/// evmesh man | man -l -
#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// Write the pages of all commands into this folder, such as ~/.local/share/man/man1; it is created if it is missing.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

/// `evmesh completions`.
pub(crate) fn completions(options: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut cli::command(), "evmesh", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

/// `evmesh man`.
pub(crate) fn man(options: &Man) -> Result<(), Failure> {
    let Some(dir) = &options.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(cli::command()).render(&mut page)?;
        return output::print(&String::from_utf8_lossy(&page));
    };
    fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(cli::command(), dir)).map_err(
        |error| {
            let dir = dir.display();
            Failure::Failed(format!(
                "cannot write man pages into '{dir}': {error}; name another folder with --dir"
            ))
        },
    )?;
    output::line(&format!("the man pages are in {}", dir.display()))
}
