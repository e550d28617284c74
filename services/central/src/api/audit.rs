//! Who did what, for the operator.

use super::pages::Page;
use crate::writer::Handle;
use evmesh_proto::operations as proto;
use mesh::{
    audit::{Filter, MAX_BYTES, signed},
    grpc::Failure,
};

/// One page looks at so many parts at most, 20,000 rows: it is short rather than late.
const PARTS: usize = 40;

pub(super) async fn list(
    handle: &Handle,
    asked: proto::ListAuditEntriesRequest,
) -> Result<proto::ListAuditEntriesResponse, Failure> {
    let proto::ListAuditEntriesRequest { from_time, actor, page_size, page_token } = asked;
    let filter = Filter::asked(from_time.as_ref(), actor)?;
    let from = filter.from.map(|from| from.0.to_string()).unwrap_or_default();
    let name = format!("audit {from}/{}", filter.actor.as_deref().unwrap_or_default());
    let page: Page<u64> = Page::new(name, page_size, &page_token)?;
    let (mut entries, mut bytes) = (Vec::new(), 0);
    let mut after = page.after.unwrap_or_default();
    let mut looked = 0;
    let part = loop {
        let (filter, wanted) = (filter.clone(), page.size - entries.len());
        let mut part = handle.read(move |snapshot| snapshot.audit(&filter, after, wanted)).await?;
        looked += 1;
        bytes += part.rows.entries.iter().map(|entry| entry.record.len()).sum::<usize>();
        entries.append(&mut part.rows.entries);
        match part.rows.next {
            Some(next) if entries.len() < page.size && bytes < MAX_BYTES && looked < PARTS => after = next,
            _ => break part,
        }
    };
    Ok(proto::ListAuditEntriesResponse {
        entries: entries.into_iter().map(Into::into).collect(),
        next_page_token: page.next_token(part.rows.next.as_ref()),
        store_id: part.store_id,
        first_number: signed(part.ends.first),
        before_first_hash: part.ends.before_first,
        newest_number: signed(part.ends.newest),
        newest_hash: part.ends.newest_hash,
    })
}
