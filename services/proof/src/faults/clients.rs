//! Drivers whose every call and answer the run knows: they repeat a request with its `request_id` until it is
//! answered for good, ask again for answers that they have, stop supplies, and look for what is not theirs.

use super::{
    journal::{Granted, Journal},
    watch::channel,
    world::World,
};
use evmesh_proto::{
    driver::{
        GetSessionRequest, GetTicketRequest, ListTicketsRequest, RequestChargeRequest, StopChargeRequest,
        driver_service_client::DriverServiceClient,
    },
    network::{Session, SessionState},
};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};
use tonic::{Code, Status, transport::Channel};

/// One try of a call; central answers a request within 5 s.
const TRY: Duration = Duration::from_secs(6);
/// Between two tries, at first; it doubles up to [`LONGEST_WAIT`].
const WAIT: Duration = Duration::from_millis(100);
/// See [`WAIT`].
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// Between two looks at a session.
const LOOK: Duration = Duration::from_millis(400);
/// A call without an answer for good within this is given up: longer than any fault lasts.
const TRIES: u32 = 40;

/// An answer for good, or `None` where there was none.
pub(super) async fn definitive<T, F>(mut call: impl FnMut() -> F, tries: u32) -> Option<Result<T, Status>>
where
    F: Future<Output = Result<T, Status>>,
{
    let mut wait = WAIT;
    for _ in 0..tries {
        match timeout(TRY, call()).await {
            Ok(Ok(answer)) => return Some(Ok(answer)),
            Ok(Err(status)) if is_definitive(&status) => return Some(Err(status)),
            Ok(Err(_)) | Err(_) => {}
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
    None
}

fn is_definitive(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::NotFound | Code::FailedPrecondition | Code::InvalidArgument | Code::PermissionDenied
    )
}

/// The reason in the error's details, or its code.
pub(super) fn reason(status: &Status) -> String {
    mesh::grpc::reason(status).unwrap_or_else(|| status.code().to_string())
}

/// What a client needs.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    pub(super) world: Arc<World>,
    pub(super) journal: Arc<Journal>,
    /// Turns `true` when no more requests are to be made.
    pub(super) closing: watch::Receiver<bool>,
}

/// A driver of the run's own.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) desk: Desk,
    name: String,
    /// The others: their sessions are none of this one's business.
    random: fastrand::Rng,
    channel: Channel,
    requests: u32,
}

/// So many grants and so many denials of a driver's are asked for again, the newest: central keeps a hundred of each,
/// some of them for requests whose answers were lost on their way.
const KEPT: usize = 80;

/// An answer that a client remembers, to ask for it again.
struct Remembered {
    request: RequestChargeRequest,
    answer: Result<String, String>,
}

impl Client {
    pub(super) fn new(desk: Desk, name: String, random: fastrand::Rng) -> Self {
        let channel = channel(desk.world.central_for_drivers);
        Self { desk, name, random, channel, requests: 0 }
    }

    fn client(&self) -> DriverServiceClient<Channel> {
        DriverServiceClient::new(self.channel.clone())
    }

    /// Charges again and again until the run closes.
    pub(super) async fn run(mut self) {
        let mut remembered: Vec<Remembered> = Vec::new();
        while !*self.desk.closing.borrow() {
            let charge_point = match self.random.usize(0..10) {
                0..3 => String::new(),
                _ => self.desk.world.points[self.random.usize(0..self.desk.world.points.len())].id.clone(),
            };
            let request = self.request(charge_point);
            if let Some(answer) = self.charge(&request).await {
                if let Ok(session) = &answer {
                    self.follow(session.clone()).await;
                }
                let answer = answer.map(|session| session.session_id).map_err(|status| reason(&status));
                let denied = answer.is_err();
                remembered.push(Remembered { request, answer });
                let of_kind = |one: &&Remembered| one.answer.is_err() == denied;
                if remembered.iter().filter(of_kind).count() > KEPT {
                    remembered.remove(remembered.iter().position(|one| of_kind(&one)).unwrap_or(0));
                }
            }
            if !remembered.is_empty() && self.random.u32(0..3) == 0 {
                let again = self.random.usize(0..remembered.len());
                self.repeat(&remembered[again]).await;
            }
            if self.random.u32(0..6) == 0 {
                self.look_at_others().await;
            }
            let pause = Duration::from_millis(self.random.u64(100..1500));
            tokio::time::sleep(pause).await;
        }
    }

    /// A new request of this driver.
    pub(super) fn request(&mut self, charge_point_id: String) -> RequestChargeRequest {
        self.requests += 1;
        RequestChargeRequest {
            driver_id: self.name.clone(),
            charge_point_id,
            location_prefix: String::new(),
            request_id: format!("{}-{}", self.name, self.requests),
            max_price: None,
        }
    }

    /// Asks until there is an answer for good, and writes down what was granted.
    pub(super) async fn charge(&self, request: &RequestChargeRequest) -> Option<Result<Session, Status>> {
        let client = self.client();
        let ask = || {
            let (mut client, request) = (client.clone(), request.clone());
            async move { client.request_charge(request).await.map(tonic::Response::into_inner) }
        };
        let journal = &self.desk.journal;
        let Some(answer) = definitive(ask, TRIES).await else {
            journal.count("requests without an answer for good");
            return None;
        };
        match answer {
            Ok(answer) => {
                let session = answer.session.unwrap_or_default();
                let granted = Granted {
                    at: mesh::now().wall.0,
                    driver: self.name.clone(),
                    charge_point: request.charge_point_id.clone(),
                    session_id: session.session_id.clone(),
                    session: Some(session.clone()),
                };
                let text = format!("granted to {} for request {}", self.name, request.request_id);
                journal.note(&session.session_id, text);
                journal.count("charges granted");
                journal.facts().granted.push(granted);
                Some(Ok(session))
            }
            Err(status) => {
                journal.count("charges denied");
                Some(Err(status))
            }
        }
    }

