//! What can be seen of a message that has gone on to another channel.

use diesel::connection::SimpleConnection;
use shared::domain::{Channel, OutboxMessageId};
use shared::outbox::{
    self, Explanation, FallbackCause, LinkedMessage, ListFilter, MatchingRepair, Retention, Status,
    Wish, prune,
};

use super::fallback::{do_not_reach, unreachable, with_fallbacks};
use crate::harness::{
    TestDatabase, accepted, moment, on_each_database, relay, repair_order, seconds,
};

on_each_database! {
    both_messages_say_what_became_of_the_other,
    a_message_keeps_its_word_when_the_other_is_deleted,
    the_summary_of_failures_says_how_many_went_on,
    who_requeues_all_that_match_passes_over_what_went_on,
    a_second_message_that_takes_over_from_one_cannot_be_written,
}

async fn explain(database: &TestDatabase, id: &OutboxMessageId) -> Explanation {
    let id = id.clone();
    database
        .read(move |connection| outbox::explain(connection, &id, moment()))
        .await
        .expect("the message is there")
}

async fn both_messages_say_what_became_of_the_other(database: &TestDatabase) {
    database.register(&relay("a"), moment()).await;
    let id = with_fallbacks(database, &[Channel::WecomApp]).await;
    let claimed = database.claim_one(&relay("a"), moment()).await;
    let mut settlement = unreachable(&claimed, FallbackCause::NoBinding);
    settlement.report.errcode = None;
    settlement.report.error = Some("the recipient has no binding for this app".to_owned());
    database
        .settle_all(&relay("a"), vec![settlement], moment())
        .await;
    let next = database.message(&id).await.fell_back_to.unwrap();
    let first = explain(database, &id).await;
    assert_eq!(
        first.text,
        format!("the recipient has no binding for the app; it went on as {next} on wecom_app")
    );
    assert_eq!(first.fix, None, "requeued, it would tell twice");
    assert_eq!(
        first.fell_back_to,
        Some(LinkedMessage {
            id: next.clone(),
            channel: Some(Channel::WecomApp),
            status: Some(Status::Pending),
        })
    );
    let second = explain(database, &next).await;
    assert!(
        second
            .text
            .ends_with(&format!("; it took over from {id} on wechat_subscribe")),
        "{}",
        second.text
    );
    assert_eq!(second.fallback_of.unwrap().status, Some(Status::Skipped));
}

async fn a_message_keeps_its_word_when_the_other_is_deleted(database: &TestDatabase) {
    const KEPT: Retention = Retention {
        sent: seconds(100),
        failed: seconds(300),
        skipped_and_cancelled: seconds(200),
    };
    let prune_at = async |second| {
        let now = moment().after(seconds(second));
        database
            .write(move |transaction| prune(transaction, KEPT, 100, now))
            .await
    };
    let id = with_fallbacks(database, &[Channel::WecomApp]).await;
    do_not_reach(database, Channel::WechatSubscribe).await;
    let next = database.message(&id).await.fell_back_to.unwrap();
    let claimed = database
        .claim_on(Channel::WecomApp, &relay("a"), 1, moment())
        .await;
    database
        .settle(&relay("a"), &claimed[0], accepted(), moment())
        .await;
    assert_eq!(prune_at(101).await, 1, "what was sent goes first");
    let left = explain(database, &id).await;
    assert!(
        left.text.ends_with(&format!("; it went on as {next}")),
        "{}",
        left.text
    );
    let gone = left.fell_back_to.unwrap();
    assert_eq!((gone.channel, gone.status), (None, None));
    assert_eq!(prune_at(201).await, 1);

    // The other way round.
    let id = with_fallbacks(database, &[Channel::WecomApp]).await;
    do_not_reach(database, Channel::WechatSubscribe).await;
    let next = database.message(&id).await.fell_back_to.unwrap();
    assert_eq!(prune_at(201).await, 1, "what waits is never deleted");
    let left = explain(database, &next).await;
    assert_eq!(left.fallback_of.map(|one| one.id), Some(id));
}

async fn the_summary_of_failures_says_how_many_went_on(database: &TestDatabase) {
    for fallbacks in [&[Channel::WecomApp][..], &[], &[]] {
        with_fallbacks(database, fallbacks).await;
        do_not_reach(database, Channel::WechatSubscribe).await;
    }
    let lines = database
        .read(|connection| outbox::failures(connection, moment()))
        .await;
    let counts: Vec<(i64, i64)> = lines
        .iter()
        .map(|line| (line.last_week, line.last_week_fell_back))
        .collect();
    assert_eq!(counts, [(3, 1)]);
}

async fn a_second_message_that_takes_over_from_one_cannot_be_written(database: &TestDatabase) {
    let id = with_fallbacks(database, &[Channel::WecomApp]).await;
    do_not_reach(database, Channel::WechatSubscribe).await;
    let second = format!(
        "INSERT INTO outbox_messages (id, kind, channel, recipient_id, payload, status, priority, \
         attempts_max, due_at, created_at, fallback_of) \
         VALUES ('second', 'x', 'wecom_app', 'x', '{{}}', 'pending', 1, 1, '2026-01-02', '2026-01-02', '{id}')"
    );
    let refusal = database.connection().batch_execute(&second).unwrap_err();
    assert!(
        refusal.to_string().to_lowercase().contains("unique"),
        "{refusal}"
    );
}

async fn who_requeues_all_that_match_passes_over_what_went_on(database: &TestDatabase) {
    let requeue = Wish::Requeue { attempts: 1 };
    for fallbacks in [&[Channel::WecomApp][..], &[]] {
        with_fallbacks(database, fallbacks).await;
        do_not_reach(database, Channel::WechatSubscribe).await;
    }
    let filter = ListFilter {
        status: Some(Status::Skipped),
        ..ListFilter::default()
    };
    let order = repair_order(requeue.clone());
    let (counted, changed) = database
        .write(move |transaction| {
            let act = order.wish.act();
            let counted = outbox::count_repairable(transaction.connection(), act, &filter)?;
            let run = MatchingRepair::begin(transaction, order, filter, 10, moment())?;
            let run = run.next_batch(transaction, 10, moment())?;
            Ok((counted, run.changed()))
        })
        .await;
    assert_eq!((counted, changed), (1, 1));

    // By its name it is requeued, and said to have gone on.
    let messages = database.messages().await;
    let went_on = messages.iter().find(|one| one.fell_back_to.is_some());
    let ids = [went_on.unwrap().id.clone()];
    let repaired = database.repair(&ids, requeue, moment()).await.unwrap();
    assert_eq!(repaired.fell_back(), 1);
    assert_eq!(repaired.messages[0].status, Status::Pending);
}
