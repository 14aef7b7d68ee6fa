//! What is new for a page since what it has seen.

use serde::Serialize;

use super::card::{Card, user_key};
use crate::message::MessageFilter;
use crate::world::World;

/// Most cards in one event; a page shows no more than that of a burst.
const MOST_CARDS: usize = 200;
/// Most recipients that are offered before they have got anything.
const MOST_RECIPIENTS: usize = 50;

/// One event of the stream.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Feed {
    /// Another number than before: everything was reset.
    pub(crate) generation: u32,
    pub(crate) last: u64,
    /// Messages that were shown.
    count: u64,
    repeats: u64,
    /// Users of mini programs that have a name. Members and groups join with their first message.
    pub(crate) recipients: Vec<Recipient>,
    /// Oldest first.
    cards: Vec<Card>,
}

/// Somebody whose messages can be looked at alone.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Recipient {
    name: String,
    key: String,
}

impl Feed {
    pub(crate) fn of(world: &World, since: u64) -> Self {
        let filter = MessageFilter {
            since,
            ..Default::default()
        };
        let cards = world
            .journal
            .messages(&filter, MOST_CARDS)
            .iter()
            .filter(|message| message.is_shown())
            .map(|message| Card::of(message, world))
            .collect();
        let mut recipients: Vec<Recipient> = world
            .mini_program
            .users
            .values()
            .filter_map(|user| {
                user.name.clone().map(|name| Recipient {
                    name,
                    key: user_key(&user.openid),
                })
            })
            .take(MOST_RECIPIENTS)
            .collect();
        recipients.sort();
        let stats = world.journal.stats(0);
        Self {
            generation: world.journal.generation(),
            last: stats.accepted,
            count: world.journal.shown(),
            repeats: stats.duplicates,
            recipients,
            cards,
        }
    }
}
