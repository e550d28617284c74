//! The machine that is measured on, and what it does besides.

use crate::error::{Doing as _, Error};
use mesh::process::{computed, computed_by_the_ended};
use serde::{Deserialize, Serialize};
use std::{fs, time::Duration};

/// Above these shares of its cores' time, what is measured is not to be believed.
const OTHERS_MOST: f64 = 0.1;
const STOLEN_MOST: f64 = 0.05;
/// What of a command line says that it is a broker's.
const BROKER: &str = "kafka.Kafka";
/// What `/proc/stat` counts in, everywhere that Linux runs.
const TICKS_A_SECOND: f64 = 100.0;

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_mb: u64,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let cpu = value(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned());
        let memory = value(&read("/proc/meminfo"), "MemTotal");
        let kilobytes = memory.and_then(|memory| memory.split(' ').next()?.parse::<u64>().ok());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { cpu, cores, memory_mb: kilobytes.unwrap_or_default() / 1024 }
    }
}

/// What such a page says of this name first.
fn value(page: &str, name: &str) -> Option<String> {
    let mut pairs = page.lines().filter_map(|line| line.split_once(':'));
    Some(pairs.find(|(key, _)| key.trim() == name)?.1.trim().to_owned())
}

/// Looks at what the machine does while something is measured.
#[derive(Debug)]
pub(crate) struct Watch {
    began: Sample,
}

/// Shares of all cores' time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Shares {
    /// Processes that are neither the bench's nor the broker's.
    pub(crate) others: f64,
    /// What another machine had on the same cores.
    pub(crate) stolen: f64,
    /// The kernel's, for packets mostly.
    pub(crate) softirq: f64,
}

impl Watch {
    pub(crate) fn begin() -> Result<Self, Error> {
        Ok(Self { began: Sample::take()? })
    }

    pub(crate) fn shares(&self) -> Result<Shares, Error> {
        Ok(self.began.until(&Sample::take()?))
    }
}

impl Shares {
    /// Why what was measured meanwhile is not to be believed; `None`: it may be.
    pub(crate) fn too_busy(&self) -> Option<String> {
        let Self { others, stolen, softirq } = self;
        let percent = |share: &f64| format!("{:.0} %", share * 100.0);
        (*others > OTHERS_MOST || *stolen > STOLEN_MOST).then(|| {
            format!(
                "too busy to believe: of the machine's time other processes had {}, {} was stolen, {} was softirq",
                percent(others),
                percent(stolen),
                percent(softirq)
            )
        })
    }
}

/// Seconds of all cores since the machine began.
#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    all: f64,
    /// Of processes.
    computed: f64,
    stolen: f64,
    softirq: f64,
    /// This process's, its children's, the broker's.
    ours: f64,
}

impl Sample {
    fn take() -> Result<Self, Error> {
        let page = fs::read_to_string("/proc/stat").doing("the machine's times cannot be read")?;
        Ok(Self { ours: ours()?.as_secs_f64(), ..Self::of(&page) })
    }

    fn of(page: &str) -> Self {
        let line = page.lines().next().unwrap_or_default();
        let fields = line.split_whitespace().skip(1).filter_map(|field| field.parse::<f64>().ok());
        let fields: Vec<f64> = fields.map(|ticks| ticks / TICKS_A_SECOND).collect();
        // user, nice, system, idle, iowait, irq, softirq, stolen; what guests have is in the first two.
        let at = |index: usize| fields.get(index).copied().unwrap_or_default();
        Self {
            all: fields.iter().take(8).sum(),
            computed: at(0) + at(1) + at(2),
            stolen: at(7),
            softirq: at(6),
            ours: 0.0,
        }
    }

    fn until(&self, later: &Self) -> Shares {
        let all = (later.all - self.all).max(1.0 / TICKS_A_SECOND);
        let share = |of: fn(&Self) -> f64| ((of(later) - of(self)) / all).max(0.0);
        Shares {
            others: share(|sample| sample.computed - sample.ours),
            stolen: share(|sample| sample.stolen),
            softirq: share(|sample| sample.softirq),
        }
    }
}

/// What this process, its children and brokers have computed.
fn ours() -> Result<Duration, Error> {
    let own = computed(std::process::id()).and_then(|own| Ok(own + computed_by_the_ended()?));
    let own = own.doing("what this process has computed cannot be read")?;
    let processes = fs::read_dir("/proc").doing("the processes cannot be listed")?;
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    Ok(own + ids.filter(|id| is_ours(*id)).filter_map(|id| computed(id).ok()).sum::<Duration>())
}

fn is_ours(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let parent = stat.rsplit_once(") ").and_then(|(_, fields)| fields.split(' ').nth(1)?.parse::<u32>().ok());
    let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    parent == Some(std::process::id())
        || String::from_utf8_lossy(&line).split('\0').any(|word| word == BROKER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_machine_says_so_and_ones_own_work_is_no_reason() {
        let idle = Sample::of("cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 1");
        let busy = Sample::of("cpu  200 0 160 900 0 0 40 0 0 0");
        let own = Sample { ours: 1.6, ..busy };
        assert_eq!(idle.until(&own), Shares { others: 0.0, stolen: 0.0, softirq: 0.4 / 3.0 });
        assert_eq!(idle.until(&own).too_busy(), None);
        let said = idle.until(&Sample { ours: 0.7, ..busy }).too_busy().unwrap();
        let told =
            "too busy to believe: of the machine's time other processes had 30 %, 0 % was stolen, 13 % was";
        assert!(said.starts_with(told), "{said}");
        let stolen = Sample::of("cpu  100 0 100 880 0 0 0 20 0 0");
        assert!(idle.until(&stolen).too_busy().unwrap().contains("20 % was stolen"));
    }

    #[test]
    fn the_machine_is_described() {
        let machine = Machine::here();
        assert!(machine.cores >= 1 && machine.memory_mb > 0 && !machine.cpu.is_empty(), "{machine:?}");
        assert_eq!(
            value("a\t: 1\nmodel name\t: Some CPU @ 2 GHz\n", "model name").unwrap(),
            "Some CPU @ 2 GHz"
        );
        assert!(Watch::begin().unwrap().shares().is_ok());
    }
}
