//! What can be measured.

use clap::ValueEnum as _;

/// What is measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Row {
    /// Readings that come each second, and what one of them costs central.
    Intake,
    /// Readings that come one a batch, written beforehand.
    IntakeSingle,
    /// A network that nobody charges in.
    Idle,
    /// How fast central reads what was written while it was away, against a bare consumer.
    CatchUp,
    /// Authorisations, against a bare chain of two calls.
    Authorize,
    /// Charge points that central knows.
    Known,
    /// Charge points that are connected, against bare streams.
    Connected,
    /// From kill -9 to everything as it was.
    Restart,
    /// From the start to the first answer.
    First,
    /// What is on the disk.
    Disk,
    /// The system before this one: a Python consumer with a commit a message.
    Peer,
    /// Every row.
    All,
}

impl Row {
    /// These, each once, where they are named first.
    pub(crate) fn in_turn(rows: &[Self]) -> Vec<Self> {
        if rows.contains(&Self::All) {
            return Self::value_variants().iter().copied().filter(|row| *row != Self::All).collect();
        }
        let mut once = Vec::new();
        for row in rows {
            if !once.contains(row) {
                once.push(*row);
            }
        }
        once
    }

    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_measured_once_and_all_are_all() {
        assert_eq!(Row::in_turn(&[Row::Disk, Row::Idle, Row::Disk]), [Row::Disk, Row::Idle]);
        let all = Row::in_turn(&[Row::Idle, Row::All]);
        assert_eq!(all.len(), Row::value_variants().len() - 1);
        assert!(!all.contains(&Row::All));
        assert_eq!(Row::IntakeSingle.name(), "intake-single");
    }
}
