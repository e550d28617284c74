//! The rows: each a file, and one function that measures it.

use crate::{bench::Bench, error::Error, figure::Figure, row::Row};

/// What this row gives.
pub(crate) async fn measure(row: Row, bench: &Bench) -> Result<Vec<Figure>, Error> {
    match row {
        Row::All => Ok(Vec::new()), // it is every other
        _ => Err(Error::Lacks(format!("{} is not measured yet", row.name()))),
    }
}
