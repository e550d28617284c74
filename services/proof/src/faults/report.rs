//! What the run did and found, for people and for machines.

use super::{
    journal::{Facts, Moment, Violation},
    plan::least,
};
use crate::process::Kind;
use evmesh_proto::network::{Session, SessionState};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt::Write as _};

/// Every promise has a line, broken or not.
const PROMISES: [&str; 9] = ["INV-1", "INV-2", "INV-3", "INV-4", "INV-5", "INV-6", "INV-7", "INV-8", "INV-9"];
/// What was done to a charge point so long around a session's life belongs to its history (ms).
const AROUND_MS: i64 = 3000;

/// Minimums that were not reached.
pub(super) fn idle(facts: &Facts, minutes: f64) -> Vec<String> {
    let mut missing = Vec::new();
    let mut least = |what: &str, a_minute: f64, got: u64| {
        let wanted = (a_minute * minutes).floor() as u64;
        if got < wanted {
            missing.push(format!("{what}: {got}, at least {wanted} are wanted"));
        }
    };
    least("kills", least::KILLS, facts.killed.values().sum());
    for kind in Kind::DISTURBED {
        let got = facts.killed.get(&kind).copied().unwrap_or_default();
        least(&format!("kills of a {}", kind.word()), least::of(kind), got);
    }
    for moment in Moment::ALL {
        let got = Kind::DISTURBED.iter().filter_map(|kind| facts.kills.get(&(*kind, moment))).sum();
        least(&format!("kills with a session {}", moment.word()), least::in_state(moment), got);
    }
    let tickets = u64::try_from(facts.tickets.len()).unwrap_or(u64::MAX);
    least("tickets", least::TICKETS, tickets);
    missing
}

/// The sum of each counter over central's lives.
fn metrics(facts: &Facts) -> BTreeMap<&str, f64> {
    let mut sums = BTreeMap::new();
    for (name, value) in &facts.metrics {
        let name = name.split('#').next().unwrap_or(name);
        *sums.entry(name).or_default() += value;
    }
    sums
}

