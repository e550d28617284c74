//! Lists: pages are followed to the end, or to the limit that was asked for.

use super::desk::Desk;
use crate::{csv, exit::Failure, pages::Pages, tables};
use domain::{ChargePointId, DriverId};
use evmesh_proto::operations::{GetNetworkStatusRequest, ListSessionsRequest, ListTicketsRequest};
use prost_types::Timestamp;

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
pub(crate) struct Page {
    /// At most so many entries are fetched and printed; stderr says when there are more.
    #[arg(long, env = "EVMESH_OPERATOR_LIMIT", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) limit: u32,
}

/// Which sessions or tickets to list.
#[derive(Debug, clap::Args)]
pub(super) struct Filter {
    /// Only those of this driver.
    #[arg(long, value_name = "ID")]
    driver: Option<DriverId>,

    /// Only those at this charge point.
    #[arg(long, value_name = "ID")]
    charge_point: Option<ChargePointId>,

    /// Only sessions created, or tickets issued, at this time or later: 2026-11-23T14:30:00Z, or a day, which begins at
    /// midnight in UTC.
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,

    /// Only those before this time, written as that of --from: --from 2026-11-01 --to 2026-12-01 is November.
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Timestamp>,

    #[command(flatten)]
    page: Page,
}

impl Filter {
    /// Nothing is from a time on and before an earlier one: an empty list would look like an answer.
    fn holds_a_time(&self) -> Result<(), Failure> {
        match (self.from, self.to) {
            (Some(from), Some(to)) if (from.seconds, from.nanos) >= (to.seconds, to.nanos) => Err(
                Failure::Usage(format!("--from {from} is not before --to {to}: nothing lies between them")),
            ),
            _ => Ok(()),
        }
    }

    /// The driver and the charge point as the protos have them: empty is all.
    fn ids(&self) -> (String, String) {
        let driver = self.driver.as_ref().map(ToString::to_string);
        let charge_point = self.charge_point.as_ref().map(ToString::to_string);
        (driver.unwrap_or_default(), charge_point.unwrap_or_default())
    }
}

pub(super) fn time(text: &str) -> Result<Timestamp, &'static str> {
    text.parse().map_err(|_| "must be a time such as 2026-11-23T14:30:00Z, or a day such as 2026-11-23")
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
                pages.await?.print(desk.output, tables::charge_points, csv::charge_points, "charge points")
            }
            Self::Sessions(filter) => {
                filter.holds_a_time()?;
                let pages = Pages::fetch(filter.page.limit, async |page_size, page_token| {
                    let (driver_id, charge_point_id) = filter.ids();
                    let request = ListSessionsRequest {
                        driver_id,
                        charge_point_id,
                        page_size,
                        page_token,
                        from_time: filter.from,
                        before_time: filter.to,
                    };
                    let page = central.answer(client.list_sessions(request).await)?;
                    Ok((page.sessions, page.next_page_token))
                });
                pages.await?.print(desk.output, tables::sessions, csv::sessions, "sessions")
            }
            Self::Tickets(filter) => {
                filter.holds_a_time()?;
                let pages = Pages::fetch(filter.page.limit, async |page_size, page_token| {
                    let (driver_id, charge_point_id) = filter.ids();
                    let request = ListTicketsRequest {
                        driver_id,
                        charge_point_id,
                        page_size,
                        page_token,
                        from_time: filter.from,
                        before_time: filter.to,
                    };
                    let page = central.answer(client.list_tickets(request).await)?;
                    Ok((page.tickets, page.next_page_token))
                });
                pages.await?.print(desk.output, tables::tickets, csv::tickets, "tickets")
            }
        }
    }
}
