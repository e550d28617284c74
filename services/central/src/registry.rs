//! What central hears of the registry: whom it has revoked, which cards there are, and what gateways serve. The stream
//! is opened again whenever it ends; until it is, whoever was revoked before is refused all the same, and a card or a
//! gateway that was told before is taken, from the store.

mod cards;
mod gateways;

use crate::{events::Events, writer::Handle};
use domain::{
    enrolment::RolePath,
    network::{Event, Level},
    revocations::{News, Serial, Told},
};
use evmesh_proto::registry::{
    Identity, IssuedCertificate, WatchIdentitiesRequest, WatchIdentitiesResponse,
    registry_service_client::RegistryServiceClient,
};
use mesh::{
    Shutdown,
    backoff::Backoff,
    convert::wall,
    grpc::{Address, CALL_TIMEOUT, CallError, Expected, Peer, Peers, Refused},
};
use tonic::Status;

/// The longest name that somebody can have, and room.
const MAX_ROLE: usize = 512;
/// The longest number that a certificate can have, and room.
const MAX_SERIAL: usize = 64;

/// Who hears of the registry.
pub(crate) struct Hearing {
    registry: Peer,
    /// Whose certificates are refused.
    refused: Refused,
    events: Events,
}

impl Hearing {
    /// Of the registry at this address. `None`: callers are nobody in particular, or there is none, which is said.
    pub(crate) fn of(
        registry: Option<&Address>,
        peers: &Peers,
        refused: Option<&Refused>,
        events: &Events,
    ) -> Option<Self> {
        let (refused, events) = (refused?.clone(), events.clone());
        let Some(registry) = registry else {
            tracing::warn!(
                "without --registry central does not hear whom the registry revokes: they are refused only once their \
                 certificates have run out"
            );
            return None;
        };
        Some(Self { registry: peers.peer(registry, Expected::Registry, CALL_TIMEOUT), refused, events })
    }

    /// Gives the writer what is heard, until the order to stop.
    pub(crate) async fn run(mut self, handle: Handle, stop: Shutdown) {
        tokio::select! {
            () = stop.started() => {}
            () = self.hear(&handle) => {}
        }
    }

    /// Ends once the writer has.
    async fn hear(&mut self, handle: &Handle) {
        let (mut backoff, mut lost) = (Backoff::default(), false);
        metrics::gauge!("evmesh_central_registry_heard").set(0.0);
        loop {
            let Err(Ended { why, heard }) = self.follow(handle, &mut lost).await else { return };
            if heard {
                backoff.reset();
            }
            if !std::mem::replace(&mut lost, true) {
                metrics::gauge!("evmesh_central_registry_heard").set(0.0);
                let why = why.map_or_else(
                    || "its stream ended".to_owned(),
                    |status| {
                        CallError::from(&status)
                            .explain(&format!("the registry at {}", self.registry.address()))
                    },
                );
                let text =
                    format!("nothing is heard of the registry, so of no revocation, until it is back: {why}");
                self.say(Level::Warn, "registries_lost", text);
            }
            backoff.wait().await;
        }
    }

