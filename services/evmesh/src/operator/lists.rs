//! Lists: pages are followed to the end, or to the limit that was asked for.

use super::{Desk, Filter};
use crate::{
    exit::Failure,
    json,
    output::{self, Output},
    tables,
};
use evmesh_proto::{
    network::{ChargePointDetail, Session, Ticket},
    operations::{GetNetworkStatusRequest, ListSessionsRequest, ListTicketsRequest},
};
use prost::{Message, Name};
use ui::Table;

/// The largest page that central gives.
const PAGE_SIZE: u32 = 500;

/// What has been fetched of a list so far.
struct Pages<T> {
    rows: Vec<T>,
    limit: usize,
    token: String,
    more: bool,
}

impl<T> Pages<T> {
    fn new(limit: u32) -> Self {
        Self {
            rows: Vec::new(),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            token: String::new(),
            more: true,
        }
    }

    /// The size and the token of the next page to ask for; `None` at the end, or at the limit.
    fn next(&self) -> Option<(i32, String)> {
        let left = u32::try_from(self.limit - self.rows.len()).unwrap_or(PAGE_SIZE);
        let size = i32::try_from(left.min(PAGE_SIZE)).unwrap_or(0);
        (self.more && size > 0).then(|| (size, self.token.clone()))
    }

    fn add(&mut self, page: Vec<T>, next_page_token: String) {
        let room = self.limit - self.rows.len();
        self.more = !next_page_token.is_empty();
        self.token = next_page_token;
        self.rows.extend(page.into_iter().take(room));
    }
}

impl<T: Message + Name> Pages<T> {
    fn print(&self, desk: &Desk, rows: impl Fn(&[T]) -> Table, what: &str) -> Result<(), Failure> {
        match desk.output {
            Output::Json => output::json(&self.rows.iter().map(json::of).collect::<Vec<_>>())?,
            Output::Text if self.rows.is_empty() => output::line(&format!("no {what}"))?,
            Output::Text => output::print(&rows(&self.rows).render(ui::width()))?,
        }
        if self.more {
            eprintln!("evmesh: there are more {what}; raise --limit to see them");
        }
        Ok(())
    }
}

/// `operator status`.
pub(super) async fn status(desk: &Desk, limit: u32) -> Result<(), Failure> {
    let mut pages = Pages::<ChargePointDetail>::new(limit);
    while let Some((page_size, page_token)) = pages.next() {
        let request = GetNetworkStatusRequest { page_size, page_token };
        let answer = desk.client().get_network_status(request).await;
        let answer = answer.map_err(|status| desk.far.failed(&status))?.into_inner();
        pages.add(answer.charge_points, answer.next_page_token);
    }
    pages.print(desk, tables::charge_points, "charge points")
}

/// `operator sessions`.
pub(super) async fn sessions(desk: &Desk, filter: Filter) -> Result<(), Failure> {
    let (driver_id, charge_point_id) = ids(&filter);
    let mut pages = Pages::<Session>::new(filter.page.limit);
    while let Some((page_size, page_token)) = pages.next() {
        let request = ListSessionsRequest {
            driver_id: driver_id.clone(),
            charge_point_id: charge_point_id.clone(),
            page_size,
            page_token,
        };
        let answer = desk.client().list_sessions(request).await;
        let answer = answer.map_err(|status| desk.far.failed(&status))?.into_inner();
        pages.add(answer.sessions, answer.next_page_token);
    }
    pages.print(desk, tables::sessions, "sessions")
}

/// `operator tickets`.
pub(super) async fn tickets(desk: &Desk, filter: Filter) -> Result<(), Failure> {
    let (driver_id, charge_point_id) = ids(&filter);
    let mut pages = Pages::<Ticket>::new(filter.page.limit);
    while let Some((page_size, page_token)) = pages.next() {
        let request = ListTicketsRequest {
            driver_id: driver_id.clone(),
            charge_point_id: charge_point_id.clone(),
            page_size,
            page_token,
        };
        let answer = desk.client().list_tickets(request).await;
        let answer = answer.map_err(|status| desk.far.failed(&status))?.into_inner();
        pages.add(answer.tickets, answer.next_page_token);
    }
    pages.print(desk, tables::tickets, "tickets")
}

/// The filter as the protos have it: empty is all.
fn ids(filter: &Filter) -> (String, String) {
    let driver = filter.driver.as_ref().map(ToString::to_string);
    let charge_point = filter.charge_point.as_ref().map(ToString::to_string);
    (driver.unwrap_or_default(), charge_point.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_followed_to_the_end_or_to_the_limit() {
        let mut pages = Pages::<u32>::new(1200);
        assert_eq!(pages.next(), Some((500, String::new())));
        pages.add(vec![0_u32; 500], "a".into());
        assert_eq!(pages.next(), Some((500, "a".into())));
        pages.add(vec![0_u32; 500], "b".into());
        assert_eq!(pages.next(), Some((200, "b".into())));
        pages.add(vec![0_u32; 200], "c".into());
        assert_eq!((pages.next(), pages.more, pages.rows.len()), (None, true, 1200));

        let mut pages = Pages::<u32>::new(10);
        pages.add(vec![0_u32; 3], String::new());
        assert_eq!((pages.next(), pages.more, pages.rows.len()), (None, false, 3));

        // A server that sends more than it was asked for cannot make a list longer than its limit.
        let mut pages = Pages::<u32>::new(2);
        pages.add(vec![0_u32; 9], "x".into());
        assert_eq!((pages.next(), pages.more, pages.rows.len()), (None, true, 2));
    }
}
