//! A driver's host: the app with its calls, the session that it follows, and what it hears on `driver_notifications`.

use super::{
    central::{CALL_TIMEOUT, Caller, Query, Work},
    wire::wired,
    world::{Clock, Place, World, say},
};
use central::view;
use domain::network::{Asked, Command, Denial, Method, RequestKey, Session, Target, Token};
use domain::requests::{self, Effect, Event, Expectation, Input, Line, Requests, Settings};
use domain::{Context, DriverId, Mono, RequestId, SessionId};
use std::time::Duration;

pub(super) struct Process {
    pub(super) rules: Requests,
    woken: Option<u64>,
    /// The stream that follows a session: its number, and the session.
    follows: Option<(u64, SessionId)>,
    /// The call that is under way: its number.
    calling: Option<u64>,
    pub(super) done: bool,
}

pub(super) struct App {
    pub(super) driver: DriverId,
    pub(super) up: Option<Process>,
    pub(super) life: u64,
    clock: Clock,
}

impl World {
    pub(super) fn build_app(&mut self, n: usize) {
        let driver = format!("driver-{n}").parse().expect("an id");
        self.apps.push(App { driver, up: None, life: 0, clock: Clock::default() });
    }

    /// The app starts with a file of some lines.
    pub(super) fn app_starts(&mut self, a: usize) {
        let lines = (1..=self.random.between(1, 4)).map(|number| {
            let target = self.target();
            let request = self.request_id();
            let number = u32::try_from(number).unwrap_or(1);
            (Line { number, target, expectation: Expectation::Ticket }, request)
        });
        let lines = lines.collect();
        let (at, app) = (self.at, &mut self.apps[a]);
        if app.up.is_some() {
            return;
        }
        let settings = Settings {
            driver: app.driver.clone(),
            pause: Duration::from_secs(4),
            ticket_wait: Duration::from_secs(20),
        };
        app.life += 1;
        app.clock.booted = at;
        let rules = Requests::new(settings, lines);
        app.up = Some(Process { rules, woken: None, follows: None, calling: None, done: false });
        let life = app.life;
        say!(self, "app of {} starts", self.apps[a].driver);
        self.app_takes(a, life, Input::Started);
    }

    pub(super) fn app_dies(&mut self, a: usize) {
        if self.apps[a].up.take().is_some() {
            say!(self, "app of {} dies", self.apps[a].driver);
            self.tally.count("app died");
        }
    }

    pub(super) fn target(&mut self) -> Target {
        if self.random.one_in(2) {
            let location_prefix = self.random.pick(&["", "", "place 0", "place 1"]).parse().expect("a place");
            Target::Any { location_prefix }
        } else {
            // Now and then one that nobody has.
            let points = self.points.len();
            let n = if self.random.one_in(20) { points } else { self.random.index(points) };
            Target::Named(format!("CP-{n}").parse().expect("an id"))
        }
    }

    pub(super) fn request_id(&mut self) -> RequestId {
        format!("request-{}", self.fresh()).parse().expect("an id")
    }

    fn app_of(&mut self, a: usize, life: u64) -> Option<&mut Process> {
        let app = &mut self.apps[a];
        (app.life == life).then_some(app.up.as_mut()).flatten()
    }

    pub(super) fn app_takes(&mut self, a: usize, life: u64, input: Input) {
        let now = self.apps[a].clock.mono(self.at);
        let Some(process) = self.app_of(a, life) else { return };
        let effects = process.rules.apply(now, input);
        for effect in effects {
            self.app_does(a, life, effect);
        }
        let (clock, at) = (self.apps[a].clock, self.at);
        let Some(process) = self.app_of(a, life) else { return };
        let wake = process.rules.wake_at().map(|mono| clock.when(mono).max(at));
        if process.woken == wake {
            return;
        }
        process.woken = wake;
        let Some(wake) = wake else { return };
        self.at(wake, move |world| {
            if let Some(process) = world.app_of(a, life).filter(|process| process.woken == Some(wake)) {
                process.woken = None;
                world.app_takes(a, life, Input::Tick);
            }
        });
    }

    fn app_does(&mut self, a: usize, life: u64, effect: Effect) {
        match effect {
            Effect::CatchUp { attempt } => {
                let pause = self.backoff(attempt);
                let call = self.app_calls(a, life);
                self.after(pause, move |world| world.app_asks(a, life, call, Query::CatchUp { a, life }));
            }
            Effect::Request { request, target, attempt } => {
                let pause = self.backoff(attempt);
                let call = self.app_calls(a, life);
                self.after(pause, move |world| world.app_requests(a, life, call, request, target));
            }
            Effect::Follow(session) => {
                let follow = self.fresh();
                if let Some(process) = self.app_of(a, life) {
                    process.follows = Some((follow, session));
                }
                self.app_follows(a, life, follow);
            }
            Effect::Unfollow => {
                if let Some(process) = self.app_of(a, life) {
                    process.follows = None;
                }
            }
            Effect::Fetch(session) => {
                let query = Query::Fetch { a, life, session, follow: None };
                self.app_sends(a, query);
            }
            Effect::Stop(session) => self.stops(self.apps[a].driver.clone(), Some(session)),
            Effect::Tell(event) => self.app_tells(a, event),
            Effect::Finish => {
                if let Some(process) = self.app_of(a, life) {
                    process.done = true;
                }
                self.tally.count("apps finished");
                // The next file.
                if self.faults {
                    let pause = self.random.span(20_000);
                    self.after(pause, move |world| {
                        if world.faults && world.app_of(a, life).is_some() {
                            world.apps[a].up = None;
                            world.app_starts(a);
                        }
                    });
                }
            }
        }
    }

