//! Who did what: listed, and looked through for what was changed since.

use super::{
    desk::Desk,
    lists::{Page, time},
};
use crate::{
    csv,
    exit::{Because as _, Failure},
    output::{self, Output},
    pages::Pages,
    tables,
};
use central::audit::anchors;
use clap::{ArgMatches, Args, FromArgMatches, parser::ValueSource};
use evmesh_proto::{
    operations::{ListAuditEntriesRequest, ListAuditEntriesResponse},
    topics::AuditAnchor,
};
use mesh::{
    audit::{Fits, Verifier},
    kafka::KafkaOptions,
};
use prost_types::Timestamp;
use serde_json::json;

/// The largest page that is given.
pub(crate) const PAGE_SIZE: i32 = 500;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Audit {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    filter: Filter,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Reads every entry that is kept, and says the first that does not fit: that was changed, left out or put in. With
    /// --kafka, which must be given, against what was published there too: then nobody can have rewritten all of it.
    Verify {
        #[command(flatten)]
        kafka: Named,
    },
}

/// Kafka, if it was named: with options inside its own, clap cannot tell.
#[derive(Debug)]
struct Named(Option<KafkaOptions>);

impl FromArgMatches for Named {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let named = matches.value_source("kafka").is_some_and(|source| source != ValueSource::DefaultValue);
        named.then(|| KafkaOptions::from_arg_matches(matches)).transpose().map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Named {
    fn augment_args(command: clap::Command) -> clap::Command {
        KafkaOptions::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        KafkaOptions::augment_args_for_update(command)
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Filter {
    /// Only what was done at this time or later: 2026-11-23T14:30:00Z, or a day, which begins at midnight in UTC.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) from: Option<Timestamp>,

    /// Only what this identity did: its path, such as operator/ana or charge-point/MAD-01/monitor.
    #[arg(long, value_name = "PATH")]
    pub(crate) actor: Option<String>,

    #[command(flatten)]
    pub(crate) page: Page,
}

impl Audit {
    pub(super) async fn run(self, desk: &Desk) -> Result<(), Failure> {
        match self.command {
            None => list(desk, self.filter).await,
            Some(Command::Verify { kafka: Named(mut kafka) }) => {
                if let Some(kafka) = &mut kafka {
                    kafka.protect(desk.identity.as_deref()).because()?;
                }
                verify(desk, desk.output.of_no_list()?, kafka).await
            }
        }
    }
}

async fn list(desk: &Desk, filter: Filter) -> Result<(), Failure> {
    let (mut client, central) = (desk.client(), &desk.central);
    let pages = Pages::fetch(filter.page.limit, async |page_size, page_token| {
        let (from_time, actor) = (filter.from, filter.actor.clone().unwrap_or_default());
        let request = ListAuditEntriesRequest { from_time, actor, page_size, page_token };
        let page = central.answer(client.list_audit_entries(request).await)?;
        Ok((page.entries, page.next_page_token))
    });
    pages.await?.print(desk.output, tables::audit, csv::audit, "entries")
}

async fn verify(desk: &Desk, output: Output, kafka: Option<KafkaOptions>) -> Result<(), Failure> {
    // Anchors first: what is published while entries are read may be of one behind the last that is read.
    let anchors = match &kafka {
        Some(kafka) => published(kafka).await?,
        None => Vec::new(),
    };
    let (mut client, central) = (desk.client(), &desk.central);
    let ask = async |page_token| {
        let request = ListAuditEntriesRequest { page_size: PAGE_SIZE, page_token, ..Default::default() };
        central.answer(client.list_audit_entries(request).await)
    };
    let fits = entries_fit(ask, &anchors).await?;
    say(fits, output, |anchors| match (kafka, anchors) {
        (None, _) => "without --kafka nobody can tell whether all of it was written anew".to_owned(),
        (Some(_), 0) => "kafka has nothing to hold against it".to_owned(),
        (Some(_), anchors) => format!("anchors on kafka that agree: {anchors}"),
    })
}

/// How many entries fit, and against what.
pub(crate) fn say(fits: Fits, output: Output, against: impl FnOnce(u64) -> String) -> Result<(), Failure> {
    let Fits { first, newest, anchors } = fits;
    let count = (newest + 1).saturating_sub(first);
    match output {
        Output::Json => output::json(&json!({
            "entry_count": count, "first_number": first, "newest_number": newest, "anchor_count": anchors,
        })),
        Output::Text => {
            let which = match count {
                0 => "there are no entries".to_owned(),
                1 => format!("1 entry fits: number {first}"),
                count => format!("{count} entries fit: number {first} to number {newest}"),
            };
            output::line(&format!("{which}; {}", against(anchors)))
        }
    }
}

async fn published(kafka: &KafkaOptions) -> Result<Vec<AuditAnchor>, Failure> {
    let (options, brokers) = (kafka.clone(), kafka.kafka.clone());
    let read = tokio::task::spawn_blocking(move || anchors::all(&options)).await.because()?.because()?;
    read.ok_or_else(|| {
        Failure::Failed(format!("the anchors cannot be read: kafka at {brokers} does not answer"))
    })
}

/// Holds every entry against the one before, and against these. A page is asked for by its token.
pub(crate) async fn entries_fit(
    mut ask: impl AsyncFnMut(String) -> Result<ListAuditEntriesResponse, Failure>,
    anchors: &[AuditAnchor],
) -> Result<Fits, Failure> {
    let mut page_token = String::new();
    let mut verifier = None;
    loop {
        let page = ask(page_token).await?;
        let ListAuditEntriesResponse { entries, next_page_token, store_id, first_number, .. } = page;
        let number = |number: i64| u64::try_from(number).unwrap_or(0);
        let verifying = match verifier.take() {
            Some(verifying) => Ok(verifying),
            None => Verifier::new(number(first_number), page.before_first_hash, &store_id, anchors),
        };
        let mut verifying = verifying.because()?;
        for entry in entries {
            verifying.take(number(entry.number), &entry.record).because()?;
        }
        if next_page_token.is_empty() {
            return verifying.end(number(page.newest_number), &page.newest_hash).because();
        }
        (page_token, verifier) = (next_page_token, Some(verifying));
    }
}
