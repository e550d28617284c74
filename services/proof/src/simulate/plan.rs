//! What a seed makes of its run: how large the network is, how long things last, and which faults come how often.
//!
//! Each seed leaves some faults out, so that others are seen alone and for longer.

use super::{chaos::Chaos, random::Random};
use domain::{Power, network::Config};
use std::time::Duration;

/// What the fastest of the charge points says that it delivers.
const FASTEST: Power = Power::from_w(150_001 * 777);

const DAY: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) config: Config,
    /// How long central waits for an engine's answer (ms).
    pub(super) engine_timeout: u64,
    pub(super) points: usize,
    pub(super) drivers: usize,
    pub(super) partitions: usize,
    /// How long faults go on (ms).
    pub(super) faulty: u64,
    /// One message in so many is lost; 0: none.
    pub(super) loss: u64,
    /// One in so many is late, by seconds.
    pub(super) late: u64,
    /// One in so many comes again, up to a minute later.
    pub(super) copies: u64,
    /// One step of central or of an engine in so many is its last.
    pub(super) deadly_steps: u64,
    /// A fault, or something that people do, every so often (ms).
    pub(super) pace: u64,
    /// What happens, as often as it is named.
    pub(super) chaos: Vec<Chaos>,
    /// The charge point whose engine lies to central, if one does.
    pub(super) liar: Option<usize>,
}

impl Plan {
    pub(super) fn draw(random: &mut Random) -> Self {
        let config = Config {
            reservation: Duration::from_secs(random.pick(&[5, 15, 60])),
            supply_silence: Duration::from_secs(random.pick(&[20, 60])),
            settlement: Duration::from_secs(random.pick(&[30, 120, 300, 900])),
            ask_interval: Duration::from_secs(random.pick(&[15, 60])),
            nothing_ttl: random.pick(&[Duration::from_secs(10), Duration::from_secs(40), DAY, DAY]),
            unused_most: 0, // its drivers reserve and cancel at will
            charge_point_power_max: FASTEST,
            ..Config::default()
        };
        let chaos = Chaos::ALL
            .iter()
            .filter(|(chaos, _)| {
                let (some, all) = chaos.share();
                // What a store lost is believed of an engine for a day only.
                let loses = *chaos == Chaos::CentralIsCopied && config.nothing_ttl < DAY;
                random.below(all) < some && !loses
            })
            .flat_map(|&(chaos, weight)| std::iter::repeat_n(chaos, weight))
            .collect();
        let points = random.pick(&[1, 2, 2, 3, 4]);
        Self {
            config,
            engine_timeout: 2_500,
            points,
            drivers: random.pick(&[1, 2, 3, 4]),
            partitions: random.pick(&[1, 2, 4]),
            faulty: random.between(60_000, 300_000),
            loss: random.pick(&[0, 8, 20, 60]),
            late: random.pick(&[0, 8, 25]),
            copies: random.pick(&[0, 6, 15]),
            deadly_steps: random.pick(&[0, 60, 200, 600]),
            pace: random.pick(&[600, 1_500, 4_000]),
            chaos,
            liar: random.one_in(2).then(|| random.index(points)),
        }
    }
}
