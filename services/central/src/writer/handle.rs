//! The way to the writer. It hides the queues.

use super::{Input, Served, ToRefuse, Writer, card_keys::CardKeys, outlet::Outlet, waiting::Awaited};
use crate::{
    Error,
    changelog::{Copied, Found, Standing},
    denial,
    last_seen::LastSeen,
    store::{Snapshot, codec::KnownKey},
};
use domain::network::{Command, Denial, Reason, Session, Token};
use domain::revocations::{News, Serial};
use domain::{
    Deed, SessionId,
    cards::{self, CardHash, CardNumber},
    gateways,
};
use evmesh_proto::topics::AuditAnchor;
use identity::CardKey;
use mesh::{
    Shutdown,
    audit::Unaudited,
    group_commit::{self, Order, Queue},
    grpc::{Failure, Refusal, with_causes},
    store::Store,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{oneshot, watch};

/// How long a caller is asked to wait where the queue is full: some thousand commands take less.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// The way to the writer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    /// Requests, engines' answers, ticks: what somebody waits for.
    pub(super) orders: Queue<Writer, Outlet>,
    /// What Kafka tells: it fills its own queue only.
    pub(super) telemetry: Queue<Writer, Outlet>,
    pub(super) tokens: Arc<AtomicU64>,
    pub(super) unaudited: Unaudited,
    pub(super) card_key: CardKeys,
    pub(super) served: Served,
    pub(super) last_seen: LastSeen,
    pub(super) stop: Shutdown,
}

impl Handle {
    /// Gives a command and waits for its reply. What the reply says is on disk.
    pub(crate) async fn ask<A: Awaited>(
        &self,
        command: impl FnOnce(Token<A>) -> Command,
    ) -> Result<A, Failure> {
        let (order, answer) = self.order(command);
        self.orders.try_give(order).map_err(|refused| match refused {
            group_commit::Refused::Full => {
                Failure::exhausted("OVERLOADED", "central has too much to do at once; ask again", RETRY_AFTER)
            }
            group_commit::Refused::Stopped => stopping(),
        })?;
        answer.await.map_err(|_| stopping())?.map_err(denial::failure)
    }

    /// The same, of who is not to ask again: waits for its place in the queue.
    pub(crate) async fn ask_in_turn<A: Awaited>(
        &self,
        command: impl FnOnce(Token<A>) -> Command,
    ) -> Result<A, Failure> {
        let (order, answer) = self.order(command);
        self.orders.give(order).await;
        answer.await.map_err(|_| stopping())?.map_err(denial::failure)
    }

    fn order<A: Awaited>(
        &self,
        command: impl FnOnce(Token<A>) -> Command,
    ) -> (Order<Writer, Outlet>, oneshot::Receiver<Result<A, Denial>>) {
        let token = Token::new(self.tokens.fetch_add(1, Ordering::Relaxed));
        let (reply, answer) = oneshot::channel();
        let order = Order::input(Input::Command(command(token))).then(move |_, _, outlet: &mut Outlet| {
            outlet.waiting.wait(token, reply);
            Ok(())
        });
        (order, answer)
    }

    /// Gives a command that nobody waits for. Waits for its place in the queue; lost only if the writer stops.
    pub(crate) async fn tell(&self, command: Command) {
        self.orders.give(Order::input(Input::Command(command))).await;
    }

