//! Supplies that are asked for at the charge point itself, and cards, by which drivers say there who they are.
//!
//! Where callers have identities nobody is billed whose card was not shown. What is refused is not kept: a card that
//! is registered a moment later is taken, under the same `request_id` too.

use super::{
    Step,
    denial::{Denial, Reason},
    effect::Level,
    reply::{Answer, CardBlocked},
    request::{Asked, RequestKey},
    session::Session,
};
use crate::{
    CardId, ChargePointId, Context, DriverId, InstanceId, SessionId,
    cards::held::{Blocked, Holder, Refused, Shown},
};
use std::time::Duration;

/// When the registry may have been heard.
const HEARD_IN: Duration = Duration::from_secs(5);

impl Step<'_> {
    pub(super) fn request_manual_supply(
        &mut self,
        mut asked: Asked<Box<Session>>,
        session: SessionId,
        charge_point: ChargePointId,
        instance: &InstanceId,
        shown: &Shown,
    ) {
        if let Shown::Card(None) = shown {
            return self.card_refused(&asked, &charge_point, Refused::NotHeard); // a repeat cannot be told either
        }
        asked.request.get_or_insert_with(|| RequestKey::unnamed(&charge_point, &session));
        if self.joined(&asked) || self.repeated(&asked) {
            return;
        }
        let registered = self.net.registry.find_point(&charge_point);
        if registered.is_some_and(|point| point.stored.instance != *instance) {
            let text = format!(
                "{charge_point} is registered with another engine; its monitor must register this one"
            );
            return self.answer(&asked, Err(Denial::new(Reason::InstanceStale, text)));
        }
        // Before any card is looked up: nobody tries numbers out at a charge point that is none.
        if registered.is_none() && matches!(shown, Shown::Card(_)) {
            let text = format!("no charge point {charge_point} is registered");
            return self.reply(asked.token, Err(Denial::new(Reason::ChargePointUnknown, text)));
        }
        match self.whose(&asked.context, &charge_point, shown) {
            Ok(holder) => self.begin(asked, session, holder, Some(charge_point), None, None),
            Err(refused) => self.card_refused(&asked, &charge_point, refused),
        }
    }

    /// Whose a supply at this charge point is, which is registered where a card is shown.
    fn whose(&mut self, context: &Context, point: &ChargePointId, shown: &Shown) -> Result<Holder, Refused> {
        let guessed = self.net.guesses.wait(self.now.mono, point);
        if let (Shown::Card(_), Some(left)) = (shown, guessed) {
            return Err(Refused::TooManyTried(left));
        }
        let whose = self.net.cards.whose(self.now.wall, shown, !context.identity.is_empty());
        if whose == Err(Refused::Unknown) {
            self.net.guesses.add(self.now.mono, point);
        }
        whose
    }

    fn card_refused<A: Answer>(&mut self, asked: &Asked<A>, point: &ChargePointId, why: Refused) {
        let (reason, retry_after) = match why {
            Refused::NoCard => (Reason::CardRequired, None),
            Refused::NotHeard => (Reason::CardsNotHeard, Some(HEARD_IN)),
            Refused::Unknown => (Reason::CardUnknown, None),
            Refused::Blocked => (Reason::CardBlocked, None),
            Refused::Expired => (Reason::CardExpired, None),
            Refused::TooManyTried(left) => (Reason::TooManyCardsTried, Some(left)),
        };
        self.happened(Level::Info, "cards_refused", format!("a supply at {point} is refused: {why}"));
        self.reply(asked.token, Err(Denial { retry_after, ..Denial::new(reason, why.to_string()) }));
    }

    pub(super) fn block_card(&mut self, asked: &Asked<CardBlocked>, driver: &DriverId, card: &CardId) {
        match self.net.cards.block(self.now.wall, driver, card) {
            Some(blocked) => {
                match blocked {
                    Blocked::Newly => {
                        let text = format!("card {card} is blocked by its driver");
                        self.happened(Level::Info, "cards_blocked", text);
                    }
                    Blocked::Again => {}
                    Blocked::Already => self.net.deeds.changes_nothing(asked.token),
                }
                self.reply(asked.token, Ok(CardBlocked));
            }
            None => {
                let text = format!(
                    "driver {driver} has no card {card}; a session that a card was shown for names it"
                );
                self.reply(asked.token, Err(Denial::new(Reason::CardUnknown, text)));
            }
        }
    }
}
