//! The rules of a charge point in mesh's group commit (INV-6): what of them is written, and what is let out after it.

use crate::{Error, seal::Seal, storage, telemetry};
use domain::{
    ChargePointId, Mono, Now, Trace,
    refusals::{Change, List, Refusals},
    revocations::Serial,
    simulated::{self, Settings},
    supply::{Event, EventKind, Input, View, Write},
};
use evmesh_proto::topics::{CP_TELEMETRY, Telemetry};
use mesh::{
    group_commit::{self, Owner, Rules, Step},
    grpc::Refused,
    kafka::Producer,
    store::{Batch, Store},
};
use std::{fmt, path::Path, sync::Arc};
use tokio::sync::{Notify, oneshot, watch};

/// At most so many inputs wait: far more than central, a monitor and a person have under way with one engine.
pub(crate) const QUEUE: usize = 256;
/// At most so many inputs share a commit: it keeps the first of them from waiting long.
pub(crate) const A_STEP: usize = 64;

/// The answer to an input, and the engine after it.
#[derive(Debug)]
pub struct Reply<A> {
    pub answer: A,
    pub view: View,
}

/// An answer on its way to whoever asked.
pub trait Answered: fmt::Debug + Send {
    /// Whoever asked may have gone; what it asked for is done all the same.
    fn send(self: Box<Self>);
}

impl<A: fmt::Debug + Send> Answered for (oneshot::Sender<Reply<A>>, Reply<A>) {
    fn send(self: Box<Self>) {
        let (to, reply) = *self;
        _ = to.send(reply);
    }
}

/// What leaves once it is on disk.
#[derive(Debug)]
pub enum Effect {
    Reply(Box<dyn Answered>),
    /// A reading of this trace, published once, as well as it can be done.
    Reading(Box<Telemetry>, Trace),
    /// It is a row of the outbox by now.
    Event(Event),
    /// So many events were given up, because too many wait for Kafka.
    OutboxOverflow(u64),
    /// Other certificates are refused than before.
    Refused(Change),
}

/// An input on its way into the rules, with whoever waits for its answer: see [`Engine::input`].
pub type Applied = Box<dyn FnOnce(&mut Engine, Now, &mut Step<Effect>) + Send>;

/// The rules, and whose they are.
#[derive(Debug)]
pub struct Engine {
    charge_point: ChargePointId,
    supply: simulated::ChargePoint,
    refusals: Refusals,
}

impl Rules for Engine {
    type Input = Applied;
    type Effect = Effect;
    type Error = Error;

    fn apply(
        &mut self,
        now: Now,
        _: &dyn Store,
        input: Applied,
        step: &mut Step<Effect>,
    ) -> Result<(), Error> {
        input(self, now, step);
        Ok(())
    }
}

impl Engine {
    /// Something happens; who asks, hears once it is on disk.
    pub fn input<I: Input>(input: I, reply: Option<oneshot::Sender<Reply<I::Answer>>>) -> Applied {
        Box::new(|engine, now, step| {
            let (answer, decided) = engine.supply.apply(now, input);
            engine.sort(decided, step);
            if let Some(to) = reply {
                let reply = Reply { answer, view: engine.view() };
                step.effects.push(Effect::Reply(Box::new((to, reply))));
            }
        })
    }

    /// These certificates are to be refused; who asks, hears once they are, and of which it is so.
    pub(crate) fn refuse(told: List, reply: oneshot::Sender<Reply<List>>) -> Applied {
        Box::new(move |engine, _, step| {
            let change = engine.refusals.take(&told);
            storage::write_refusals(&mut step.batch, &change);
            step.effects.push(Effect::Refused(change));
            let held = engine.refusals.held(&told).cloned().collect();
            let answer = Reply { answer: held, view: engine.view() };
            step.effects.push(Effect::Reply(Box::new((reply, answer))));
        })
    }

    /// Those that are refused, as they are on disk.
    pub(crate) fn refused(&self) -> impl Iterator<Item = Serial> {
        self.refusals.serials().cloned()
    }

    /// Reads the store, closes a supply that was interrupted, and has that on disk when it returns.
    pub fn open<S: Store>(
        mut store: S,
        folder: &Path,
        charge_point: ChargePointId,
        settings: Settings,
        now: Now,
    ) -> Result<Owner<Self, S>, Error> {
        let stored = storage::load(&mut store, folder, &charge_point)?;
        let refusals = storage::refusals(&store, folder)?;
        let (supply, decided) = simulated::ChargePoint::restore(now, settings, stored);
        let rules = Self { charge_point, supply, refusals };
        let mut step = Step { batch: Batch::default(), effects: Vec::new() };
        rules.sort(decided, &mut step);
        store.commit(step.batch)?;
        for effect in step.effects {
            if let Effect::Event(event) = effect {
                log(&rules.charge_point, &event);
            }
        }
        Ok(Owner { rules, store })
    }

    /// The engine as it looks from outside.
    pub fn view(&self) -> View {
        self.supply.view()
    }

