//! Certificates that are refused, whoever shows them and whatever they say: those that were revoked.

use std::{collections::HashSet, future::Future, sync::Arc};
use tokio::sync::watch;

/// The serial numbers of those that are refused: by a server its callers', at each call and on streams that are open;
/// by a client its far sides', at each connection and on those that are open. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Refused(Arc<watch::Sender<HashSet<Arc<str>>>>);

/// One is another if they share what is refused.
impl PartialEq for Refused {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Refused {}

impl Refused {
    /// From now on these are refused.
    pub fn add(&self, serials: impl IntoIterator<Item = Arc<str>>) {
        self.change(|all| serials.into_iter().filter(|serial| all.insert(serial.clone())).count() > 0);
    }

    /// These need not be refused any more: they have run out.
    pub fn remove(&self, serials: &[Arc<str>]) {
        self.change(|all| serials.iter().filter(|serial| all.remove(*serial)).count() > 0);
    }

    fn change(&self, change: impl FnOnce(&mut HashSet<Arc<str>>) -> bool) {
        self.0.send_if_modified(change);
        metrics::gauge!("evmesh_refused_certificates").set(self.len() as f64);
    }

    /// How many are refused.
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn has(&self, serial: &str) -> bool {
        self.0.borrow().contains(serial)
    }

    /// Ends once this one is refused.
    pub(super) fn refuses(&self, serial: Arc<str>) -> impl Future<Output = ()> + Send + use<> {
        let mut all = self.0.subscribe();
        async move {
            if all.wait_for(|all| all.contains(&serial)).await.is_err() {
                std::future::pending::<()>().await; // nobody is left who could refuse it
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn who_follows_one_hears_of_it_alone() {
        let refused = Refused::default();
        let [one, another] = ["1", "2"].map(Arc::<str>::from);
        let mut ended = Box::pin(refused.refuses(one.clone()));
        refused.add([another.clone()]);
        assert!((&mut ended).now_or_never().is_none() && refused.has("2") && !refused.has("1"));
        refused.add([one.clone()]);
        ended.await;
        refused.refuses(one.clone()).await;
        refused.remove(&[one, another]);
        assert!(!refused.has("1") && refused.clone() == refused && refused != Refused::default());
    }
}
