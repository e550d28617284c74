//! `evmesh operator`: what the operator of the network asks of central.

mod lists;
mod orders;
mod watch;
mod watch_panel;

pub(crate) use watch::follow;

use crate::{exit::Failure, far::Far, output::Output};
use domain::{ChargePointId, DriverId, Price};
use evmesh_proto::operations::operator_service_client::OperatorServiceClient;
use mesh::{
    Shutdown,
    grpc::{Address, Peer},
};

/// The operator's commands: see the network, stop and resume charge points, set prices, list sessions and tickets.
///
/// Orders are durable: they outlive a restart of central, and hold for charge points that are away.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Central: HOST:PORT, or http://HOST:PORT.
    #[arg(
        long,
        global = true,
        value_name = "ADDR",
        env = "EVMESH_OPERATOR_CENTRAL",
        default_value = "127.0.0.1:50051"
    )]
    central: Address,

    /// Tables and sentences for people, or JSON for scripts (one document; `watch`: one a line).
    #[arg(long, global = true, value_enum, env = "EVMESH_OPERATOR_OUTPUT", default_value = "text")]
    output: Output,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Every charge point with its place, price, status and what runs there.
    Status(Page),

    /// Follows the network until Ctrl-C: a panel on a terminal; elsewhere a line for every charge point, then one for each
    /// that changes.
    Watch {
        /// Lines instead of a panel. Without a terminal, and with --output json, there are lines anyway.
        #[arg(long, env = "EVMESH_PLAIN")]
        plain: bool,
    },

    /// Takes charge points out of service: reservations are revoked, supplies end with their tickets.
    Stop(Which),

    /// Puts charge points back into service.
    Resume(Which),

    /// Sets the price of new sessions at one charge point; sessions that are authorised keep theirs.
    Price(NewPrice),

    /// Sessions, oldest first.
    Sessions(Filter),

    /// Tickets, oldest session first.
    Tickets(Filter),
}

/// How much of a list to fetch; its pages are followed to the end.
#[derive(Debug, clap::Args)]
struct Page {
    /// At most so many entries are fetched and printed; stderr says when there are more.
    #[arg(long, env = "EVMESH_OPERATOR_LIMIT", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    limit: u32,
}

/// Which charge points an order is for.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Their ids: one, or several (at most 1,000).
    #[arg(value_name = "CHARGE_POINT", num_args = 1..=1000)]
    charge_points: Vec<ChargePointId>,

    /// Every charge point that is registered.
    #[arg(long)]
    all: bool,
}

/// A new price.
#[derive(Debug, clap::Args)]
struct NewPrice {
    /// The charge point.
    charge_point: ChargePointId,

    /// What a kWh costs from the next authorisation on, and its currency: 0.35 EUR.
    #[arg(value_name = "PRICE", num_args = 1..=2, required = true)]
    price: Vec<String>,
}

/// Which sessions or tickets to list.
#[derive(Debug, clap::Args)]
struct Filter {
    /// Only those of this driver.
    #[arg(long, value_name = "ID", conflicts_with = "charge_point")]
    driver: Option<DriverId>,

    /// Only those at this charge point.
    #[arg(long, value_name = "ID")]
    charge_point: Option<ChargePointId>,

    #[command(flatten)]
    page: Page,
}

/// What every command needs.
struct Desk {
    far: Far,
    output: Output,
}

impl Desk {
    fn client(&self) -> OperatorServiceClient<Peer> {
        OperatorServiceClient::new(self.far.peer.clone())
    }
}

/// Runs the command to its end, or until shutdown.
pub(crate) async fn run(options: Options, shutdown: Shutdown) -> Result<(), Failure> {
    let desk = Desk { far: Far::central(&options.central), output: options.output };
    let work = async {
        match options.command {
            Command::Status(page) => desk.far.waited(lists::status(&desk, page.limit)).await,
            Command::Watch { plain } => {
                if desk.output == Output::Text && !plain && ui::is_terminal() {
                    watch::show(&desk.far, &shutdown).await
                } else {
                    watch::print(&desk.far, desk.output).await
                }
            }
            Command::Stop(which) => desk.far.waited(orders::stop(&desk, which)).await,
            Command::Resume(which) => desk.far.waited(orders::resume(&desk, which)).await,
            Command::Price(new) => {
                let price: Price = new.price.join(" ").parse().map_err(|error| {
                    Failure::Usage(format!("the price '{}' {error}", new.price.join(" ")))
                })?;
                desk.far.waited(orders::price(&desk, &new.charge_point, price)).await
            }
            Command::Sessions(filter) => desk.far.waited(lists::sessions(&desk, filter)).await,
            Command::Tickets(filter) => desk.far.waited(lists::tickets(&desk, filter)).await,
        }
    };
    tokio::select! {
        done = work => done,
        () = shutdown.started() => Ok(()),
    }
}
