//! How a command ends: its exit code, and the one sentence that says why.

use mesh::grpc::with_causes;
use std::{error::Error, io, process::ExitCode};

/// Said at the end of every `--help`.
pub(crate) const CODES: &str = "Exit codes: 0 it worked (also: stopped by SIGTERM or Ctrl-C, in order; a driver \
  only once every request came out as it should, a bench only with its figures), 1 it failed (one sentence on stderr says what, and what to do \
  next), 2 wrong usage, 3 its store is damaged, lost, another's, open to other users or in another version's \
  format: a restart does not help, the sentence says what does, 143 it was told to stop, and was cut off at a \
  second signal or at the end of its grace.";

/// Why a command did not succeed. The text is one plain sentence or two, for the person who typed the command.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line says something that cannot be done. Exit code 2.
    Usage(String),
    /// It could not be done. Exit code 1.
    Failed(String),
    /// A store cannot be used until a person has acted. Exit code 3.
    Store(String),
    /// It could not be done, and everything that there is to say has been printed. Exit code 1.
    Told,
    /// Nobody reads the output any more (`| head`): nothing to say. Exit code 0.
    Unread,
}

impl Failure {
    /// It could not be done, because of this.
    pub(crate) fn because(error: &(dyn Error + 'static)) -> Self {
        let text = with_causes(error);
        if store_needs_a_person(error) { Self::Store(text) } else { Self::Failed(text) }
    }

    pub(crate) fn terminal(error: &io::Error) -> Self {
        Self::Failed(format!("the terminal failed: {error}; use --plain"))
    }

    /// Why, if there is anything left to say.
    pub(crate) fn sentence(&self) -> Option<&str> {
        match self {
            Self::Usage(text) | Self::Failed(text) | Self::Store(text) => Some(text),
            Self::Told | Self::Unread => None,
        }
    }

    /// Prints the sentence, and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        self.sentence().into_iter().for_each(|text| eprintln!("evmesh: {text}"));
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::Failed(_) | Self::Told => 1,
            Self::Store(_) => 3,
            Self::Unread => 0,
        })
    }
}

/// The sentence of what clap writes on several lines.
pub(crate) fn first_paragraph(text: &str) -> String {
    let lines = text.lines().take_while(|line| !line.trim().is_empty());
    let text = lines.map(str::trim).collect::<Vec<_>>().join(" ");
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}

/// For the errors of services and libraries.
pub(crate) trait Because<T> {
    /// Its sentence as the one that the command ends with.
    fn because(self) -> Result<T, Failure>;
}

impl<T, E: Error + 'static> Because<T> for Result<T, E> {
    fn because(self) -> Result<T, Failure> {
        self.map_err(|error| Failure::because(&error))
    }
}

/// Of the roles with a store: would a restart find it as it is now?
fn store_needs_a_person(error: &(dyn Error + 'static)) -> bool {
    let central = error.downcast_ref().is_some_and(central::Error::needs_a_person);
    let registry = error.downcast_ref().is_some_and(registry::Error::needs_a_person);
    central || registry || error.downcast_ref().is_some_and(engine::Error::needs_a_person)
}

/// The same, but that nobody reads the output is no failure: what is printed was not the point.
pub(crate) fn even_unread(printed: Result<(), Failure>) -> Result<(), Failure> {
    match printed {
        Err(Failure::Unread) => Ok(()),
        printed => printed,
    }
}

impl From<io::Error> for Failure {
    /// Of a write to stdout: the only I/O whose errors come here unexplained.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Unread,
            _ => Self::Failed(format!("cannot write to the output: {error}")),
        }
    }
}
