//! Lists of central, page by page.

use std::future::Future;
use tonic::Status;

/// Entries in a page: the most that central gives.
pub(crate) const PAGE_SIZE: i32 = mesh::convert::MAX_PAGE_SIZE as i32;

/// Asks for one page after another, at most `most` of them. `ask` takes the token of a page and returns it with the
/// token of the next one.
pub(crate) async fn every_page<T, F>(
    most: usize,
    ask: impl Fn(String) -> F,
    mut take: impl FnMut(Vec<T>),
) -> Result<(), Status>
where
    F: Future<Output = Result<(Vec<T>, String), Status>>,
{
    let mut token = String::new();
    for _ in 0..most {
        let (page, next) = ask(token).await?;
        take(page);
        if next.is_empty() {
            break;
        }
        token = next;
    }
    Ok(())
}
