//! What comes on `cp_telemetry`: to the rules, or to the dead letters.

use super::{Incoming, Writer};
use crate::Error;
use domain::Now;
use domain::network::{Command, Effect, Event, Level};
use mesh::{
    group_commit::Step,
    store::{Batch, Store},
};

/// So many dead letters may wait for Kafka. They come from Kafka, so it is there; beyond, one is only counted.
pub(super) const MAX_DEAD_LETTERS: usize = 10_000;

impl Writer {
    /// Messages in order: the plain readings, which nearly all are, go a shorter way.
    pub(super) fn messages(
        &mut self,
        now: Now,
        store: &dyn Store,
        all: Vec<Incoming>,
        step: &mut Step<Effect>,
    ) -> Result<(), Error> {
        let mut heard = Vec::new();
        for incoming in all {
            if incoming.reading().is_some_and(|reading| self.network.hears(now, &reading, &mut heard)) {
                heard.drain(..).for_each(|effect| self.take(now, effect, None, step));
            } else {
                self.message(now, store, incoming, step)?;
            }
        }
        Ok(())
    }

    fn message(
        &mut self,
        now: Now,
        store: &dyn Store,
        incoming: Incoming,
        step: &mut Step<Effect>,
    ) -> Result<(), Error> {
        let source = incoming.source;
        match incoming.message() {
            Ok(message) => {
                let command = Command::Telemetry { message, source: Some(source) };
                self.command(now, store, command, Some(&incoming), step)
            }
            Err(reason) => {
                let text = format!(
                    "a message at offset {} of partition {} cannot be read: {reason}",
                    source.offset, source.partition
                );
                let event = Event { level: Level::Warn, name: "messages_unreadable", text };
                step.effects.push(Effect::Happened(event));
                let sealed = incoming.sealed_in_the_name_of().map(|id| (id, reason.clone()));
                if self.tells_kafka {
                    let letter = self.dead_letter(&incoming, reason, &mut step.batch);
                    step.effects.push(letter);
                }
                self.command(now, store, Command::Unreadable { source, sealed }, None, step)
            }
        }
    }

    pub(super) fn dead_letter(&mut self, incoming: &Incoming, reason: String, batch: &mut Batch) -> Effect {
        if self.dead_letters.waiting() >= MAX_DEAD_LETTERS {
            let text = format!(
                "{MAX_DEAD_LETTERS} dead letters wait for Kafka already; one more is only counted: {reason}"
            );
            return Effect::Happened(Event { level: Level::Error, name: "dead_letters_dropped", text });
        }
        self.dead_letters.push(incoming.dead_letter(&reason), batch);
        Effect::DeadLetter(reason)
    }
}
