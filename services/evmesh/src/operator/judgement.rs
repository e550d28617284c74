//! What a person decides of one session.

use super::desk::Desk;
use crate::{
    exit::Failure,
    json,
    output::{self, Output},
    remote::order,
};
use domain::{Energy, SessionId};
use evmesh_proto::{
    network::Session,
    operations::{EndSessionRequest, SettleSessionRequest, settle_session_request::Verdict},
};
use ui::values::{energy, money};

/// What a session under review bills, and why.
#[derive(Debug, clap::Args)]
pub(super) struct Settle {
    /// The session, by its whole id.
    session: SessionId,

    #[command(flatten)]
    verdict: Given,

    /// Why, in your words: kept with the ticket, beside where you called from (at most 256 characters).
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Given {
    /// Bill all that its engine reported.
    #[arg(long)]
    accept: bool,

    /// Bill so much (watt-hours), at most what its engine reported.
    #[arg(long, value_name = "WATT_HOURS", value_parser = clap::value_parser!(u64).range(0..=Energy::MAX.wh()))]
    energy_wh: Option<u64>,
}

fn reason(text: &str) -> Result<String, String> {
    let reason = domain::text::reason(text.trim()).map_err(|wrong| wrong.to_string())?;
    if reason.is_empty() { Err("must say why".into()) } else { Ok(reason) }
}

impl Settle {
    pub(super) async fn give(self, desk: &Desk, output: Output) -> Result<(), Failure> {
        let Self { session, verdict, reason } = self;
        let verdict = Some(verdict.energy_wh.map_or(Verdict::Accept(true), Verdict::EnergyWh));
        let settle = order(|request_id| SettleSessionRequest {
            session_id: session.to_string(),
            verdict,
            reason,
            request_id,
        });
        let settled = desk.central.answer(desk.client().settle_session(settle).await)?.session;
        shown(output, settled, |settled| match &settled.ticket {
            Some(ticket) => format!(
                "session {session} is settled: its ticket bills {}, {}",
                energy(ticket.energy_wh),
                money(ticket.amount.as_ref())
            ),
            None => format!("session {session} is settled"),
        })
    }
}

pub(super) async fn end(session: SessionId, desk: &Desk, output: Output) -> Result<(), Failure> {
    let end = order(|request_id| EndSessionRequest { session_id: session.to_string(), request_id });
    let ended = desk.central.answer(desk.client().end_session(end).await)?.session;
    shown(output, ended, |ended| {
        let ticket =
            if ended.settled { "nothing is open there" } else { "its ticket waits for its final reading" };
        format!("session {session} is over; {ticket}")
    })
}

fn shown(
    output: Output,
    session: Option<Session>,
    text: impl FnOnce(&Session) -> String,
) -> Result<(), Failure> {
    let session = session.unwrap_or_default();
    match output {
        Output::Text => output::line(&text(&session)),
        Output::Json => output::json(&json::of(&session)),
    }
}
