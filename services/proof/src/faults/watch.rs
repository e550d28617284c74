//! Central as it shows itself, looked at all the time: what was once shown must stay true.

use super::{
    journal::{Facts, Journal, Moment},
    roles::{AUTHORIZE_S, MARGIN_S, RESERVATION_S},
    world::World,
};
use crate::process;
use domain::Mono;
use evmesh_proto::{
    network::{ChargePointDetail, ChargePointStatus, Session, SessionState},
    operations::{
        GetNetworkStatusRequest, ListSessionsRequest, operator_service_client::OperatorServiceClient,
    },
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::timeout;
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

/// Between two looks.
const EVERY: Duration = Duration::from_millis(700);
/// Every so many looks all sessions are read, and the metrics.
const WHOLE_EVERY: u32 = 4;
/// One question to central.
const PATIENCE: Duration = Duration::from_millis(1500);
/// A page of the lists; a token for each, so that the newest sessions can be read alone.
const PAGE: i32 = 100;
/// A service is ready so long after its last dependency appeared (INV-9).
const READY_MS: u64 = 10_000;
/// No session stays in a state so long past its deadline (INV-3).
const OVERDUE_S: u64 = 5;
/// After a start of central, or a disturbance of what it hears, its deadlines are judged only once Kafka was read or
/// found away, and the engine asked or found away: this long at most, with the revocation's own time.
const JUDGING_S: u64 = 20;

/// What the engine says when a person broke it. A call to a frozen engine may arrive after the one that mends it:
/// until the next hand mends it, it is broken in truth.
pub(super) const BROKEN_BY_HAND: &str = "pulled out of the wall by the run";

/// The run's own view of central.
#[derive(Debug)]
pub(super) struct Watch {
    world: Arc<World>,
    journal: Arc<Journal>,
    channel: Channel,
    /// The first session of each page, and the page's token.
    pages: Mutex<Vec<(String, String)>>,
    /// Since when a calm charge point is not ok.
    unwell: Mutex<BTreeMap<String, Mono>>,
}

/// A channel to a server that may be away.
pub(super) fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}"))
        .expect("an address is a URL's host")
        .connect_timeout(Duration::from_millis(500))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(1))
        .keep_alive_timeout(Duration::from_secs(2))
        .keep_alive_while_idle(true)
        .connect_lazy()
}

impl Watch {
    pub(super) fn new(world: Arc<World>, journal: Arc<Journal>) -> Self {
        let channel = channel(world.central_address);
        Self { world, journal, channel, pages: Mutex::default(), unwell: Mutex::default() }
    }

    fn client(&self) -> OperatorServiceClient<Channel> {
        OperatorServiceClient::new(self.channel.clone()).max_decoding_message_size(64 << 20)
    }

