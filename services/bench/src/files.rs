//! What a row needs of the system, before it begins: open files, and room on the disk.

use crate::error::{Doing as _, Error};
use std::{path::Path, process::Command};

/// What a process has open besides: Kafka's sockets, the store, the runtime's, its streams.
const OTHER_FILES: u64 = 64;

/// Charge points at one site, drivers on one connection.
const SITE: u32 = 100;

/// What a fleet of so many charge points has open, and central less of it: a site's engines share a connection, and so
/// do its monitors and a hundred drivers.
pub(crate) fn of_network(charge_points: u32) -> [(u64, &'static str); 3] {
    let sites = u64::from(charge_points.div_ceil(SITE));
    [
        (sites, "connections to the engines of sites"),
        (sites * 2, "sites, each with an address and a connection"),
        (sites, "connections of drivers"),
    ]
}

/// May a process have so many open files? `parts` are how many of what: each a number and a word, such as
/// `(200, "connections of 100 sites, one each way")`.
pub(crate) fn has_files(row: &str, parts: &[(u64, &str)]) -> Result<(), Error> {
    has_files_of(row, parts, rlimit::increase_nofile_limit(u64::MAX).unwrap_or(u64::MAX))
}

fn has_files_of(row: &str, parts: &[(u64, &str)], limit: u64) -> Result<(), Error> {
    let wanted = parts.iter().map(|(count, _)| count).sum::<u64>() + OTHER_FILES;
    if wanted <= limit {
        return Ok(());
    }
    let mut words: Vec<String> = parts.iter().map(|(count, what)| format!("{count} {what}")).collect();
    words.push(format!("{OTHER_FILES} others"));
    Err(Error::Files { row: row.to_owned(), wanted, arithmetic: words.join(" + "), limit })
}

/// Is there room for so many megabytes?
pub(crate) fn has_room(row: &str, place: &Path, wanted: u64) -> Result<(), Error> {
    let output = Command::new("df").args(["-Pm"]).arg(place).output().doing("df cannot be asked for room")?;
    let Some(free) = free_of(&String::from_utf8_lossy(&output.stdout)) else { return Ok(()) };
    if free >= wanted {
        return Ok(());
    }
    Err(Error::Disk { row: row.to_owned(), place: place.to_owned(), free, wanted })
}

/// Megabytes, of what `df -Pm` says of one place.
fn free_of(said: &str) -> Option<u64> {
    said.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_open_files_are_refused_with_the_arithmetic() {
        let parts = [(200, "connections of 100 sites"), (50, "of drivers")];
        assert!(has_files_of("intake", &parts, 314).is_ok());
        let said = has_files_of("intake", &parts, 313).unwrap_err().to_string();
        let arithmetic = "intake needs 314 open files in one process (200 connections of 100 sites + 50 of drivers + \
             64 others), and this one may have 313";
        assert!(said.starts_with(arithmetic), "{said}");
    }

    #[test]
    fn a_full_disk_is_refused_before_it_is_full() {
        let said = "Filesystem 1048576-blocks Used Available Capacity Mounted on\n/dev/vda1 100 93 7 93% /\n";
        assert_eq!(free_of(said), Some(7));
        let here = std::env::temp_dir();
        assert!(has_room("catch-up", &here, 0).is_ok());
        let said = has_room("catch-up", &here, u64::MAX).unwrap_err().to_string();
        assert!(said.contains("MB free, and catch-up writes about"), "{said}");
    }
}
