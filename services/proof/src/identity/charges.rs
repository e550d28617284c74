//! How many charges a second central authorises, many drivers at once, each at a charge point of its own; and how much
//! of that is the audit's.

use super::{
    ROUNDS,
    point::{Kind, Point},
    server::eventually,
    side::{ADMIN, Side},
    table::{Bound, Figure, median, micros},
};
use evmesh_proto::{
    driver::{RequestChargeRequest, StopChargeRequest, driver_service_client::DriverServiceClient},
    operations::{ListAuditEntriesRequest, operator_service_client::OperatorServiceClient},
    store::StoredAuditEntry,
};
use mesh::{
    grpc::{Address, CALL_TIMEOUT, Expected, Peer, Peers, reason},
    process::computed,
    store::{Batch, Role, SledStore, Store as _},
};
use prost::Message as _;
use std::{hint::black_box, path::Path, time::Duration};
use tokio::time::Instant;
use tokio::{task::JoinSet, time::sleep};
use tonic::Status;

/// So many drivers ask at once.
const AT_ONCE: usize = 16;
/// Each of whom has taken the place of so many others before it asks again: its charge before is over by then.
const BY_TURNS: usize = 3;
/// A charge that is not over yet is waited for so long.
const SOON: Duration = Duration::from_millis(1);
/// Authorisations a second, of the same in plain text.
const AUTHORISATIONS: f64 = 0.85;
/// So many rows of the audit are looked at.
const ROWS: i32 = 500;
/// So many rows share a commit.
const A_COMMIT: usize = 64;

/// A driver at its charge point.
#[derive(Debug, Clone)]
pub(super) struct Driver {
    pub(super) client: DriverServiceClient<Peer>,
    pub(super) id: String,
    pub(super) point: String,
}

impl Driver {
    /// Asks for a charge, again where the charge before is not over yet; the session's id.
    pub(super) async fn charge(&mut self) -> Result<String, Status> {
        let request = RequestChargeRequest {
            driver_id: self.id.clone(),
            charge_point_id: self.point.clone(),
            ..RequestChargeRequest::default()
        };
        loop {
            match self.client.request_charge(request.clone()).await {
                Ok(granted) => return Ok(granted.into_inner().session.unwrap_or_default().session_id),
                Err(denied) if is_not_over(&denied) => sleep(SOON).await,
                Err(denied) => return Err(denied),
            }
        }
    }

    /// Its charge point is free: its engine has answered central by then. It charged there once.
    pub(super) async fn begins(&mut self) -> anyhow::Result<()> {
        eventually("a first charge", async || self.charge().await.ok()).await?;
        Ok(self.stop().await?)
    }

    pub(super) async fn stop(&mut self) -> Result<(), Status> {
        let request = StopChargeRequest { driver_id: self.id.clone(), ..StopChargeRequest::default() };
        self.client.stop_charge(request).await.map(drop)
    }
}

fn is_not_over(denied: &Status) -> bool {
    matches!(reason(denied).as_deref(), Some("DRIVER_BUSY" | "CHARGE_POINT_BUSY"))
}

/// A network's drivers and charge points.
#[derive(Debug)]
struct Crowd {
    drivers: Vec<Driver>,
    _points: Vec<Point>,
}

impl Crowd {
    async fn gather(side: &Side) -> anyhow::Result<Self> {
        let (mut drivers, mut points) = (Vec::new(), Vec::new());
        for n in 0..AT_ONCE * BY_TURNS {
            let (id, point) = (format!("d{n}"), format!("CP-{n:03}"));
            points.push(side.point(&point, Kind::Reserved).await?);
            let mut driver = Driver { client: side.driver(&id)?, id, point };
            driver.begins().await?;
            drivers.push(driver);
        }
        Ok(Self { drivers, _points: points })
    }

    /// How many charges were authorised in so long.
    async fn work(&self, time: Duration) -> anyhow::Result<u32> {
        let (until, mut working) = (Instant::now() + time, JoinSet::new());
        for drivers in self.drivers.chunks(BY_TURNS) {
            let mut drivers = drivers.to_vec();
            working.spawn(async move {
                let mut authorised = 0;
                for n in (0..BY_TURNS).cycle() {
                    drivers[n].charge().await?;
                    authorised += u32::from(Instant::now() < until);
                    drivers[n].stop().await?;
                    if Instant::now() >= until {
                        break;
                    }
                }
                Ok::<_, Status>(authorised)
            });
        }
        let mut authorised = 0;
        while let Some(one) = working.join_next().await {
            authorised += one??;
        }
        Ok(authorised)
    }
}

