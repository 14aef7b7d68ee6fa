//! Who has accepted which template how often.

use std::collections::HashMap;

use serde::Serialize;

use crate::mini_program::template::SubscriptionKind;

/// What one user allows for one template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// One-time sends left.
    pub remaining: u32,
    /// Whether any number of sends is allowed.
    pub long_term: bool,
    /// Whether the user's last word was a refusal.
    pub rejected: bool,
}

/// Subscriptions by template and openid.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    by_template: HashMap<String, HashMap<String, Subscription>>,
}

impl Ledger {
    pub(crate) fn get(&self, openid: &str, template_id: &str) -> Subscription {
        self.by_template
            .get(template_id)
            .and_then(|users| users.get(openid))
            .copied()
            .unwrap_or_default()
    }

    /// The user taps "accept" `times` times; one-time accepts add up.
    pub(crate) fn accept(
        &mut self,
        openid: &str,
        template_id: &str,
        kind: SubscriptionKind,
        times: u32,
    ) {
        let subscription = self.entry(openid, template_id);
        subscription.rejected = false;
        match kind {
            SubscriptionKind::OneTime => {
                subscription.remaining = subscription.remaining.saturating_add(times);
            }
            SubscriptionKind::LongTerm => subscription.long_term = true,
        }
    }

    /// The user turns the messages off: what was accepted before is gone.
    pub(crate) fn reject(&mut self, openid: &str, template_id: &str) {
        *self.entry(openid, template_id) = Subscription {
            rejected: true,
            ..Default::default()
        };
    }

    /// Takes one send; `false`, and nothing taken, when none is left.
    pub(crate) fn consume(&mut self, openid: &str, template_id: &str) -> bool {
        let entry = self
            .by_template
            .get_mut(template_id)
            .and_then(|users| users.get_mut(openid));
        match entry {
            Some(subscription) if subscription.long_term => true,
            Some(subscription) if subscription.remaining > 0 => {
                subscription.remaining -= 1;
                true
            }
            Some(_) | None => false,
        }
    }

    fn entry(&mut self, openid: &str, template_id: &str) -> &mut Subscription {
        self.by_template
            .entry(template_id.to_owned())
            .or_default()
            .entry(openid.to_owned())
            .or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_add_up_and_each_send_takes_one() {
        let mut ledger = Ledger::default();
        ledger.accept("o", "T", SubscriptionKind::OneTime, 1);
        ledger.accept("o", "T", SubscriptionKind::OneTime, 1);
        let sends: Vec<bool> = (0..3).map(|_| ledger.consume("o", "T")).collect();
        assert_eq!(sends, [true, true, false]);
        assert!(!ledger.consume("o", "other"));
        assert!(!ledger.consume("other", "T"));
    }

    #[test]
    fn a_long_term_accept_lasts_until_the_user_rejects() {
        let mut ledger = Ledger::default();
        ledger.accept("o", "T", SubscriptionKind::LongTerm, 1);
        assert!(ledger.consume("o", "T") && ledger.consume("o", "T"));
        ledger.reject("o", "T");
        assert!(!ledger.consume("o", "T"));
        ledger.accept("o", "T", SubscriptionKind::OneTime, 1);
        assert_eq!(
            ledger.get("o", "T"),
            Subscription {
                remaining: 1,
                long_term: false,
                rejected: false
            }
        );
    }
}