    /// Opens the stream, and gives the writer what is heard on it. `Ok`: the writer has ended.
    async fn follow(&mut self, handle: &Handle, lost: &mut bool) -> Result<(), Ended> {
        let ended = |heard| move |why| Ended { why, heard };
        let mut client = RegistryServiceClient::new(self.registry.clone());
        let opened = client.watch_identities(WatchIdentitiesRequest {}).await;
        let mut stream = opened.map_err(Some).map_err(ended(false))?.into_inner();
        let (mut begins, mut heard) = (true, false);
        loop {
            let message = stream.message().await.map_err(Some).map_err(ended(heard))?;
            let mut message = message.ok_or(None).map_err(ended(heard))?;
            if let Some(news) = gateways::told(&mut message, begins) {
                let Some(refused) = handle.gateways_told(news).await else { return Ok(()) };
                self.refused.add(refused);
            }
            if let Some((key, news)) = cards::told(&mut message)
                && handle.cards_told(key, news).await.is_none()
            {
                return Ok(());
            }
            let complete = message.complete;
            let Some(to_refuse) = handle.registry_told(news(message, begins)).await else {
                return Ok(());
            };
            self.refused.add(to_refuse.refused);
            self.refused.remove(&to_refuse.gone);
            begins = false;
            if complete && !std::mem::replace(&mut heard, true) {
                metrics::gauge!("evmesh_central_registry_heard").set(1.0);
                let count = self.refused.len();
                let back = if std::mem::take(lost) { "is back, and heard" } else { "is heard" };
                self.say(
                    Level::Info,
                    "registries_heard",
                    format!(
                        "the registry at {} {back}: {count} revoked certificates are refused",
                        self.registry.address()
                    ),
                );
            }
        }
    }

    fn say(&mut self, level: Level, name: &'static str, text: String) {
        self.events.happened(mesh::now().wall, Event { level, name, text });
    }
}

/// A stream ended.
struct Ended {
    /// Why, if it is known.
    why: Option<Status>,
    /// After everybody had been told.
    heard: bool,
}

fn news(message: WatchIdentitiesResponse, begins: bool) -> News {
    let WatchIdentitiesResponse { identities, complete, .. } = message;
    News { begins, told: identities.into_iter().filter_map(told).collect(), complete }
}

/// What it says of one. Roles that a newer registry has are held too: they are only names here.
fn told(identity: Identity) -> Option<Told> {
    let Identity { role, certificates, revoked_now, .. } = identity;
    if role.is_empty() || role.len() > MAX_ROLE {
        tracing::warn!(bytes = role.len(), "the registry names somebody who can have no such name");
        return None;
    }
    let newest = certificates.last().is_some_and(|newest| newest.revoke_time.is_some());
    let certificates = certificates.into_iter().filter(|one| one.revoke_time.is_some());
    let certificates = certificates.filter_map(|one| {
        let IssuedCertificate { serial, expire_time, .. } = one;
        let not_after = wall("expire_time", expire_time.as_ref()).ok().flatten();
        let held = not_after.filter(|_| serial.len() <= MAX_SERIAL);
        if held.is_none() {
            tracing::warn!(role, "the registry names a revoked certificate that cannot be read");
        }
        Some((Serial::from(serial), held?))
    });
    let certificates = certificates.collect();
    Some(Told { role: RolePath::from(role), certificates, newest, now: revoked_now })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Wall;
    use mesh::convert::timestamp;

    fn issued(serial: &str, revoked: bool) -> IssuedCertificate {
        let at = Some(timestamp(Wall(9_000)));
        IssuedCertificate { serial: serial.into(), expire_time: at, revoke_time: at.filter(|_| revoked) }
    }

    #[test]
    fn what_is_revoked_counts_and_what_cannot_be_read_is_passed_over() {
        let identity = |role: &str, certificates| Identity {
            role: role.into(),
            certificates,
            revoked_now: true,
            ..Identity::default()
        };
        let endless = IssuedCertificate { expire_time: None, ..issued("d", true) };
        let identities = vec![
            identity(
                "operator/ana",
                vec![issued("a", true), endless, issued(&"e".repeat(65), true), issued("b", false)],
            ),
            identity("of-tomorrow/x", vec![issued("c", true)]),
            identity("", vec![]),
            identity(&"r".repeat(513), vec![]),
        ];
        let heard = news(WatchIdentitiesResponse { identities, complete: true, ..Default::default() }, false);
        let told = |role: &str, serial: &str, newest| Told {
            role: role.into(),
            certificates: vec![(serial.into(), Wall(9_000))],
            newest,
            now: true,
        };
        let all = vec![told("operator/ana", "a", false), told("of-tomorrow/x", "c", true)];
        assert_eq!(heard, News { begins: false, told: all, complete: true });
    }
}