/// Both figures.
pub(super) async fn authorisations(
    sides: [&Side; 2],
    time: Duration,
    folder: &Path,
) -> anyhow::Result<[Figure; 2]> {
    let crowds = [Crowd::gather(sides[0]).await?, Crowd::gather(sides[1]).await?];
    let round = time / (2 * ROUNDS);
    for crowd in &crowds {
        crowd.work(round / 2).await?; // the first call of each makes its connection
    }
    let before = Audit::of(sides[1]).await?.newest;
    let (mut rates, mut ratios, mut cpu, mut all) = ([vec![], vec![]], vec![], Duration::ZERO, 0);
    for n in 0..ROUNDS {
        let mut rate = [0.0; 2];
        let order = if n % 2 == 0 { [0, 1] } else { [1, 0] };
        for at in order {
            let began = sides[at].central.computed()?;
            let authorised = crowds[at].work(round).await?;
            rate[at] = f64::from(authorised) / round.as_secs_f64();
            rates[at].push(rate[at]);
            if at == 1 {
                cpu += sides[at].central.computed()?.saturating_sub(began);
                all += authorised;
            }
        }
        ratios.push(rate[1] / rate[0]);
    }
    let ratio = median(&ratios);
    let [plain, secured] = [&rates[0], &rates[1]].map(|rates| format!("{:.0}/s", median(rates)));
    let figure = Figure {
        what: "charges authorised, 16 drivers at once",
        plain,
        secured,
        bound: Some(Bound::Time(">= 0.85 x", ratio >= AUTHORISATIONS)),
        measured: format!("{ratio:.3} x; the median of {ROUNDS} rounds of each, by turns"),
    };
    let audit = Audit::of(sides[1]).await?;
    let rows = f64::from(u32::try_from(audit.newest - before)?) / f64::from(all.max(1));
    Ok([figure, audit.figure(rows, micros(cpu) / f64::from(all.max(1)), folder)?])
}

/// Rows of the audit, as central has them.
struct Audit {
    rows: Vec<Vec<u8>>,
    newest: i64,
}

impl Audit {
    async fn of(side: &Side) -> anyhow::Result<Self> {
        let peers = Peers::new(side.protection.of(ADMIN)?);
        let peer = peers.peer(&Address::from(side.address), Expected::Central, CALL_TIMEOUT);
        let request = ListAuditEntriesRequest { page_size: ROWS, ..ListAuditEntriesRequest::default() };
        let page = OperatorServiceClient::new(peer).list_audit_entries(request).await?.into_inner();
        let charges = page.entries.into_iter().filter(|entry| entry.method.ends_with("Charge"));
        let rows = charges.map(|entry| entry.record).collect();
        Ok(Self { rows, newest: page.newest_number })
    }

    /// What one row takes: made, hashed and put into a store of its own, as many to a commit as a crowd has. There is
    /// no central without an audit to compare with.
    fn figure(&self, rows: f64, charge: f64, folder: &Path) -> anyhow::Result<Figure> {
        anyhow::ensure!(!self.rows.is_empty(), "the audit has no rows of charges");
        let role = Role { name: "figures", older_copies: true, must_exist: false };
        let mut store = SledStore::open(&folder.join("audit"), role)?;
        let entries: Vec<StoredAuditEntry> =
            self.rows.iter().map(|row| StoredAuditEntry::decode(row.as_slice())).collect::<Result<_, _>>()?;
        let (many, mut number) = (20 * entries.len(), 0_u64);
        let began = computed(std::process::id())?;
        for entry in entries.iter().cycle().take(many) {
            black_box(identity::sha256(&entry.clone().encode_to_vec()));
        }
        let made = micros(computed(std::process::id())?.saturating_sub(began)) / many as f64;
        let began = computed(std::process::id())?;
        for rows in self.rows.chunks(A_COMMIT).cycle().take(many / A_COMMIT) {
            let mut batch = Batch::default();
            for row in rows {
                number += 1;
                batch.put([b"h".as_slice(), &number.to_be_bytes()].concat(), row.clone());
            }
            store.commit(batch)?;
        }
        let written = micros(computed(std::process::id())?.saturating_sub(began)) / number.max(1) as f64;
        let bytes: usize = self.rows.iter().map(Vec::len).sum();
        let share = rows * (made + written) / charge * 100.0;
        Ok(Figure {
            what: "the audit, of what a charge computes at central",
            plain: String::new(),
            secured: format!("{charge:.0} µs"),
            bound: None,
            measured: format!(
                "{share:.1} %; {rows:.1} rows of {} bytes, {made:.1} µs each to make and hash, {written:.1} µs to write",
                bytes / self.rows.len()
            ),
        })
    }
}
