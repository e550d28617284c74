//! What was measured, as people and as scripts read it.

use crate::{
    bench::Missing,
    curve::curves,
    error::{Doing as _, Error},
    figure::Figure,
    machine::Machine,
    number::number,
    target::Of,
};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use ui::{Side, Table};

/// All figures of a bench.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub machine: Machine,
    /// Of the source tree in which the bench ran; `None` where there is none.
    pub commit: Option<String>,
    pub rows: Vec<Figure>,
    /// What could not be measured, and why: a sentence each.
    pub missing: Vec<String>,
}

impl Report {
    pub(crate) fn new(rows: Vec<Figure>, missing: &[Missing]) -> Self {
        let sentence = |Missing { what, why }: &Missing| format!("{what} is not measured: {why}");
        let missing = missing.iter().map(sentence).collect();
        Self { machine: Machine::here(), commit: commit(), rows, missing }
    }

    /// What these files of earlier runs say together: of each figure the last. The machine is the first one's; all
    /// commits are named.
    pub(crate) fn read(files: &[PathBuf]) -> Result<Self, Error> {
        let mut all: Option<Self> = None;
        for file in files {
            let text = fs::read(file).doing(file.display().to_string())?;
            let no_report =
                |error| Error::Lacks(format!("{} is no report of a bench: {error}", file.display()));
            let next: Self = serde_json::from_slice(&text).map_err(no_report)?;
            all = Some(match all {
                None => next,
                Some(before) => before.and(next),
            });
        }
        all.ok_or_else(|| Error::Lacks("no report is named".to_owned()))
    }

    /// With what another says: of each figure that both have, the other's.
    fn and(mut self, other: Self) -> Self {
        let row = |text: &str| text.split([' ', ':']).next().unwrap_or_default().to_owned();
        let has = |missing: &String| other.rows.iter().any(|figure| row(&figure.name) == row(missing));
        self.missing.retain(|missing| !has(missing)); // what is missing of a row, its last run says
        for figure in other.rows {
            match self.rows.iter_mut().find(|own| own.name == figure.name && own.size == figure.size) {
                Some(own) => *own = figure,
                None => self.rows.push(figure),
            }
        }
        self.missing.extend(other.missing);
        let other = other.commit.filter(|other| !self.commit.iter().any(|own| own.contains(other)));
        self.commit = match (self.commit, other) {
            (Some(own), Some(other)) => Some(format!("{own}, {other}")),
            (own, other) => own.or(other),
        };
        self
    }

    /// Writes a picture of each figure that has several sizes into a folder.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn plot(&self, folder: &Path) -> Result<(), Error> {
        fs::create_dir_all(folder).doing(folder.display().to_string())?;
        for curve in curves(&self.rows) {
            let path = folder.join(curve.file());
            fs::write(&path, curve.svg()).doing(path.display().to_string())?;
        }
        Ok(())
    }

    /// As a table of a document, with what is to be reached.
    pub fn markdown(&self) -> String {
        let mut lines = vec![
            self.heading(),
            String::new(),
            "| figure | size | value | to reach | beside it | ratio | runs, spread | |".to_owned(),
            "|---|---|---|---|---|---|---|---|".to_owned(),
        ];
        for figure in &self.rows {
            let unit = &figure.unit;
            let targets = figure.targets().map(|target| match target.of {
                Of::Value => target.bound.to_string(),
                Of::Ratio => format!("ratio {}", target.bound),
            });
            let targets: Vec<String> = targets.collect();
            let reached = match figure.is_reached() {
                None => "",
                Some(true) => ": yes",
                Some(false) => ": **no**",
            };
            let of_runs = figure
                .load
                .spread
                .map_or_else(String::new, |spread| format!("{}, {}", figure.load.runs, percent(spread)));
            let cells = [
                figure.name.clone(),
                number(figure.size as f64),
                format!("{} {unit}", number(figure.value)),
                format!("{}{reached}", targets.join("; ")),
                figure.limit.map_or_else(String::new, |limit| format!("{} {unit}", number(limit))),
                figure.ratio.map_or_else(String::new, number),
                of_runs,
                said(figure),
            ];
            lines.push(format!("| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | ")));
        }
        lines.push(String::new());
        lines.extend(self.missing.iter().map(|missing| format!("- {missing}")));
        lines.join("\n") + "\n"
    }

    fn heading(&self) -> String {
        let Machine { cpu, cores, memory_mb } = &self.machine;
        let commit = self.commit.as_deref().unwrap_or("of no source tree");
        format!("{cpu}, {cores} cores, {memory_mb} MB; commit {commit}")
    }

    /// As a table, no wider than this.
    pub fn table(&self, width: usize) -> String {
        let columns: [(&str, Side, ui::Cell<Figure>); 7] = [
            ("FIGURE", Side::Left, |figure| figure.name.clone()),
            ("SIZE", Side::Right, |figure| number(figure.size as f64)),
            ("VALUE", Side::Right, |figure| number(figure.value)),
            ("UNIT", Side::Left, |figure| figure.unit.clone()),
            ("LIMIT", Side::Right, |figure| figure.limit.map_or_else(nothing, number)),
            ("RATIO", Side::Right, |figure| figure.ratio.map_or_else(nothing, |ratio| format!("{ratio:.2}"))),
            ("SPREAD", Side::Right, |figure| figure.load.spread.map_or_else(nothing, percent)),
        ];
        let table = Table::of(&self.rows, &columns, note).render(width);
        let missing: String = self.missing.iter().map(|missing| format!("\n{missing}\n")).collect();
        format!("{}\n\n{table}{missing}", self.heading())
    }
}

