//! What a row gives.

use serde::{Deserialize, Serialize};

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The row, and what of it: `intake: CPU of central a reading`.
    pub name: String,
    /// Of how many: charge points, calls under way, sessions; the name says which.
    pub size: u64,
    pub value: f64,
    pub unit: String,
    /// What was measured beside it in the same run, in the same unit; `None`: nothing is.
    pub limit: Option<f64>,
    /// The value as a share of the limit.
    pub ratio: Option<f64>,
    pub load: Load,
}

/// Under which load a figure was measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// What was asked for (a second).
    pub offered: Option<f64>,
    /// What was done of it (a second).
    pub achieved: Option<f64>,
    /// Of how many runs it is the median.
    pub runs: usize,
    /// How far these lie apart: the largest less the least, as a share of the median; `None`: there was one.
    pub spread: Option<f64>,
    /// What else there is to know, each a sentence.
    pub notes: Vec<String>,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, size: u64, value: f64, unit: &str) -> Self {
        let load = Load { runs: 1, ..Load::default() };
        Self { name: name.into(), size, value, unit: unit.to_owned(), limit: None, ratio: None, load }
    }

    /// The same, beside what was measured in the same run.
    pub(crate) fn beside(self, limit: f64) -> Self {
        Self { limit: Some(limit), ratio: Some(self.value / limit), ..self }
    }

    /// The same, under this load.
    pub(crate) fn under(self, load: Load) -> Self {
        Self { load, ..self }
    }

    /// The same, with one more thing to know.
    pub(crate) fn noting(mut self, note: impl Into<String>) -> Self {
        self.load.notes.push(note.into());
        self
    }
}
