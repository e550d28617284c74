//! The command line: what can be typed, and what is said when it is wrong.

use crate::{
    check, completions, driver_desk,
    exit::{CODES, first_paragraph},
    man_pages, operator, point, registry,
    roles::Solo,
    up,
};
use clap::{CommandFactory as _, FromArgMatches as _, error::ErrorKind};
use std::{ffi::OsString, process::ExitCode};

/// A network of electric-vehicle charge points: central authorises every supply, follows it second by second, and
/// issues exactly one ticket for it.
///
/// Start with `evmesh up`: a whole network in this one process, with its own Kafka broker.
#[derive(Debug, clap::Parser)]
#[command(name = "evmesh", version, subcommand_required = true, arg_required_else_help = false)]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Role {
    /// The authority of the network: registry, sessions, tickets, prices, status.
    Central(Box<Solo<central::Options>>),

    /// A charge point's power side: it meters supplies and publishes their readings.
    Engine(Box<Solo<engine::Options>>),

    /// A charge point's watchdog: it registers it, attends its engine, and keeps central informed.
    Monitor(Box<Solo<monitor::Options>>),

    /// The driver's app: requests charges, one or a file of them, and shows its supply and the network.
    ///
    /// It ends with the table of what came of them; exit code 1 unless each came out as its line says. A supply goes on
    /// without it: the same command follows it again, `stop` ends it.
    Driver(driver_desk::Driver),

    /// For drivers of the old system: it asks central for each of their messages on driver_requests.
    Bridge(Box<Solo<bridge::Options>>),

    /// The operator's desk: what is asked of central, and what is ordered.
    Operator(Box<operator::Options>),

    /// What a person does at a charge point: plug, unplug, supply, fault, repair, show.
    Point(Box<point::Options>),

    /// Who is who: makes a network's authorities, gives out identities, and takes them back.
    Registry(Box<registry::Options>),

    /// Gets an identity from the registry, for a token that 'evmesh registry token' made.
    ///
    /// The key is made here and stays here. If no answer came, the same command asks for it again.
    Enrol(Box<registry::Enrol>),

    /// Asks a server whether it serves: the health probe of a container.
    Check(Box<check::Options>),

    /// A whole network in this one process: an embedded Kafka broker, central, four charge points, and perhaps a
    /// driver.
    ///
    /// It prints where everything is, and lines to paste into another shell.
    Up(Box<up::Options>),

    /// Charge points by the thousand in this one process, and drivers who come to them: to see a large network live.
    ///
    /// It stands beside a network that runs, whose central has no identity, and ends at Ctrl-C. Each charge point does
    /// what an engine and a monitor do, and keeps nothing on a disk.
    Fleet(Box<Solo<fleet::Options>>),

    /// What a network costs, measured: each row starts central as a process of its own, on a real Kafka and a disk.
    ///
    /// A figure stands beside what the barest thing that does the same gave in the same run. It takes the whole
    /// machine: nothing else should run.
    Bench(Box<bench::Options>),

    /// A bare server, for 'evmesh bench', which starts it.
    #[command(hide = true)]
    Bare(bench::Bare),

    /// Prints a script that completes these commands and their flags in a shell.
    Completions(completions::Options),

    /// Prints evmesh's man page, or writes one for each command.
    Man(man_pages::Options),
}

/// Reads the command line. When there is nothing to run, it has printed why, and gives the exit code: 0 after `--help`
/// and `--version`, 2 after one sentence about what is wrong.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Role, ExitCode> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let error = match read(&arguments) {
        Ok(cli) => return Ok(cli.role),
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // Nobody may be reading it (`| head`): nothing is wrong then.
            let _ = error.print();
            Err(ExitCode::SUCCESS)
        }
        _ => {
            eprintln!("evmesh: {}", sentence(&error, &arguments));
            Err(ExitCode::from(2))
        }
    }
}

/// The whole definition of the command line.
pub(crate) fn command() -> clap::Command {
    complete(Cli::command()).mut_subcommand("up", quiet)
}

fn read(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    Cli::from_arg_matches(&matches)
}

/// What holds for every command: its help ends with the exit codes, and shows no value of the environment, which may be
/// a secret.
fn complete(command: clap::Command) -> clap::Command {
    command.after_help(CODES).mut_args(|argument| argument.hide_env_values(true)).mut_subcommands(complete)
}

/// Ten services share one stderr in `up`: there only what went wrong is logged, unless the user asks for more.
fn quiet(up: clap::Command) -> clap::Command {
    up.mut_arg("log", |log| log.default_value("warn"))
}

/// Clap's several lines as one plain sentence, and where to read on.
fn sentence(error: &clap::Error, arguments: &[OsString]) -> String {
    let what = match error.kind() {
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "say what to do: a command is missing".to_owned()
        }
        _ => first_paragraph(&error.render().to_string()),
    };
    format!("{what}; see '{} --help'", path(arguments))
}

/// The part of the command line that names a command: `evmesh operator stop`.
fn path(arguments: &[OsString]) -> String {
    let mut command = command();
    let mut path = vec![command.get_name().to_owned()];
    for word in arguments.iter().skip(1).filter_map(|word| word.to_str()) {
        if let Some(next) = command.find_subcommand(word) {
            path.push(word.to_owned());
            command = next.clone();
        }
    }
    path.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(line: &str) -> String {
        let arguments: Vec<OsString> = line.split_whitespace().map(Into::into).collect();
        sentence(&read(&arguments).unwrap_err(), &arguments)
    }

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn every_flag_is_explained_and_every_setting_of_a_process_has_a_variable() {
        for role in command().get_subcommands() {
            let process = matches!(
                role.get_name(),
                "central" | "engine" | "monitor" | "driver" | "bridge" | "up" | "fleet"
            );
            let flags =
                role.get_arguments().filter(|flag| !matches!(flag.get_id().as_str(), "help" | "version"));
            for flag in flags {
                let name = format!("{} --{}", role.get_name(), flag.get_id());
                assert!(flag.get_help().is_some(), "{name} is not explained");
                assert!(!process || flag.get_env().is_some(), "{name} has no environment variable");
            }
        }
    }

    #[test]
    fn every_flag_has_a_sentence_and_every_number_a_unit() {
        assert_eq!(testing::flags::unexplained(&command()), Vec::<String>::new());
    }

    #[test]
    fn what_is_wrong_is_one_sentence_with_what_to_do_next() {
        for (line, says, help) in [
            ("evmesh", "a command is missing", "'evmesh --help'"),
            ("evmesh centrall", "unrecognized subcommand 'centrall'", "'evmesh --help'"),
            ("evmesh operator", "a command is missing", "'evmesh operator --help'"),
            ("evmesh operator stop", "required arguments", "'evmesh operator stop --help'"),
            ("evmesh operator stop MAD-01 --all", "cannot be used with", "'evmesh operator stop --help'"),
            ("evmesh operator status --limit 0", "--limit", "'evmesh operator status --help'"),
            ("evmesh check", "ADDR", "'evmesh check --help'"),
        ] {
            let sentence = wrong(line);
            assert!(
                sentence.contains(says) && sentence.ends_with(&format!("see {help}")),
                "{line}: {sentence}"
            );
            assert!(!sentence.contains('\n'), "{line}: {sentence}");
        }
    }
}
