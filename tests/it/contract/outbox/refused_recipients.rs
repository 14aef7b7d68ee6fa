use shared::domain::{Channel, OutboxMessageId};
use shared::outbox::{self, NewMessage, RefusedRecipients, Settlement, Status, Verdict, Wish};

use crate::harness::{
    TestDatabase, accepted, message, moment, on_each_database, refused, relay, retry, seconds,
    settlement,
};

on_each_database! {
    whoever_is_left_out_has_a_failed_message_of_their_own,
    a_message_has_one_such_message_at_most,
    a_settlement_that_comes_too_late_leaves_nothing_behind,
    only_an_accepted_message_leaves_somebody_out,
}

fn to_several() -> NewMessage {
    NewMessage {
        kind: "member.registered".to_owned(),
        channel: Channel::WechatSubscribe,
        recipient_id: "a|b|c".parse().unwrap(),
        subject: Some("member:1".to_owned()),
        ..message()
    }
}

fn left_out(settlement: Settlement) -> Settlement {
    Settlement {
        refused_recipients: Some(RefusedRecipients {
            recipient_id: "b|c".parse().unwrap(),
            error: "invaliduser b|c\u{0}".to_owned(),
        }),
        ..settlement
    }
}

async fn lease_and_settle(database: &TestDatabase, verdict: Verdict) -> OutboxMessageId {
    let id = database.enqueue(to_several()).await;
    let claimed = database.claim_one(&relay("a"), moment()).await;
    let settlement = left_out(settlement(&claimed, verdict, moment().after(seconds(1))));
    database
        .settle_all(&relay("a"), vec![settlement], moment().after(seconds(1)))
        .await;
    id
}

async fn whoever_is_left_out_has_a_failed_message_of_their_own(database: &TestDatabase) {
    let id = lease_and_settle(database, accepted()).await;
    let messages = database.messages().await;
    let [told, own] = &messages[..] else {
        panic!("{} messages", messages.len());
    };
    assert_eq!((&told.id, told.status), (&id, Status::Sent));
    assert_eq!(
        (told.last_errcode, told.last_error.as_deref()),
        (None, None)
    );
    assert_eq!(own.status, Status::Failed);
    assert_eq!(own.recipient_id.as_str(), "b|c");
    assert_eq!(
        (
            &own.kind,
            own.channel,
            &own.payload,
            &own.subject,
            own.priority
        ),
        (
            &told.kind,
            told.channel,
            &told.payload,
            &told.subject,
            told.priority
        )
    );
    assert_eq!(own.last_error.as_deref(), Some("invaliduser b|c "));
    assert_eq!(own.finished_at, Some(moment().after(seconds(1))));
    let own_id = own.id.clone();
    let attempts = database
        .read(move |connection| outbox::attempts_of(connection, &own_id))
        .await;
    assert_eq!(attempts[0].verdict, "refused");

    // It can be told by itself.
    database
        .repair(
            std::slice::from_ref(&own.id),
            Wish::Requeue { attempts: 10 },
            moment(),
        )
        .await
        .unwrap();
    let claimed = database.claim_one(&relay("a"), moment()).await;
    assert_eq!((&claimed.id, claimed.attempt), (&own.id, 2));
    assert_eq!(claimed.recipient_id.as_str(), "b|c");
    database
        .settle(&relay("a"), &claimed, accepted(), moment())
        .await;
    assert_eq!(database.messages().await.len(), 2);
}

async fn a_message_has_one_such_message_at_most(database: &TestDatabase) {
    let id = database.enqueue(to_several()).await;
    let claimed = database.claim_one(&relay("a"), moment()).await;
    let there_already = NewMessage {
        dedup_key: Some(format!("refused:{id}")),
        due_at: moment().after(seconds(900)),
        ..to_several()
    };
    database.enqueue(there_already).await;
    let settled = left_out(settlement(&claimed, accepted(), moment()));
    database
        .settle_all(&relay("a"), vec![settled], moment())
        .await;
    let statuses: Vec<Status> = database
        .messages()
        .await
        .iter()
        .map(|message| message.status)
        .collect();
    assert_eq!(statuses, [Status::Sent, Status::Pending]);
}

async fn a_settlement_that_comes_too_late_leaves_nothing_behind(database: &TestDatabase) {
    database.enqueue(to_several()).await;
    let claimed = database.claim_one(&relay("a"), moment()).await;
    let settled = left_out(settlement(&claimed, accepted(), moment()));
    let twice = vec![settled.clone(), settled.clone()];
    database.settle_all(&relay("a"), twice, moment()).await;
    let late = database
        .settle_all(&relay("a"), vec![settled], moment())
        .await;
    assert_eq!(late.leases_lost, [claimed.id]);
    assert_eq!(database.messages().await.len(), 2);
}

async fn only_an_accepted_message_leaves_somebody_out(database: &TestDatabase) {
    for verdict in [retry(moment().after(seconds(900))), refused()] {
        lease_and_settle(database, verdict).await;
    }
    assert_eq!(database.messages().await.len(), 2);
}