    /// Looks for ever.
    pub(super) async fn run(&self) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for look in 0_u32.. {
            every.tick().await;
            // Central may be away at any time: then there is nothing to see.
            let _ = self.sessions(look % WHOLE_EVERY == 0).await;
            let _ = self.points().await;
            if look % WHOLE_EVERY == 0 {
                self.metrics().await;
            }
        }
    }

    /// Reads the sessions: those that may still change, or all. `Err` if central did not answer.
    pub(super) async fn sessions(&self, whole: bool) -> Result<(), Status> {
        let mut token = if whole { String::new() } else { self.newest_pages() };
        let mut seen = Vec::new();
        let mut pages = Vec::new();
        let asked = mesh::now();
        loop {
            let request =
                ListSessionsRequest { page_size: PAGE, page_token: token.clone(), ..Default::default() };
            let answer = timeout(PATIENCE, self.client().list_sessions(request)).await;
            let answer = answer.map_err(|_| Status::deadline_exceeded("no answer"))??.into_inner();
            if let Some(first) = answer.sessions.first() {
                pages.push((first.session_id.clone(), token));
            }
            seen.extend(answer.sessions);
            token = answer.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        let mut facts = self.journal.facts();
        if whole {
            *self.pages.lock().unwrap_or_else(PoisonError::into_inner) = pages;
            self.all_are_there(&mut facts, &seen, asked);
        }
        for session in &seen {
            facts.observe(session, asked.mono);
        }
        self.deadlines(&mut facts, &seen, asked);
        only_one_open(&mut facts, &seen);
        Ok(())
    }

    /// Sessions are listed by id, which is by age: the page with the oldest one that may still change.
    fn newest_pages(&self) -> String {
        let facts = self.journal.facts();
        let oldest = facts.sessions.values().find(|session| Moment::of(session).is_some());
        let oldest = oldest.map(|session| session.session_id.clone());
        drop(facts);
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let page = match oldest {
            Some(oldest) => pages.iter().rev().find(|(first, _)| *first <= oldest),
            None => pages.last(),
        };
        page.map(|(_, token)| token.clone()).unwrap_or_default()
    }

    /// What was once shown is on disk (INV-6).
    fn all_are_there(&self, facts: &mut Facts, seen: &[Session], asked: domain::Now) {
        let there: std::collections::BTreeSet<&str> =
            seen.iter().map(|session| session.session_id.as_str()).collect();
        let before = facts.shown_ms.iter().filter(|(_, (first, _))| *first < asked.mono.0);
        let lost: Vec<String> =
            before.map(|(id, _)| id).filter(|id| !there.contains(id.as_str())).cloned().collect();
        for id in lost {
            facts.violated("INV-6", Some(&id), format!("session {id} was shown and is gone"));
        }
        let granted = facts.granted.iter().filter(|granted| granted.at < asked.wall.0);
        let lost: Vec<String> = granted
            .map(|granted| granted.session_id.clone())
            .filter(|id| !there.contains(id.as_str()))
            .collect();
        for id in lost {
            facts.violated("INV-6", Some(&id), format!("session {id} was granted and is not there"));
        }
    }

    fn deadlines(&self, facts: &mut Facts, seen: &[Session], asked: domain::Now) {
        for session in seen {
            // What central hears: if any of it was disturbed, it needs its time to judge.
            let calm = ["central", "kafka", &session.charge_point_id].map(|whom| self.world.calm_since(whom));
            let [Some(central), Some(kafka), Some(point)] = calm else { continue };
            let calm_ms = asked.mono.0.saturating_sub(central.max(kafka).max(point).0);
            if let Some(text) = overdue(session, asked.wall.0, calm_ms) {
                facts.violated("INV-3", Some(&session.session_id), text);
            }
        }
    }

    /// Each charge point's status, as INV-9 wants it.
    async fn points(&self) -> Result<(), Status> {
        for point in self.status().await? {
            self.well(&point);
        }
        Ok(())
    }

    pub(super) async fn status(&self) -> Result<Vec<ChargePointDetail>, Status> {
        let mut client = self.client();
        let request = GetNetworkStatusRequest { page_size: 500, ..Default::default() };
        let answer = timeout(PATIENCE, client.get_network_status(request)).await;
        Ok(answer.map_err(|_| Status::deadline_exceeded("no answer"))??.into_inner().charge_points)
    }

    fn well(&self, detail: &ChargePointDetail) {
        let now = mesh::now().mono;
        let Some(point) = &detail.charge_point else { return };
        let id = &point.charge_point_id;
        let mut unwell = self.unwell.lock().unwrap_or_else(PoisonError::into_inner);
        let ill = matches!(point.status(), ChargePointStatus::Disconnected | ChargePointStatus::Faulted)
            && !detail.status_reason.contains(BROKEN_BY_HAND);
        let calm = self.world.calm_since("central").zip(self.world.calm_since(id));
        let Some((central, own)) = calm.filter(|_| ill) else {
            unwell.remove(id);
            return;
        };
        let since = *unwell.entry(id.clone()).or_insert(now);
        let since = since.max(central).max(own);
        if now.since(since) > Duration::from_millis(READY_MS) {
            let text = format!(
                "{id} is {} ({}) though nothing was done to it or to central for {} ms",
                point.status().as_str_name(),
                detail.status_reason,
                now.since(since).as_millis()
            );
            self.journal.violated("INV-9", None, text);
            unwell.insert(id.clone(), now);
        }
    }

    /// How many messages central has not brought to Kafka yet.
    pub(super) async fn rows_waiting(&self) -> Option<u64> {
        let text = timeout(PATIENCE, process::metrics(self.world.metrics_address)).await.ok()?.ok()?;
        Some(process::sum(&text, "evmesh_central_rows_waiting", "") as u64)
    }

    /// Central's counters start again with each of its lives: what is kept is their sum.
    async fn metrics(&self) {
        let text = timeout(PATIENCE, process::metrics(self.world.metrics_address)).await;
        let Ok(Ok(text)) = text else { return };
        let life = self.world.central.try_take().map(|life| life.count);
        let Some(life) = life else { return };
        let mut facts = self.journal.facts();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<f64>() else { continue };
            let name = name.strip_prefix("evmesh_").unwrap_or(name);
            if name.ends_with("_total") {
                facts.metrics.insert(format!("{name}#{life}"), value);
            } else if name == "central_last_step_timestamp_seconds" {
                facts.metrics.insert(name.to_owned(), value);
            }
        }
    }
}

