//! What was measured, as people and as scripts read it.

use crate::{figure::Figure, machine::Machine};
use serde::Serialize;
use std::process::Command;
use ui::{Side, Table};

/// All figures of a bench.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub machine: Machine,
    /// Of the source tree in which the bench ran; `None` where there is none.
    pub commit: Option<String>,
    pub rows: Vec<Figure>,
}

impl Report {
    pub(crate) fn new(rows: Vec<Figure>) -> Self {
        Self { machine: Machine::here(), commit: commit(), rows }
    }

    /// As a table, no wider than this.
    pub fn table(&self, width: usize) -> String {
        let Machine { cpu, cores, memory_mb } = &self.machine;
        let commit = self.commit.as_deref().unwrap_or("of no source tree");
        let columns: [(&str, Side, ui::Cell<Figure>); 7] = [
            ("FIGURE", Side::Left, |figure| figure.name.clone()),
            ("SIZE", Side::Right, |figure| figure.size.to_string()),
            ("VALUE", Side::Right, |figure| number(figure.value)),
            ("UNIT", Side::Left, |figure| figure.unit.to_owned()),
            ("LIMIT", Side::Right, |figure| figure.limit.map_or_else(nothing, number)),
            ("RATIO", Side::Right, |figure| figure.ratio.map_or_else(nothing, |ratio| format!("{ratio:.2}"))),
            ("SPREAD", Side::Right, |figure| figure.load.spread.map_or_else(nothing, percent)),
        ];
        let table = Table::of(&self.rows, &columns, note).render(width);
        format!("{cpu}, {cores} cores, {memory_mb} MB; commit {commit}\n\n{table}")
    }
}

fn nothing() -> String {
    "-".to_owned()
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// With as many digits as say something.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        small if small >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn note(figure: &Figure) -> String {
    let load = &figure.load;
    let mut words = Vec::new();
    if let (Some(offered), Some(achieved)) = (load.offered, load.achieved) {
        words.push(format!("{} a second offered, {} done", number(offered), number(achieved)));
    }
    if load.runs > 1 {
        words.push(format!("the median of {} runs", load.runs));
    }
    words.extend(load.notes.iter().cloned());
    words.join("; ")
}

/// What is checked out here.
fn commit() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "HEAD"]).output().ok()?;
    let commit = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !commit.is_empty()).then_some(commit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Load;
    use serde_json::json;

    fn report() -> Report {
        let load = Load {
            offered: Some(1000.0),
            achieved: Some(999.5),
            runs: 3,
            spread: Some(0.04),
            notes: vec!["the broker is beside it".to_owned()],
        };
        let first = Figure::new("catch-up: messages", 1_000, 150_000.0, "1/s").beside(600_000.0).under(load);
        let second = Figure::new("catch-up: memory", 1_000, 1.25, "MB");
        let machine = Machine { cpu: "CPU".to_owned(), cores: 2, memory_mb: 4096 };
        Report { machine, commit: None, rows: vec![first, second] }
    }

    #[test]
    fn scripts_get_every_field_of_every_figure() {
        let none = json!({"offered": null, "achieved": null, "runs": 1, "spread": null, "notes": []});
        let load = json!({"offered": 1000.0, "achieved": 999.5, "runs": 3, "spread": 0.04,
            "notes": ["the broker is beside it"]});
        assert_eq!(
            serde_json::to_value(report()).unwrap(),
            json!({
                "machine": {"cpu": "CPU", "cores": 2, "memory_mb": 4096},
                "commit": null,
                "rows": [
                    {"name": "catch-up: messages", "size": 1000, "value": 150_000.0, "unit": "1/s",
                     "limit": 600_000.0, "ratio": 0.25, "load": load},
                    {"name": "catch-up: memory", "size": 1000, "value": 1.25, "unit": "MB",
                     "limit": null, "ratio": null, "load": none},
                ],
            })
        );
    }

    #[test]
    fn people_get_a_table_with_a_note_below_each_figure() {
        let table = report().table(120);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "CPU, 2 cores, 4096 MB; commit of no source tree");
        assert!(lines[2].starts_with("FIGURE"), "{table}");
        for word in ["catch-up: messages", "150000", "600000", "0.25", "4 %"] {
            assert!(lines[3].contains(word), "{word}: {table}");
        }
        assert!(
            lines[4].contains("1000 a second offered, 1000 done; the median of 3 runs; the broker"),
            "{table}"
        );
        assert!(lines[5].contains("1.25"), "{table}");
    }
}
