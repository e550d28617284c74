//! The counters of central's events: each exists from the start, at zero, so that an alarm can tell *never* from *not
//! yet*, and its help names the promise that it watches over (`docs/ARCHITECTURE.md`).

/// An event's name and what it means when it is counted. `evmesh_central_<name>_total` is its counter.
const EVENTS: &[(&str, &str)] = &[
    (
        "answers_late",
        "INV-8: answers of engines to a call that was given up, or of another instance: nothing came of them",
    ),
    ("cards_blocked", "INV-10: cards that their drivers blocked"),
    (
        "cards_refused",
        "INV-10: supplies at charge points that were refused for the card that was shown, or for none",
    ),
    ("charge_points_cut_off", "INV-3: charge points that are revoked and had ended what they did, or had to"),
    ("charge_points_draining", "INV-1: charge points that began to end what they do, since they are revoked"),
    ("charge_points_enrolled_again", "INV-8: charge points that were revoked, and are no more"),
    ("changelogs_ahead", "INV-1: this store was found to be an older copy: its changelog knows more"),
    ("changelogs_foreign", "INV-8: the changelog was found to be another store's: it is not written"),
    ("changelogs_not_compacted", "INV-1: the broker was found to forget rows of the changelog"),
    (
        "changelogs_not_taken",
        "INV-1: times that Kafka was there and began to refuse what is for the changelog: rows, or its end",
    ),
    ("changelogs_refilled", "INV-1: every row is published to the changelog again, which lacks some"),
    (
        "claims_unattested",
        "INV-10: engines that began to claim sessions that central neither knows nor signed: nothing is billed",
    ),
    (
        "clocks_off",
        "INV-10: engines whose clock is off by more than a minute: their dates are replaced by central's",
    ),
    ("dead_letters", "INV-7: messages on cp_telemetry that fit nothing"),
    ("dead_letters_dropped", "INV-7: dead letters beyond what is kept while Kafka does not take them"),
    (
        "drivers_cooling_down",
        "INV-10: reservations that went unused and after which their driver has to wait for another",
    ),
    ("engine_stores_lost", "INV-1: engines that came back with another store"),
    ("engines_answering", "INV-9: engines that answer central, for the first time or again"),
    ("engines_silent", "INV-3: calls to engines that decided something by not being answered"),
    ("faults", "messages that say that a charge point broke; each makes central ask its engine"),
    ("gateways_heard", "times that the registry gave a charge point to a gateway, or took it from one"),
    ("health_changes", "reports of monitors that brought news"),
    (
        "kafka_clusters_changed",
        "INV-1: another Kafka under the same store: read from its beginning, every engine asked",
    ),
    ("kafka_gaps", "INV-1: messages gone from Kafka before they were read: every engine asked"),
    ("messages_late", "INV-1: messages of sessions that are settled already"),
    (
        "messages_repeated",
        "INV-1: messages that say nothing new: repeats, late ones, and those that an engine's answer outran",
    ),
    (
        "messages_unsealed",
        "INV-10: messages in the name of a charge point that seals its own, and not sealed by it: dead letters",
    ),
    ("messages_unreadable", "INV-7: messages on cp_telemetry that cannot be read"),
    ("moves_taken_back", "charge points that stay with whom they were, though another was to act for them"),
    ("monitors_lost", "INV-3: monitors whose stream ended or fell silent"),
    (
        "numbers_cut",
        "INV-10: engines that say they have seen an authorisation number far above any that they were given",
    ),
    ("numbers_raised", "INV-8: authorisations renumbered because the engine had seen a higher number"),
    ("orders", "charge points taken out of service, put back or priced by the operator"),
    (
        "readings_after_ticket",
        "INV-4: higher readings after an estimated ticket: recorded beside it, never billed",
    ),
    (
        "powers_cut",
        "INV-10: engines that say they deliver more than --charge-point-power-max: that much of it is believed",
    ),
    (
        "readings_implausible",
        "INV-10: readings, of engines and on cp_telemetry, above what can have been delivered by then: they move nothing",
    ),
    (
        "refusals_unheard",
        "engines that were told whom to refuse, and do not say that they do: older ones, which do it all the same",
    ),
    ("registries_heard", "times that the registry was heard, for the first time or again"),
    ("registries_lost", "times that the registry was not heard any more: until it is back, no revocation is"),
    ("registrations", "charge points registered, for the first time or again"),
    (
        "registrations_refused",
        "INV-8: registrations refused: not listed, or another monitor or engine holds the id",
    ),
    ("reports_stale", "INV-8: reports of an older registration"),
    ("requests_denied", "requests for a charge that were denied"),
    ("requests_repeated", "INV-6: repeats of a request_id: they get what was decided the first time"),
    ("requests_unbridged", "times that messages came on driver_requests and no bridge asked for a charge"),
    ("reservations_expired", "INV-3: reservations that came to nothing"),
    ("revocations_heard", "identities that the registry has revoked: central refuses them"),
    (
        "revocations_dropped",
        "times that more certificates were revoked than central holds: some that have not run out are not refused",
    ),
    ("sessions_adopted", "INV-1: sessions found at an engine that this store did not know"),
    (
        "sessions_reviewed",
        "INV-4: sessions whose engine is not believed: a person settles them, or their settlement deadline",
    ),
    (
        "reviews_over",
        "INV-4: reviews that ended at the settlement deadline: nobody decided, and what is believed was billed",
    ),
    ("sealing", "charge points that began to seal what they tell, or ended it"),
    ("stops_disobeyed", "INV-2: engines that supplied on after they were told to stop; out of service since"),
    ("supplies_silent", "INV-3: supplies ended because nothing was heard of them"),
    ("supplies_started", "INV-1: supplies that started: each gets one ticket"),
    ("tickets_estimated", "INV-1: tickets issued on the last reading known, without the final one"),
    ("tickets_issued", "INV-1: tickets issued on the engine's final reading"),
];

/// Puts every counter at zero, and says what it counts.
pub(crate) fn describe() {
    for (name, help) in EVENTS {
        metrics::describe_counter!(counter(name), *help);
        metrics::counter!(counter(name)).increment(0);
    }
    metrics::describe_gauge!(
        "evmesh_central_last_step_timestamp_seconds",
        "INV-3: when the writer last took a step; deadlines are judged at every tick, five times a second"
    );
    metrics::describe_gauge!(
        "evmesh_central_changelog_waiting",
        "INV-1: rows that the changelog lacks as they are now: what a rebuilt store would not have"
    );
    metrics::describe_gauge!(
        "evmesh_central_changelog_oldest_seconds",
        "INV-1: for how long the oldest of these rows has waited, in seconds; 0 without one"
    );
    metrics::describe_gauge!(
        "evmesh_central_changelog_refused",
        "INV-8: 1 while the changelog is another store's, or knows more than this one, and is not written"
    );
    metrics::describe_gauge!(
        "evmesh_central_sessions_under_review",
        "INV-4: sessions that wait for a person to say what they bill"
    );
    metrics::describe_gauge!(
        "evmesh_central_registry_heard",
        "1 while the registry is heard; 0 while whoever it revokes is not refused"
    );
    metrics::describe_gauge!(
        "evmesh_central_rows_waiting",
        "INV-1: notifications and dead letters on disk that Kafka has not taken yet"
    );
}

pub(crate) fn count(name: &str) {
    debug_assert!(
        EVENTS.iter().any(|(known, _)| *known == name),
        "the event {name:?} is not in the list above"
    );
    metrics::counter!(counter(name)).increment(1);
}

fn counter(name: &str) -> String {
    format!("evmesh_central_{name}_total")
}