    /// When time alone changes something.
    pub fn wake_at(&self) -> Option<Mono> {
        self.supply.wake_at()
    }

    /// What is to be written goes into the batch, what is let out later into the effects.
    fn sort(&self, decided: Vec<domain::supply::Effect>, step: &mut Step<Effect>) {
        use domain::supply::Effect as Decided;
        for decided in decided {
            match decided {
                Decided::Save(change) => {
                    storage::write(&mut step.batch, &self.charge_point, self.supply.instance(), &change);
                    if let Write::Event(event) = change {
                        step.effects.push(Effect::Event(event));
                    }
                }
                Decided::Publish(record) => {
                    let message = telemetry::reading(&self.charge_point, &record);
                    let trace = telemetry::trace(Some(&record), &message);
                    step.effects.push(Effect::Reading(Box::new(message), trace));
                }
                Decided::OutboxOverflow(count) => step.effects.push(Effect::OutboxOverflow(count)),
            }
        }
    }
}

/// Where the owner's thread lets things out.
#[derive(Debug)]
pub(crate) struct Outlet {
    pub(crate) producer: Producer,
    pub(crate) seal: Seal,
    /// There are new rows for the relay.
    pub(crate) rows: Arc<Notify>,
    pub(crate) view: watch::Sender<View>,
    /// When time alone changes something. Sent after each commit, the same moment too.
    pub(crate) wake: watch::Sender<Option<Mono>>,
    pub(crate) refused: Refused,
}

impl group_commit::Outlet<Engine> for Outlet {
    fn release(
        &mut self,
        _: Now,
        _: usize,
        owner: Owner<&Engine, &dyn Store>,
        effects: Vec<Effect>,
    ) -> Result<(), Error> {
        self.view.send_replace(owner.rules.view());
        self.wake.send_replace(owner.rules.wake_at());
        for effect in effects {
            self.let_out(&owner.rules.charge_point, effect);
        }
        Ok(())
    }
}

impl Outlet {
    fn let_out(&self, charge_point: &ChargePointId, effect: Effect) {
        match effect {
            Effect::Reply(reply) => reply.send(),
            Effect::Reading(message, trace) => mesh::trace::within(trace, || {
                if let Some(payload) = self.seal.reading(*message) {
                    self.producer.send_lossy(CP_TELEMETRY, charge_point.as_str(), &payload);
                }
            }),
            Effect::Event(event) => {
                log(charge_point, &event);
                self.rows.notify_one();
            }
            Effect::Refused(Change { refused, gone }) => {
                self.refused.add(refused.into_iter().map(|(serial, _)| serial));
                self.refused.remove(&gone);
            }
            Effect::OutboxOverflow(count) => {
                metrics::counter!("evmesh_engine_outbox_dropped_total").increment(count);
                tracing::error!(
                    %charge_point, count, "too many events wait for Kafka; the oldest were given up"
                );
            }
        }
    }
}

