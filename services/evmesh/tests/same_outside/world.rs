//! The network that the script plays on, and the transcript of what it says.

use crate::{
    common::{PATIENCE, Process, broker::Broker, free_address},
    lab::Lab,
    mask::Mask,
    network::Point,
    topics,
    wire::{self, Answers, Wire},
};
use evmesh_proto::topics::{CP_TELEMETRY_DLQ, DRIVER_NOTIFICATIONS, NETWORK_STATUS};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use tempfile::TempDir;
use tonic::Status;

/// How often a state that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// A line of the transcript before it is masked.
pub(crate) enum Entry {
    Text(String),
    Json(String, Value),
    /// What a command printed.
    Printed(String),
}

/// The network, and what was said so far.
pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) mask: Mask,
    pub(crate) labs: BTreeMap<&'static str, Lab>,
    pub(crate) central: String,
    pub(crate) folder: TempDir,
    pub(crate) points: BTreeMap<&'static str, Point>,
    pub(crate) processes: BTreeMap<String, Process>,
    pub(crate) wire: Wire,
    pub(crate) entries: Vec<Entry>,
}

impl World {
    pub(crate) fn new() -> Self {
        let central = free_address();
        let mut mask = Mask::default();
        mask.name(&central, "central");
        Self {
            broker: Broker::embedded(),
            mask,
            labs: BTreeMap::new(),
            central,
            folder: tempfile::tempdir().expect("a folder"),
            points: BTreeMap::new(),
            processes: BTreeMap::new(),
            wire: Wire::default(),
            entries: Vec::new(),
        }
    }

    // --- calls

    pub(crate) fn address(&self, whom: &str) -> String {
        match self.points.get(whom) {
            Some(point) => point.engine.clone(),
            None => self.central.clone(),
        }
    }

    /// Calls central, or the engine of a charge point, and notes the call and its answer.
    pub(crate) async fn call(&mut self, whom: &str, name: &str, request: Value) -> Option<Value> {
        let answer = self.ask(whom, name, &request).await;
        self.note(whom, name, request, &answer);
        answer.ok()
    }

    /// The same without a note.
    pub(crate) async fn ask(&mut self, whom: &str, name: &str, request: &Value) -> Result<Value, Status> {
        let address = self.address(whom);
        self.wire.call(&address, name, request).await
    }

    /// A call that goes on beside the script; what came of it is for [`Self::note`].
    pub(crate) fn meanwhile(
        &self,
        name: &'static str,
        request: Value,
    ) -> tokio::task::JoinHandle<Result<Value, Status>> {
        let address = self.central.clone();
        tokio::spawn(async move { Wire::default().call(&address, name, &request).await })
    }

    /// Calls a path with any bytes and headers, and notes what comes.
    pub(crate) async fn raw(
        &mut self,
        what: &str,
        path: &str,
        request: Vec<u8>,
        headers: &[(&'static str, &'static str)],
    ) {
        let address = self.central.clone();
        let answer = self.wire.raw(&address, path, request, headers).await;
        let answer = answer.map(|answer| json!({"bytes": answer.len()}));
        self.note("central", path, what.into(), &answer);
    }

    /// Opens a stream of answers from central.
    pub(crate) async fn follow(&mut self, name: &str, request: &Value) -> Result<Answers, Status> {
        let address = self.central.clone();
        self.wire.follow(&address, name, request).await
    }

    /// Sends these on a stream, and notes every answer and its end.
    pub(crate) async fn converse(&mut self, whom: &str, name: &str, requests: Vec<Value>) {
        let address = self.address(whom);
        let (answers, end) = self.wire.converse(&address, name, &requests).await;
        self.entries.push(Entry::Json(format!("{whom} {name} "), requests.into()));
        for answer in answers {
            self.entries.push(Entry::Json("  = ".into(), answer));
        }
        match end {
            None => self.say("  ended"),
            Some(status) => self.refused(&status),
        }
    }

