//! The broken variants: what each takes from the product, and the promises that it must be seen to break.

use super::{Break, Edit};

pub(super) const BREAKS: &[Break] = &[
    Break {
        name: "no-reservation-deadline",
        promises: &["INV-3"],
        edits: &[edit!("domain/src/network/deadlines.rs":
"Life::Reserved { .. } => [deadline.map(at(Due::Revoke)), ask, None],"
=> r#"Life::Reserved { .. } =>
    [deadline.filter(|_| !crate::broken("no-reservation-deadline")).map(at(Due::Revoke)), ask, None],"#)],
    },
    Break {
        name: "disobeyed-stop-holds-its-driver",
        promises: &["INV-3"],
        edits: &[edit!("domain/src/network/deadlines.rs":
            "[fault, stop.and(disobeyed), ask]"
            => r#"[fault, stop.and(disobeyed).filter(|_| !crate::broken("disobeyed-stop-holds-its-driver")), ask]"#)],
    },
    Break {
        name: "deadlines-by-the-wall-clock",
        promises: &["INV-3"],
        edits: &[edit!("domain/src/network/deadlines.rs":
"        self.dues(session).into_iter().flatten().find(|(at, _)| *at <= now.mono).map(|(_, due)| due)"
=> r#"        let late = session.deadline().is_some_and(|deadline| now.wall < deadline.wall)
            && crate::broken("deadlines-by-the-wall-clock");
        self.dues(session).into_iter().flatten()
            .find(|(at, due)| *at <= now.mono && (!late || *due == Due::Ask)).map(|(_, due)| due)"#)],
    },
    Break {
        name: "older-reading-kept",
        promises: &["INV-1", "INV-4"],
        edits: &[edit!("domain/src/network/session/told.rs":
            "known.is_none_or(|known| energy > known)"
            => r#"known.is_none_or(|known| energy > known || crate::broken("older-reading-kept"))"#)],
    },
    Break {
        name: "unsealed-telemetry-taken-as-final",
        promises: &["INV-1", "INV-4", "INV-10"],
        edits: &[
            edit!("domain/src/network/telemetry.rs":
"        let runs = self.session(id).state() == State::Supplying;"
=> r#"        if let MessageKind::Ended(end) = message.kind && crate::broken("unsealed-telemetry-taken-as-final") {
            let energy = energy.unwrap_or_default();
            let (gauges, end) = (message.gauges, Some(end));
            let reading = Reading { seq, energy, gauges, end, started_at: None, ended_at: message.at };
            return self.observe(id, reading);
        }
        let runs = self.session(id).state() == State::Supplying;"#),
            edit!("domain/src/network/telemetry.rs":
                "    session::{Session, Source, life::State, told::Shown},"
                => "    session::{Session, Source, life::State, reading::Reading, told::Shown},"),
            edit!("domain/src/network/evidence.rs":
                "    fn observe(&mut self, id"
                => "    pub(super) fn observe(&mut self, id"),
        ],
    },
    Break {
        name: "answer-before-flush",
        // Of central's answers, or of an engine's, which has forgotten a number then.
        promises: &["INV-6", "INV-8"],
        edits: &[edit!("mesh/src/group_commit.rs":
r#"        self.store.commit(step.batch)?;
        Ok(step.effects)"#
=> r#"        let committed = self.store.commit(step.batch);
        if !domain::broken("answer-before-flush") {
            committed?;
        }
        Ok(step.effects)"#)],
    },
    Break {
        name: "offset-before-effect",
        promises: &["INV-1"],
        edits: &[
            edit!("domain/src/network/state.rs":
"self.held.range(first..next).next().map_or(next, |(&oldest, _)| oldest)"
=> r#"self.held.range(first..next).next()
    .filter(|_| !crate::broken("offset-before-effect")).map_or(next, |(&oldest, _)| oldest)"#),
            edit!("central/src/writer/mod.rs":
"        for session in self.network.checkpoint(sessions) {"
=> r#"        let sessions = if domain::broken("offset-before-effect") { 0 } else { sessions };
        for session in self.network.checkpoint(sessions) {"#),
        ],
    },
    Break {
        name: "stale-authorization-accepted",
        promises: &["INV-8", "INV-4"], // a session that is over starts again
        edits: &[edit!("domain/src/supply/authorization.rs":
"if !fresh || self.has_ended(&order.session) {"
=> r#"if (!fresh && !crate::broken("stale-authorization-accepted")) || self.has_ended(&order.session) {"#)],
    },
    Break {
        name: "not-asked-for-and-granted",
        promises: &["INV-10"],
        edits: &[edit!("domain/src/supply/authorization.rs":
"if !self.asking.allows(now.mono, &order) {"
=> r#"if !self.asking.allows(now.mono, &order) && !crate::broken("not-asked-for-and-granted") {"#)],
    },
    Break {
        name: "price-at-the-end",
        promises: &["INV-4"],
        edits: &[
            edit!("domain/src/network/evidence.rs":
"        let read = self.session_mut(id).read(&reading, most, now, settle_by);"
=> r#"        let newest = self.point(&self.session(id).charge_point).stored.price;
        self.session_mut(id).reprice(newest);
        let read = self.session_mut(id).read(&reading, most, now, settle_by);"#),
            edit!("domain/src/network/session/lifecycle.rs":
r#"    /// The engine agreed.
"#
=> r#"    pub(in crate::network) fn reprice(&mut self, newest: crate::Price) {
        if crate::broken("price-at-the-end") { self.facts.price = newest; }
    }

    /// The engine agreed.
"#),
        ],
    },
    Break {
        name: "rounded-twice",
        promises: &["INV-4"],
        edits: &[edit!("domain/src/money.rs":
"        let (whole, rest) = (exact / step, exact % step);"
=> r#"        let exact = if crate::broken("rounded-twice") && unit_micros > 1 {
            (exact + step / 20) / (step / 10) * (step / 10) } else { exact };
        let (whole, rest) = (exact / step, exact % step);"#)],
    },
    Break {
        name: "late-reading-billed",
        promises: &["INV-1", "INV-4", "INV-6", "INV-10"], // in memory, and not on disk; or a liar's word is billed
        edits: &[edit!("domain/src/network/session/reading.rs":
"            return match (noted, over) {"
=> r#"            if crate::broken("late-reading-billed") && reading.energy > ticket.energy {
                *ticket = Ticket::issue(self.facts.price, reading.energy, ticket.end, ticket.issued);
            }
            return match (noted, over) {"#)],
    },
    Break {
        name: "confirmed-before-settled",
        promises: &["INV-1", "INV-7"], // the rules assert it: central stops before a ticket is lost
        edits: &[edit!("domain/src/network/session.rs":
"matches!(self.settlement(), Some(Settlement::Billed { held: Some(Held { over: true, .. }), .. }))"
=> r#"matches!(self.settlement(), Some(Settlement::Billed { held: Some(Held { over: true, .. }), .. }))
    || (self.started() && !self.closed() && crate::broken("confirmed-before-settled"))"#)],
    },
    Break {
        name: "status-of-a-lost-monitor",
        promises: &["status"],
        edits: &[
            edit!("domain/src/network/status.rs":
r#"        matches!(self.link, Link::Up { .. })
"# => r#"        matches!(self.link, Link::Up { .. }) || crate::broken("status-of-a-lost-monitor")
"#),
            edit!("domain/src/network/status.rs":
"matches!(self.link, Link::Up { health: Health::Ok, .. }) &&"
=> r#"(matches!(self.link, Link::Up { health: Health::Ok, .. }) || crate::broken("status-of-a-lost-monitor")) &&"#),
        ],
    },
    Break {
        name: "revocation-forgotten",
        promises: &["INV-1", "INV-8", "INV-10"],
        edits: &[edit!("domain/src/network/reservation.rs":
"        self.fail(id, how, reason, word);"
=> r#"        let word = if crate::broken("revocation-forgotten") { Word::Given } else { word };
        self.fail(id, how, reason, word);"#)],
    },
    Break {
        name: "silent-authorization-not-revoked",
        promises: &["INV-1", "INV-8", "INV-10"],
        edits: &[edit!("domain/src/network/engine_calls.rs":
"self.reject(id, Denial::new(Reason::EngineSilent, text), Outcome::Rejected, Word::Wanted);"
=> r#"self.reject(id, Denial::new(Reason::EngineSilent, text), Outcome::Rejected,
    if crate::broken("silent-authorization-not-revoked") { Word::Given } else { Word::Wanted });"#)],
    },
    Break {
        name: "another-instances-answer-taken",
        promises: &["INV-8", "status"],
        edits: &[edit!("domain/src/network/engine_calls.rs":
"            Ok(answer) if answer.is_of(id, &made.instance) => {"
=> r#"            Ok(answer) if answer.is_of(id, &made.instance)
                || crate::broken("another-instances-answer-taken") => {"#)],
    },
    Break {
        name: "older-calls-answer-taken",
        promises: &["INV-8", "status"],
        edits: &[edit!("domain/src/network/engine_calls.rs":
"point.call.take_if(|awaited| awaited.id == call)"
=> r#"point.call.take_if(|awaited| awaited.id == call || crate::broken("older-calls-answer-taken"))"#)],
    },
    Break {
        name: "older-epochs-report-taken",
        promises: &["INV-8"],
        edits: &[edit!("domain/src/network/monitor_link.rs":
            "        if point.stored.epoch != epoch {"
            => r#"        if point.stored.epoch != epoch && !crate::broken("older-epochs-report-taken") {"#)],
    },
    Break {
        name: "older-epochs-end-taken",
        promises: &["INV-8", "status"],
        edits: &[edit!("domain/src/network/monitor_link.rs":
            "point.stored.epoch == epoch && point.connected()"
            => r#"(point.stored.epoch == epoch || crate::broken("older-epochs-end-taken")) && point.connected()"#)],
    },
    Break {
        name: "outbox-row-deleted-early",
        promises: &["INV-6"],
        edits: &[edit!("central/src/store/rows.rs":
r#"        for &number in numbers {
"#
=> r#"        let all = numbers.iter().max().filter(|_| domain::broken("outbox-row-deleted-early"));
        for number in 1..=all.copied().unwrap_or(0) {
            batch.delete(keys::row(self.kind, number));
        }
        for &number in numbers {
"#)],
    },
    Break {
        name: "two-open-sessions-of-a-driver",
        promises: &["INV-2"],
        edits: &[edit!("domain/src/network/authorization.rs":
"if let Some(open) = self.net.open_session(&pending.driver) {"
=> r#"if let Some(open) = self.net.open_session(&pending.driver)
    .filter(|_| !crate::broken("two-open-sessions-of-a-driver")) {"#)],
    },
    Break {
        name: "request-id-not-recorded",
        promises: &["INV-6"],
        edits: &[edit!("domain/src/network/step.rs":
"            self.net.answers.record(key, Answered { fingerprint, at: self.now.wall, result });"
=> r#"            if !crate::broken("request-id-not-recorded") {
                self.net.answers.record(key, Answered { fingerprint, at: self.now.wall, result });
            }"#)],
    },
    Break {
        name: "published-before-persisted",
        promises: &["INV-6"],
        edits: &[edit!("domain/src/supply/running.rs":
r#"        effects.push(Effect::Publish(running.record.clone()));
        self.unsaved = true;"#
=> r#"        effects.push(Effect::Publish(running.record.clone()));
        self.unsaved |= !crate::broken("published-before-persisted");"#)],
    },
    Break {
        name: "engine-forgets-its-records",
        promises: &["INV-1"],
        edits: &[edit!("domain/src/supply/machine.rs":
"            unsettled: stored.unsettled,"
=> r#"            unsettled: if crate::broken("engine-forgets-its-records") { Vec::new() }
                else { stored.unsettled },"#)],
    },
    Break {
        name: "engine-forgets-its-supply",
        promises: &["INV-1"],
        edits: &[edit!("domain/src/supply/machine.rs":
r#"        if let Some(record) = stored.current {
            supply.close("#
=> r#"        if let Some(record) = stored.current.filter(|_| !crate::broken("engine-forgets-its-supply")) {
            supply.close("#)],
    },
    Break {
        name: "engine-reuses-numbers",
        promises: &["INV-8"],
        edits: &[edit!("domain/src/supply/machine.rs":
            "            highest: stored.highest,"
            => r#"            highest: if crate::broken("engine-reuses-numbers") { 0 } else { stored.highest },"#)],
    },
    Break {
        name: "unknown-session-ignored",
        promises: &["INV-1", "liveness"],
        edits: &[edit!("domain/src/network/evidence.rs":
"                None => match claim.attested."
=> r#"                None if crate::broken("unknown-session-ignored") => return Heard::NotYet,
                None => match claim.attested."#)],
    },
    Break {
        name: "forgotten-session-adopted",
        promises: &["INV-10"],
        edits: &[edit!("domain/src/network/past.rs":
            "created <= self.past.forgotten_to"
            => r#"created <= self.past.forgotten_to && !crate::broken("forgotten-session-adopted")"#)],
    },
    Break {
        name: "signature-not-verified",
        promises: &["INV-10"],
        edits: &[edit!("central/src/signing.rs":
"        if verified.is_err() {"
=> r#"        if verified.is_err() && !domain::broken("signature-not-verified") {"#)],
    },
    Break {
        name: "signature-of-another-charge-point-taken",
        promises: &["INV-10"],
        edits: &[
            edit!("central/src/signing.rs":
                "        charge_point_id: charge_point.to_string(),"
                => r#"        charge_point_id: if domain::broken("signature-of-another-charge-point-taken") {
            String::new()
        } else { charge_point.to_string() },"#),
            edit!("central/src/signing.rs":
                "        instance_id: instance.to_string(),"
                => r#"        instance_id: if domain::broken("signature-of-another-charge-point-taken") {
            String::new()
        } else { instance.to_string() },"#),
        ],
    },
    Break {
        name: "plausible-by-the-engines-clock",
        promises: &["INV-4", "INV-10"],
        edits: &[
            edit!("domain/src/network/evidence.rs":
                "        let reading = self.dated(id, reading);"
                => "        let theirs = reading.started_at;\n        let reading = self.dated(id, reading);"),
            edit!("domain/src/network/evidence.rs":
"        let (shown, most) = (self.session(id).shown_energy(), self.most(id));"
=> r#"        let (shown, most) = (self.session(id).shown_energy(), self.most(id));
        let most = match theirs {
            Some(from) if crate::broken("plausible-by-the-engines-clock") => {
                let ms = u64::try_from(self.now.wall.0.saturating_sub(from.0)).unwrap_or_default() + 60_000;
                let (rated, time) = (self.rated(&self.session(id).charge_point), std::time::Duration::from_millis(ms));
                super::plausible::most_in(rated, time).min(self.net.config.session_energy_max)
            }
            _ => most,
        };"#),
        ],
    },
    Break {
        name: "review-that-never-ends",
        promises: &["INV-3", "liveness"],
        edits: &[edit!("domain/src/network/deadlines.rs":
"let goes_on ="
=> r#"let deadline = deadline.filter(|_| session.review().is_none() || !crate::broken("review-that-never-ends"));
                let goes_on ="#)],
    },
    Break {
        name: "declined-session-revived",
        promises: &["INV-1", "INV-4", "INV-10"],
        edits: &[edit!("domain/src/network/session/reading.rs":
"        let declined = self.declined();"
=> r#"        let declined = self.declined() && !crate::broken("declined-session-revived");"#)],
    },
    Break {
        name: "end-that-bounds-nothing",
        promises: &["INV-4", "INV-10"],
        edits: &[edit!("domain/src/network/session/told.rs":
"let by_its_end = self.ended().and_then(|(ending, _)| ending.most)"
=> r#"let by_its_end = self.ended().and_then(|(ending, _)| ending.most)
            .filter(|_| !crate::broken("end-that-bounds-nothing"))"#)],
    },
    Break {
        name: "settled-above-what-was-reported",
        promises: &["INV-4", "INV-7"], // the rules assert it
        edits: &[edit!("domain/src/network/review.rs":
"        if energy > reported.energy {"
=> r#"        if energy > reported.energy && !crate::broken("settled-above-what-was-reported") {"#)],
    },
    Break {
        name: "order-not-stored",
        promises: &["INV-6"],
        edits: &[edit!("domain/src/network/orders.rs":
r#"        let open = point.open.clone();
        self.point_changed(id);"#
=> r#"        let open = point.open.clone();
        if !crate::broken("order-not-stored") {
            self.point_changed(id);
        }"#)],
    },
    // The three that the simulation found in the product itself.
    Break {
        name: "registrations-word-taken",
        promises: &["INV-1", "INV-4", "INV-8", "INV-10"],
        edits: &[edit!("domain/src/network/registration.rs":
"        Ok(answer) if answer.is_of(id, instance) => return"
=> r#"        Ok(_) if crate::broken("registrations-word-taken") => return Ok(true),
        Ok(answer) if answer.is_of(id, instance) => return"#)],
    },
    Break {
        name: "provisional-registration-replaces",
        promises: &["INV-1", "INV-4", "INV-8", "INV-10"],
        edits: &[edit!("domain/src/network/registration.rs":
"        if self.brings_nothing_new(&registration) {"
=> r#"        let known = self.net.registry.find_point(&registration.charge_point).is_some();
        if self.brings_nothing_new(&registration)
            || known && crate::broken("provisional-registration-replaces") {"#)],
    },
    Break {
        name: "requests-meet-at-one-charge-point",
        promises: &["INV-2", "status"],
        edits: &[edit!("domain/src/network/authorization.rs":
            "&& still_free()"
            => r#"&& (crate::broken("requests-meet-at-one-charge-point") || still_free())"#)],
    },
    Break {
        name: "late-word-of-a-lost-store-ignored",
        promises: &["INV-1"],
        edits: &[edit!("domain/src/network/deadlines.rs":
"let away = self.kafka_away && started;"
=> r#"let away = self.kafka_away
    && (started || crate::broken("late-word-of-a-lost-store-ignored"));"#)],
    },
];