    /// The same request gets the first answer, whatever was killed in between.
    async fn repeat(&mut self, remembered: &Remembered) {
        let (client, request) = (self.client(), &remembered.request);
        let ask = || {
            let (mut client, request) = (client.clone(), request.clone());
            async move { client.request_charge(request).await.map(tonic::Response::into_inner) }
        };
        let Some(answer) = definitive(ask, TRIES).await else { return };
        let answer = answer
            .map(|answer| answer.session.unwrap_or_default().session_id)
            .map_err(|status| reason(&status));
        self.desk.journal.count("requests repeated");
        if answer != remembered.answer {
            let text = format!(
                "request {} was answered {:?} and its repeat {answer:?}",
                request.request_id, remembered.answer
            );
            let session = remembered.answer.as_ref().or(answer.as_ref()).ok().map(String::as_str);
            self.desk.journal.violated("INV-6", session, text);
        }
    }

    /// Follows a session to its end, and stops it in its middle now and then.
    async fn follow(&mut self, session: Session) {
        let id = session.session_id;
        let stop_after = (self.random.u32(0..4) == 0).then(|| self.random.u32(0..16));
        for look in 0_u32.. {
            if stop_after == Some(look) {
                self.stop(&id).await;
            }
            let mut client = self.client();
            let request = GetSessionRequest { driver_id: self.name.clone(), session_id: id.clone() };
            let asked = mesh::now().mono;
            match timeout(TRY, client.get_session(request)).await {
                Ok(Ok(answer)) => {
                    let session = answer.into_inner().session.unwrap_or_default();
                    let over = session.state() == SessionState::Ended;
                    self.desk.journal.facts().observe(&session, asked);
                    if over {
                        break;
                    }
                }
                Ok(Err(status)) if status.code() == Code::NotFound => {
                    let text = format!("session {id} was granted to {} and is not found", self.name);
                    self.desk.journal.violated("INV-6", Some(&id), text);
                    break;
                }
                Ok(Err(_)) | Err(_) => {} // central is away
            }
            tokio::time::sleep(LOOK).await;
        }
        let mut client = self.client();
        let request = GetTicketRequest { driver_id: self.name.clone(), session_id: id };
        if let Ok(Ok(answer)) = timeout(TRY, client.get_ticket(request)).await
            && let Some(ticket) = answer.into_inner().ticket
        {
            self.desk.journal.facts().observe_ticket(&ticket);
        }
    }

    async fn stop(&mut self, id: &str) {
        self.requests += 1;
        let request = StopChargeRequest {
            driver_id: self.name.clone(),
            session_id: id.to_owned(),
            request_id: format!("{}-{}", self.name, self.requests),
        };
        let client = self.client();
        let ask = || {
            let (mut client, request) = (client.clone(), request.clone());
            async move { client.stop_charge(request).await.map(tonic::Response::into_inner) }
        };
        match definitive(ask, TRIES).await {
            Some(Ok(answer)) => {
                self.desk.journal.count("stops acknowledged");
                self.desk.journal.note(id, "its stop was acknowledged");
                let open = answer.session.is_some_and(|session| session.state() != SessionState::Ended);
                self.desk.journal.facts().stops.push((id.to_owned(), open));
            }
            Some(Err(status)) => {
                let text = format!("the stop of session {id} was refused: {}", reason(&status));
                self.desk.journal.violated("INV-6", Some(id), text);
            }
            None => self.desk.journal.count("stops without an answer"),
        }
    }

    /// Another driver's session and ticket are not found, and lists have this driver's alone (INV-5).
    async fn look_at_others(&mut self) {
        let others = {
            let facts = self.desk.journal.facts();
            let others = facts.sessions.values().filter(|session| session.driver_id != self.name);
            others.map(|session| session.session_id.clone()).collect::<Vec<_>>()
        };
        if others.is_empty() {
            return;
        }
        let id = others[self.random.usize(0..others.len())].clone();
        let driver_id = self.name.clone();
        let mut client = self.client();
        let session = GetSessionRequest { driver_id: driver_id.clone(), session_id: id.clone() };
        let ticket = GetTicketRequest { driver_id: driver_id.clone(), session_id: id.clone() };
        let shown = matches!(timeout(TRY, client.get_session(session)).await, Ok(Ok(_)))
            || matches!(timeout(TRY, client.get_ticket(ticket)).await, Ok(Ok(_)));
        if shown {
            self.desk.journal.violated("INV-5", Some(&id), format!("session {id} was shown to {driver_id}"));
        }
        let list =
            ListTicketsRequest { driver_id: driver_id.clone(), page_size: 500, page_token: String::new() };
        if let Ok(Ok(answer)) = timeout(TRY, client.list_tickets(list)).await {
            for ticket in answer.into_inner().tickets.iter().filter(|ticket| ticket.driver_id != driver_id) {
                let id = &ticket.session_id;
                let text = format!("the ticket of session {id} was listed for {driver_id}");
                self.desk.journal.violated("INV-5", Some(id), text);
            }
        }
        self.desk.journal.count("looks at others' sessions");
    }
}