fn outcomes(facts: &Facts) -> BTreeMap<&'static str, u64> {
    let mut outcomes = BTreeMap::new();
    for session in facts.sessions.values() {
        let outcome = match session.state() {
            SessionState::Ended => session.outcome().as_str_name().trim_start_matches("SESSION_OUTCOME_"),
            _ => "not ended",
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    outcomes
}

/// Kinds of targets against states; a fault is in `totals` once, and in a row once for each state that it concerned.
fn table<K: Ord + Clone>(
    title: &str,
    rows: &[(&K, &str)],
    of: &BTreeMap<(K, Moment), u64>,
    totals: &[u64],
) -> String {
    let mut text = format!("{title:<22}");
    for moment in Moment::ALL {
        let _ = write!(text, "{:>16}", moment.word());
    }
    let _ = writeln!(text, "{:>10}", "total");
    let cell = |key: &K, moment| of.get(&(key.clone(), moment)).copied().unwrap_or_default();
    for ((key, word), total) in rows.iter().zip(totals) {
        let _ = write!(text, "{word:<22}");
        for moment in Moment::ALL {
            let _ = write!(text, "{:>16}", cell(key, moment));
        }
        let _ = writeln!(text, "{total:>10}");
    }
    let _ = write!(text, "{:<22}", "any");
    for moment in Moment::ALL {
        let _ = write!(text, "{:>16}", rows.iter().map(|(key, _)| cell(key, moment)).sum::<u64>());
    }
    let _ = writeln!(text, "{:>10}", totals.iter().sum::<u64>());
    text
}

fn of_processes(title: &str, of: &BTreeMap<(Kind, Moment), u64>, totals: &BTreeMap<Kind, u64>) -> String {
    let rows: Vec<_> = Kind::DISTURBED.iter().map(|kind| (kind, kind.word())).collect();
    let totals: Vec<u64> =
        Kind::DISTURBED.iter().map(|kind| totals.get(kind).copied().unwrap_or_default()).collect();
    table(title, &rows, of, &totals)
}

fn of_links(facts: &Facts) -> String {
    let mut totals: BTreeMap<&String, u64> = BTreeMap::new();
    for ((link, _), count) in &facts.link_modes {
        *totals.entry(link).or_default() += count;
    }
    let rows: Vec<_> = totals.keys().map(|link| (*link, link.as_str())).collect();
    let counts: Vec<u64> = totals.values().copied().collect();
    let mut text = table("link disturbed", &rows, &facts.links, &counts);
    for link in totals.keys() {
        let of = facts.link_modes.iter().filter(|((it, _), _)| it == *link);
        let modes: Vec<String> = of.map(|((_, mode), count)| format!("{mode} {count}")).collect();
        let _ = writeln!(text, "  {link:<20} {}", modes.join(", "));
    }
    text
}

/// The tallies as people read them.
pub(super) fn text(facts: &Facts, head: &str, missing: &[String]) -> String {
    let mut text = format!("{head}\n\n");
    text += "A kill of central or of the broker concerns every session that is open or unsettled, one of an engine\n\
             or a monitor that of its charge point, one of a driver its own: so a kill can be counted in several\n\
             states.\n\n";
    text += &of_processes("killed", &facts.kills, &facts.killed);
    text += "\n";
    text += &of_processes("frozen", &facts.pauses, &facts.paused);
    text += "\n";
    text += &of_links(facts);
    let _ = writeln!(text, "faults left out, their target being disturbed already: {}", facts.skipped);
    text += "\nfrom start to first answer (ms):\n";
    for (kind, times) in &facts.ready_ms {
        let mut times = times.clone();
        times.sort_unstable();
        let middle = times.get(times.len() / 2).copied().unwrap_or_default();
        let most = times.last().copied().unwrap_or_default();
        let _ = writeln!(
            text,
            "  {:<10} {:>5} starts, median {middle:>6}, longest {most:>6}",
            kind.word(),
            times.len()
        );
    }
    let _ = writeln!(text, "\nsessions: {}, tickets: {}", facts.sessions.len(), facts.tickets.len());
    for (outcome, count) in outcomes(facts) {
        let _ = writeln!(text, "  {outcome:<12} {count:>6}");
    }
    text += "\nwhat drivers, people and the operator did:\n";
    for (what, count) in &facts.counts {
        let _ = writeln!(text, "  {what:<40} {count:>7}");
    }
    text += "\ncentral's counters, summed over its lives (each as last seen before a kill):\n";
    for (name, value) in metrics(facts).iter().filter(|(name, _)| name.starts_with("central_")) {
        let _ = writeln!(text, "  {name:<52} {value:>12.0}");
    }
    text += "\nviolations by promise:\n";
    for promise in PROMISES {
        let _ = writeln!(text, "  {promise} {:>6}", broken(facts, |it| it.promise == promise));
    }
    let others = broken(facts, |it| !PROMISES.contains(&it.promise));
    let _ = writeln!(text, "  the run itself {others:>6}");
    for one in missing {
        let _ = writeln!(text, "IDLE: {one}");
    }
    text
}

fn broken(facts: &Facts, which: impl Fn(&Violation) -> bool) -> usize {
    facts.violations.iter().filter(|violation| which(violation)).count()
}

/// A violation with everything that is known of its session.
pub(super) fn violation(facts: &Facts, violation: &Violation) -> String {
    let mut text = format!(
        "{} VIOLATED {}: {}\n",
        crate::process::clock(violation.at),
        violation.promise,
        violation.text
    );
    let Some(id) = &violation.session else {
        let around =
            facts.deeds.iter().filter(|(at, _)| (violation.at - 30_000..violation.at + 1000).contains(at));
        for (at, deed) in around {
            let _ = writeln!(text, "    {} {deed}", crate::process::clock(*at));
        }
        return text;
    };
    let mut lines = facts.history.get(id).cloned().unwrap_or_default();
    let (first, last) = (lines.iter().map(|(at, _)| *at).min(), lines.iter().map(|(at, _)| *at).max());
    let point =
        facts.sessions.get(id).map(|session: &Session| session.charge_point_id.clone()).unwrap_or_default();
    if let Some((first, last)) = first.zip(last) {
        let concerns = |deed: &str| {
            deed.contains(&point)
                || deed.starts_with("central")
                || deed.contains("kafka")
                || deed.starts_with("drivers")
        };
        let deeds = facts
            .deeds
            .iter()
            .filter(|(at, deed)| (first - AROUND_MS..last + AROUND_MS).contains(at) && concerns(deed));
        lines.extend(deeds.map(|(at, deed)| (*at, format!("      {deed}"))));
    }
    lines.sort_by_key(|(at, _)| *at);
    for (at, line) in lines {
        let _ = writeln!(text, "    {} {line}", crate::process::clock(at));
    }
    text
}

/// The tallies for machines.
pub(super) fn machine(facts: &Facts, seed: u64, minutes: f64, missing: &[String]) -> Value {
    let table = |of: &BTreeMap<(Kind, Moment), u64>| {
        let row = |kind: Kind| {
            let cell = |moment: Moment| (moment.word(), of.get(&(kind, moment)).copied().unwrap_or_default());
            (kind.word(), Moment::ALL.map(cell).into_iter().collect::<BTreeMap<_, _>>())
        };
        Kind::DISTURBED.map(row).into_iter().collect::<BTreeMap<_, _>>()
    };
    let totals = |of: &BTreeMap<Kind, u64>| {
        of.iter().map(|(kind, count)| (kind.word(), *count)).collect::<BTreeMap<_, _>>()
    };
    let links = facts
        .links
        .iter()
        .map(|((link, moment), count)| json!({"link": link, "state": moment.word(), "count": count}));
    let modes = facts
        .link_modes
        .iter()
        .map(|((link, mode), count)| json!({"link": link, "mode": mode, "count": count}));
    let violations = facts
        .violations
        .iter()
        .map(|it| json!({"promise": it.promise, "session": it.session, "text": it.text}));
    json!({
        "seed": seed,
        "minutes": minutes,
        "kills": totals(&facts.killed),
        "kills_by_state": table(&facts.kills),
        "pauses": totals(&facts.paused),
        "pauses_by_state": table(&facts.pauses),
        "links_by_state": links.collect::<Vec<_>>(),
        "links_by_mode": modes.collect::<Vec<_>>(),
        "sessions": facts.sessions.len(),
        "outcomes": outcomes(facts),
        "tickets": facts.tickets.len(),
        "did": facts.counts,
        "metrics": metrics(facts),
        "violations": violations.collect::<Vec<_>>(),
        "minimums_missed": missing,
    })
}
