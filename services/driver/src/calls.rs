//! The calls to central. Each is a task that ends with what the rules want to hear; a newer one of its kind ends it.

use crate::{
    decode,
    heard::{Heard, tell},
    missed::missed,
};
use domain::{
    DriverId, Price, RequestId, SessionId,
    requests::{Input, Session, Target},
    text::printable,
};
use evmesh_proto::driver::{
    GetSessionRequest, RequestChargeRequest, StopChargeRequest, WatchSessionRequest,
    driver_service_client::DriverServiceClient,
};
use mesh::{
    backoff::Backoff,
    convert::{InvalidField, price_proto},
    grpc::{self, CallError, Peer},
};
use std::time::Duration;
use tokio::{sync::mpsc, task::JoinSet, time::sleep};
use tonic::{Code, Request, Status};

/// The most single questions under way; more are left out, because they are asked again.
const MAX_FETCHES: usize = 16;

/// The longest that central may ask to wait before a retry; longer, and a driver would believe the app dead.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(10);

/// What is being asked of central.
#[derive(Debug)]
pub(crate) struct Calls {
    peer: Peer,
    driver: DriverId,
    /// What a kWh may cost at most.
    max_price: Option<Price>,
    heard: mpsc::Sender<Heard>,
    backoff: Backoff,
    /// Before this, central does not want to be asked again.
    retry_after: Duration,
    current: JoinSet<()>,
    watch: JoinSet<()>,
    fetches: JoinSet<()>,
    stop: JoinSet<()>,
}

impl Calls {
    /// None is under way. What is heard goes to `heard`.
    pub(crate) fn new(
        peer: Peer,
        driver: DriverId,
        max_price: Option<Price>,
        heard: mpsc::Sender<Heard>,
    ) -> Self {
        Self {
            peer,
            driver,
            max_price,
            heard,
            backoff: Backoff::default(),
            retry_after: Duration::ZERO,
            current: JoinSet::new(),
            watch: JoinSet::new(),
            fetches: JoinSet::new(),
            stop: JoinSet::new(),
        }
    }

    /// Central said how long to wait before the next attempt.
    pub(crate) fn retry_after(&mut self, after: Duration) {
        self.retry_after = after.min(MAX_RETRY_AFTER);
    }

    fn delay(&mut self, attempt: u32) -> Duration {
        let asked = std::mem::take(&mut self.retry_after);
        if attempt == 0 {
            self.backoff.reset();
            return Duration::ZERO;
        }
        self.backoff.next_wait().max(asked)
    }

    pub(crate) fn catch_up(&mut self, attempt: u32) {
        let delay = self.delay(attempt);
        let (client, driver, heard) = (self.client(), self.driver.to_string(), self.heard.clone());
        self.current = JoinSet::new(); // dropping the set ends its task
        self.current.spawn(async move {
            sleep(delay).await;
            let caught_up: Heard = match missed(client, driver).await {
                Ok((sessions, tickets)) => Input::CaughtUp { sessions, tickets }.into(),
                Err(error) => error.into(),
            };
            tell(&heard, caught_up).await;
        });
    }

    pub(crate) fn request(&mut self, id: RequestId, target: Target, attempt: u32) {
        let delay = self.delay(attempt);
        let (charge_point_id, location_prefix) = match target {
            Target::Named(id) => (id.to_string(), String::new()),
            Target::Any { location_prefix } => (String::new(), location_prefix.to_string()),
        };
        let request = RequestChargeRequest {
            driver_id: self.driver.to_string(),
            charge_point_id,
            location_prefix,
            request_id: id.to_string(),
            max_price: self.max_price.map(price_proto),
        };
        let (mut client, heard) = (self.client(), self.heard.clone());
        self.current = JoinSet::new();
        self.current.spawn(async move {
            sleep(delay).await;
            let request = grpc::with_request_id(Request::new(request), id.as_str());
            let answer: Heard = match client.request_charge(request).await {
                Ok(answer) => match decode::session(answer.into_inner().session) {
                    Ok(session) => Input::Authorized { request: id, session }.into(),
                    Err(nonsense) => CallError::from(nonsense).into(),
                },
                Err(status) => match CallError::from(&status) {
                    CallError::Answered(failure) if is_denial(failure.code) => {
                        let message = printable(&failure.message);
                        Input::Denied { request: id, reason: failure.reason, message }.into()
                    }
                    error => error.into(),
                },
            };
            tell(&heard, answer).await;
        });
    }

