//! What lines, objects, the table and the panel call the same thing.

use domain::requests::{Outcome, Target};

pub(super) fn place(target: &Target) -> String {
    match target {
        Target::Named(id) => id.to_string(),
        Target::Any { location_prefix } if location_prefix.as_str().is_empty() => "any".into(),
        Target::Any { location_prefix } => format!("any {location_prefix}"),
    }
}

pub(super) fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::Stopped => "stopped",
        Outcome::Faulted => "faulted",
        Outcome::Expired => "expired",
        Outcome::Rejected => "rejected",
    }
}
