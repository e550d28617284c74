//! `evmesh operator`: what the operator of the network asks of central.

pub(crate) mod audit;
mod desk;
mod judgement;
mod keys;
mod lists;
pub(crate) mod network;
mod orders;
mod watch;
mod watch_panel;

use crate::{
    exit::Failure,
    login,
    output::{Format, Output},
    remote::{Remote, security},
};
use audit::Audit;
use desk::Desk;
use keys::Keys;
use lists::List;
use mesh::{
    Shutdown,
    grpc::{Address, Role, SecurityOptions},
};
use orders::Order;

/// The operator's desk: what is asked of central, and what is ordered.
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
        default_value = mesh::flags::CENTRAL
    )]
    central: Address,

    #[command(flatten)]
    security: SecurityOptions,

    /// Tables and sentences for people, JSON for scripts (one document; `watch`: one a line), or for lists CSV: RFC
    /// 4180 with a head, CRLF, times in UTC, dots in numbers.
    #[arg(long, global = true, value_enum, env = "EVMESH_OPERATOR_OUTPUT", default_value = "text")]
    output: Format,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(flatten)]
    Ask(Box<Ask>),

    /// Keeps a token, read from stdin, as the identity of an operator or a viewer.
    ///
    /// The folder of --identity has to have the network's core.pem; the token is put beside it (token, for its owner
    /// alone). It comes from an identity provider, or from 'evmesh registry operator-token'.
    Login,
}

/// What is asked of central.
#[derive(Debug, clap::Subcommand)]
enum Ask {
    #[command(flatten)]
    List(List),

    /// Follows the network until Ctrl-C: a panel on a terminal; elsewhere a line for every charge point, then one for
    /// each that changes.
    Watch {
        /// Lines instead of a panel. Without a terminal, and with --output json, there are lines anyway.
        #[arg(long, env = "EVMESH_PLAIN")]
        plain: bool,
    },

    #[command(flatten)]
    Order(Order),

    /// The public keys by which central knows what it authorised: exported, and trusted again after a loss.
    #[command(subcommand)]
    Keys(Keys),

    /// Who did what, oldest first: each call that changed something, and refusals.
    Audit(Audit),
}

/// Runs the command to its end, or until shutdown.
pub(crate) async fn run(options: Options, shutdown: Shutdown) -> Result<(), Failure> {
    let ask = match options.command {
        Command::Ask(ask) => ask,
        Command::Login => {
            let folder = options.security.identity.as_deref();
            let folder =
                folder.ok_or_else(|| Failure::Usage("say which folder: --identity DIR".to_owned()))?;
            let is = |role: &Role| matches!(role, Role::Viewer(_) | Role::Operator(_));
            return login::keep(folder, "an operator or a viewer", is);
        }
    };
    let desk = Desk {
        central: Remote::central(&options.central, security(&options.security)?),
        output: options.output,
        identity: options.security.identity.clone(),
    };
    let warning = options.security.warning();
    let work = async {
        match *ask {
            Ask::List(list) => desk.central.waited(list.print(&desk)).await,
            Ask::Audit(audit) => desk.central.waited(audit.run(&desk)).await,
            Ask::Keys(keys) => {
                let output = desk.output.of_no_list()?;
                desk.central.waited(keys.run(&desk, output)).await
            }
            Ask::Order(order) => {
                let output = desk.output.of_no_list()?;
                desk.central.waited(order.give(&desk, output)).await
            }
            Ask::Watch { plain } => match desk.output.of_no_list()? {
                Output::Text if !plain && ui::is_terminal() => {
                    watch::show(&desk.central, warning, &shutdown).await
                }
                output => watch::print(&desk.central, output).await,
            },
        }
    };
    tokio::select! {
        done = work => done,
        () = shutdown.started() => Ok(()),
    }
}
