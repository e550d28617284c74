//! The broken variants: what each takes from the product, and the promises that it must be seen to break.

/// A text of the product, and what stands in its place in the copy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edit {
    /// The file, from the workspace's folder.
    pub(super) file: &'static str,
    /// It occurs exactly once there, or the table is out of date.
    pub(super) original: &'static str,
    /// Behaves like the original unless `domain::broken` names this break.
    pub(super) broken: &'static str,
}

/// One broken variant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Break {
    pub(super) name: &'static str,
    /// The promises that it breaks: to see one of them is enough.
    pub(super) promises: &'static [&'static str],
    pub(super) edits: &'static [Edit],
}

macro_rules! edit {
    ($file:literal: $original:literal => $broken:literal) => {
        Edit { file: concat!("services/", $file), original: $original, broken: $broken }
    };
}

/// Every break.
pub(super) const BREAKS: &[Break] = &[
    Break {
        name: "no-reservation-deadline",
        promises: &["INV-3"],
        edits: &[edit!("domain/src/network/deadlines.rs":
            "Life::Reserved { .. } if passed => Some(Due::Revoke),"
            => "Life::Reserved { .. } if passed && !crate::broken(\"no-reservation-deadline\") => Some(Due::Revoke),")],
    },
    Break {
        name: "deadlines-by-the-wall-clock",
        promises: &["INV-3"],
        edits: &[edit!("domain/src/network/session/life.rs":
            "now.mono >= self.mono"
            => "if crate::broken(\"deadlines-by-the-wall-clock\") { now.wall >= self.wall } else { now.mono >= self.mono }")],
    },
    Break {
        name: "no-dedup-of-readings",
        promises: &["INV-4"],
        edits: &[
            edit!("domain/src/network/session/lifecycle.rs":
                "if reading.seq <= before.seq {"
                => "if reading.seq <= before.seq && !crate::broken(\"no-dedup-of-readings\") {"),
            edit!("domain/src/network/session/lifecycle.rs":
                "if reading.energy < before.energy {"
                => "if reading.energy < before.energy && !crate::broken(\"no-dedup-of-readings\") {"),
            edit!("domain/src/network/session/lifecycle.rs":
                "before.energy.max(reading.energy)"
                => "if crate::broken(\"no-dedup-of-readings\") { reading.energy } else { before.energy.max(reading.energy) }"),
        ],
    },
    Break {
        name: "answer-before-flush",
        promises: &["INV-6"],
        edits: &[edit!("mesh/src/group_commit.rs":
            "        self.store.commit(step.batch)?;\n        Ok(step.effects)"
            => "        let committed = self.store.commit(step.batch);\n        if !domain::broken(\"answer-before-flush\") {\n            committed?;\n        }\n        Ok(step.effects)")],
    },
    Break {
        name: "offset-before-effect",
        promises: &["INV-1"],
        edits: &[
            edit!("domain/src/network/state.rs":
                "self.held.range(first..next).next().map_or(next, |(&oldest, _)| oldest)"
                => "self.held.range(first..next).next().filter(|_| !crate::broken(\"offset-before-effect\")).map_or(next, |(&oldest, _)| oldest)"),
            edit!("central/src/writer/mod.rs":
                "        for session in self.network.checkpoint(sessions) {"
                => "        let sessions = if domain::broken(\"offset-before-effect\") { 0 } else { sessions };\n        for session in self.network.checkpoint(sessions) {"),
        ],
    },
    Break {
        name: "stale-authorization-accepted",
        promises: &["INV-8"],
        edits: &[edit!("domain/src/supply/authorization.rs":
            "if !fresh || self.has_ended(&order.session) {"
            => "if (!fresh && !crate::broken(\"stale-authorization-accepted\")) || self.has_ended(&order.session) {")],
    },
    Break {
        name: "price-at-the-end",
        promises: &["INV-4"],
        edits: &[
            edit!("domain/src/network/evidence.rs":
                "        let read = self.session_mut(id).read(&reading, now, settle_by);"
                => "        let newest = self.point(&self.session(id).charge_point).stored.price;\n        self.session_mut(id).reprice(newest);\n        let read = self.session_mut(id).read(&reading, now, settle_by);"),
            edit!("domain/src/network/session/lifecycle.rs":
                "    /// The engine agreed.\n"
                => "    pub(in crate::network) fn reprice(&mut self, newest: crate::Price) {\n        if crate::broken(\"price-at-the-end\") { self.facts.price = newest; }\n    }\n\n    /// The engine agreed.\n"),
        ],
    },
    Break {
        name: "rounded-twice",
        promises: &["INV-4"],
        edits: &[edit!("domain/src/money.rs":
            "        let (whole, rest) = (exact / step, exact % step);"
            => "        let exact = if crate::broken(\"rounded-twice\") && unit_micros > 1 { (exact + step / 20) / (step / 10) * (step / 10) } else { exact };\n        let (whole, rest) = (exact / step, exact % step);")],
    },
    Break {
        name: "late-reading-billed",
        promises: &["INV-1", "INV-4"],
        edits: &[edit!("domain/src/network/session/ticket.rs":
            "            self.late_energy = energy; // recorded beside the ticket, never billed"
            => "            if crate::broken(\"late-reading-billed\") { self.energy = energy; }\n            self.late_energy = energy;")],
    },
    Break {
        name: "confirmed-before-settled",
        promises: &["INV-1"],
        edits: &[edit!("domain/src/network/session.rs":
            "matches!(self.settlement(), Some(Settlement::Billed { held: Some(Held { over: true, .. }), .. }))"
            => "matches!(self.settlement(), Some(Settlement::Billed { held: Some(Held { over: true, .. }), .. })) || (self.started() && !self.closed() && crate::broken(\"confirmed-before-settled\"))")],
    },
    Break {
        name: "status-of-a-lost-monitor",
        promises: &["status"],
        edits: &[
            edit!("domain/src/network/status.rs":
                "        matches!(self.link, Link::Up { .. })\n"
                => "        matches!(self.link, Link::Up { .. }) || crate::broken(\"status-of-a-lost-monitor\")\n"),
            edit!("domain/src/network/status.rs":
                "        matches!(self.link, Link::Up { health: Health::Ok, .. })\n"
                => "        (matches!(self.link, Link::Up { health: Health::Ok, .. }) || crate::broken(\"status-of-a-lost-monitor\"))\n"),
        ],
    },
    Break {
        name: "revocation-forgotten",
        promises: &["INV-8"],
        edits: &[edit!("domain/src/network/reservation.rs":
            "        self.fail(id, how, reason, word);"
            => "        let word = if crate::broken(\"revocation-forgotten\") { Word::Given } else { word };\n        self.fail(id, how, reason, word);")],
    },
    Break {
        name: "silent-authorization-not-revoked",
        promises: &["INV-8"],
        edits: &[edit!("domain/src/network/engine_calls.rs":
            "self.reject(id, Denial { reason: Reason::EngineSilent, text }, Outcome::Rejected, Word::Wanted);"
            => "self.reject(id, Denial { reason: Reason::EngineSilent, text }, Outcome::Rejected, if crate::broken(\"silent-authorization-not-revoked\") { Word::Given } else { Word::Wanted });")],
    },
    Break {
        name: "another-instances-answer-taken",
        promises: &["INV-8", "status"],
        edits: &[edit!("domain/src/network/engine_calls.rs":
            "                if answer.outcome != CallOutcome::WrongInstance\n                    && answer.report.instance == made.instance =>"
            => "                if crate::broken(\"another-instances-answer-taken\") || answer.outcome != CallOutcome::WrongInstance\n                    && answer.report.instance == made.instance =>")],
    },
    Break {
        name: "older-calls-answer-taken",
        promises: &["INV-8", "status"],
        edits: &[edit!("domain/src/network/engine_calls.rs":
            "if point.call.as_ref().is_none_or(|awaited| awaited.id != call) {"
            => "if point.call.as_ref().is_none_or(|awaited| awaited.id != call && !crate::broken(\"older-calls-answer-taken\")) {")],
    },
    Break {
        name: "older-epochs-report-taken",
        promises: &["INV-8"],
        edits: &[edit!("domain/src/network/monitor_link.rs":
            "        if point.stored.epoch != epoch {"
            => "        if point.stored.epoch != epoch && !crate::broken(\"older-epochs-report-taken\") {")],
    },
    Break {
        name: "older-epochs-end-taken",
        promises: &["INV-8", "status"],
        edits: &[edit!("domain/src/network/monitor_link.rs":
            "point.stored.epoch == epoch && point.connected()"
            => "(point.stored.epoch == epoch || crate::broken(\"older-epochs-end-taken\")) && point.connected()")],
    },
    Break {
        name: "outbox-row-deleted-early",
        promises: &["INV-6"],
        edits: &[edit!("central/src/store/rows.rs":
            "        for &number in numbers {\n"
            => "        let all = numbers.iter().max().filter(|_| domain::broken(\"outbox-row-deleted-early\"));\n        for number in 1..=all.copied().unwrap_or(0) {\n            batch.delete(keys::row(self.kind, number));\n        }\n        for &number in numbers {\n")],
    },
    Break {
        name: "two-open-sessions-of-a-driver",
        promises: &["INV-2"],
        edits: &[edit!("domain/src/network/authorization.rs":
            "if let Some(open) = self.net.open_session(&pending.driver) {"
            => "if let Some(open) = self.net.open_session(&pending.driver).filter(|_| !crate::broken(\"two-open-sessions-of-a-driver\")) {")],
    },
    Break {
        name: "request-id-not-recorded",
        promises: &["INV-6"],
        edits: &[edit!("domain/src/network/step.rs":
            "            self.net.answers.record(key, Answered { fingerprint, at: self.now.wall, result });"
            => "            if !crate::broken(\"request-id-not-recorded\") {\n                self.net.answers.record(key, Answered { fingerprint, at: self.now.wall, result });\n            }")],
    },
    Break {
        name: "published-before-persisted",
        promises: &["INV-6"],
        edits: &[edit!("domain/src/supply/running.rs":
            "        effects.push(Effect::Publish(running.record.clone()));\n        self.unsaved = true;"
            => "        effects.push(Effect::Publish(running.record.clone()));\n        self.unsaved |= !crate::broken(\"published-before-persisted\");")],
    },
    Break {
        name: "engine-forgets-its-records",
        promises: &["INV-1"],
        edits: &[edit!("domain/src/supply/machine.rs":
            "            unsettled: stored.unsettled,"
            => "            unsettled: if crate::broken(\"engine-forgets-its-records\") { Vec::new() } else { stored.unsettled },")],
    },
    Break {
        name: "engine-forgets-its-supply",
        promises: &["INV-1"],
        edits: &[edit!("domain/src/supply/machine.rs":
            "        if let Some(record) = stored.current {\n            supply.close("
            => "        if let Some(record) = stored.current.filter(|_| !crate::broken(\"engine-forgets-its-supply\")) {\n            supply.close(")],
    },
    Break {
        name: "engine-reuses-numbers",
        promises: &["INV-8"],
        edits: &[edit!("domain/src/supply/machine.rs":
            "            highest: stored.highest,"
            => "            highest: if crate::broken(\"engine-reuses-numbers\") { 0 } else { stored.highest },")],
    },
    Break {
        name: "unknown-session-ignored",
        promises: &["INV-1", "liveness"],
        edits: &[edit!("domain/src/network/evidence.rs":
            "                None => self.adopt(point, record),"
            => "                None if crate::broken(\"unknown-session-ignored\") => return false,\n                None => self.adopt(point, record),")],
    },
    Break {
        name: "order-not-stored",
        promises: &["INV-6"],
        edits: &[edit!("domain/src/network/orders.rs":
            "        let open = point.open.clone();\n        self.point_changed(id);"
            => "        let open = point.open.clone();\n        if !crate::broken(\"order-not-stored\") {\n            self.point_changed(id);\n        }")],
    },
    // The three that the simulation found in the product itself.
    Break {
        name: "registrations-word-taken",
        promises: &["INV-1", "INV-4", "INV-8"],
        edits: &[edit!("domain/src/network/monitor_link.rs":
            "        self.happened(Level::Info, \"registrations\","
            => "        if crate::broken(\"registrations-word-taken\") {\n            self.take_proposed(&id);\n        }\n        self.happened(Level::Info, \"registrations\",")],
    },
    Break {
        name: "requests-meet-at-one-charge-point",
        promises: &["INV-2", "status"],
        edits: &[edit!("domain/src/network/authorization.rs":
            "&& still_free()"
            => "&& (crate::broken(\"requests-meet-at-one-charge-point\") || still_free())")],
    },
    Break {
        name: "late-word-of-a-lost-store-ignored",
        promises: &["INV-1"],
        edits: &[edit!("domain/src/network/telemetry.rs":
            "self.archive.session(id).filter(|session| !session.started());"
            => "self.archive.session(id).filter(|session| !session.started() && !crate::broken(\"late-word-of-a-lost-store-ignored\"));")],
    },
];
