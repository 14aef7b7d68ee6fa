use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use shared::db::DbConnection;
use shared::db::schema::operation_logs;
use shared::domain::{OutboxMessageId, UtcTimestamp};
use shared::outbox::{Message, NewMessage, RepairError, Status, Verdict, Wish};

use crate::harness::{
    TestDatabase, accepted, message, moment, on_each_database, refused, relay, retry, seconds,
};

on_each_database! {
    requeueing_obeys_the_status,
    cancelling_obeys_the_status,
    a_requeued_message_gets_more_attempts_and_keeps_those_it_made,
    a_requeued_message_starts_afresh,
    any_wish_for_attempts_is_met_within_reason,
    a_message_that_does_not_exist_is_named,
    an_operators_act_is_logged_and_a_refused_one_is_not,
    of_a_list_all_are_repaired_or_none,
    an_edited_message_goes_out_with_its_new_payload,
    a_message_that_somebody_else_has_locked_is_named,
}

fn later() -> UtcTimestamp {
    moment().after(seconds(600))
}

async fn requeue(
    database: &TestDatabase,
    id: &OutboxMessageId,
    attempts: i32,
) -> Result<Message, RepairError> {
    one(database, id, Wish::Requeue { attempts }).await
}

async fn cancel(database: &TestDatabase, id: &OutboxMessageId) -> Result<Message, RepairError> {
    one(database, id, Wish::Cancel).await
}

async fn one(
    database: &TestDatabase,
    id: &OutboxMessageId,
    wish: Wish,
) -> Result<Message, RepairError> {
    let mut repaired = database
        .repair(std::slice::from_ref(id), wish, later())
        .await?;
    assert_eq!(repaired.messages.len(), 1);
    Ok(repaired.messages.remove(0))
}

/// A message with that status.
async fn message_that_is(database: &TestDatabase, status: Status) -> OutboxMessageId {
    let id = database.enqueue(message()).await;
    let relay = relay("a");
    let verdict = match status {
        Status::Pending => return id,
        Status::Cancelled => {
            cancel(database, &id).await.unwrap();
            return id;
        }
        Status::Sending => None,
        Status::Sent => Some(accepted()),
        Status::Failed => Some(refused()),
        Status::Skipped => Some(Verdict::Pointless),
    };
    let claimed = database.claim_one(&relay, moment()).await;
    if let Some(verdict) = verdict {
        database.settle(&relay, &claimed, verdict, moment()).await;
    }
    assert_eq!(
        (&claimed.id, database.message(&id).await.status),
        (&id, status)
    );
    id
}

async fn requeueing_obeys_the_status(database: &TestDatabase) {
    database.leases_may_remain();
    for (status, allowed) in [
        (Status::Sending, false),
        (Status::Sent, false),
        (Status::Failed, true),
        (Status::Skipped, true),
        (Status::Cancelled, true),
        (Status::Pending, false),
    ] {
        let id = message_that_is(database, status).await;
        let before = database.message(&id).await;
        let answer = requeue(database, &id, 2).await;
        let after = database.message(&id).await;
        if allowed {
            assert_eq!(after.status, Status::Pending, "{status}");
            assert_eq!(answer.unwrap(), after);
            cancel(database, &id).await.unwrap();
        } else {
            let error = answer.unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "message {id} is {status}; only failed, skipped or cancelled ones can be requeued"
                )
            );
            assert_eq!(after, before, "{status}");
        }
    }
}

async fn cancelling_obeys_the_status(database: &TestDatabase) {
    database.leases_may_remain();
    for (status, allowed) in [
        (Status::Sending, false),
        (Status::Sent, false),
        (Status::Failed, true),
        (Status::Skipped, false),
        (Status::Cancelled, false),
        (Status::Pending, true),
    ] {
        let id = message_that_is(database, status).await;
        let before = database.message(&id).await;
        let answer = cancel(database, &id).await;
        let after = database.message(&id).await;
        if allowed {
            assert_eq!(answer.unwrap(), after);
            assert_eq!(
                (after.status, after.finished_at),
                (Status::Cancelled, Some(later()))
            );
        } else {
            let error = answer.unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("message {id} is {status}; only pending or failed ones can be cancelled")
            );
            assert_eq!(after, before, "{status}");
        }
    }
}

async fn a_requeued_message_gets_more_attempts_and_keeps_those_it_made(database: &TestDatabase) {
    let id = database
        .enqueue(NewMessage {
            attempts_max: 1,
            ..message()
        })
        .await;
    let relay = relay("a");
    let claimed = database.claim_one(&relay, moment()).await;
    database
        .settle(&relay, &claimed, retry(moment()), moment())
        .await;
    let row = requeue(database, &id, 2).await.unwrap();
    assert_eq!((row.attempt, row.attempts_max, row.fence), (1, 3, 1));
    for (attempt, status) in [(2, Status::Pending), (3, Status::Failed)] {
        let claimed = database.claim_one(&relay, later()).await;
        assert_eq!(
            (claimed.attempt, claimed.fence),
            (attempt, i64::from(attempt))
        );
        database
            .settle(&relay, &claimed, retry(later()), later())
            .await;
        assert_eq!(database.message(&id).await.status, status);
    }
}

