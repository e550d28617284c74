//! How many calls to a far side may be repeated, so that retries do not bury one that is struggling.

use std::time::Duration;
use tower::retry::budget::TpsBudget;

/// A call counts for so long.
const WINDOW: Duration = Duration::from_secs(10);
/// So many repeats a second are free, for whoever calls seldom: ten in the window.
const FREE_PER_SECOND: u32 = 1;
/// Beyond those, a fifth of all calls is repeated at most.
const SHARE: f32 = 0.2;

/// A far side's whole budget: each call pays in, each repeat draws from it.
pub(super) fn new() -> TpsBudget {
    TpsBudget::new(WINDOW, FREE_PER_SECOND, SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower::retry::budget::Budget as _;

    #[tokio::test(start_paused = true)]
    async fn a_fifth_of_the_calls_may_be_repeated() {
        let budget = new();
        let mut retries = 0;
        for _ in 0..1000 {
            budget.deposit();
            retries += u32::from(budget.withdraw());
        }
        assert!((200..=211).contains(&retries), "{retries}");
    }
}
