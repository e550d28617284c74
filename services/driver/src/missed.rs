//! What a driver missed while its app did not run: its sessions that are not settled, and its newest tickets.

use crate::{
    decode,
    pages::{PAGE_SIZE, every_page},
};
use domain::requests::{Session, Ticket};
use evmesh_proto::{
    driver::{ListSessionsRequest, ListTicketsRequest, driver_service_client::DriverServiceClient},
    network,
};
use mesh::{
    convert,
    grpc::{CallError, Peer},
};
use std::{collections::VecDeque, time::Duration};

/// The most tickets shown as missed, and their greatest age: what happened since yesterday, on one screen.
const MISSED_TICKETS: usize = 10;
const MISSED_AGE: Duration = Duration::from_secs(24 * 3600);

/// The most pages of one list that are read: 100,000 sessions of one driver. Beyond, only the oldest are seen.
const MAX_PAGES: usize = 200;

pub(crate) async fn missed(
    client: DriverServiceClient<Peer>,
    driver_id: String,
) -> Result<(Vec<Session>, Vec<Ticket>), CallError> {
    let mut unsettled = Vec::new();
    let ask = |page_token| {
        let (mut client, driver_id) = (client.clone(), driver_id.clone());
        async move {
            let request = ListSessionsRequest { driver_id, page_size: PAGE_SIZE, page_token };
            let page = client.list_sessions(request).await?.into_inner();
            Ok((page.sessions, page.next_page_token))
        }
    };
    every_page(MAX_PAGES, ask, |page| unsettled.extend(page.into_iter().filter(|session| !session.settled)))
        .await?;

    let mut newest = VecDeque::new();
    let ask = |page_token| {
        let (mut client, driver_id) = (client.clone(), driver_id.clone());
        async move {
            let request = ListTicketsRequest { driver_id, page_size: PAGE_SIZE, page_token };
            let page = client.list_tickets(request).await?.into_inner();
            Ok((page.tickets, page.next_page_token))
        }
    };
    every_page(MAX_PAGES, ask, |page| {
        newest.extend(page.into_iter().filter(is_recent));
        newest.drain(..newest.len().saturating_sub(MISSED_TICKETS));
    })
    .await?;

    let sessions = unsettled.into_iter().map(|session| decode::session(Some(session)));
    let tickets = newest.into_iter().map(decode::ticket);
    Ok((sessions.collect::<Result<_, _>>()?, tickets.collect::<Result<_, _>>()?))
}

fn is_recent(ticket: &network::Ticket) -> bool {
    let issued = convert::wall("issue_time", ticket.issue_time.as_ref()).ok().flatten();
    issued.unwrap_or_default() + MISSED_AGE > mesh::now().wall
}
