//! `peer`: the system before this one, as its documents describe it: a Python consumer with a commit a message.

use crate::{
    backlog::{Backlog, IN_LARGE},
    bench::Bench,
    error::{Doing as _, Error},
    figure::{Figure, Load},
    options::Size,
    readings::Told,
    runs::runs,
};
use evmesh_proto::topics::{CP_TELEMETRY, DRIVER_NOTIFICATIONS};
use serde::Deserialize;
use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tokio::time::sleep;

const PROGRAM: &str = include_str!("../../peer/central.py");
const NEEDS: &str = include_str!("../../peer/requirements.txt");
/// It knows so many charge points.
const CHARGE_POINTS: u32 = 1_000;
/// A child is looked at so often.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What it says of itself at its end.
#[derive(Debug, Deserialize)]
struct Said {
    messages: u64,
    seconds: f64,
    cpu_seconds: f64,
}

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let messages: u64 = match bench.size {
        Size::Small => 2_000,
        Size::Full => 20_000,
    };
    let folder = bench.folder().join("peer");
    fs::create_dir_all(&folder).doing(folder.display().to_string())?;
    let (program, needs) = (folder.join("central.py"), folder.join("requirements.txt"));
    fs::write(&program, PROGRAM).and_then(|()| fs::write(&needs, NEEDS)).doing("the peer's program")?;
    let python = python(bench, &folder).await?;
    let mut all = Vec::new();
    for number in 0..bench.runs() {
        let kafka = bench.kafka().await?;
        let mut told: Vec<Told> = (0..CHARGE_POINTS).map(Told::made_up).collect();
        Backlog::write(&kafka, &mut told, messages, IN_LARGE).await?.commit().await?;
        bench.say(&format!("the peer reads {messages} messages"));
        let mut reads = Command::new(&python);
        reads.arg(&program).arg(&kafka.kafka);
        reads.args([CP_TELEMETRY, DRIVER_NOTIFICATIONS].map(|topic| kafka.topic(topic)));
        reads.arg(folder.join(format!("{number}.db"))).arg(messages.to_string());
        let said = output(bench, reads, "the peer ended").await?;
        all.push(serde_json::from_str::<Said>(&said).map_err(|_| Error::Lacks(said))?);
    }
    Ok(figures(&all))
}

fn figures(all: &[Said]) -> Vec<Figure> {
    let of = |of: fn(&Said) -> f64| runs(&all.iter().map(of).collect::<Vec<_>>());
    let read = of(|said| said.messages as f64 / said.seconds);
    let cpu = of(|said| said.cpu_seconds * 1e6 / said.messages as f64);
    let figure = |what: &str, value, unit, spread| {
        let load = Load { runs: all.len(), spread, ..Load::default() };
        Figure::new(format!("peer: {what}"), CHARGE_POINTS.into(), value, unit).under(load)
    };
    vec![
        figure("messages read", read.median, "1/s", read.spread),
        figure("CPU a message", cpu.median, "µs", cpu.spread),
    ]
}

/// A Python that has what the peer needs, in an environment of its own.
async fn python(bench: &Bench, folder: &Path) -> Result<PathBuf, Error> {
    let mut makes = Command::new("python3");
    makes.args(["-m", "venv"]).arg(folder.join("venv"));
    output(bench, makes, "python3 cannot make an environment (Debian: python3-venv)").await?;
    let python = folder.join("venv/bin/python");
    let mut fetches = Command::new(&python);
    fetches.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
    fetches.arg(folder.join("requirements.txt"));
    output(bench, fetches, "the peer lacks kafka-python, which pip could not fetch").await?;
    Ok(python)
}

/// What a command printed, which ends with the bench; else why it failed, by its last line.
async fn output(bench: &Bench, mut command: Command, failed: &str) -> Result<String, Error> {
    let (out, err) = (bench.folder().join("peer/stdout"), bench.folder().join("peer/stderr"));
    let file = |path: &Path| fs::File::create(path).doing(path.display().to_string());
    command.stdin(Stdio::null()).stdout(file(&out)?).stderr(file(&err)?);
    let mut child = command.process_group(bench.group()).spawn().doing(failed)?;
    let status = loop {
        if let Some(status) = child.try_wait().doing(failed)? {
            break status;
        }
        sleep(LOOK_EVERY).await;
    };
    if status.success() {
        return fs::read_to_string(&out).doing(out.display().to_string());
    }
    let said = fs::read_to_string(&err).unwrap_or_default();
    let said = said.lines().last().unwrap_or("it said nothing").to_owned();
    Err(Error::Lacks(format!("{failed}: {said}")))
}
