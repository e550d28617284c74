//! Logs and metrics. The only global thing: the executable calls [`init`] once.

use crate::{grpc::Listen, log_limit::LogLimit, metrics_port};
use domain::{Mono, Wall, text::printable};
use metrics_exporter_prometheus::PrometheusHandle;
use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{
        FmtContext, FormatEvent, MakeWriter,
        format::{DefaultFields, Writer},
    },
    prelude::*,
    registry::LookupSpan,
};

/// What is logged and measured.
#[derive(Debug, Clone, clap::Args)]
pub struct ObservabilityOptions {
    /// What to log: a level (error, warn, info, debug, trace), or directives such as info,central=debug.
    #[arg(long, env = "EVMESH_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,

    /// How to log: text for people, json for machines.
    #[arg(long, env = "EVMESH_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// Serve metrics for Prometheus at http://HOST:PORT/metrics, of a name at its first address; not served by
    /// default.
    #[arg(long, env = "EVMESH_METRICS_ADDRESS", value_name = "HOST:PORT")]
    pub metrics_address: Option<Listen>,
}

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

/// See [`tidied`].
const TIDIED_EVERY: Duration = Duration::from_secs(5);
/// How often it is said what the log left out.
const LEFT_OUT_EVERY: Duration = Duration::from_secs(1);

/// Why logs or metrics cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "--log {filter:?} is not a filter; use a level such as info, or directives such as info,central=debug"
    )]
    Filter { filter: String, source: tracing_subscriber::filter::ParseError },
    #[error("logs were set up already")]
    Twice,
    #[error("metrics cannot be served on {0}; choose another address with --metrics-address")]
    Metrics(Listen, #[source] Box<dyn std::error::Error + Send + Sync>),
}

#[derive(Debug, Clone)]
pub enum LogWriter {
    /// To standard error; as text, in colours where a person looks at a terminal.
    Stderr { colours: bool },
    /// To a panel, so that they do not tear its picture.
    Panel(LogRing),
}

/// Sets up logs and metrics for the whole process, once. It needs a tokio runtime.
pub fn init(options: &ObservabilityOptions, writer: LogWriter) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&options.log)
        .map_err(|source| Error::Filter { filter: options.log.clone(), source })?;
    let limit = LogLimit::default();
    let registry = tracing_subscriber::registry().with(filter).with(limit.clone());
    let layer = tracing_subscriber::fmt::layer();
    let done = match (writer, options.log_format) {
        (LogWriter::Panel(ring), LogFormat::Text | LogFormat::Json) => {
            registry.with(in_panel(ring)).try_init()
        }
        (LogWriter::Stderr { colours }, LogFormat::Text) => {
            registry.with(layer.with_ansi(colours).with_target(false).with_writer(std::io::stderr)).try_init()
        }
        (LogWriter::Stderr { .. }, LogFormat::Json) => {
            registry.with(layer.json().flatten_event(true).with_writer(std::io::stderr)).try_init()
        }
    };
    done.map_err(|_| Error::Twice)?;
    tokio::spawn(async move {
        let mut often = tokio::time::interval(LEFT_OUT_EVERY);
        loop {
            often.tick().await;
            limit.say_what_was_left_out();
        }
    });
    if let Some(at) = &options.metrics_address {
        let failed = |source| Error::Metrics(at.clone(), source);
        let address = at.first().map_err(|error| failed(error.into()))?; // it has one socket
        let listener = metrics_port::bind(address).map_err(|error| failed(error.into()))?;
        let builder = metrics_exporter_prometheus::PrometheusBuilder::new();
        let metrics = builder.install_recorder().map_err(|error| failed(error.into()))?;
        tokio::spawn(tidied(metrics.clone()));
        tokio::spawn(metrics_port::serve(listener, move || metrics.render()));
        if at.to_string() != address.to_string() {
            tracing::info!(%address, "metrics are served at the first address of {at}");
        }
    }
    Ok(())
}

/// What histograms have taken in is summed up now and then, whether anyone reads them or not.
async fn tidied(metrics: PrometheusHandle) {
    let mut often = tokio::time::interval(TIDIED_EVERY);
    loop {
        often.tick().await;
        metrics.run_upkeep();
    }
}

/// What a panel shows of each event: a sentence.
fn in_panel<S: Subscriber + for<'a> LookupSpan<'a>>(ring: LogRing) -> impl Layer<S> {
    tracing_subscriber::fmt::layer().event_format(Sentences).with_writer(ring)
}

/// Writes an event for people: what it says, and in brackets the rest of what it has. Its name, and the call that it
/// happened in, are for machines.
#[derive(Debug)]
struct Sentences;

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, DefaultFields> for Sentences {
    fn format_event(
        &self,
        _: &FmtContext<'_, S, DefaultFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut sentence = Sentence::default();
        event.record(&mut sentence);
        let Sentence { says, has } = sentence;
        if has.is_empty() {
            writeln!(writer, "{says}")
        } else {
            writeln!(writer, "{says} ({})", has.join(", "))
        }
    }
}

#[derive(Debug, Default)]
struct Sentence {
    says: String,
    has: Vec<String>,
}

impl Visit for Sentence {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.says = format!("{value:?}"),
            "event" => {}
            name => self.has.push(format!("{} {value:?}", name.replace('_', " "))),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

/// A panel keeps so many lines of each kind: more than any screen shows.
const RING_LINES: usize = 200;
/// A line is cut to so many bytes.
const LINE_BYTES: usize = 1000;

/// So long a warning stands before what is newer, and an error: after that each is where its time puts it.
const WARNING_LEADS: Duration = Duration::from_secs(60);
const ERROR_LEADS: Duration = Duration::from_secs(600);

/// The newest log lines, for a panel. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LogRing {
    lines: Arc<Mutex<VecDeque<LogLine>>>,
}

