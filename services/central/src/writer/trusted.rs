//! The writer's part in trust: whose word is central's, the operator says.

use super::Writer;
use crate::{
    Error,
    store::{codec::KnownKey, put_signing_key},
};
use domain::{
    Came, Deed, Now,
    network::{Command, Effect},
};
use mesh::{group_commit::Step, store::Store};

impl Writer {
    /// The keys are rows from now on, and those who claim what they may have signed are asked again.
    pub(super) fn trust(
        &mut self,
        now: Now,
        store: &dyn Store,
        trusted: &[KnownKey],
        deed: Deed,
        step: &mut Step<Effect>,
    ) -> Result<(), Error> {
        let mut new = 0;
        for known in trusted {
            if self.keys.knows(&known.key) {
                continue; // as it is known: its network too
            }
            let key = put_signing_key(known, &mut step.batch);
            if let Some(marks) = &mut self.marks {
                marks.mark(&key, now.wall);
            }
            self.keys.trust(known);
            new += 1;
        }
        let came = Came::Done(format!("new_key_count={new}"));
        self.audit.write(Deed { came, ..deed }, now, &mut step.batch);
        self.command(now, store, Command::KeysTrusted, None, step)
    }
}