fn nothing() -> String {
    "-".to_owned()
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn note(figure: &Figure) -> String {
    let runs = (figure.load.runs > 1).then(|| format!("the median of {} runs", figure.load.runs));
    [runs.unwrap_or_default(), said(figure)]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}

/// What there is to know of a figure besides.
fn said(figure: &Figure) -> String {
    let load = &figure.load;
    let offered = load.offered.zip(load.achieved);
    let offered =
        offered.map(|(offered, done)| format!("{} a second offered, {} done", number(offered), number(done)));
    offered.into_iter().chain(load.notes.iter().cloned()).collect::<Vec<_>>().join("; ")
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
        let missing = vec!["restart is not measured: too late".to_owned()];
        Report { machine, commit: None, rows: vec![first, second], missing }
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
                "missing": ["restart is not measured: too late"],
            })
        );
    }

    #[test]
    fn people_get_a_table_with_a_note_below_each_figure() {
        let table = report().table(120);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "CPU, 2 cores, 4096 MB; commit of no source tree");
        assert!(lines[2].starts_with("FIGURE"), "{table}");
        for word in ["catch-up: messages", "150,000", "600,000", "0.25", "4 %"] {
            assert!(lines[3].contains(word), "{word}: {table}");
        }
        assert!(
            lines[4].contains("the median of 3 runs; 1,000 a second offered, 1,000 done; the broker"),
            "{table}"
        );
        assert!(lines[5].contains("1.25"), "{table}");
        assert_eq!(lines[7..], ["restart is not measured: too late"]);
    }

    #[test]
    fn a_document_gets_what_is_to_be_reached_and_what_could_not_be_measured() {
        let read = Figure::new("catch-up: messages read", 1_000, 150_000.0, "1/s").beside(600_000.0);
        let text = Report { rows: vec![read], ..report() }.markdown();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "CPU, 2 cores, 4096 MB; commit of no source tree");
        assert_eq!(
            lines[4..],
            [
                "| catch-up: messages read | 1,000 | 150,000 1/s | ≥ 300,000; ratio ≥ 0.50: **no** | 600,000 1/s \
                 | 0.25 |  |  |",
                "",
                "- restart is not measured: too late",
            ]
        );
    }

    #[test]
    fn what_was_written_is_read_again_and_a_later_figure_takes_the_place_of_an_earlier_one() {
        let folder = tempfile::tempdir().unwrap();
        let later = Report { rows: vec![Figure::new("catch-up: memory", 1_000, 2.5, "MB")], ..report() };
        let files = [report(), Report { missing: Vec::new(), ..later }].map(|report| {
            let path = folder.path().join(format!("{}.json", report.rows.len()));
            fs::write(&path, serde_json::to_string(&report).unwrap()).unwrap();
            path
        });
        assert_eq!(Report::read(&files[..1]).unwrap(), report());
        let both = Report::read(&files).unwrap();
        let values: Vec<f64> = both.rows.iter().map(|figure| figure.value).collect();
        assert_eq!((values, both.missing.len()), (vec![150_000.0, 2.5], 1));
        let commit = |text: &str| Some(text.to_owned());
        let restart = vec![Figure::new("restart: kill -9 to the first grant", 500, 1.0, "s")];
        let [one, other] = [
            Report { commit: commit("one"), ..report() },
            Report {
                commit: commit("other"),
                rows: restart,
                missing: vec!["disk is not measured: full".into()],
                ..report()
            },
        ];
        let both = one.and(other);
        assert_eq!(both.commit, commit("one, other"));
        assert_eq!(both.missing, ["disk is not measured: full"], "restart is measured now");

        fs::write(&files[0], "{}").unwrap();
        let said = Report::read(&files).unwrap_err().to_string();
        assert!(said.contains("2.json is no report of a bench: missing field"), "{said}");
    }

    #[test]
    fn each_figure_of_several_sizes_has_a_picture() {
        let folder = tempfile::tempdir().unwrap();
        let rows = [1_000, 10_000].map(|size| Figure::new("catch-up: memory", size, 1.0, "MB")).to_vec();
        Report { rows, ..report() }.plot(&folder.path().join("curves")).unwrap();
        let svg = fs::read_to_string(folder.path().join("curves/catch-up-memory.svg")).unwrap();
        assert!(svg.starts_with("<svg "), "{svg}");
    }
}
