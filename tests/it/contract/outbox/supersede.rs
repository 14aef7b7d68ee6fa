use shared::domain::{Channel, OutboxMessageId};
use shared::outbox::{
    self, Cause, NewMessage, Outcome, PendingKinds, Status, Superseded, Verdict, Wish, explain,
};

use crate::harness::{
    Gate, TestDatabase, accepted, message, moment, on_each_database, relay, seconds,
};

on_each_database! {
    what_waits_about_a_subject_is_cancelled_with_the_reason,
    one_subject_loses_all_kinds_at_once,
    other_kinds_other_subjects_and_other_states_are_left_alone,
    what_may_have_been_delivered_is_left_alone,
    the_message_that_takes_its_place_is_named_on_its_channel,
    many_subjects_are_one_matter,
    a_message_that_is_just_claimed_is_waited_for_and_left_alone,
    what_is_requeued_can_be_superseded_again,
    the_index_of_waiting_subjects_is_used,
}

const ASSIGNED: &str = "customer.assigned";

const REASON: &str = "superseded: reassigned to 王五";

fn about(subject: &str) -> NewMessage {
    NewMessage {
        subject: Some(subject.to_owned()),
        ..message()
    }
}

async fn cancel(
    database: &TestDatabase,
    subjects: &[&str],
    kinds: &[&'static str],
) -> Vec<Superseded> {
    let subjects: Vec<String> = subjects.iter().map(|&subject| subject.to_owned()).collect();
    let kinds = kinds.to_vec();
    database
        .write(move |transaction| {
            let kinds = PendingKinds::These(&kinds);
            let now = moment().after(seconds(1));
            outbox::supersede(transaction, &subjects, kinds, REASON, now)
        })
        .await
}

async fn cause(database: &TestDatabase, id: &OutboxMessageId) -> outbox::Explanation {
    let id = id.clone();
    database
        .read(move |connection| explain(connection, &id, moment()))
        .await
        .expect("the message is there")
}

async fn what_waits_about_a_subject_is_cancelled_with_the_reason(database: &TestDatabase) {
    let id = database.enqueue(about("customer:1")).await;
    let later = NewMessage {
        due_at: moment().after(seconds(3_600)),
        channel: Channel::WechatCloud,
        ..about("customer:1")
    };
    let waits = database.enqueue(later).await;
    let superseded = cancel(database, &["customer:1"], &[ASSIGNED]).await;
    let ids: Vec<&OutboxMessageId> = superseded.iter().map(|message| &message.id).collect();
    assert_eq!(ids, [&id, &waits]);
    let row = database.message(&id).await;
    assert_eq!(
        (row.status, row.finished_at, row.last_error.as_deref()),
        (
            Status::Cancelled,
            Some(moment().after(seconds(1))),
            Some(REASON)
        )
    );
    let explanation = cause(database, &id).await;
    assert_eq!(
        explanation.cause,
        Cause::Superseded {
            at: Some(moment().after(seconds(1))),
            message: None,
            reason: Some("reassigned to 王五".to_owned()),
        }
    );
    assert_eq!(
        (explanation.text.as_str(), explanation.fix),
        ("it was superseded: reassigned to 王五", None)
    );
    assert_eq!(database.claim(&relay("a"), 10, moment()).await.len(), 0);
}

async fn one_subject_loses_all_kinds_at_once(database: &TestDatabase) {
    for kind in [ASSIGNED, "customer.transferred_away"] {
        let kind = kind.to_owned();
        database
            .enqueue(NewMessage {
                kind,
                ..about("customer:1")
            })
            .await;
    }
    database.enqueue(about("customer:2")).await;
    let cancelled = database
        .write(|transaction| {
            let reason = "superseded: the customer was deleted";
            let every = PendingKinds::Every;
            outbox::cancel_pending(transaction, "customer:1", every, reason, moment())
        })
        .await;
    assert_eq!(cancelled, 2);
}

async fn other_kinds_other_subjects_and_other_states_are_left_alone(database: &TestDatabase) {
    let away = NewMessage {
        kind: "customer.transferred_away".to_owned(),
        ..about("customer:1")
    };
    let away = database.enqueue(away).await;
    let other = database.enqueue(about("customer:2")).await;
    let summary = database.enqueue(message()).await;
    let relay = relay("a");
    database.register(&relay, moment()).await;
    // One of each state, about the same customer.
    let sending = database.enqueue(about("customer:1")).await;
    let sent = database.enqueue(about("customer:1")).await;
    let claimed = database.claim(&relay, 10, moment()).await;
    for message in &claimed {
        if message.id == sent {
            database.settle(&relay, message, accepted(), moment()).await;
        } else if message.id != sending {
            let released = Verdict::Released { hold: None };
            database.settle(&relay, message, released, moment()).await;
        }
    }
    assert_eq!(cancel(database, &["customer:1"], &[ASSIGNED]).await, []);
    assert_eq!(cancel(database, &[], &[ASSIGNED]).await, []);
    assert_eq!(
        cancel(database, &["customer:2"], &["customer.reclaimed"]).await,
        []
    );
    for (id, status) in [
        (&away, Status::Pending),
        (&other, Status::Pending),
        (&summary, Status::Pending),
        (&sending, Status::Sending),
        (&sent, Status::Sent),
    ] {
        assert_eq!(database.message(id).await.status, status, "{id}");
    }
    database.leases_may_remain();
}

async fn what_may_have_been_delivered_is_left_alone(database: &TestDatabase) {
    let relay = relay("a");
    database.register(&relay, moment()).await;
    let id = database.enqueue(about("customer:1")).await;
    let claimed = database.claim_one(&relay, moment()).await;
    let unknown = Verdict::Retry {
        due_at: moment(),
        outcome: Outcome::Unknown,
    };
    database.settle(&relay, &claimed, unknown, moment()).await;
    assert_eq!(cancel(database, &["customer:1"], &[ASSIGNED]).await, []);
    assert_eq!(database.message(&id).await.status, Status::Pending);
}

async fn the_message_that_takes_its_place_is_named_on_its_channel(database: &TestDatabase) {
    let old = database.enqueue(about("customer:1")).await;
    let cloud = NewMessage {
        channel: Channel::WechatCloud,
        ..about("customer:1")
    };
    let old_cloud = database.enqueue(cloud).await;
    let new = OutboxMessageId::generate();
    let successor = new.clone();
    database
        .write(move |transaction| {
            let subjects = ["customer:1".to_owned()];
            let kinds = PendingKinds::These(&[ASSIGNED]);
            let superseded = outbox::supersede(transaction, &subjects, kinds, REASON, moment())?;
            let message = (successor.clone(), about("customer:1"));
            outbox::enqueue_as(transaction, vec![message], moment())?;
            let successors = [(Channel::WechatSubscribe, successor)];
            outbox::name_successors(transaction, &superseded, &successors)
        })
        .await;
    assert_eq!(database.message(&new).await.status, Status::Pending);
    assert_eq!(
        database.message(&old).await.superseded_by,
        Some(new.clone())
    );
    assert_eq!(database.message(&old_cloud).await.superseded_by, None);
    let explanation = cause(database, &old).await;
    assert_eq!(
        explanation.text,
        format!("it was superseded by {new}: reassigned to 王五")
    );
}

async fn many_subjects_are_one_matter(database: &TestDatabase) {
    let subjects: Vec<String> = (0..1_000).map(|n| format!("customer:{n}")).collect();
    let messages = subjects.iter().map(|subject| about(subject)).collect();
    database
        .write(move |transaction| outbox::enqueue(transaction, messages, moment()))
        .await;
    let superseded = database
        .write(move |transaction| {
            let kinds = PendingKinds::These(&[ASSIGNED, "customer.assigned_from_pool"]);
            let superseded = outbox::supersede(transaction, &subjects, kinds, REASON, moment())?;
            let successor = OutboxMessageId::generate();
            let successors = [(Channel::WechatSubscribe, successor)];
            outbox::name_successors(transaction, &superseded, &successors)?;
            Ok(superseded)
        })
        .await;
    assert_eq!(superseded.len(), 1_000);
    let messages = database.messages().await;
    let done = messages
        .iter()
        .filter(|message| message.status == Status::Cancelled && message.superseded_by.is_some());
    assert_eq!(done.count(), 1_000);
}

async fn a_message_that_is_just_claimed_is_waited_for_and_left_alone(database: &TestDatabase) {
    let id = database.enqueue(about("customer:1")).await;
    let claim = "UPDATE outbox_messages SET status = 'sending', attempt = 1, fence = 1, \
        claimed_by = 'a', lease_expires_at = '2026-01-02 03:05:00'";
    let gate = Gate::behind(database, claim);
    let (superseded, ()) = tokio::join!(
        cancel(database, &["customer:1"], &[ASSIGNED]),
        gate.open_when_waiting(1),
    );
    assert_eq!(superseded, []);
    assert_eq!(database.message(&id).await.status, Status::Sending);
    database.leases_may_remain();
}

async fn what_is_requeued_can_be_superseded_again(database: &TestDatabase) {
    let id = database.enqueue(about("customer:1")).await;
    cancel(database, &["customer:1"], &[ASSIGNED]).await;
    let requeue = Wish::Requeue { attempts: 1 };
    let ids = std::slice::from_ref(&id);
    let repaired = database.repair(ids, requeue, moment()).await.unwrap();
    assert_eq!(database.message(&id).await.status, Status::Pending);
    assert_eq!(
        cancel(database, &["customer:1"], &[ASSIGNED]).await.len(),
        1
    );
    // What an operator did before can no longer be undone: the message has moved.
    let undone = database.undo(&repaired.repair, moment()).await.unwrap();
    assert_eq!((undone.undone, undone.moved), (0, 1));
    assert_eq!(database.message(&id).await.status, Status::Cancelled);
}

/// It is asked for in every assignment: whatever waits about others must not be read.
async fn the_index_of_waiting_subjects_is_used(database: &TestDatabase) {
    let messages = (0..2_000).map(|n| about(&format!("customer:{n}")));
    let messages: Vec<NewMessage> = messages.collect();
    database
        .write(move |transaction| outbox::enqueue(transaction, messages, moment()))
        .await;
    let query = "SELECT id FROM outbox_messages WHERE \
        (outbox_messages.status = 'pending' OR outbox_messages.digest_id IS NOT NULL) \
        AND subject IN ('customer:1', 'customer:2') AND kind IN ('customer.assigned') \
        AND outcome_unknown = FALSE ORDER BY id";
    let plan = database.outbox_plan(query, "FOR UPDATE");
    assert!(plan.contains("outbox_waiting_by_subject"), "{plan}");
}