#[derive(Debug, Clone)]
struct LogLine {
    level: Level,
    text: String,
    at: Wall,
    added: Mono,
}

impl LogLine {
    /// Of which kind it is on a screen: what leads no more is as the rest.
    fn rank(&self, now: Mono) -> Level {
        let leads = match self.level {
            Level::ERROR => ERROR_LEADS,
            Level::WARN => WARNING_LEADS,
            _ => Duration::ZERO, // a level is no enum
        };
        if now.since(self.added) < leads { self.level } else { Level::INFO.max(self.level) }
    }

    /// In UTC, to the second.
    fn time_of_day(&self) -> String {
        let second = self.at.0.div_euclid(1000).rem_euclid(86_400);
        format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
    }
}

impl LogRing {
    /// At most `count` lines: errors first, then warnings, then the rest; the newest of each first.
    pub fn worst_first(&self, count: usize) -> Vec<(Level, String)> {
        let lines = self.sorted(|line| line.level).into_iter().take(count);
        lines.map(|line| (line.level, line.text)).collect()
    }

    /// The same for a screen: each with its time of day, and what was long ago is no longer before what is newer.
    pub fn timed(&self, count: usize) -> Vec<(Level, String)> {
        self.timed_at(crate::now().mono, count)
    }

    fn timed_at(&self, now: Mono, count: usize) -> Vec<(Level, String)> {
        let lines = self.sorted(|line| line.rank(now)).into_iter().take(count);
        lines.map(|line| (line.level, format!("{}  {}", line.time_of_day(), line.text))).collect()
    }

    fn sorted(&self, rank: impl Fn(&LogLine) -> Level) -> Vec<LogLine> {
        let mut lines: Vec<_> = self.lock().iter().rev().cloned().collect();
        lines.sort_by_key(rank); // stable; errors are the least level
        lines
    }

    /// Adds a line of that time: what would move a cursor becomes a blank, and it is cut to [`LINE_BYTES`].
    pub fn push(&self, at: Wall, level: Level, text: &str) {
        let mut size = 0;
        let text = printable(text.trim_end())
            .chars()
            .take_while(|c| {
                size += c.len_utf8();
                size <= LINE_BYTES
            })
            .collect();
        let mut lines = self.lock();
        if lines.len() >= RING_LINES {
            // The oldest of the least bad goes: chatter does not push an error out.
            let least_bad = lines.iter().map(|line| line.level).max();
            let oldest = lines.iter().position(|line| Some(line.level) == least_bad).unwrap_or_default();
            lines.remove(oldest);
        }
        lines.push_back(LogLine { level, text, at, added: crate::now().mono });
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<LogLine>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Collects what the formatter writes of one event.
#[derive(Debug)]
pub struct LineWriter {
    ring: LogRing,
    level: Level,
    bytes: Vec<u8>,
}

impl std::io::Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.ring.push(crate::now().wall, self.level, &String::from_utf8_lossy(&self.bytes));
        }
    }
}

impl<'a> MakeWriter<'a> for LogRing {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        LineWriter { ring: self.clone(), level: Level::INFO, bytes: Vec::new() }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> LineWriter {
        LineWriter { ring: self.clone(), level: *meta.level(), bytes: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_shows_errors_first_and_chatter_does_not_push_them_out() {
        let ring = LogRing::default();
        let subscriber = tracing_subscriber::registry().with(in_panel(ring.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let _call = tracing::info_span!("call", method = "Register").entered();
            tracing::error!(event = "faults", engine_id = "CP1", "broken\nin two");
            (0..1000).for_each(|n| tracing::info!(n, "chatter"));
            tracing::warn!("careful");
        });
        let lines = ring.worst_first(3);
        assert_eq!(
            lines.iter().map(|(level, _)| *level).collect::<Vec<_>>(),
            [Level::ERROR, Level::WARN, Level::INFO]
        );
        let lines: Vec<String> = lines.into_iter().map(|(_, text)| text).collect();
        assert_eq!(lines, ["broken in two (engine id CP1)", "careful", "chatter (n 999)"]);
        assert_eq!(ring.worst_first(usize::MAX).len(), RING_LINES);
    }

    #[test]
    fn on_a_screen_each_has_its_time_and_what_was_long_ago_does_not_stay_on_top() {
        let ring = LogRing::default();
        let before = crate::now().mono;
        for (second, level, text) in
            [(1, Level::ERROR, "broken"), (2, Level::WARN, "away"), (3, Level::INFO, "back")]
        {
            ring.push(Wall(3_720_000 + second * 1000), level, text);
        }
        let after = crate::now().mono;
        let at = |now| ring.timed_at(now, 9).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        let (broken, away, back) = ("01:02:01  broken", "01:02:02  away", "01:02:03  back");
        let nearly = Duration::from_secs(59);
        assert_eq!(at(before + nearly), [broken, away, back]);
        assert_eq!(at(after + WARNING_LEADS), [broken, back, away]);
        assert_eq!(at(after + ERROR_LEADS), [back, away, broken]);
    }

    #[test]
    fn a_wrong_filter_is_a_plain_error() {
        let options =
            ObservabilityOptions { log: "info,=".into(), log_format: LogFormat::Text, metrics_address: None };
        assert!(matches!(init(&options, LogWriter::Stderr { colours: false }), Err(Error::Filter { .. })));
    }
}