    fn app_tells(&mut self, a: usize, event: Event) {
        say!(self, "app of {}: {event:?}", self.apps[a].driver);
        match event {
            Event::Ticket(ticket) => self.check_shown_ticket(a, &ticket),
            Event::Concluded(row) => {
                let how = match row.conclusion {
                    requests::Conclusion::Denied { reason, .. } => format!("line denied: {reason}"),
                    requests::Conclusion::Ended { outcome, .. } => format!("line ended: {outcome:?}"),
                    requests::Conclusion::Forgotten { .. } => "line forgotten".into(),
                };
                self.tally.count(&how);
            }
            Event::Missed(tickets) => tickets.iter().for_each(|ticket| self.check_shown_ticket(a, ticket)),
            Event::Reached
            | Event::Unreachable { .. }
            | Event::Resumed { .. }
            | Event::Requesting { .. }
            | Event::Authorized { .. }
            | Event::Denied { .. }
            | Event::Consumption { .. }
            | Event::Stopping { .. }
            | Event::Withdrawn { .. }
            | Event::TicketAwaited { .. }
            | Event::SupplyError { .. }
            | Event::FreeChargePoints(_)
            | Event::Finished => {}
        }
    }

    // --- calls ---

    /// The number of a call whose answer is awaited from now on.
    fn app_calls(&mut self, a: usize, life: u64) -> u64 {
        let call = self.fresh();
        if let Some(process) = self.app_of(a, life) {
            process.calling = Some(call);
        }
        call
    }

    /// No answer: said once for each call.
    fn app_gives_up(&mut self, a: usize, life: u64, call: u64, why: &str) {
        let awaited =
            self.app_of(a, life).is_some_and(|process| process.calling.take_if(|c| *c == call).is_some());
        if awaited {
            self.app_takes(a, life, Input::Unanswered { why: why.into() });
        }
    }

    fn app_asks(&mut self, a: usize, life: u64, call: u64, query: Query) {
        self.after(CALL_TIMEOUT, move |world| world.app_gives_up(a, life, call, "timed out"));
        let Some(ms) = self.delay(Place::Street, Place::Central) else { return };
        self.after(ms, move |world| {
            if !world.central_works(Work::Query(query)) {
                world.app_gives_up(a, life, call, "nobody is there");
            }
        });
    }

    fn app_sends(&mut self, _a: usize, query: Query) {
        let Some(ms) = self.delay(Place::Street, Place::Central) else { return };
        self.after(ms, move |world| _ = world.central_works(Work::Query(query)));
    }

    fn app_requests(&mut self, a: usize, life: u64, call: u64, request: RequestId, target: Target) {
        if self.app_of(a, life).is_none() {
            return;
        }
        self.after(CALL_TIMEOUT, move |world| world.app_gives_up(a, life, call, "timed out"));
        let driver = self.apps[a].driver.clone();
        let command = self.charge(driver, Some(request.clone()), target);
        if let Some(ms) = self.copy(Place::Street, Place::Central) {
            let command = command.clone();
            self.after(ms, move |world| {
                world.central_asked(Caller::Stranger, command);
            });
        }
        let Some(ms) = self.delay(Place::Street, Place::Central) else { return };
        self.after(ms, move |world| {
            let caller = Caller::App { a, life, request };
            if !world.central_asked(caller, command) {
                world.app_gives_up(a, life, call, "nobody is there");
            }
        });
    }