/// INV-3, as far as it can be seen from outside: deadlines are counted from the session's creation.
fn overdue(session: &Session, now: i64, calm_ms: u64) -> Option<String> {
    let at_most_s = match session.state() {
        SessionState::Authorizing => AUTHORIZE_S,
        SessionState::Reserved => AUTHORIZE_S + RESERVATION_S + MARGIN_S,
        SessionState::Supplying | SessionState::Ended | SessionState::Unspecified => return None,
    };
    let age_ms = u64::try_from(now - millis(session.create_time.as_ref())).unwrap_or(0);
    let limit_ms = (at_most_s + OVERDUE_S) * 1000;
    // Undisturbed for all of its life, the limit is strict; else central gets its time to judge.
    let late = age_ms > limit_ms && (calm_ms > age_ms || calm_ms > JUDGING_S * 1000);
    late.then(|| {
        format!(
            "session {} at {} is {} {age_ms} ms after its creation; everything is calm since {calm_ms} ms",
            session.session_id,
            session.charge_point_id,
            session.state().as_str_name()
        )
    })
}

/// INV-2. A list is read a page at a time, so that one session may have ended and the next begun in between: only
/// pairs whose later one is on the same page count.
fn only_one_open(facts: &mut Facts, seen: &[Session]) {
    for page in seen.chunks(usize::try_from(PAGE).unwrap_or(usize::MAX)) {
        let open = page.iter().filter(|session| {
            matches!(
                session.state(),
                SessionState::Authorizing | SessionState::Reserved | SessionState::Supplying
            )
        });
        let (mut points, mut drivers) = (BTreeMap::new(), BTreeMap::new());
        for session in open {
            let id = &session.session_id;
            if let Some(other) = points.insert(&session.charge_point_id, id) {
                let text = format!("{} has two open sessions: {other} and {id}", session.charge_point_id);
                facts.violated("INV-2", Some(id), text);
            }
            if session.driver_id == "INVITADO" {
                continue;
            }
            if let Some(other) = drivers.insert(&session.driver_id, id) {
                let text = format!("driver {} has two open sessions: {other} and {id}", session.driver_id);
                facts.violated("INV-2", Some(id), text);
            }
        }
    }
}

/// A time of the contract, in milliseconds since the epoch; 0 for none.
pub(super) fn millis(stamp: Option<&prost_types::Timestamp>) -> i64 {
    mesh::convert::wall("a time", stamp).ok().flatten().unwrap_or_default().0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str, driver: &str, state: SessionState) -> Session {
        Session {
            session_id: id.into(),
            charge_point_id: format!("CP-{id}"),
            driver_id: driver.into(),
            state: state.into(),
            create_time: Some(mesh::convert::timestamp(domain::Wall(0))),
            ..Session::default()
        }
    }

    #[test]
    fn a_session_past_its_deadline_is_seen() {
        let reserved = session("1", "ana", SessionState::Reserved);
        assert_eq!(overdue(&reserved, 17_900, 60_000), None);
        assert!(overdue(&reserved, 18_100, 60_000).is_some());
        // Central was started 15 s ago: it may still be judging; then not.
        assert_eq!(overdue(&reserved, 30_000, 15_000), None);
        assert!(overdue(&reserved, 50_000, 20_100).is_some());
        assert_eq!(overdue(&session("2", "ana", SessionState::Ended), 50_000, 60_000), None);
    }

    #[test]
    fn two_open_sessions_are_seen() {
        let open = |id, driver| session(id, driver, SessionState::Supplying);
        let broken = |sessions: &[Session]| {
            let mut facts = Facts::default();
            only_one_open(&mut facts, sessions);
            facts.violations.len()
        };
        assert_eq!(broken(&[open("1", "ana"), session("1", "ana", SessionState::Ended)]), 0);
        assert_eq!(broken(&[open("1", "INVITADO"), open("2", "INVITADO")]), 0);
        assert_eq!(broken(&[open("1", "ana"), open("1", "eva")]), 1);
        assert_eq!(broken(&[open("1", "ana"), open("2", "ana")]), 1);
    }
}
