//! `evmesh registry audit`: who did what at the registry.

use super::desk::{At, client};
use crate::{
    csv,
    exit::Failure,
    operator::audit::{Filter, PAGE_SIZE, entries_fit, say},
    output::Format,
    pages::Pages,
    tables,
};
use evmesh_proto::{operations::ListAuditEntriesResponse, registry::ListAuditEntriesRequest};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Audit {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    filter: Filter,

    #[command(flatten)]
    ask: Ask,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Reads every entry that is kept, and says the first that does not fit: that was changed, left out or put in.
    /// Whoever owns the registry's disk can write all of it anew, for its hashes are published nowhere.
    Verify {
        #[command(flatten)]
        ask: Ask,
    },
}

#[derive(Debug, clap::Args)]
struct Ask {
    #[command(flatten)]
    at: At,

    /// Sentences and tables for people, one JSON document for scripts, or the list for spreadsheets.
    #[arg(long, value_enum, default_value = "text")]
    output: Format,
}

pub(super) async fn run(Audit { command, filter, ask }: Audit) -> Result<(), Failure> {
    match command {
        None => list(filter, ask).await,
        Some(Command::Verify { ask }) => verify(ask).await,
    }
}

async fn list(filter: Filter, Ask { at, output }: Ask) -> Result<(), Failure> {
    let remote = at.remote()?;
    let pages = Pages::fetch(filter.page.limit, async |page_size, page_token| {
        let (from_time, actor) = (filter.from, filter.actor.clone().unwrap_or_default());
        let request = ListAuditEntriesRequest { from_time, actor, page_size, page_token };
        let page = remote.answer(client(&remote).list_audit_entries(request).await)?;
        Ok((page.entries, page.next_page_token))
    });
    pages.await?.print(output, tables::audit, csv::audit, "entries")
}

async fn verify(Ask { at, output }: Ask) -> Result<(), Failure> {
    let (remote, output) = (at.remote()?, output.of_no_list()?);
    let ask = async |page_token| {
        let request = ListAuditEntriesRequest { page_size: PAGE_SIZE, page_token, ..Default::default() };
        let page = remote.answer(client(&remote).list_audit_entries(request).await)?;
        Ok(ListAuditEntriesResponse {
            entries: page.entries,
            next_page_token: page.next_page_token,
            first_number: page.first_number,
            before_first_hash: page.before_first_hash,
            newest_number: page.newest_number,
            newest_hash: page.newest_hash,
            ..Default::default()
        })
    };
    say(entries_fit(ask, &[]).await?, output, |_| {
        "nobody can tell whether all of it was written anew".to_owned()
    })
}