    /// Calls central until its answer is as wanted; nothing is noted.
    pub(crate) async fn until(
        &mut self,
        whom: &str,
        name: &str,
        request: Value,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let deadline = mesh::now().mono + PATIENCE;
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            let answer = self.ask(whom, name, &request).await;
            match answer {
                Ok(answer) if wanted(&answer) => return answer,
                Ok(_) | Err(_) if mesh::now().mono < deadline => {}
                answer => panic!("not within {PATIENCE:?}: {what}; {name} says {answer:?}"),
            }
        }
    }

    /// Calls central until it refuses for this reason; nothing is noted.
    pub(crate) async fn until_refused(&mut self, whom: &str, name: &str, request: &Value, reason: &str) {
        let deadline = mesh::now().mono + PATIENCE;
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            let answer = self.ask(whom, name, request).await;
            if answer.as_ref().is_err_and(|status| mesh::grpc::reason(status).as_deref() == Some(reason)) {
                return;
            }
            assert!(mesh::now().mono < deadline, "not within {PATIENCE:?}: {reason}; {name} says {answer:?}");
        }
    }

    /// Waits until something that central does not tell is so.
    pub(crate) async fn eventually<T>(&self, what: &str, look: impl Fn(&Self) -> Option<T>) -> T {
        testing::eventually(what, PATIENCE, || async { look(self) }).await
    }

    /// Waits until the operator sees that a charge point is faulted, for this reason.
    pub(crate) async fn faulted(&mut self, id: &str, reason: &str) {
        let is = |answer: &Value| {
            let mut points = answer["charge_points"].as_array().into_iter().flatten();
            let point = points.find(|detail| detail["charge_point"]["charge_point_id"] == id);
            point.is_some_and(|detail| detail["status_reason"].as_str().is_some_and(|it| it.contains(reason)))
        };
        let what = format!("{id} is faulted: {reason}");
        let request = json!({"page_size": 500});
        self.until("central", "OperatorService/GetNetworkStatus", request, &what, is).await;
    }

    /// Waits for a charge point's status.
    pub(crate) async fn status(&mut self, id: &str, status: &str) {
        let status = Value::from(format!("CHARGE_POINT_STATUS_{status}"));
        let is = |answer: &Value| {
            let points = answer["charge_points"].as_array();
            let mut points = points.into_iter().flatten().map(|detail| &detail["charge_point"]);
            points.any(|point| point["charge_point_id"] == id && point["status"] == status)
        };
        let request = json!({"page_size": 500});
        let what = format!("{id} is {status}");
        self.until("central", "OperatorService/GetNetworkStatus", request, &what, is).await;
    }

    /// Waits until a driver's session is as wanted, and gives it.
    pub(crate) async fn session(
        &mut self,
        driver: &str,
        id: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let request = json!({"driver_id": driver, "session_id": id});
        let wanted = |answer: &Value| wanted(&answer["session"]);
        self.until("central", "DriverService/GetSession", request, what, wanted).await["session"].take()
    }

    /// Waits until a driver's session supplies and has a reading.
    pub(crate) async fn supplies(&mut self, driver: &str, id: &str) {
        self.session(driver, id, "has a reading", |session| session["energy_wh"].as_u64() > Some(0)).await;
    }

    /// Waits until a driver's session is settled, and notes it with its ticket.
    pub(crate) async fn settled(&mut self, driver: &str, id: &str) {
        self.session(driver, id, "is settled", |session| session["settled"] == true).await;
        let request = json!({"driver_id": driver, "session_id": id});
        self.call("central", "DriverService/GetSession", request.clone()).await;
        self.call("central", "DriverService/GetTicket", request).await;
    }

    // --- topics

    /// Waits until its driver was told of the session: before that, no reading of it is told.
    pub(crate) async fn authorized(&self, session: &str) {
        let look = |world: &Self| {
            let told = topics::read(&world.broker.options(), DRIVER_NOTIFICATIONS);
            let is = |told: &Value| told["type"] == "AUTH_OK" && told["session_id"] == session;
            told.iter().any(|message| is(&message.json())).then_some(())
        };
        self.eventually("AUTH_OK", look).await;
    }

    /// Waits until so many dead letters are there.
    pub(crate) async fn dead_letters(&self, count: usize) {
        let look = |world: &Self| {
            let letters = topics::read(&world.broker.options(), CP_TELEMETRY_DLQ);
            (letters.len() >= count).then_some(())
        };
        self.eventually("dead letters", look).await;
    }

    /// Waits for the dead letter with this reason.
    pub(crate) async fn dead_letter_with(&self, reason: &str) {
        let look = |world: &Self| {
            let letters = topics::read(&world.broker.options(), CP_TELEMETRY_DLQ);
            letters.iter().any(|letter| letter.headers["reason"].contains(reason)).then_some(())
        };
        self.eventually("the dead letter", look).await;
    }

    /// Waits for a broadcast in which a charge point has this status, and notes what it says of it.
    pub(crate) async fn broadcast(&mut self, id: &str, status: &str) {
        let look = |world: &Self| {
            let last = topics::read(&world.broker.options(), NETWORK_STATUS).pop()?.json();
            let entry = last["cps"].as_array()?.iter().find(|entry| entry["id"] == id)?;
            (entry["status"] == status).then(|| entry.clone())
        };
        let entry = self.eventually(&format!("{id} is broadcast as {status}"), look).await;
        self.value("network_status: ", entry);
    }

    // --- the transcript

    /// A heading.
    pub(crate) fn chapter(&mut self, title: &str) {
        self.say(&format!("\n## {title}"));
    }

    /// A line.
    pub(crate) fn say(&mut self, line: &str) {
        self.entries.push(Entry::Text(line.to_owned()));
    }

    /// A value, after some words.
    pub(crate) fn value(&mut self, words: &str, value: Value) {
        learn(&mut self.mask, &value);
        self.entries.push(Entry::Json(words.to_owned(), value));
    }

    /// A call with what came of it.
    pub(crate) fn note(&mut self, whom: &str, name: &str, request: Value, answer: &Result<Value, Status>) {
        self.value(&format!("{whom} {name} "), request);
        match answer {
            Ok(answer) => self.value("  = ", answer.clone()),
            Err(status) => self.refused(status),
        }
    }

    fn refused(&mut self, status: &Status) {
        for line in wire::error(status) {
            self.say(&format!("  ! {line}"));
        }
    }

    /// All of it, masked. Lines that are alike and follow each other are one: how often a reading comes depends on
    /// the machine.
    pub(crate) fn transcript(&mut self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for entry in std::mem::take(&mut self.entries) {
            let entry = match entry {
                Entry::Text(text) => vec![self.mask.text(&text)],
                Entry::Json(words, value) => {
                    vec![self.mask.text(&words) + &self.mask.json(&value).to_string()]
                }
                Entry::Printed(text) => {
                    let masked = self.mask.text(&text);
                    // Where a number is masked, the width of its column is not kept either.
                    let loose = masked.contains("<some>");
                    masked
                        .lines()
                        .map(|line| format!("  {}", if loose { narrow(line) } else { line.into() }))
                        .collect()
                }
            };
            for line in entry {
                if lines.last() != Some(&line) {
                    lines.push(line);
                }
            }
        }
        lines.join("\n") + "\n"
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = self.transcript();
            let lines: Vec<&str> = said.lines().collect();
            eprintln!(
                "--- the transcript ends:\n{}\n---",
                lines[lines.len().saturating_sub(20)..].join("\n")
            );
        }
    }
}

fn narrow(line: &str) -> String {
    line.split("  ").map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

/// Ids under `session_id` are those of sessions.
fn learn(mask: &mut Mask, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), value) {
                    ("session_id" | "session", Value::String(id)) if id.len() == 32 => mask.session(id),
                    _ => learn(mask, value),
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|value| learn(mask, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
