use shared::domain::{Channel, OutboxMessageId};
use shared::outbox::{self, ListFilter, NewMessage, Status};

use crate::harness::{
    TestDatabase, accepted, message, moment, on_each_database, refused, relay, seconds,
};

on_each_database! {
    the_backlog_counts_by_channel_and_status,
    the_oldest_due_message_is_one_that_could_have_gone_out,
    each_filter_narrows_the_list,
    pages_follow_each_other_without_gap_or_repetition,
    a_message_that_does_not_exist_is_not_found,
}

async fn the_backlog_counts_by_channel_and_status(database: &TestDatabase) {
    let relay = relay("a");
    for verdict in [accepted(), accepted(), refused()] {
        database.enqueue(message()).await;
        let claimed = database.claim_one(&relay, moment()).await;
        database.settle(&relay, &claimed, verdict, moment()).await;
    }
    for channel in [
        Channel::WecomApp,
        Channel::WechatSubscribe,
        Channel::WecomApp,
    ] {
        database
            .enqueue(NewMessage {
                channel,
                ..message()
            })
            .await;
    }
    let backlog = database
        .read(|connection| outbox::backlog(connection, moment()))
        .await;
    let lines: Vec<(Channel, Status, i64)> = backlog
        .lines
        .iter()
        .map(|line| (line.channel, line.status, line.count))
        .collect();
    assert_eq!(
        lines,
        [
            (Channel::WechatSubscribe, Status::Failed, 1),
            (Channel::WechatSubscribe, Status::Pending, 1),
            (Channel::WechatSubscribe, Status::Sent, 2),
            (Channel::WecomApp, Status::Pending, 2),
        ]
    );
    assert_eq!(backlog.count(Status::Pending), 3);
    assert_eq!(backlog.count(Status::Cancelled), 0);
}

async fn the_oldest_due_message_is_one_that_could_have_gone_out(database: &TestDatabase) {
    let oldest = async |now| {
        database
            .read(move |connection| outbox::backlog(connection, now))
            .await
            .oldest_due_at
    };
    assert_eq!(oldest(moment()).await, None);
    let due = [20, 10, 30].map(|age| moment().after(seconds(age)));
    for due_at in due {
        database
            .enqueue(NewMessage {
                due_at,
                ..message()
            })
            .await;
    }
    assert_eq!(oldest(moment().after(seconds(9))).await, None);
    assert_eq!(oldest(moment().after(seconds(60))).await, Some(due[1]));
    let relay = relay("a");
    let claimed = database.claim_one(&relay, due[1]).await;
    assert_eq!(oldest(moment().after(seconds(60))).await, Some(due[0]));
    database.settle(&relay, &claimed, accepted(), due[1]).await;
}

async fn each_filter_narrows_the_list(database: &TestDatabase) {
    let sent = database.enqueue(message()).await;
    let relay = relay("a");
    let claimed = database.claim_one(&relay, moment()).await;
    database
        .settle(&relay, &claimed, accepted(), moment())
        .await;
    let plain = database.enqueue(message()).await;
    let cloud = database
        .enqueue(NewMessage {
            channel: Channel::WechatCloud,
            ..message()
        })
        .await;
    let created = database
        .enqueue(NewMessage {
            kind: "customer.created".to_owned(),
            recipient_id: "somebody-else".parse().unwrap(),
            ..message()
        })
        .await;
    let recipient_of_cloud = database.message(&cloud).await.recipient_id;
    let any = ListFilter::default;
    let cases: [(ListFilter, Vec<&OutboxMessageId>); 6] = [
        (any(), vec![&created, &cloud, &plain, &sent]),
        (
            ListFilter {
                status: Some(Status::Sent),
                ..any()
            },
            vec![&sent],
        ),
        (
            ListFilter {
                channel: Some(Channel::WechatCloud),
                ..any()
            },
            vec![&cloud],
        ),
        (
            ListFilter {
                kind: Some("customer.created".to_owned()),
                ..any()
            },
            vec![&created],
        ),
        (
            ListFilter {
                recipient_id: Some(recipient_of_cloud),
                ..any()
            },
            vec![&cloud],
        ),
        (
            ListFilter {
                status: Some(Status::Pending),
                channel: Some(Channel::WechatSubscribe),
                before: Some(created.clone()),
                ..any()
            },
            vec![&plain],
        ),
    ];
    for (filter, expected) in cases {
        let listed = database
            .read({
                let filter = filter.clone();
                move |connection| outbox::list(connection, &filter, 10)
            })
            .await;
        let ids: Vec<&OutboxMessageId> = listed.iter().map(|row| &row.id).collect();
        assert_eq!(ids, expected, "{filter:?}");
    }
}

async fn pages_follow_each_other_without_gap_or_repetition(database: &TestDatabase) {
    let messages: Vec<NewMessage> = (0..25).map(|_| message()).collect();
    database
        .write(move |transaction| outbox::enqueue(transaction, messages, moment()))
        .await;
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let filter = ListFilter {
            before: before.clone(),
            ..ListFilter::default()
        };
        let page = database
            .read(move |connection| outbox::list(connection, &filter, 10))
            .await;
        let Some(last) = page.last() else { break };
        before = Some(last.id.clone());
        seen.push(page.len());
        // Newer messages that arrive meanwhile do not shift the pages.
        database.enqueue(message()).await;
    }
    assert_eq!(seen, [10, 10, 5]);
}

async fn a_message_that_does_not_exist_is_not_found(database: &TestDatabase) {
    let found = database
        .read(|connection| outbox::find(connection, &OutboxMessageId::generate()))
        .await;
    assert_eq!(found, None);
}
