//! The executable of evmesh: one subcommand a role, and `up` for a whole network in one process.
//!
//! It holds no rule of the network. It reads the command line, starts services (each of which binds its sockets and
//! opens its store before it runs, so that whatever is wrong is one sentence at once), and turns the end into an exit
//! code. Only here do services meet in one process.

mod bench;
mod card_number;
mod check;
mod cli;
mod completions;
mod csv;
mod driver_desk;
mod exit;
mod json;
mod login;
mod man_pages;
mod operator;
mod output;
mod pages;
mod point;
mod process;
mod registry;
mod remote;
mod renewal;
mod roles;
mod tables;
mod up;

use cli::Role;
use driver_desk::Driver;
use exit::Failure;
use mesh::Shutdown;
use std::{process::ExitCode, time::Duration};
use tikv_jemallocator::Jemalloc;

/// What is freed goes back to the system after some seconds: a network that once was larger, or all connected at once,
/// weighs no more for it.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// How long a command that only asks may take to stop: it holds nothing that would have to be saved.
const ASKING_GRACE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let role = match cli::parse(std::env::args_os()) {
        Ok(role) => role,
        Err(code) => return code,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::Failed(format!("cannot start: {error}")).report(),
    };
    match runtime.block_on(run(role)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn run(role: Role) -> Result<(), Failure> {
    match role {
        Role::Central(solo) => Box::pin(roles::central(*solo)).await,
        Role::Engine(solo) => Box::pin(roles::engine(*solo)).await,
        Role::Monitor(solo) => Box::pin(roles::monitor(*solo)).await,
        Role::Driver(Driver::App(solo)) => Box::pin(roles::driver(*solo)).await,
        Role::Driver(Driver::Asks(ask)) => {
            driver_desk::run(ask, Shutdown::on_signals(ASKING_GRACE, ui::restore)).await
        }
        Role::Bridge(solo) => Box::pin(roles::bridge(*solo)).await,
        Role::Operator(options) => {
            operator::run(*options, Shutdown::on_signals(ASKING_GRACE, ui::restore)).await
        }
        Role::Point(options) => point::run(*options, Shutdown::on_signals(ASKING_GRACE, ui::restore)).await,
        Role::Registry(options) => Box::pin(registry::run(*options)).await,
        Role::Enrol(options) => registry::enrol(*options).await,
        Role::Check(options) => check::run(*options).await,
        Role::Fleet(solo) => Box::pin(roles::fleet(*solo)).await,
        Role::Bare(bare) => bench::serve(bare).await,
        Role::Bench(options) => Box::pin(bench::run(*options)).await,
        Role::Completions(options) => completions::print(&options, cli::command()),
        Role::Man(options) => man_pages::print(&options, cli::command()),
        Role::Up(options) => Box::pin(up::run(*options)).await,
    }
}
