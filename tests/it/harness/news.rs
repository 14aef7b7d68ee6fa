//! Who was told what, in the notification centre and in the outbox.

use std::collections::BTreeMap;

use diesel::prelude::*;
use shared::db::schema::{notifications, outbox_messages, users};

use super::TestDatabase;

impl TestDatabase {
    /// A line per kind and person: `customer.assigned li: inbox wechat_cloud wechat_subscribe`.
    /// Whoever was told twice in one place has the place twice in the line.
    pub async fn news(&self) -> Vec<String> {
        let rows: Vec<(String, String, String)> = self
            .read(|connection| {
                let people: Vec<(String, String)> = users::table
                    .select((users::id, users::username))
                    .load(connection)?;
                let people: BTreeMap<String, String> = people.into_iter().collect();
                let name = |id: &str| people.get(id).map_or(id, String::as_str).to_owned();
                let inbox: Vec<(String, String)> = notifications::table
                    .select((notifications::kind, notifications::user_id))
                    .load(connection)?;
                let outbox: Vec<(String, String, String)> = outbox_messages::table
                    .select((
                        outbox_messages::kind,
                        outbox_messages::recipient_id,
                        outbox_messages::channel,
                    ))
                    .load(connection)?;
                let inbox = inbox
                    .into_iter()
                    .map(|(kind, user)| (kind, user, "inbox".to_owned()));
                let all = inbox.chain(outbox);
                Ok(all
                    .map(|(kind, user, place)| (kind, name(&user), place))
                    .collect())
            })
            .await;
        let mut news: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for (kind, user, place) in rows {
            news.entry((kind, user)).or_default().push(place);
        }
        news.into_iter()
            .map(|((kind, user), mut places)| {
                places.sort();
                format!("{kind} {user}: {}", places.join(" "))
            })
            .collect()
    }
}
