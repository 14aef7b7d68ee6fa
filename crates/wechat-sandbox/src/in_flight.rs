//! Which recipients have a message under way right now.

use std::collections::HashMap;
use std::sync::Arc;

use crate::api::Api;

/// One recipient on one endpoint.
pub(crate) type Recipient = (Api, Arc<str>);

#[derive(Debug, Default)]
struct Presence {
    /// Requests that have arrived and not been answered.
    arrived: u32,
    /// Whether one of them is past the concurrency check.
    occupied: bool,
}

/// Requests that have arrived and were not answered yet.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    by_recipient: HashMap<Recipient, Presence>,
    total: u32,
}

impl InFlight {
    pub(crate) const fn total(&self) -> u32 {
        self.total
    }

    /// Counts a request in; the answer is how many others of this recipient are under way.
    pub(crate) fn enter(&mut self, recipient: Option<&Recipient>) -> u32 {
        self.total += 1;
        let Some(recipient) = recipient else { return 0 };
        let presence = self.by_recipient.entry(recipient.clone()).or_default();
        presence.arrived += 1;
        presence.arrived - 1
    }

    /// Takes the recipient's one place; `false` when another request has it.
    pub(crate) fn occupy(&mut self, recipient: &Recipient) -> bool {
        match self.by_recipient.get_mut(recipient) {
            Some(presence) if presence.occupied => false,
            Some(presence) => {
                presence.occupied = true;
                true
            }
            None => true,
        }
    }

    pub(crate) fn vacate(&mut self, recipient: &Recipient) {
        if let Some(presence) = self.by_recipient.get_mut(recipient) {
            presence.occupied = false;
        }
    }

    pub(crate) fn leave(&mut self, recipient: Option<&Recipient>) {
        self.total = self.total.saturating_sub(1);
        let Some(recipient) = recipient else { return };
        if let Some(presence) = self.by_recipient.get_mut(recipient) {
            presence.arrived = presence.arrived.saturating_sub(1);
            if presence.arrived == 0 {
                self.by_recipient.remove(recipient);
            }
        }
    }
}
