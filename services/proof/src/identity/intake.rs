//! What sealing costs central: telemetry of running supplies, sealed and in plain text by turns, consumed from a broker
//! by one and the same central, opened, decided and committed.

use super::{
    ROUNDS,
    charges::Driver,
    point::{Kind, Point},
    server::eventually,
    side::Side,
    table::{Bound, Figure, median, micros},
};
use anyhow::Context as _;
use domain::Trace;
use evmesh_proto::{
    driver::GetSessionRequest,
    topics::{CP_TELEMETRY, Telemetry, TelemetryType},
};
use identity::{SealingKey, SealingSecret};
use mesh::{process::computed, trace::TRACEPARENT};
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, ThreadedProducer},
};
use std::{hint::black_box, time::Duration};
use tokio::time::Instant;

/// So many supplies run in either form.
const SUPPLIES: usize = 16;
/// So many readings of each are a round, and so much later each sixteen of them are followed by others: 8,000 a second,
/// which central keeps up with. As fast as it can, it would have fewer in a commit of what comes more slowly.
const READINGS: u64 = 500;
/// See [`READINGS`].
const PAUSE: Duration = Duration::from_millis(2);
/// So often one message is opened alone.
const OPENINGS: u32 = 20_000;
/// More of central's computing, of the same in plain text.
const SEALING: f64 = 0.05;

type Broker = ThreadedProducer<DefaultProducerContext>;

/// A supply that runs, as its engine tells of it.
#[derive(Debug)]
struct Supply {
    driver: Driver,
    session: String,
    point: Point,
    /// What its engine puts beside each reading.
    trace: String,
    told: u64,
}

impl Supply {
    async fn begin(side: &Side, name: String, kind: Kind) -> anyhow::Result<Self> {
        let point = side.point(&name, kind).await?;
        let mut driver = Driver { client: side.driver(&name)?, id: name.clone(), point: name };
        let session = eventually("a supply begins", async || driver.charge().await.ok()).await?;
        if kind == Kind::Sealed {
            eventually("a key to seal with", async || point.key()).await?;
        }
        let trace = Trace::of(&session).to_string();
        Ok(Self { driver, session, point, trace, told: 1 })
    }

    /// Its next reading, a watt-hour more, as an engine lets it out.
    fn tell(&mut self) -> anyhow::Result<Vec<u8>> {
        let reading = self.reading();
        match self.point.key() {
            Some(key) => sealed(&key, reading),
            None => Ok(serde_json::to_vec(&reading)?),
        }
    }

    fn reading(&mut self) -> Telemetry {
        self.told += 1;
        let kwh = self.told as f64 / 1e3;
        Telemetry {
            kind: TelemetryType::Consumption,
            cp_id: self.point.id.clone(),
            user_id: Some(self.driver.id.clone()),
            kwh: Some(kwh),
            importe: Some(kwh * 0.3),
            reason: None,
            timestamp: Some(mesh::now().wall.seconds()),
            session_id: Some(self.session.clone()),
            seq: Some(self.told),
            event_id: Some(format!("{}-{}", self.session, self.told)),
            kw: Some(7.4),
            currency: Some("EUR".to_owned()),
        }
    }

    /// Central has its last reading.
    async fn is_heard(&mut self) -> anyhow::Result<()> {
        let (driver_id, session_id) = (self.driver.id.clone(), self.session.clone());
        let request = GetSessionRequest { driver_id, session_id };
        let (client, told) = (&mut self.driver.client, self.told);
        let heard = async || {
            let session = client.get_session(request.clone()).await.ok()?.into_inner().session?;
            (session.energy_wh >= told).then_some(())
        };
        eventually("every reading is heard", heard).await
    }
}

fn sealed(key: &SealingKey, reading: Telemetry) -> anyhow::Result<Vec<u8>> {
    let plain = serde_json::to_vec(&reading.for_central())?;
    key.seal(&plain).context("the system gives no random bytes")
}

/// The figure, of as many rounds as fit into this time: a difference of some hundredths shows in the median of many.
pub(super) async fn sealing(side: &Side, time: Duration) -> anyhow::Result<Figure> {
    let topic = side.kafka.topic(CP_TELEMETRY);
    let mut forms = [Vec::new(), Vec::new()];
    for (form, (kind, name)) in forms.iter_mut().zip([(Kind::Open, "OPEN"), (Kind::Sealed, "SEALED")]) {
        for n in 0..SUPPLIES {
            form.push(Supply::begin(side, format!("{name}-{n:02}"), kind).await?);
        }
    }
    let broker: Broker = ClientConfig::new()
        .set("bootstrap.servers", &side.kafka.kafka)
        .set("partitioner", "murmur2_random")
        .set("queue.buffering.max.messages", "100000")
        .create()?;
    for form in &mut forms {
        round(side, form, &broker, &topic).await?; // the first is slower
    }
    let (mut cost, mut ratios) = ([vec![], vec![]], vec![]);
    let end = Instant::now() + time;
    for n in (0..).take_while(|n| *n < ROUNDS || Instant::now() < end) {
        let (order, mut of_round) = (if n % 2 == 0 { [0, 1] } else { [1, 0] }, [0.0; 2]);
        for at in order {
            let computed = round(side, &mut forms[at], &broker, &topic).await?;
            of_round[at] = micros(computed) / (SUPPLIES as u64 * READINGS) as f64;
            cost[at].push(of_round[at]);
        }
        ratios.push(of_round[1] / of_round[0]);
    }
    let more = median(&ratios) - 1.0;
    let opening = opening(&mut forms[1][0])?;
    Ok(Figure {
        what: "a message of telemetry, what central computes",
        plain: format!("{:.2} µs", median(&cost[0])),
        secured: format!("{:.2} µs", median(&cost[1])),
        bound: Some(Bound::Time("< 5 % more", more < SEALING)),
        measured: format!(
            "{:+.1} % sealed in the median of {} rounds, {opening:.2} µs to open; 8,000 a second",
            more * 100.0,
            ratios.len()
        ),
    })
}

/// What opening one of these messages takes, alone and without a broker (microseconds).
fn opening(supply: &mut Supply) -> anyhow::Result<f64> {
    let secret = SealingSecret::new([7; 32]);
    let key = secret.key(&supply.point.id.parse()?, 1).context("a key")?;
    let (sealed, mut plain) = (sealed(&key, supply.reading())?, Vec::new());
    let before = computed(std::process::id())?;
    for _ in 0..OPENINGS {
        black_box(secret.open(black_box(&sealed), &mut plain)).map_err(anyhow::Error::msg)?;
    }
    Ok(micros(computed(std::process::id())?.saturating_sub(before)) / f64::from(OPENINGS))
}

/// Readings as they come from engines, until central has them all: what it computes.
async fn round(side: &Side, form: &mut [Supply], broker: &Broker, topic: &str) -> anyhow::Result<Duration> {
    let (before, mut pace) = (side.central.computed()?, tokio::time::interval(PAUSE));
    for _ in 0..READINGS {
        pace.tick().await;
        for supply in form.iter_mut() {
            let (key, payload) = (supply.point.id.clone(), supply.tell()?);
            let trace = OwnedHeaders::new().insert(Header { key: TRACEPARENT, value: Some(&supply.trace) });
            let sent = broker.send(BaseRecord::to(topic).key(&key).payload(&payload).headers(trace));
            sent.map_err(|(error, _)| error).context("the broker takes nothing")?;
        }
    }
    for supply in form.iter_mut() {
        supply.is_heard().await?;
    }
    Ok(side.central.computed()?.saturating_sub(before))
}
