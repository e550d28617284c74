//! What a command line owes its reader.

use clap::{Command, builder::ValueParser};
use std::{any::TypeId, time::Duration};

/// What a number on a command line is a number of. Beside these words, a unit may stand in brackets: `(count)`.
const UNITS: [&str; 5] = ["in seconds", "entries", "times faster", "port on", "("];

/// The flags of a command and of all below it that have no sentence, or are a number or a duration whose sentence has
/// no unit.
pub fn unexplained(command: &Command) -> Vec<String> {
    let mut found = Vec::new();
    for flag in command.get_arguments().filter(|flag| !matches!(flag.get_id().as_str(), "help" | "version")) {
        let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
        let is_sentence = help.starts_with(|first: char| first.is_uppercase()) && help.contains(' ');
        let is_number = is_number(flag.get_value_parser());
        if !is_sentence || is_number && !UNITS.iter().any(|unit| help.contains(unit)) {
            found.push(format!("{} --{}: {help:?}", command.get_name(), flag.get_id()));
        }
    }
    found.extend(command.get_subcommands().flat_map(unexplained));
    found
}

fn is_number(parser: &ValueParser) -> bool {
    let numbers = [
        TypeId::of::<Duration>(),
        TypeId::of::<u16>(),
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<usize>(),
        TypeId::of::<f64>(),
    ];
    numbers.iter().any(|number| parser.type_id() == *number)
}
