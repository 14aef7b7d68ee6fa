use std::time::Duration;

use shared::domain::{Channel, ChannelSet, UtcTimestamp};
use shared::outbox::{self, Agenda, NewMessage, Priority, SILENCE_MAX};

use crate::harness::{TestDatabase, accepted, message, moment, on_each_database, relay, seconds};

on_each_database! {
    an_empty_outbox_leaves_nothing_to_do,
    a_due_message_of_any_priority_shows_its_channel,
    what_is_not_due_yet_or_under_way_or_done_shows_nothing,
    leases_show_when_their_relay_is_silent_or_their_time_is_over,
    a_message_shows_when_it_has_expired,
}

const A_MOMENT: Duration = Duration::from_micros(1);

async fn agenda(database: &TestDatabase, now: UtcTimestamp) -> Agenda {
    database
        .read(move |connection| outbox::agenda(connection, now, now))
        .await
}

fn due(channels: &[Channel]) -> Agenda {
    Agenda {
        due: channels.iter().copied().collect::<ChannelSet>(),
        ..Agenda::default()
    }
}

async fn an_empty_outbox_leaves_nothing_to_do(database: &TestDatabase) {
    assert_eq!(agenda(database, moment()).await, Agenda::default());
}

async fn a_due_message_of_any_priority_shows_its_channel(database: &TestDatabase) {
    for (channel, priority) in [
        (Channel::WechatCloud, Priority::High),
        (Channel::WecomApp, Priority::Medium),
        (Channel::WecomRobot, Priority::Low),
    ] {
        database
            .enqueue(NewMessage {
                channel,
                priority,
                ..message()
            })
            .await;
    }
    assert_eq!(
        agenda(database, moment()).await,
        due(&[Channel::WechatCloud, Channel::WecomApp, Channel::WecomRobot])
    );
}

async fn what_is_not_due_yet_or_under_way_or_done_shows_nothing(database: &TestDatabase) {
    let relay = relay("a");
    database.register(&relay, moment()).await;
    database.enqueue(message()).await;
    assert_eq!(
        agenda(database, moment().before(A_MOMENT)).await,
        Agenda::default(),
        "not due yet"
    );
    assert_eq!(
        agenda(database, moment()).await,
        due(&[Channel::WechatSubscribe])
    );
    let claimed = database.claim_one(&relay, moment()).await;
    assert_eq!(
        agenda(database, moment()).await,
        Agenda::default(),
        "under way"
    );
    database
        .settle(&relay, &claimed, accepted(), moment())
        .await;
    assert_eq!(agenda(database, moment()).await, Agenda::default(), "done");
}

async fn leases_show_when_their_relay_is_silent_or_their_time_is_over(database: &TestDatabase) {
    let relay = relay("a");
    database.register(&relay, moment()).await;
    database.enqueue(message()).await;
    let claimed = database.claim_one(&relay, moment()).await;
    let silent = moment().after(SILENCE_MAX);
    let over = Agenda {
        leases_over: true,
        ..Agenda::default()
    };
    assert_eq!(
        agenda(database, silent.before(A_MOMENT)).await,
        Agenda::default()
    );
    assert_eq!(agenda(database, silent).await, over);

    let lease_end = claimed.lease_expires_at.unwrap();
    database.register(&relay, lease_end).await;
    assert_eq!(
        agenda(database, lease_end.before(A_MOMENT)).await,
        Agenda::default()
    );
    assert_eq!(agenda(database, lease_end).await, over);
    database.leases_may_remain();
}

async fn a_message_shows_when_it_has_expired(database: &TestDatabase) {
    let expires_at = moment().after(seconds(60));
    database
        .enqueue(NewMessage {
            due_at: moment().after(seconds(3_600)),
            expires_at: Some(expires_at),
            ..message()
        })
        .await;
    assert_eq!(
        agenda(database, expires_at.before(A_MOMENT)).await,
        Agenda::default()
    );
    assert_eq!(
        agenda(database, expires_at).await,
        Agenda {
            expired: true,
            ..Agenda::default()
        }
    );
}
