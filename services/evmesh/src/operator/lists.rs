//! Lists: pages are followed to the end, or to the limit that was asked for.

use super::desk::Desk;
use crate::{
    exit::Failure,
    json,
    output::{self, Output},
    tables,
};
use domain::{ChargePointId, DriverId};
use evmesh_proto::operations::{GetNetworkStatusRequest, ListSessionsRequest, ListTicketsRequest};
use prost::{Message, Name};
use ui::Table;

#[derive(Debug, clap::Subcommand)]
pub(super) enum List {
    /// Every charge point with its place, price, status and what runs there.
    Status(Page),

    /// Sessions, oldest first.
    #[command(display_order = 100)]
    Sessions(Filter),

    /// Tickets, oldest session first.
    #[command(display_order = 101)]
    Tickets(Filter),
}

/// How much of a list to fetch; its pages are followed to the end.
#[derive(Debug, clap::Args)]
pub(super) struct Page {
    /// At most so many entries are fetched and printed; stderr says when there are more.
    #[arg(long, env = "EVMESH_OPERATOR_LIMIT", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    limit: u32,
}

/// Which sessions or tickets to list.
#[derive(Debug, clap::Args)]
pub(super) struct Filter {
    /// Only those of this driver.
    #[arg(long, value_name = "ID", conflicts_with = "charge_point")]
    driver: Option<DriverId>,

    /// Only those at this charge point.
    #[arg(long, value_name = "ID")]
    charge_point: Option<ChargePointId>,

    #[command(flatten)]
    page: Page,
}

impl Filter {
    /// The driver and the charge point as the protos have them: empty is all.
    fn ids(&self) -> (String, String) {
        let driver = self.driver.as_ref().map(ToString::to_string);
        let charge_point = self.charge_point.as_ref().map(ToString::to_string);
        (driver.unwrap_or_default(), charge_point.unwrap_or_default())
    }
}

impl List {
    pub(super) async fn print(self, desk: &Desk) -> Result<(), Failure> {
        let (mut client, central) = (desk.client(), &desk.central);
        match self {
            Self::Status(Page { limit }) => {
                let pages = Pages::fetch(limit, async |page_size, page_token| {
                    let request = GetNetworkStatusRequest { page_size, page_token };
                    let page = central.answer(client.get_network_status(request).await)?;
                    Ok((page.charge_points, page.next_page_token))
                });
                pages.await?.print(desk, tables::charge_points, "charge points")
            }
            Self::Sessions(filter) => {
                let pages = Pages::fetch(filter.page.limit, async |page_size, page_token| {
                    let (driver_id, charge_point_id) = filter.ids();
                    let request = ListSessionsRequest { driver_id, charge_point_id, page_size, page_token };
                    let page = central.answer(client.list_sessions(request).await)?;
                    Ok((page.sessions, page.next_page_token))
                });
                pages.await?.print(desk, tables::sessions, "sessions")
            }
            Self::Tickets(filter) => {
                let pages = Pages::fetch(filter.page.limit, async |page_size, page_token| {
                    let (driver_id, charge_point_id) = filter.ids();
                    let request = ListTicketsRequest { driver_id, charge_point_id, page_size, page_token };
                    let page = central.answer(client.list_tickets(request).await)?;
                    Ok((page.tickets, page.next_page_token))
                });
                pages.await?.print(desk, tables::tickets, "tickets")
            }
        }
    }
}

/// The largest page that central gives.
const PAGE_SIZE: u32 = 500;

/// What has been fetched of a list so remote.
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
    /// Follows the pages: each is asked for by its size and its token, and comes with the token of the next.
    async fn fetch(
        limit: u32,
        mut ask: impl AsyncFnMut(i32, String) -> Result<(Vec<T>, String), Failure>,
    ) -> Result<Self, Failure> {
        let mut pages = Self::new(limit);
        while let Some((size, token)) = pages.next() {
            let (page, next_page_token) = ask(size, token).await?;
            pages.add(page, next_page_token);
        }
        Ok(pages)
    }

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
