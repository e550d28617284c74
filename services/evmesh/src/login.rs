//! `evmesh driver login`, `evmesh operator login`: a token says who somebody is from now on.

use crate::{
    exit::{Because as _, Failure},
    output,
};
use identity::{
    Role,
    folder::{self, CERTIFICATE, CORE, TOKEN},
    token::{self, MAX_TOKEN_BYTES, Named},
};
use mesh::convert::timestamp;
use std::{
    io::{self, BufRead as _, IsTerminal as _, Read as _},
    path::Path,
};

/// Reads a token from stdin, never from the command line, which others see; and puts it into the folder of an identity,
/// whose own it is from then on. `wanted` is in words: `a driver`.
pub(crate) fn keep(folder: &Path, wanted: &str, is: impl Fn(&Role) -> bool) -> Result<(), Failure> {
    let at = folder.display();
    if !folder.join(CORE).exists() {
        return Err(Failure::Failed(format!(
            "the folder {at} has no {CORE}, by which central is known; copy it there from any identity of the network \
             ('evmesh registry driver-token ID --to DIR' makes a folder that is whole)"
        )));
    }
    if folder.join(CERTIFICATE).exists() {
        return Err(Failure::Failed(format!(
            "the folder {at} says who it is by a certificate already; choose another one"
        )));
    }
    let token = read().map_err(|error| Failure::Failed(format!("cannot read the token: {error}")))?;
    let wrong = |problem: &str| Failure::Failed(format!("what was read {problem}; nothing was changed"));
    let Named { role, not_after } = token::claimed(&token).map_err(|error| wrong(&error.to_string()))?;
    let until = timestamp(not_after);
    if !is(&role) {
        return Err(wrong(&format!("is the token of {role}, and that of {wanted} is needed here")));
    }
    if not_after <= mesh::now().wall {
        return Err(wrong(&format!("is the token of {role}, and has expired at {until}")));
    }
    folder::private_folder(folder).because()?;
    folder::write_file(folder, TOKEN, &format!("{token}\n")).because()?;
    output::line(&format!("{at} is {role}, by the token in {}, until {until}", folder.join(TOKEN).display()))
}

/// One line.
fn read() -> io::Result<String> {
    if io::stdin().is_terminal() {
        eprintln!("evmesh: paste the token, one line");
    }
    let (most, mut line) = (u64::try_from(MAX_TOKEN_BYTES).unwrap_or(u64::MAX), String::new());
    io::stdin().lock().take(most.saturating_add(2)).read_line(&mut line)?;
    Ok(line.trim().to_owned())
}
