//! The command line of the network, as the script uses it.

use crate::{
    common::run,
    world::{Entry, World},
};
use serde_json::Value;

impl World {
    /// Runs a command of the executable, and notes how it was called, what it printed, and its exit code.
    pub(crate) fn command(&mut self, arguments: &[&str]) {
        let shown: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        let mut arguments: Vec<String> = shown.clone();
        match arguments[0].as_str() {
            "operator" => arguments.extend(["--central".into(), self.central.clone()]),
            "driver" => {
                arguments.extend(["--central".into(), self.central.clone()]);
                arguments.extend(self.broker.flags());
            }
            _ => {}
        }
        let done = run(&arguments);
        self.say(&format!("$ evmesh {}", shown.join(" ")));
        self.printed(&done.stdout);
        self.printed(&done.stderr);
        self.say(&format!("  exit code {}", done.code));
    }

    /// A command at a charge point.
    pub(crate) fn at_point(&mut self, id: &str, arguments: &[&str]) {
        let engine = self.points[id].engine.clone();
        self.command(&[&["point", "--engine", &engine], arguments].concat());
    }

    /// The health probe of a role.
    pub(crate) fn check(&mut self, id: Option<&str>) {
        let addresses = match id {
            None => vec![self.central.clone()],
            Some(id) => vec![self.points[id].engine.clone(), self.points[id].monitor.clone()],
        };
        for address in addresses {
            self.command(&["check", &address]);
        }
    }

    /// A file with this text.
    pub(crate) fn file(&mut self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("it can be written");
        let path = path.display().to_string();
        // Its folder is another one in each run.
        self.mask.path(&self.folder.path().display().to_string());
        path
    }

    fn printed(&mut self, text: &str) {
        if let Ok(value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text) {
            return self.notes(value);
        }
        let lines = text.lines().filter(|line| !is_of_the_moment(line)).map(reading);
        let mut lines: Vec<String> = lines.collect();
        lines.dedup();
        if lines.iter().all(|line| line.starts_with('{')) {
            for line in lines {
                let mut value: Value = serde_json::from_str(&line).expect("an object a line");
                if value["event"] == "consumption" {
                    for measured in ["kw", "kwh", "amount"] {
                        value[measured] = "(a reading)".into();
                    }
                }
                self.notes(value);
            }
        } else {
            self.entries.push(Entry::Printed(lines.join("\n")));
        }
    }

    fn notes(&mut self, value: Value) {
        match value {
            Value::Array(all) => all.into_iter().for_each(|value| self.notes(value)),
            value => self.value("  ", value),
        }
    }
}

/// Which charge points are free is broadcast every half second, and a log tells of Kafka: when is not the script's.
fn is_of_the_moment(line: &str) -> bool {
    let words =
        ["free now:", "no charge point is free now", "\"event\":\"free_charge_points\"", " INFO ", " WARN "];
    words.iter().any(|words| line.contains(words))
}

/// How many readings an app shows, and which, depends on the machine: each is the same line.
fn reading(line: &str) -> String {
    match line.split_once(": ") {
        Some((point, rest)) if rest.contains(" kW  ") && rest.contains(" kWh  ") => {
            format!("{point}: (a reading)")
        }
        _ => line.to_owned(),
    }
}
