//! `evmesh man`: the manual, made from the definition of the command line.

use crate::{exit::Failure, output};
use std::{fs, path::PathBuf};

/// Prints the man page of evmesh, or writes one for each command.
///
/// evmesh man | man -l -
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Write the pages of all commands into this folder, such as ~/.local/share/man/man1; it is created if it is
    /// missing.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

pub(crate) fn print(options: &Options, command: clap::Command) -> Result<(), Failure> {
    let Some(dir) = &options.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        return output::print(&String::from_utf8_lossy(&page));
    };
    fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(command, dir)).map_err(|error| {
        let dir = dir.display();
        Failure::Failed(format!(
            "cannot write man pages into '{dir}': {error}; name another folder with --dir"
        ))
    })?;
    output::line(&format!("the man pages are in {}", dir.display()))
}