    /// Follows a session until it is settled, or another is followed.
    pub(crate) fn follow(&mut self, session: SessionId) {
        let (client, driver, heard) = (self.client(), self.driver.to_string(), self.heard.clone());
        self.watch = JoinSet::new();
        self.watch.spawn(async move {
            let mut backoff = Backoff::default();
            while !watch(client.clone(), &driver, &session, &heard, &mut backoff).await {
                backoff.wait().await;
            }
        });
    }

    pub(crate) fn unfollow(&mut self) {
        self.watch = JoinSet::new();
    }

    /// Asks once how a session is.
    pub(crate) fn fetch(&mut self, session: SessionId) {
        while self.fetches.try_join_next().is_some() {}
        if self.fetches.len() == MAX_FETCHES {
            return;
        }
        let (client, driver, heard) = (self.client(), self.driver.to_string(), self.heard.clone());
        self.fetches.spawn(async move {
            fetch(client, &driver, &session, &heard).await;
        });
    }

    /// Orders the end of a session, until central has the order. Ordered twice it is the same.
    pub(crate) fn stop(&mut self, session: SessionId) {
        let (mut client, driver, heard) = (self.client(), self.driver.to_string(), self.heard.clone());
        self.stop = JoinSet::new();
        self.stop.spawn(async move {
            let mut backoff = Backoff::default();
            loop {
                let request = StopChargeRequest {
                    driver_id: driver.clone(),
                    session_id: session.to_string(),
                    request_id: String::new(),
                };
                match client.stop_charge(request).await {
                    Ok(answer) => {
                        seen(decode::session(answer.into_inner().session), &heard).await;
                        return;
                    }
                    Err(status) => {
                        if not_seen(&status, &session, &heard).await || is_denial(status.code()) {
                            return;
                        }
                    }
                }
                backoff.wait().await;
            }
        });
    }

    fn client(&self) -> DriverServiceClient<Peer> {
        DriverServiceClient::new(self.peer.clone())
    }
}

/// One stream of a session: `true` when nothing more can come of it.
async fn watch(
    mut client: DriverServiceClient<Peer>,
    driver: &str,
    session: &SessionId,
    heard: &mpsc::Sender<Heard>,
    backoff: &mut Backoff,
) -> bool {
    let request = WatchSessionRequest { driver_id: driver.into(), session_id: session.to_string() };
    let mut changes = match client.watch_session(request).await {
        Ok(changes) => changes.into_inner(),
        Err(status) => return not_seen(&status, session, heard).await,
    };
    loop {
        match changes.message().await {
            Ok(Some(change)) => {
                backoff.reset();
                if seen(decode::session(change.session), heard).await {
                    return true;
                }
            }
            // It should end with the settled session. If it did not, ask, and follow on.
            Ok(None) => return fetch(client, driver, session, heard).await,
            Err(status) => return not_seen(&status, session, heard).await,
        }
    }
}

/// One question for a session: `true` when nothing more can come of it.
async fn fetch(
    mut client: DriverServiceClient<Peer>,
    driver: &str,
    session: &SessionId,
    heard: &mpsc::Sender<Heard>,
) -> bool {
    let request = GetSessionRequest { driver_id: driver.into(), session_id: session.to_string() };
    match client.get_session(request).await {
        Ok(answer) => seen(decode::session(answer.into_inner().session), heard).await,
        Err(status) => not_seen(&status, session, heard).await,
    }
}

async fn seen(session: Result<Session, InvalidField>, heard: &mpsc::Sender<Heard>) -> bool {
    match session {
        Ok(session) => {
            let settled = session.settled;
            tell(heard, Input::Seen(session)).await;
            settled
        }
        Err(nonsense) => {
            let why = CallError::from(nonsense).briefly();
            tell(heard, Input::Unreachable { why }).await;
            false
        }
    }
}

async fn not_seen(status: &Status, session: &SessionId, heard: &mpsc::Sender<Heard>) -> bool {
    let forgotten = status.code() == Code::NotFound;
    let input = if forgotten {
        Input::Forgotten { session: session.clone(), message: printable(status.message()) }
    } else {
        Input::Unreachable { why: CallError::from(status).briefly() }
    };
    tell(heard, input).await;
    forgotten
}

/// Is the answer definitive? Everything else is asked again.
fn is_denial(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated
    )
}
