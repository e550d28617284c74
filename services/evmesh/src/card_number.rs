//! A card's number, as a command reads it: never as a word of its own, which others see; and its id.

use crate::exit::Failure;
use clap::{Arg, Command, builder::TypedValueParser, error::ErrorKind};
use domain::{CardId, cards::CardNumber};
use std::{
    ffi::OsStr,
    fs::File,
    io::{self, BufRead as _, BufReader, IsTerminal as _, Read},
    path::Path,
};

/// A number has some 30 at most.
const MAX_BYTES: u64 = 256;

/// The first line of this file; of `-`, of standard input, where a person is asked for it.
pub(crate) fn read(from: &Path) -> Result<CardNumber, Failure> {
    let stdin = from.as_os_str() == "-";
    if stdin && io::stdin().is_terminal() {
        eprintln!("The card's number, and Enter:");
    }
    let what = || if stdin { "standard input".to_owned() } else { from.display().to_string() };
    let line = if stdin { first_line(io::stdin().lock()) } else { File::open(from).and_then(first_line) };
    let line = line.map_err(|error| Failure::Failed(format!("cannot read {}: {error}", what())))?;
    line.parse().map_err(|problem| Failure::Failed(format!("the first line of {} {problem}", what())))
}

fn first_line(from: impl Read) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(from.take(MAX_BYTES)).read_line(&mut line)?;
    Ok(line)
}

/// Reads a card's id. Of what is none it says nothing again, as clap would: it may be the card's number.
#[derive(Clone)]
pub(crate) struct Id;

impl TypedValueParser for Id {
    type Value = CardId;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, word: &OsStr) -> Result<CardId, clap::Error> {
        word.to_string_lossy().parse().map_err(|problem| {
            let text = format!("CARD_ID {problem}");
            clap::Error::raw(ErrorKind::ValueValidation, text).with_cmd(command)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_first_line_and_what_is_none_is_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("number");
        let read_of = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(&path)
        };
        assert_eq!(read_of("04:a1:b2:c3\nmore\n").unwrap(), "04A1B2C3".parse().unwrap());
        let wrong = format!("{:?}", read_of("04:a1:b2:cx\n").unwrap_err());
        assert!(wrong.contains("must be a card's number") && !wrong.contains("a1"), "{wrong}");
        assert!(read(&folder.path().join("none")).is_err());
    }
}
