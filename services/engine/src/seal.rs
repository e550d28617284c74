//! What the engine tells on Kafka leaves it sealed, with the key that central has given it; without one nothing leaves.

use crate::telemetry;
use domain::ChargePointId;
use evmesh_proto::{engine::TelemetryKey, topics::Telemetry};
use identity::SealingKey;
use mesh::grpc::Failure;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// In which form telemetry leaves an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TelemetryForm {
    /// Sealed with a key that central gives: whoever else reads the topic learns nothing of it, and whoever else writes
    /// there is not heard in its name.
    Sealed,
    /// In plain text, as the system before had it.
    Open,
}

/// The key of now. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Seal {
    /// `None`: nothing is sealed.
    key: Option<Arc<Mutex<Option<SealingKey>>>>,
    /// There are rows that can leave.
    pub(crate) rows: Arc<Notify>,
}

impl Seal {
    pub(crate) fn new(form: TelemetryForm) -> Self {
        Self { key: (form == TelemetryForm::Sealed).then(Arc::default), rows: Arc::default() }
    }

    pub(crate) fn seals(&self) -> bool {
        self.key.is_some()
    }

    /// Central gives a key, which counts from here on; what has waited for the first one leaves.
    ///
    /// # Errors
    ///
    /// If it is none of this charge point's.
    pub(crate) fn take(&self, charge_point: &ChargePointId, given: &TelemetryKey) -> Result<(), Failure> {
        let Some(key) = &self.key else { return Ok(()) };
        let named = given.name.parse().ok().and_then(|name| SealingKey::given(name, &given.key));
        let own = named.filter(|key| key.name.charge_point == *charge_point);
        let own = own.ok_or_else(|| Failure::invalid("telemetry_key", "is no key of this charge point"))?;
        if lock(key).replace(own).is_none() {
            self.rows.notify_one();
        }
        Ok(())
    }

    /// A reading as it leaves. Sealed, it has nothing that is there for other readers than central, who cannot open it,
    /// nor what its key and its session say: central opens and reads one each second of each supply.
    pub(crate) fn reading(&self, message: Telemetry) -> Option<Vec<u8>> {
        let message = if self.seals() { message.for_central() } else { message };
        self.payload(telemetry::payload(&message))
    }

    /// A message as it leaves; `None`: it cannot, for there is no key yet.
    pub(crate) fn payload(&self, plain: Vec<u8>) -> Option<Vec<u8>> {
        let Some(key) = &self.key else { return Some(plain) };
        lock(key).as_ref()?.seal(&plain)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use identity::{SealingSecret, is_sealed};

    fn given(secret: u8, charge_point: &str, epoch: u64) -> TelemetryKey {
        let key = SealingSecret::new([secret; 32]).key(&charge_point.parse().unwrap(), epoch).unwrap();
        TelemetryKey { name: key.name.to_string(), key: key.bytes().to_vec() }
    }

    #[test]
    fn nothing_leaves_before_there_is_a_key_and_a_newer_one_counts_at_once() {
        let (seal, own): (_, ChargePointId) = (Seal::new(TelemetryForm::Sealed), "MAD-01".parse().unwrap());
        assert_eq!(seal.payload(b"x".to_vec()), None);
        let waked = seal.rows.notified();
        assert!(waked.now_or_never().is_none());
        for epoch in [1, 2] {
            seal.take(&own, &given(7, "MAD-01", epoch)).unwrap();
            let waked = seal.rows.notified().now_or_never().is_some();
            assert_eq!(waked, epoch == 1, "the first one wakes what has waited");
            let left = seal.payload(b"x".to_vec()).unwrap();
            let mut plain = Vec::new();
            let name = SealingSecret::new([7; 32]).open(&left, &mut plain).unwrap();
            assert_eq!((name.epoch, plain), (epoch, b"x".to_vec()));
        }
        let short = TelemetryKey { key: vec![1; 31], ..given(7, "MAD-01", 3) };
        for wrong in [given(7, "MAD-02", 3), short, TelemetryKey::default()] {
            seal.take(&own, &wrong).unwrap_err();
        }
        assert!(is_sealed(&seal.payload(b"x".to_vec()).unwrap()));
    }

    #[test]
    fn a_sealed_reading_has_what_central_reads_and_no_more() {
        let own: ChargePointId = "MAD-01".parse().unwrap();
        let whole = telemetry::reading(&own, &crate::codec::tests::running());
        let open = Seal::new(TelemetryForm::Open).reading(whole.clone()).unwrap();
        assert_eq!(serde_json::from_slice::<Telemetry>(&open).unwrap(), whole);
        let seal = Seal::new(TelemetryForm::Sealed);
        assert_eq!(seal.reading(whole.clone()), None, "there is no key yet");
        seal.take(&own, &given(7, "MAD-01", 1)).unwrap();
        let mut plain = Vec::new();
        SealingSecret::new([7; 32]).open(&seal.reading(whole).unwrap(), &mut plain).unwrap();
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&plain).unwrap(),
            serde_json::json!({
                "type": "CONSUMO", "kwh": 0.3, "timestamp": 1_700_000_002.0, "session_id": "s1", "seq": 3, "kw": 50.0,
            })
        );
    }

    #[test]
    fn in_plain_text_everything_leaves_as_it_is() {
        let seal = Seal::new(TelemetryForm::Open);
        seal.take(&"MAD-01".parse().unwrap(), &given(7, "MAD-01", 1)).unwrap();
        assert_eq!((seal.seals(), seal.payload(b"x".to_vec())), (false, Some(b"x".to_vec())));
    }
}
