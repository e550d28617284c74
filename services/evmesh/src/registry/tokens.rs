//! Tokens by which people say who they are: made from the registry's folder, without a server.

use crate::{
    exit::{Because as _, Failure},
    output,
};
use domain::{DriverId, Name};
use identity::{Role, token::MAX_TOKEN_LIFETIME};
use mesh::convert::timestamp;
use registry::Data;
use std::{path::PathBuf, time::Duration};

#[derive(Debug, clap::Args)]
pub(super) struct DriverToken {
    /// The driver: 1 to 64 letters, digits, '-', '_' or '.'; not INVITADO.
    #[arg(value_name = "ID", value_parser = DriverId::named)]
    driver: DriverId,

    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
pub(super) struct OperatorToken {
    /// Whose it is: 1 to 64 letters, digits, '-', '_' or '.'.
    #[arg(value_name = "NAME")]
    name: Name,

    /// What that one may do.
    #[arg(long, value_enum)]
    role: Grade,

    #[command(flatten)]
    how: How,
}

/// Admins have certificates alone.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Grade {
    /// Looks.
    Viewer,
    /// Stops, resumes, prices, ends and settles besides.
    Operator,
}

#[derive(Debug, clap::Args)]
struct How {
    /// The registry's folder, as 'evmesh registry init' made it.
    #[arg(long, value_name = "DIR", env = "EVMESH_REGISTRY_DATA")]
    data: PathBuf,

    /// How long it is valid, from 1m to 30d (m minutes, h hours, d days): it cannot be taken back.
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = lifetime)]
    lifetime: Duration,

    /// Where a whole identity goes, with the token in it, for --identity; without it the token is printed.
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct TokenKeys {
    /// The registry's folder, as 'evmesh registry init' made it.
    #[arg(long, value_name = "DIR", env = "EVMESH_REGISTRY_DATA")]
    data: PathBuf,
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a whole number of minutes, hours or days from 1m to 30d, such as 12h".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err(wrong()),
    };
    let lifetime = number.parse::<u32>().ok().map(|number| Duration::from_secs(u64::from(number) * seconds));
    lifetime.filter(|lifetime| !lifetime.is_zero() && *lifetime <= MAX_TOKEN_LIFETIME).ok_or_else(wrong)
}

pub(super) fn driver(DriverToken { driver, how }: DriverToken) -> Result<(), Failure> {
    make(Role::Driver(driver), &how)
}

pub(super) fn operator(OperatorToken { name, role, how }: OperatorToken) -> Result<(), Failure> {
    let role = match role {
        Grade::Viewer => Role::Viewer(name),
        Grade::Operator => Role::Operator(name),
    };
    make(role, &how)
}

/// Prints the token alone, for a pipe.
fn make(role: Role, How { data, lifetime, to }: &How) -> Result<(), Failure> {
    let data = Data::at(data);
    let token = data.token(role, *lifetime, mesh::now().wall).because()?;
    let Some(to) = to else { return output::line(&token.word) };
    data.put_token(&token, to).because()?;
    let until = timestamp(token.not_after);
    output::line(&format!("{} is {}, by a token, until {until}", to.display(), token.identity))
}

pub(super) fn keys(TokenKeys { data }: TokenKeys) -> Result<(), Failure> {
    output::json(&Data::at(&data).token_keys().because()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_has_a_unit_and_bounds() {
        for (text, seconds) in [("1m", 60), ("12h", 43_200), ("30d", 2_592_000), ("720h", 2_592_000)] {
            assert_eq!(lifetime(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["", "m", "0m", "12", "31d", "-1h", "1.5h", "12 h", "1w", "4294967296m", "é"] {
            assert!(lifetime(wrong).is_err(), "{wrong}");
        }
    }
}