fn log(charge_point: &ChargePointId, event: &Event) {
    match &event.kind {
        EventKind::Started(record) => {
            metrics::counter!("evmesh_engine_supplies_started_total").increment(1);
            tracing::info!(
                %charge_point, session = %record.session, driver = %record.driver, price = %record.price,
                "supply started"
            );
        }
        EventKind::Ended(record, cause) => {
            let end = format!("{:?}", cause.end());
            metrics::counter!("evmesh_engine_supplies_ended_total", "end" => end).increment(1);
            tracing::info!(
                %charge_point, session = %record.session, driver = %record.driver, energy = %record.energy,
                amount = %record.price.bill(record.energy), %cause, "supply ended"
            );
        }
        EventKind::Broke(reason) => tracing::warn!(%charge_point, reason, "the charge point broke"),
        EventKind::MonitorLost => tracing::warn!(%charge_point, "monitor lost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        Wall,
        supply::{Addressee, Call, CallResult, Happened, Ping},
    };
    use mesh::store::MemoryStore;
    use std::time::Duration;

    fn open(store: MemoryStore) -> Owner<Engine, MemoryStore> {
        let settings = Settings {
            power: domain::Power::from_w(36_000),
            battery: domain::Energy::from_wh(1_000),
            duration: None,
            speed: 1,
            plug_in_after: Some(Duration::ZERO),
            monitor_grace: Duration::from_secs(30),
        };
        Engine::open(store, Path::new("d"), "MAD-01".parse().unwrap(), settings, at(0)).unwrap()
    }

    fn at(ms: u64) -> Now {
        Now { mono: Mono(ms), wall: Wall(i64::try_from(ms).unwrap()) }
    }

    fn ping() -> Applied {
        Engine::input(Ping { link: 1, epoch: 1, central_reachable: true }, None)
    }

    type ReplyTo = oneshot::Sender<Reply<CallResult>>;

    fn authorize(owner: &Owner<Engine, MemoryStore>, reply: Option<ReplyTo>) -> Applied {
        let order = domain::supply::Authorization {
            number: 1,
            session: "s1".parse().unwrap(),
            driver: "ana".parse().unwrap(),
            price: "0.30 EUR".parse().unwrap(),
            duration: Duration::from_secs(60),
            trace: None,
            signature: domain::Signature::default(),
            manual: None,
        };
        let instance = owner.rules.supply.instance().clone();
        let addressee = Addressee { instance, charge_point: None, epoch: 0 };
        Engine::input((addressee, Call::Authorize(order)), reply)
    }

    fn tick() -> Applied {
        Engine::input(Happened::Tick, None)
    }

    #[test]
    fn many_commands_share_one_commit_and_their_answers_follow_it() {
        let mut owner = open(MemoryStore::new());
        let commits = owner.store.commits();
        let (reply, mut answer) = oneshot::channel();
        let commands = [ping(), authorize(&owner, Some(reply)), tick()];
        let effects = owner.step(at(1), commands).unwrap();
        assert_eq!(owner.store.commits(), commits + 1);
        assert!(answer.try_recv().is_err(), "a step lets nothing out by itself");
        let shown: Vec<_> = effects
            .iter()
            .map(|effect| match effect {
                Effect::Reply(..) => "reply".into(),
                Effect::Reading(..) => "reading".into(),
                Effect::Event(_) => "event".into(),
                Effect::OutboxOverflow(_) => "overflow".to_owned(),
                Effect::Refused(_) => "refused".to_owned(),
            })
            .chain([format!("{} row", storage::rows(&owner.store, 0, 9).unwrap().len())])
            .collect();
        assert_eq!(shown, ["reply", "event", "1 row"], "the relay sees what was just committed");
    }

    #[test]
    fn what_is_to_be_refused_is_on_disk_before_it_is_refused_and_before_the_answer() {
        let mut owner = open(MemoryStore::new());
        let told = |ends: i64| vec![("a".into(), Wall(ends))];
        let (reply, mut answer) = oneshot::channel();
        let mut effects = owner.step(at(1), [Engine::refuse(told(5), reply)]).unwrap();
        assert!(matches!(&effects[..], [Effect::Refused(_), Effect::Reply(_)]), "{effects:?}");
        let Some(Effect::Reply(reply)) = effects.pop() else { panic!("no answer") };
        reply.send();
        assert_eq!(answer.try_recv().unwrap().answer, told(5));
        let refused = |owner: &Owner<Engine, MemoryStore>| owner.rules.refused().collect::<Vec<_>>();
        let back = open(owner.store.clone());
        assert_eq!((refused(&owner), refused(&back)), (vec!["a".into()], vec!["a".into()]));
        owner.store.fail_after(0);
        let (reply, _answer) = oneshot::channel();
        owner.step(at(5), [Engine::refuse(told(6), reply)]).unwrap_err();
        let mut back = back;
        let (reply, _answer) = oneshot::channel();
        back.step(at(9), [Engine::refuse(Vec::new(), reply)]).unwrap();
        assert_eq!((refused(&back), refused(&open(back.store))), (vec!["a".into()], vec!["a".into()]));
    }

    #[test]
    fn a_failed_commit_lets_nothing_out() {
        let mut owner = open(MemoryStore::new());
        owner.step(at(1), [ping()]).unwrap();
        owner.store.fail_after(0);
        let (reply, mut answer) = oneshot::channel();
        let authorize = authorize(&owner, Some(reply));
        assert!(owner.step(at(2), [authorize]).is_err());
        assert!(matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed)), "no answer, ever");
        let back = open(owner.store.clone());
        assert_eq!(back.rules.view().highest, 0);
    }

    #[test]
    fn a_crash_in_mid_supply_closes_it_at_the_last_published_reading() {
        let mut owner = open(MemoryStore::new());
        owner.step(at(1), [ping()]).unwrap();
        let authorize = authorize(&owner, None);
        owner.step(at(2), [authorize, tick()]).unwrap();
        let mut last = None;
        for second in 1..=3 {
            for effect in owner.step(at(2 + second * 1_000), [tick()]).unwrap() {
                if let Effect::Reading(message, _) = effect {
                    last = Some((message.seq, message.kwh));
                }
            }
        }
        let back = open(owner.store.clone()); // the process died; its disk is what is left
        let view = back.rules.view();
        assert_eq!(view.current, None);
        assert_eq!(view.unsettled.len(), 1);
        let record = &view.unsettled[0];
        assert_eq!((record.seq, record.energy.wh()), (5, 30));
        assert_eq!(last, Some((Some(4), Some(0.03))));
        let rows = storage::rows(&back.store, 0, 9).unwrap();
        let kinds: Vec<serde_json::Value> =
            rows.iter().map(|row| serde_json::from_slice(&row.payload).unwrap()).collect();
        assert_eq!((&kinds[0]["type"], &kinds[0]["event_id"]), (&"SESSION_STARTED".into(), &"s1-1".into()));
        assert_eq!((&kinds[1]["type"], &kinds[1]["event_id"]), (&"FAULT".into(), &"s1-5".into()));
        let again = open(back.store.clone());
        assert_eq!(again.rules.view(), view, "closed once");
    }
}
