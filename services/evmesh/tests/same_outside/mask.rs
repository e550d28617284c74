//! What differs from run to run is masked: times, random ids (numbered as they first appear), addresses, and what
//! depends on the second in which a real supply was ended. Everything else stays to the letter.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Keys of energies and amounts: in a real supply that was cut short they depend on the moment.
const MEASURED: [&str; 9] = [
    "amount",
    "amount_micros",
    "energy_wh",
    "importe",
    "importe_partial",
    "kwh",
    "kwh_partial",
    "micros",
    "late_energy_wh",
];
/// Keys whose number depends on how often something was repeated.
const COUNTED: [&str; 4] = ["epoch", "newest_epoch", "partition", "offset"];

/// Masks texts and JSON, and remembers what it has named.
#[derive(Debug, Default)]
pub(crate) struct Mask {
    names: BTreeMap<String, String>,
    sessions: Vec<String>,
    ids: Vec<String>,
    exact: BTreeSet<String>,
    folder: String,
}

impl Mask {
    /// Wherever this stands as a word, the label stands instead.
    pub(crate) fn name(&mut self, raw: &str, label: &str) {
        self.names.insert(raw.to_owned(), format!("<{label}>"));
    }

    /// The folder of this run.
    pub(crate) fn path(&mut self, folder: &str) {
        self.folder = folder.to_owned();
    }

    /// Ids of sessions are told from other random ids.
    pub(crate) fn session(&mut self, id: &str) {
        if !self.sessions.iter().any(|it| it == id) {
            self.sessions.push(id.to_owned());
        }
    }

    /// A measured number that does not depend on the moment: in each way in which it is written.
    pub(crate) fn exact(&mut self, number: impl ToString) {
        self.exact.insert(number.to_string());
    }

    /// A value of JSON.
    pub(crate) fn json(&mut self, value: &Value) -> Value {
        self.at("", value)
    }

    fn at(&mut self, key: &str, value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                Value::Object(fields.iter().map(|(key, value)| (key.clone(), self.at(key, value))).collect())
            }
            Value::Array(all) => Value::Array(all.iter().map(|value| self.at(key, value)).collect()),
            Value::String(text) if key == "next_page_token" && !text.is_empty() => "<more>".into(),
            Value::String(text) if key == "page_token" && text.len() > 16 => "<more>".into(),
            Value::String(_) if COUNTED.contains(&key) => "<n>".into(),
            Value::String(text) => self.text(text).into(),
            Value::Number(number) if key == "timestamp" && number.as_f64() != Some(0.0) => "<time>".into(),
            Value::Number(_) if COUNTED.contains(&key) => "<n>".into(),
            Value::Number(number) if key == "seq" && number.as_u64() > Some(1) => "<n>".into(),
            Value::Number(number) if MEASURED.contains(&key) => {
                let zero = number.as_f64() == Some(0.0);
                if zero || self.exact.contains(&number.to_string()) { value.clone() } else { "<some>".into() }
            }
            Value::Number(_) | Value::Bool(_) | Value::Null => value.clone(),
        }
    }

    /// A text, word by word.
    pub(crate) fn text(&mut self, text: &str) -> String {
        let mut masked = String::new();
        let text = if self.folder.is_empty() { text.into() } else { text.replace(&self.folder, "(folder)") };
        let mut rest = text.as_str();
        loop {
            let (between, from) = rest.split_at(rest.find(is_of_word).unwrap_or(rest.len()));
            masked.push_str(between);
            if from.is_empty() {
                return masked;
            }
            let (run, after) = from.split_at(from.find(|c| !is_of_word(c)).unwrap_or(from.len()));
            let word = run.trim_end_matches(['.', ':', '-']);
            masked.push_str(&self.word(word, masked.ends_with('…')));
            masked.push_str(&run[word.len()..]);
            rest = after;
        }
    }

    fn word(&mut self, word: &str, is_tail: bool) -> String {
        if let Some(label) = self.names.get(word) {
            return label.clone();
        }
        if is_tail && let Some(session) = self.sessions.iter().find(|id| id.ends_with(word)).cloned() {
            return self.id(&session);
        }
        if is_uuid(word) {
            return self.id(word);
        }
        if let Some((id, rest)) = word.split_at_checked(32).filter(|(id, _)| id.chars().all(is_hex)) {
            let id = id.to_owned();
            let rest = match rest.strip_prefix('-').map(str::parse::<u64>) {
                Some(Ok(2..)) => "-<n>".to_owned(),
                Some(Ok(0 | 1) | Err(_)) | None => rest.to_owned(),
            };
            return self.id(&id) + &rest;
        }
        if is_time(word) {
            return "<time>".into();
        }
        if is_decimal(word) && !self.exact.contains(word) {
            return "<some>".into();
        }
        word.to_owned()
    }

    fn id(&mut self, id: &str) -> String {
        let kind = if self.sessions.iter().any(|it| it == id) { "session" } else { "id" };
        let known: Vec<&String> =
            self.ids.iter().filter(|it| self.sessions.contains(it) == (kind == "session")).collect();
        let number = match known.iter().position(|it| *it == id) {
            Some(at) => at + 1,
            None => {
                let number = known.len() + 1;
                self.ids.push(id.to_owned());
                number
            }
        };
        format!("<{kind} {number}>")
    }
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-')
}

fn is_hex(c: char) -> bool {
    matches!(c, '0'..='9' | 'a'..='f')
}

fn is_uuid(word: &str) -> bool {
    let parts: Vec<usize> = word.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && word.chars().all(|c| c == '-' || is_hex(c))
}

/// `2026-11-26T07:33:12.5Z`, `2026-11-26`, `11-26`, `07:33:12`.
fn is_time(word: &str) -> bool {
    let shape: String = word.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape.starts_with("0000-00-00") || ["00:00:00", "00:00", "00-00"].contains(&shape.as_str())
}

fn is_decimal(word: &str) -> bool {
    word.split_once('.').is_some_and(|(whole, part)| {
        let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        digits(whole) && digits(part)
    })
}
