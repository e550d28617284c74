//! What is on central's disk: of a session that has ended, and of who did what.

use crate::{
    bench::Bench,
    beside::{self, Points},
    central::Central,
    drivers::Drivers,
    error::{Doing as _, Error},
    figure::Figure,
    options::Size,
};
use central::store::keys::AUDIT;
use mesh::store::{Role, SledStore, Store as _};
use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

/// Who has charged may come again at once.
const CENTRAL: [&str; 2] = ["--unused-reservations", "0"];
const FLEET: [&str; 4] = ["--plug-in-after", "0.1", "--stay", "3600"];
/// Of each session a driver changes two things: it asks for it, and stops it.
const MUTATIONS: u32 = 2;
/// So many rows are read at a time.
const PAGE: usize = 1_000;
/// What a session takes at most while it is kept, with all that sled has not let go of (bytes).
const ROOM: u64 = 20_000;
/// What `du` counts in.
const BLOCK: u64 = 512;

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let (points, rounds) = match bench.size {
        Size::Small => (200, 3),
        Size::Full => (2_000, 50),
    };
    let sessions = points * rounds;
    let size = u64::from(sessions);
    crate::files::has_room("disk", bench.folder(), size * ROOM / 1_000_000)?;
    let kafka = bench.kafka().await?;
    let mut central = bench.central(&kafka, &CENTRAL).await?;
    let address = central.to_address();
    let fleet = beside::fleet(bench, &address, &kafka, Points { more: &FLEET, ..Points::sites(points) });
    let fleet = fleet.await?;
    let drivers = Drivers::of(&address);
    let mut memory = 0.0;
    let disk = used(&central.data)?;
    for round in 0..rounds {
        // At the full size 100,000 answers are kept for repeats by now, as many as may be: what grows from here on are
        // ended sessions.
        if round == rounds / 2 {
            memory = central.settled().await?;
        }
        drivers.all_charge(0..points).await?;
        drivers.all_supply(0..points).await?;
        drivers.all_stop(0..points).await?;
    }
    let memory = central.settled().await? - memory;
    drop(fleet);
    central.stop().await?;
    let disk = used(&central.data)?.saturating_sub(disk) as f64 / f64::from(sessions);
    let audit = audit(&central).await? as f64 / f64::from(sessions * MUTATIONS);
    if disk <= 0.0 || audit <= 0.0 {
        return Err(Error::Lacks(format!("disk: {sessions} ended sessions take nothing to be seen")));
    }
    let mut figures = vec![
        Figure::new("disk: an ended session, by du", size, disk, "B")
            .noting("with the audit of it, and what sled has not let go of"),
        Figure::new("disk: the audit of a mutation", size, audit, "B"),
    ];
    if bench.size == Size::Full {
        let million = memory / f64::from(sessions - points * (rounds / 2)); // bytes of one are megabytes of a million
        let figure = Figure::new("disk: memory of a million ended sessions", size, million, "MB");
        figures.push(
            figure.noting("by the second half of them: before, the answers for repeats come to their bound"),
        );
    }
    Ok(figures)
}

/// What a folder takes of the disk (bytes), as `du` counts.
fn used(folder: &Path) -> Result<u64, Error> {
    let mut sum = 0;
    for entry in fs::read_dir(folder).doing(folder.display().to_string())? {
        let path = entry.doing(folder.display().to_string())?.path();
        let found = path.symlink_metadata().doing(path.display().to_string())?;
        sum += found.blocks() * BLOCK;
        if found.is_dir() {
            sum += used(&path)?;
        }
    }
    Ok(sum)
}

/// The keys and values (bytes) of the audit, in the store of a central that does not run.
async fn audit(central: &Central) -> Result<u64, Error> {
    let data = central.data.clone();
    let read = tokio::task::spawn_blocking(move || {
        let role = Role { name: "central", older_copies: true, must_exist: true };
        let store = SledStore::open(&data, role)?;
        let (mut sum, mut from) = (0, AUDIT.to_vec());
        loop {
            let page = store.range(&from, AUDIT, PAGE)?;
            sum += page.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum::<u64>();
            match page.last() {
                Some((last, _)) => from = [last.as_slice(), &[0]].concat(),
                None => return Ok::<_, mesh::store::StoreError>(sum),
            }
        }
    });
    let why = |error: &dyn std::fmt::Display| Error::Lacks(format!("disk: the store is not read: {error}"));
    read.await.map_err(|error| why(&error))?.map_err(|error| why(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_folder_takes_is_counted_with_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(used(folder.path()).unwrap(), 0);
        fs::create_dir(folder.path().join("below")).unwrap();
        let empty = used(folder.path()).unwrap();
        fs::write(folder.path().join("below/file"), vec![7; 100_000]).unwrap();
        assert!((98_000..120_000).contains(&(used(folder.path()).unwrap() - empty)));
    }
}
