//! By what a file that has changed is known, and how often one that cannot be used is read again.

use rustls::pki_types::UnixTime;
use std::{fs, os::unix::fs::MetadataExt as _, path::Path, time::SystemTime};

/// Which file or folder it is, when it was last written, and how long it is.
pub(crate) type Stamp = (u64, SystemTime, u64);

/// `None` where it is not there.
pub(crate) fn stamp(file: &Path) -> Option<Stamp> {
    let file = fs::metadata(file).ok()?;
    Some((file.ino(), file.modified().ok()?, file.len()))
}

/// The second that the clock shows, as TLS has it.
pub(crate) fn second() -> u64 {
    UnixTime::now().as_secs()
}

/// What has changed and cannot be used. It is tried again, since it may be half written, but once a second: it is
/// looked at for each call, and whoever calls would choose what that costs.
#[derive(Debug)]
pub(crate) struct Unusable<S>(Option<(S, u64)>);

impl<S> Default for Unusable<S> {
    fn default() -> Self {
        Self(None)
    }
}

impl<S: PartialEq> Unusable<S> {
    /// May it be tried in this second?
    pub(crate) fn is_due(&self, stamp: &S, second: u64) -> bool {
        self.0.as_ref().is_none_or(|(known, tried)| known != stamp || *tried != second)
    }

    /// It cannot be used; is that news?
    pub(crate) fn is_news(&mut self, stamp: S, second: u64) -> bool {
        let news = self.0.as_ref().is_none_or(|(known, _)| *known != stamp);
        self.0 = Some((stamp, second));
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_tried_once_a_second_and_said_once() {
        let mut unusable = Unusable::default();
        assert!(unusable.is_due(&"half", 7));
        assert!(unusable.is_news("half", 7));
        assert!(!unusable.is_due(&"half", 7) && unusable.is_due(&"half", 8));
        assert!(unusable.is_due(&"more of it", 7), "it has changed once more");
        assert!(!unusable.is_news("half", 8));
        assert!(unusable.is_due(&"half", 3), "a clock was set");
    }
}
