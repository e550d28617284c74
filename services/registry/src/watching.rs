//! Who follows whom the registry has revoked: everybody at first, a part at a time, and then each who changes.
//!
//! What is sent is read when it is sent, so that nobody is told what is over. Who follows and takes nothing holds up
//! nobody: behind [`CHANGES`](crate::owner::CHANGES) changes it has to begin anew.

mod cards;
mod gateways;

pub(crate) use cards::WatchingCards;
pub(crate) use gateways::WatchingGateways;

use crate::{owner::Office, view::shown};
use domain::enrolment::{Enrolments, RolePath};
use evmesh_proto::registry::WatchIdentitiesResponse;
use mesh::grpc::{Failure, RETRY_AFTER};
use prost::Message as _;
use std::{collections::BTreeSet, time::Duration};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError, error::TryRecvError},
    time::timeout,
};

/// So many identities are looked at in one step: a fraction of a millisecond each thousand.
const A_LOOK: usize = 10_000;
/// One message has so many bytes, and an identity more at most: gRPC takes 4 MiB.
const MAX_BYTES: usize = 1024 * 1024;
/// So many changes share a message.
const A_MESSAGE: usize = 100;
/// Something is heard at least so often: a proxy between cuts a stream that is silent for a minute.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// One who follows.
pub(crate) struct Watching {
    office: Office,
    changes: Receiver<RolePath>,
    /// Those behind this role have not been sent for the first time; `None`: all have.
    after: Option<String>,
}

impl Watching {
    /// From now on: who changes from here on waits in `changes`.
    pub(crate) async fn begin(office: Office) -> Result<Self, Failure> {
        let changes = office.decide(|rules, _, _| Ok(rules.changes.subscribe())).await?;
        Ok(Self { office, changes, after: Some(String::new()) })
    }

    /// The next message. Nothing follows an error.
    pub(crate) async fn next(&mut self) -> Result<WatchIdentitiesResponse, Failure> {
        if let Some(after) = self.after.take() {
            let page =
                self.office.decide(move |rules, now, _| Ok(page(rules.enrolments(), now.wall, &after)));
            let (message, after) = page.await?;
            self.after = after;
            return Ok(message);
        }
        let roles = self.changed().await?;
        let read = self.office.decide(move |rules, now, _| {
            let one = |role: &RolePath| Some(shown(role, rules.enrolments().get(role)?, now.wall));
            Ok(roles.iter().filter_map(one).collect())
        });
        Ok(WatchIdentitiesResponse { identities: read.await?, complete: true, ..Default::default() })
    }

    /// Who has changed; nobody for so long: nobody.
    async fn changed(&mut self) -> Result<BTreeSet<RolePath>, Failure> {
        let mut changed = BTreeSet::new();
        match timeout(HEARTBEAT, self.changes.recv()).await {
            Ok(Ok(role)) => changed.insert(role),
            Ok(Err(RecvError::Lagged(_))) => return Err(lagged()),
            Ok(Err(RecvError::Closed)) => return Err(crate::owner::stopping()),
            Err(_) => return Ok(changed),
        };
        while changed.len() < A_MESSAGE {
            match self.changes.try_recv() {
                Ok(role) => changed.insert(role),
                Err(TryRecvError::Lagged(_)) => return Err(lagged()),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            };
        }
        Ok(changed)
    }
}

/// What has changed, of one change at least.
async fn news<T: Clone, K: Ord, I: IntoIterator<Item = K>>(
    changes: &mut Receiver<T>,
    of: impl Fn(T) -> I,
) -> Result<BTreeSet<K>, Failure> {
    let first = changes.recv().await.map_err(|error| match error {
        RecvError::Lagged(_) => lagged(),
        RecvError::Closed => crate::owner::stopping(),
    });
    let mut changed: BTreeSet<K> = of(first?).into_iter().collect();
    while changed.len() < A_MESSAGE {
        match changes.try_recv() {
            Ok(more) => changed.extend(of(more)),
            Err(TryRecvError::Lagged(_)) => return Err(lagged()),
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    Ok(changed)
}

fn lagged() -> Failure {
    let message = "this stream is too far behind what has changed; open it again, and begin anew";
    Failure::exhausted("WATCH_LAGGED", message, RETRY_AFTER)
}

/// The next of those who are revoked, or have a certificate to be refused, and behind whom it goes on.
fn page(all: &Enrolments, now: domain::Wall, after: &str) -> (WatchIdentitiesResponse, Option<String>) {
    let (mut message, mut bytes, mut looked) = (WatchIdentitiesResponse::default(), 0, 0);
    for (role, enrolled) in all.after(after) {
        looked += 1;
        if enrolled.is_told(now) {
            let identity = shown(role, enrolled, now);
            bytes += identity.encoded_len();
            message.identities.push(identity);
        }
        if looked == A_LOOK || bytes >= MAX_BYTES {
            return (message, Some(role.to_string()));
        }
    }
    message.complete = true;
    (message, None)
}

#[cfg(test)]
mod tests;