    /// A request for a charge, as the service makes a command of it.
    pub(super) fn charge(
        &mut self,
        driver: DriverId,
        request: Option<RequestId>,
        target: Target,
    ) -> impl Fn(Token<Box<Session>>, Mono) -> Command + Clone + 'static {
        let budget = Duration::from_millis(self.random.pick(&[5_000, 5_000, 900]));
        let fingerprint = fingerprint(&format!("{target:?}"));
        let key = request.map(|id| {
            (RequestKey { method: Method::RequestCharge, caller: driver.to_string(), id }, fingerprint)
        });
        move |token, now| Command::RequestCharge {
            asked: asked(token, Some(now + budget), key.clone()),
            session: new_session(token),
            driver: driver.clone(),
            target: target.clone(),
            max_price: None,
        }
    }

    pub(super) fn app_answered(
        &mut self,
        a: usize,
        life: u64,
        request: RequestId,
        answer: Result<Box<Session>, Denial>,
    ) {
        let input = match answer {
            Ok(session) => match seen(&session) {
                Ok(session) => Input::Authorized { request, session },
                Err(why) => return self.broken("INV-7", format!("a session makes no sense: {why}")),
            },
            Err(denial) => {
                Input::Denied { request, reason: denial.reason.as_str().into(), message: denial.text }
            }
        };
        if let Some(ms) = self.delay(Place::Central, Place::Street) {
            self.after(ms, move |world| world.app_takes(a, life, input));
        }
    }

    pub(super) fn catches_up(&mut self, a: usize, life: u64, sessions: &[Session], tickets: &[Session]) {
        let unsettled = sessions.iter().filter(|session| !session.settled()).map(seen);
        let tickets = tickets.iter().filter_map(|session| view::session(session).ticket);
        let tickets = tickets
            .map(|ticket| driver::decode::ticket(wired(&ticket)).map_err(|nonsense| nonsense.to_string()));
        let read = |sessions: Result<Vec<_>, String>, tickets: Result<Vec<_>, String>| {
            Ok::<_, String>(Input::CaughtUp { sessions: sessions?, tickets: tickets? })
        };
        let input = match read(unsettled.collect(), tickets.collect()) {
            Ok(input) => input,
            Err(why) => return self.broken("INV-7", format!("a list makes no sense: {why}")),
        };
        for session in sessions {
            self.check_shown(session);
        }
        if let Some(ms) = self.delay(Place::Central, Place::Street) {
            self.after(ms, move |world| world.app_takes(a, life, input));
        }
    }

    // --- following ---

    /// Asks for the session that is followed, and for every change of it.
    fn app_follows(&mut self, a: usize, life: u64, follow: u64) {
        let Some(process) = self.app_of(a, life) else { return };
        let Some((_, session)) = process.follows.clone().filter(|(number, _)| *number == follow) else {
            return;
        };
        self.app_sends(a, Query::Fetch { a, life, session, follow: Some(follow) });
        // The stream may have fallen silent without a word: a new one after a while.
        let pause = self.random.between(3_000, 8_000);
        self.after(pause, move |world| world.app_follows(a, life, follow));
    }

    pub(super) fn app_loses_central(&mut self, a: usize) {
        let life = self.apps[a].life;
        if self.app_of(a, life).is_some_and(|process| process.follows.is_some())
            && let Some(ms) = self.delay(Place::Central, Place::Street)
        {
            let why = "the connection broke".to_owned();
            self.after(ms, move |world| world.app_takes(a, life, Input::Unreachable { why }));
        }
    }

    /// Central shows a session to its driver.
    pub(super) fn shows(&mut self, a: usize, life: u64, follow: Option<u64>, session: &Session) {
        self.check_shown(session);
        let input = match seen(session) {
            Ok(session) => Input::Seen(session),
            Err(why) => return self.broken("INV-7", format!("a session makes no sense: {why}")),
        };
        let Some(ms) = self.delay(Place::Central, Place::Street) else { return };
        self.after(ms, move |world| {
            let follows = world.app_of(a, life).and_then(|process| process.follows.as_ref());
            if follow.is_none() || follow == follows.map(|(number, _)| *number) {
                world.app_takes(a, life, input);
            }
        });
    }

    pub(super) fn shows_nothing(&mut self, a: usize, life: u64, session: SessionId) {
        self.check_forgotten(&session);
        let Some(ms) = self.delay(Place::Central, Place::Street) else { return };
        let message = "no such session".to_owned();
        self.after(ms, move |world| world.app_takes(a, life, Input::Forgotten { session, message }));
    }

    // --- the topic ---

    /// A notification is on the topic. Those of the outbox come in order.
    pub(super) fn notified(&mut self, key: &str, payload: &[u8], outbox: bool) {
        self.check_notified(key, payload, outbox);
        for a in 0..self.apps.len() {
            let life = self.apps[a].life;
            let Some(input) = driver::topics::notification(payload, self.apps[a].driver.as_str()) else {
                continue;
            };
            if let Some(ms) = self.delay(Place::Broker, Place::Street) {
                self.after(ms, move |world| world.app_takes(a, life, input));
            }
        }
    }
}

/// A session as the driver's app reads it.
fn seen(session: &Session) -> Result<requests::Session, String> {
    driver::decode::session(Some(wired(&view::session(session)))).map_err(|nonsense| nonsense.to_string())
}

/// Each call that arrives has a fresh id for its session, a repeated one too.
pub(super) fn new_session(token: Token<Box<Session>>) -> SessionId {
    format!("s{:06}", token.number).parse().expect("an id")
}

/// A caller without a trace of its own.
pub(super) fn asked<A>(
    token: Token<A>,
    deadline: Option<Mono>,
    request: Option<(RequestKey, u64)>,
) -> Asked<A> {
    Asked { token, context: Context { deadline, ..Context::default() }, request }
}

/// A digest of a request's payload.
pub(super) fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(7, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)))
}