async fn a_requeued_message_starts_afresh(database: &TestDatabase) {
    let new = NewMessage {
        expires_at: Some(moment().after(seconds(10))),
        attempts_max: 100,
        ..message()
    };
    let id = database.enqueue(new).await;
    for _ in 0..3 {
        database.claim_one(&relay("a"), moment()).await;
        database.reclaim(moment()).await;
    }
    assert_eq!(database.message(&id).await.status, Status::Failed);
    let row = requeue(database, &id, 1).await.unwrap();
    assert_eq!(
        (row.rescues, row.due_at, row.expires_at),
        (0, later(), None)
    );
    assert_eq!((row.finished_at, row.sent_at), (None, None));
    assert!(
        row.outcome_unknown,
        "that it may have been delivered is not forgotten"
    );
    let claimed = database.claim_one(&relay("b"), later()).await;
    assert!(claimed.outcome_unknown);
    database
        .settle(&relay("b"), &claimed, accepted(), later())
        .await;
}

async fn any_wish_for_attempts_is_met_within_reason(database: &TestDatabase) {
    for (wish, attempts_max) in [(i32::MIN, 2), (0, 2), (1, 2), (5, 6), (i32::MAX, 1_000_001)] {
        let id = message_that_is(database, Status::Failed).await;
        let row = requeue(database, &id, wish).await.unwrap();
        assert_eq!((row.attempt, row.attempts_max), (1, attempts_max), "{wish}");
        cancel(database, &id).await.unwrap();
    }
}

async fn a_message_that_does_not_exist_is_named(database: &TestDatabase) {
    let id = OutboxMessageId::generate();
    for answer in [requeue(database, &id, 1).await, cancel(database, &id).await] {
        let error = answer.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("there is no outbox message {id}")
        );
    }
}

async fn an_operators_act_is_logged_and_a_refused_one_is_not(database: &TestDatabase) {
    let id = database.enqueue(message()).await;
    cancel(database, &id).await.unwrap();
    requeue(database, &id, 1).await.unwrap();
    requeue(database, &id, 1).await.unwrap_err();
    cancel(database, &id).await.unwrap();
    cancel(database, &id).await.unwrap_err();
    let logged: Vec<(String, String, String)> = database
        .read(move |connection| {
            Ok(operation_logs::table
                .filter(operation_logs::entity.eq("outbox_message"))
                .filter(operation_logs::entity_id.eq(id.as_str()))
                .order(operation_logs::id)
                .select((
                    operation_logs::action,
                    operation_logs::detail,
                    operation_logs::entity_id,
                ))
                .load(connection)?)
        })
        .await;
    let acts: Vec<(&str, serde_json::Value)> = logged
        .iter()
        .map(|(action, detail, _)| {
            let mut detail: serde_json::Value = serde_json::from_str(detail).unwrap();
            assert!(detail["repair"].take().is_string());
            (action.as_str(), detail)
        })
        .collect();
    let act = |before: &str, after: &str| {
        serde_json::json!({
            "before": before,
            "after": after,
            "reason": "模板已修复",
            "repair": null,
            "console": "li",
        })
    };
    assert_eq!(
        acts,
        [
            ("outbox.cancel", act("pending", "cancelled")),
            ("outbox.requeue", act("cancelled", "pending")),
            ("outbox.cancel", act("pending", "cancelled")),
        ]
    );
}

async fn of_a_list_all_are_repaired_or_none(database: &TestDatabase) {
    let failed = message_that_is(database, Status::Failed).await;
    let skipped = message_that_is(database, Status::Skipped).await;
    let sent = message_that_is(database, Status::Sent).await;
    let before = database.contents().await;
    let wish = || Wish::Requeue { attempts: 1 };
    for wrong in [sent, OutboxMessageId::generate()] {
        let ids = [failed.clone(), wrong.clone(), skipped.clone()];
        let error = database.repair(&ids, wish(), later()).await.unwrap_err();
        assert!(error.to_string().contains(wrong.as_str()), "{error}");
    }
    database.assert_unchanged_since(&before).await;
    // Named twice, it is repaired once.
    let ids = [skipped.clone(), failed.clone(), skipped.clone()];
    let repaired = database.repair(&ids, wish(), later()).await.unwrap();
    let repaired: Vec<&OutboxMessageId> = repaired.messages.iter().map(|row| &row.id).collect();
    assert_eq!(repaired, [&skipped, &failed]);
}

async fn an_edited_message_goes_out_with_its_new_payload(database: &TestDatabase) {
    let id = message_that_is(database, Status::Failed).await;
    let wish = Wish::Edit {
        payload: r#"{"customerName": "李先生"}"#.parse().unwrap(),
        attempts: 2,
    };
    let row = one(database, &id, wish.clone()).await.unwrap();
    assert_eq!(
        (row.status, row.payload.as_str(), row.attempts_max),
        (Status::Pending, r#"{"customerName":"李先生"}"#, 3)
    );
    let claimed = database.claim_one(&relay("b"), later()).await;
    assert_eq!(claimed.payload, row.payload);
    database
        .settle(&relay("b"), &claimed, accepted(), later())
        .await;
    let error = one(database, &id, wish).await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!("message {id} is sent; only failed, skipped or cancelled ones can be edited")
    );
}

async fn a_message_that_somebody_else_has_locked_is_named(database: &TestDatabase) {
    let mut other = database.connection();
    let DbConnection::Postgres(other) = &mut other else {
        return; // One writer at a time: nothing to be locked by somebody else.
    };
    let id = message_that_is(database, Status::Failed).await;
    other
        .batch_execute(&format!(
            "BEGIN; SELECT 1 FROM outbox_messages WHERE id = '{id}' FOR UPDATE"
        ))
        .unwrap();
    let error = cancel(database, &id).await.unwrap_err();
    assert!(matches!(error, RepairError::Busy(busy) if busy == id));
    other.batch_execute("ROLLBACK").unwrap();
    cancel(database, &id).await.unwrap();
}
