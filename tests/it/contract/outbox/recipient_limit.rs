use diesel::prelude::*;
use shared::db::schema::outbox_messages;
use shared::domain::{Channel, UtcTimestamp};
use shared::outbox::{
    self, Cause, ChannelSettings, NewMessage, RecipientLimit, Status, sent_since,
};

use crate::harness::{TestDatabase, message, moment, on_each_database, relay, seconds};

on_each_database! {
    a_message_that_waits_for_its_recipient_to_have_room_says_so,
    what_was_sent_lately_is_told_oldest_first,
    a_robot_has_a_rate_without_anybody_setting_one,
}

/// Sent messages of the application to somebody, one each second from this moment on.
async fn sent(database: &TestDatabase, recipient: &str, count: u64, from: UtcTimestamp) {
    let recipient = recipient.to_owned();
    database
        .write(move |transaction| {
            for second in 0..count {
                let new = NewMessage {
                    channel: Channel::WecomApp,
                    recipient_id: recipient.parse().unwrap(),
                    dedup_key: Some(format!("sent:{recipient}:{second}")),
                    ..message()
                };
                outbox::enqueue(transaction, vec![new], moment())?;
                let at = from.after(seconds(second));
                diesel::update(
                    outbox_messages::table.filter(
                        outbox_messages::dedup_key.eq(format!("sent:{recipient}:{second}")),
                    ),
                )
                .set((
                    outbox_messages::status.eq(Status::Sent),
                    outbox_messages::sent_at.eq(at),
                    outbox_messages::finished_at.eq(at),
                ))
                .execute(transaction.connection())?;
            }
            Ok(())
        })
        .await;
}

async fn a_message_that_waits_for_its_recipient_to_have_room_says_so(database: &TestDatabase) {
    let now = moment().after(seconds(50));
    database.register(&relay("a"), now).await;
    sent(database, "zhangsan", 20, moment()).await;
    sent(database, "@all", 10, moment().after(seconds(20))).await;
    let waits = |recipient: &str| NewMessage {
        channel: Channel::WecomApp,
        recipient_id: recipient.parse().unwrap(),
        ..message()
    };
    let (full, free) = (
        database.enqueue(waits("zhangsan")).await,
        database.enqueue(waits("lisi")).await,
    );
    let explained = database
        .read(move |connection| {
            let full = outbox::explain(connection, &full, now)?.unwrap();
            let free = outbox::explain(connection, &free, now)?.unwrap();
            Ok((full, free))
        })
        .await;
    let about = moment().after(seconds(60));
    assert_eq!(
        explained.0.cause,
        Cause::RecipientLimited {
            per_minute: 30,
            per_hour: 1_000,
            about
        }
    );
    assert_eq!(explained.0.expected_at, Some(about));
    assert!(
        explained.0.text.contains("30 a minute"),
        "{}",
        explained.0.text
    );
    assert!(matches!(explained.1.cause, Cause::InLine { .. }));
}

async fn what_was_sent_lately_is_told_oldest_first(database: &TestDatabase) {
    sent(database, "a|b", 3, moment()).await;
    let since = moment();
    let told = database
        .read(move |connection| sent_since(connection, Channel::WecomApp, since))
        .await;
    let told: Vec<_> = told
        .iter()
        .map(|sent| (sent.recipient_id.as_str(), sent.sent_at))
        .collect();
    assert_eq!(
        told,
        [1, 2].map(|second| ("a|b", moment().after(seconds(second))))
    );
}

async fn a_robot_has_a_rate_without_anybody_setting_one(database: &TestDatabase) {
    let settings = database.read(outbox::channel_settings).await;
    for ChannelSettings {
        channel,
        rate_per_minute,
        ..
    } in settings
    {
        let expected = (channel == Channel::WecomRobot).then_some(20);
        assert_eq!(rate_per_minute, expected, "{channel}");
        let limited = RecipientLimit::of(channel).is_some();
        assert_eq!(limited, channel == Channel::WecomApp);
    }
}
