use shared::domain::{Channel, OutboxMessageId};
use shared::outbox::{self, ListFilter, NewMessage, Status};

use crate::harness::{
    TestDatabase, accepted, message, moment, on_each_database, refused, relay, seconds,
};

on_each_database! {
    the_backlog_counts_by_channel_and_status,
    the_oldest_due_message_is_one_that_could_have_gone_out,
    each_filter_narrows_the_list,
    a_text_is_found_as_it_is_in_payload_and_error,
    an_age_is_that_of_the_enqueueing,
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
    let failed = database
        .enqueue(NewMessage {
            request_id: Some("request-7".parse().unwrap()),
            subject: Some("customer:7".to_owned()),
            ..message()
        })
        .await;
    let claimed = database.claim_one(&relay, moment()).await;
    database.settle(&relay, &claimed, refused(), moment()).await;
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
    let cases: [(ListFilter, Vec<&OutboxMessageId>); 10] = [
        (any(), vec![&created, &cloud, &plain, &failed, &sent]),
        (
            ListFilter {
                status: Some(Status::Failed),
                errcode: Some(45_009),
                ..any()
            },
            vec![&failed],
        ),
        (
            ListFilter {
                errcode: Some(40_037),
                ..any()
            },
            vec![],
        ),
        (
            ListFilter {
                request_id: Some("request-7".parse().unwrap()),
                ..any()
            },
            vec![&failed],
        ),
        (
            ListFilter {
                subject: Some("customer:7".to_owned()),
                ..any()
            },
            vec![&failed],
        ),
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

async fn listed(database: &TestDatabase, filter: ListFilter) -> Vec<OutboxMessageId> {
    let rows = database
        .read(move |connection| outbox::list(connection, &filter, 10))
        .await;
    rows.into_iter().map(|row| row.id).collect()
}

async fn a_text_is_found_as_it_is_in_payload_and_error(database: &TestDatabase) {
    let named = database
        .enqueue(NewMessage {
            payload: serde_json::json!({ "customerName": "Wang_100%", "path": "a\\b" }),
            ..message()
        })
        .await;
    let relay = relay("a");
    let claimed = database.claim_one(&relay, moment()).await;
    database.settle(&relay, &claimed, refused(), moment()).await;
    database
        .enqueue(NewMessage {
            payload: serde_json::json!({ "customerName": "WangX1000" }),
            ..message()
        })
        .await;
    for (text, found) in [
        ("wang_100%", 1),
        ("WANG", 2),
        ("API daily quota", 1),
        ("_", 1),
        ("%", 1),
        ("a\\\\b", 1),
        ("nothing of that", 0),
        ("'; DROP TABLE outbox_messages", 0),
    ] {
        let filter = ListFilter {
            text: Some(text.to_owned()),
            ..ListFilter::default()
        };
        let ids = listed(database, filter).await;
        assert_eq!(ids.len(), found, "{text}");
        assert!(found != 1 || ids == [named.clone()], "{text}");
    }
}

async fn an_age_is_that_of_the_enqueueing(database: &TestDatabase) {
    let id = database.enqueue(message()).await;
    for (before, after, found) in [
        (Some(moment()), None, false),
        (Some(moment().after(seconds(1))), None, true),
        (None, Some(moment()), true),
        (None, Some(moment().after(seconds(1))), false),
        (
            Some(moment().after(seconds(1))),
            Some(moment().before(seconds(1))),
            true,
        ),
    ] {
        let filter = ListFilter {
            created_before: before,
            created_after: after,
            ..ListFilter::default()
        };
        let ids = listed(database, filter.clone()).await;
        assert_eq!(ids == [id.clone()], found, "{filter:?}");
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
