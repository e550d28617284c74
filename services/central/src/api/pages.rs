//! Pages of lists (AIP-158). A token is the last entry seen, and the list that it is of: nobody else's token fits.

use crate::{store::Filter, writer::Handle};
use domain::network::{Detail, Session};
use domain::{ChargePointId, SessionId};
use mesh::{convert, grpc::Failure};
use std::str::FromStr;

/// One question to the writer looks at so many charge points at most.
const LOOKED_AT: usize = 500;
/// One page of sessions looks at so many parts at most, 20,000 entries: it is short rather than late.
const PARTS: usize = 40;
/// A token has at most so many characters: twice a list's name and an id.
const MAX_TOKEN: usize = 512;

/// Where a page starts, and how much it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page<Id> {
    list: String,
    pub(super) after: Option<Id>,
    pub(super) size: usize,
}

impl<Id: FromStr + ToString> Page<Id> {
    /// `list` says which list it is, with its filters: a token of another one is refused.
    pub(super) fn new(list: String, size: i32, token: &str) -> Result<Self, Failure> {
        let size = convert::page_size(size)?;
        let after = match token {
            "" => None,
            token => Some(read_token(&list, token).ok_or_else(invalid)?),
        };
        Ok(Self { list, after, size })
    }

    /// The token of the page after this entry; empty after the last.
    pub(super) fn next_token(&self, last: Option<&Id>) -> String {
        last.map_or_else(String::new, |last| {
            let text = format!("{}\0{}", self.list, last.to_string());
            convert::hex(text.as_bytes())
        })
    }
}

fn read_token<Id: FromStr>(list: &str, token: &str) -> Option<Id> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let text = String::from_utf8(convert::unhex(token)?).ok()?;
    let (of, id) = text.rsplit_once('\0')?;
    if of == list { id.parse().ok() } else { None }
}

fn invalid() -> Failure {
    Failure::invalid("page_token", "must be a next_page_token of the same list, or empty")
}

/// A page of sessions, oldest first, and the token of the next.
pub(super) async fn sessions(
    handle: &Handle,
    filter: Filter,
    with_ticket: bool,
    page: Page<SessionId>,
) -> Result<(Vec<Session>, String), Failure> {
    let mut found = Vec::new();
    let mut after = page.after.clone();
    for _ in 0..PARTS {
        let (filter, wanted) = (filter.clone(), page.size - found.len());
        let part = handle
            .read(move |snapshot| snapshot.sessions(&filter, with_ticket, after.as_ref(), wanted))
            .await?;
        found.extend(part.sessions);
        after = part.next;
        if after.is_none() || found.len() >= page.size {
            break;
        }
    }
    Ok((found, page.next_token(after.as_ref())))
}

/// A page of charge points, all or the free ones, by id, and the token of the next.
pub(super) async fn charge_points(
    handle: &Handle,
    page: Page<ChargePointId>,
    free: bool,
    wanted: impl Fn(&Detail) -> bool + Clone + Send + 'static,
) -> Result<(Vec<Detail>, String), Failure> {
    let mut found: Vec<Detail> = Vec::new();
    let mut after = page.after.clone();
    loop {
        let (wanted, room) = (wanted.clone(), page.size - found.len());
        let from = after.take();
        let (part, next) = handle
            .query(move |snapshot| {
                let mut part = Vec::new();
                let mut last = from.clone();
                let (network, from) = (snapshot.network, from.as_ref());
                let all = (!free).then(|| network.charge_points_after(from));
                let free = free.then(|| network.available_after(from));
                let details = all.into_iter().flatten().chain(free.into_iter().flatten());
                for (looked_at, detail) in details.enumerate() {
                    // One more than fits is looked at, so that the last page says that it is the last.
                    if part.len() == room || looked_at == LOOKED_AT {
                        return (part, last);
                    }
                    last = Some(detail.id.clone());
                    if wanted(&detail) {
                        part.push(detail);
                    }
                }
                (part, None)
            })
            .await?;
        found.extend(part);
        after = next;
        if after.is_none() || found.len() >= page.size {
            return Ok((found, page.next_token(after.as_ref())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_fits_its_own_list_only() {
        let page = Page::<SessionId>::new("sessions of 101".into(), 2, "").unwrap();
        let last: SessionId = "018f".parse().unwrap();
        let token = page.next_token(Some(&last));
        let next = Page::<SessionId>::new("sessions of 101".into(), 2, &token).unwrap();
        assert_eq!(next.after, Some(last));
        for (list, token) in [
            ("sessions of 102", token.as_str()),
            ("sessions of 101", "zz"),
            ("sessions of 101", "0"),
            ("sessions of 101", "ñ"),
            ("sessions of 101", &"0".repeat(MAX_TOKEN + 2)),
        ] {
            let failure = Page::<SessionId>::new(list.into(), 2, token).unwrap_err();
            assert_eq!(failure.field.unwrap().0, "page_token", "{token}");
        }
        assert_eq!(page.next_token(None), "");
        assert!(Page::<SessionId>::new("x".into(), -1, "").is_err());
    }
}
