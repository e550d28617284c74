//! A list of central's, whose pages are followed to the end, or to the limit that was asked for.

use crate::{
    exit::Failure,
    json,
    output::{self, Format},
};
use prost::{Message, Name};
use ui::Table;

/// The largest page that central gives.
const PAGE_SIZE: u32 = 500;

/// What has been fetched of a list so remote.
pub(crate) struct Pages<T> {
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
    /// Every entry of a list.
    pub(crate) async fn all(
        ask: impl AsyncFnMut(i32, String) -> Result<(Vec<T>, String), Failure>,
    ) -> Result<Vec<T>, Failure> {
        Ok(Self::fetch(u32::MAX, ask).await?.rows)
    }

    /// Follows the pages: each is asked for by its size and its token, and comes with the token of the next.
    pub(crate) async fn fetch(
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

    /// Prints what was fetched; stderr says when there is more.
    pub(crate) fn print(
        &self,
        output: Format,
        rows: impl Fn(&[T]) -> Table,
        csv: impl Fn(&[T]) -> String,
        what: &str,
    ) -> Result<(), Failure> {
        match output {
            Format::Csv => output::print(&csv(&self.rows))?,
            Format::Json => output::json(&self.rows.iter().map(json::of).collect::<Vec<_>>())?,
            Format::Text if self.rows.is_empty() => output::line(&format!("no {what}"))?,
            Format::Text => output::print(&rows(&self.rows).render(ui::width()))?,
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