    /// Asks the whole state, after the commit of the batch that this question is in (INV-6).
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Snapshot<'_>) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let question = move |writer: &mut Writer, store: &dyn Store| Ok(question(&writer.snapshot(store)));
        self.orders.ask(None, question).await.ok_or_else(stopping)
    }

    /// As [`Handle::query`], of a question that reads the store.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Snapshot<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Failure> {
        self.query(question).await?.map_err(|error| Failure::internal(with_causes(&error)))
    }

    /// The queue of orders, for an outbox.
    pub(crate) fn orders(&self) -> Queue<Writer, Outlet> {
        self.orders.clone()
    }

    /// Kafka has these rows of the changelog; the next ones, at most so many. `None`: the writer has ended.
    pub(crate) async fn copies(&self, published: Vec<u64>, limit: usize) -> Option<Vec<Copied>> {
        let next = move |writer: &mut Writer, store: &dyn Store| writer.next_rows(store, limit);
        self.orders.ask(Some(Input::Published(published)), next).await
    }

    /// May the changelog be written? `None`: the writer has ended.
    pub(crate) async fn changelog(&self, found: Found) -> Option<Standing> {
        let standing = |writer: &mut Writer, _: &dyn Store| Ok(writer.standing());
        self.orders.ask(Some(Input::Changelog(found)), standing).await
    }

    /// Time passes; and what the server refused since the last tick is written down.
    pub async fn tick(&self) {
        if let Some((deeds, more)) = self.unaudited.take() {
            self.orders.give(Order::input(Input::Refused { deeds, more })).await;
        }
        self.tell(Command::Tick).await;
    }

    /// The server refused a call for who made it. Of their own denials with such a code the rules tell.
    pub(crate) fn refused(&self, refusal: Refusal) {
        if refusal.reason != Reason::RegistrationClosed.as_str() {
            self.unaudited.add(refusal);
        }
    }

    /// How far the audit's chain is; `None`: the writer has ended.
    pub(crate) async fn anchor(&self) -> Option<AuditAnchor> {
        self.orders.ask(None, |writer: &mut Writer, _| Ok(writer.anchor(mesh::now().wall))).await
    }

    /// What was signed with these keys is central's word from now on: they are on disk.
    pub(crate) async fn trust(&self, keys: Vec<KnownKey>, deed: Deed) -> Result<(), Failure> {
        self.orders.ask(Some(Input::Trust(keys, deed)), |_, _| Ok(())).await.ok_or_else(stopping)
    }

    /// Gives the registry's news; what they come to for whoever refuses is on disk. `None`: the writer has ended.
    pub(crate) async fn registry_told(&self, news: News) -> Option<ToRefuse> {
        let to_refuse = |writer: &mut Writer, _: &dyn Store| Ok(writer.take_to_refuse());
        self.orders.ask(Some(Input::Registry(news)), to_refuse).await
    }

    /// Gives what the registry says of cards, with their key first. `None`: the writer has ended.
    pub(crate) async fn cards_told(&self, key: Option<CardKey>, news: cards::held::News) -> Option<()> {
        self.orders.ask(Some(Input::Cards(key, news)), |_, _| Ok(())).await
    }

    /// Gives what the registry says of gateways; it is on disk. The certificates that are refused from now on are those
    /// of who was spared for the sake of what it served before. `None`: the writer has ended.
    pub async fn gateways_told(&self, news: gateways::News) -> Option<Vec<Serial>> {
        let refused = |writer: &mut Writer, _: &dyn Store| Ok(writer.take_to_refuse().refused);
        self.orders.ask(Some(Input::Gateways(news)), refused).await
    }

    /// What gateways serve.
    pub(crate) fn served(&self) -> &Served {
        &self.served
    }

    /// Who reports, and when each was last seen.
    pub(crate) fn last_seen(&self) -> &LastSeen {
        &self.last_seen
    }

    /// What a card is looked up by; `None`: the registry has not told all its cards yet.
    pub(crate) fn card(&self, number: &CardNumber) -> Option<CardHash> {
        self.card_key.hash(number)
    }

    /// Follows a session that exists: its newest state, whenever it changes. The sender goes once it is settled.
    pub(crate) async fn watch(&self, session: SessionId) -> Result<watch::Receiver<Session>, Failure> {
        let (reply, answer) = oneshot::channel();
        let follow = Order::question(move |writer: &mut Writer, store, outlet: &mut Outlet| {
            if let Some(session) = writer.snapshot(store).session(&session)? {
                let _ = reply.send(outlet.watches.follow(session)); // a caller that left misses nothing
            }
            Ok(())
        });
        self.orders.give(follow).await;
        answer.await.map_err(|_| stopping())
    }

    /// Gives what Kafka told, on the reader's thread: waits while the queue is full. False: the writer stopped.
    pub(crate) fn telemetry(&self, input: Input) -> bool {
        !self.stop.is_started() && self.telemetry.give_blocking(Order::input(input))
    }

    /// Waits until the writer takes nothing any more.
    pub(crate) async fn stopped(&self) {
        self.stop.started().await;
    }
}

/// What a caller is told once the writer takes nothing any more.
pub(crate) fn stopping() -> Failure {
    Failure::unavailable(
        "SHUTTING_DOWN",
        "central is stopping; ask again once it is back",
        mesh::grpc::RETRY_AFTER,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Came;
    use testing::known;

    #[test]
    fn what_the_rules_tell_of_themselves_is_not_told_twice_and_all_else_is() {
        let (handle, _inboxes) = crate::writer::queues();
        for reason in ["REGISTRATION_CLOSED", "IDENTITY_REVOKED", "NOT_ALLOWED", "BEARER_EXPIRED"] {
            let (actor, reason) = (known("driver/101"), reason.to_owned());
            handle.refused(Refusal { actor, caller: None, path: "/a.B/C", reason });
        }
        let Some((deeds, 0)) = handle.unaudited.take() else { panic!("nothing is told") };
        let told: Vec<_> = deeds.iter().map(|deed| (deed.actor.as_str(), deed.method.as_str())).collect();
        assert_eq!(told, [("driver/101", "C"); 3]);
        assert_eq!(deeds[0].came, Came::Denied("IDENTITY_REVOKED".into()));
        assert!(handle.unaudited.take().is_none());
    }

    #[test]
    fn strangers_take_no_place_from_those_who_are_known() {
        use mesh::grpc::Actor;
        let (handle, _inboxes) = crate::writer::queues();
        let refusal =
            |actor| Refusal { actor, caller: None, path: "/connect", reason: "MISNAMED".to_owned() };
        (0..150).for_each(|_| handle.refused(refusal(Actor::Stranger)));
        handle.refused(refusal(known("operator/ana")));
        let (deeds, more) = handle.unaudited.take().unwrap();
        assert_eq!((deeds.len(), deeds[100].actor.as_str(), more), (101, "operator/ana", 50));
    }
}
