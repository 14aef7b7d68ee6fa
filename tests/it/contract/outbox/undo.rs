use shared::domain::{OutboxMessageId, RepairId, UtcTimestamp};
use shared::operation_log::history;
use shared::outbox::{
    self, Message, NewMessage, RepairError, Rest, Status, UNDO_WINDOW, Undone, Verdict, Wish,
};

use crate::harness::{
    TestDatabase, accepted, message, moment, on_each_database, refused, relay, seconds,
};

on_each_database! {
    an_undone_repair_leaves_every_message_as_it_was,
    what_has_moved_since_is_left_alone,
    a_repair_is_undone_once_and_in_time,
    a_repair_that_does_not_exist_is_named,
    who_undid_it_is_in_the_history,
    many_are_undone_in_batches,
}

fn later() -> UtcTimestamp {
    moment().after(seconds(600))
}

/// A message that ended so; it would have expired later.
async fn ended(database: &TestDatabase, verdict: Verdict) -> OutboxMessageId {
    let id = database
        .enqueue(NewMessage {
            expires_at: Some(later().after(seconds(1_000))),
            ..message()
        })
        .await;
    let claimed = database.claim_one(&relay("a"), moment()).await;
    database
        .settle(&relay("a"), &claimed, verdict, moment())
        .await;
    id
}

async fn rows(database: &TestDatabase) -> Vec<Message> {
    database.messages().await
}

async fn an_undone_repair_leaves_every_message_as_it_was(database: &TestDatabase) {
    let failed = ended(database, refused()).await;
    let skipped = ended(database, Verdict::Pointless).await;
    let pending = database.enqueue(message()).await;
    let edit = Wish::Edit {
        payload: "{}".parse().unwrap(),
        attempts: 1,
    };
    for (wish, ids) in [
        (
            Wish::Requeue { attempts: 5 },
            vec![failed.clone(), skipped.clone()],
        ),
        (Wish::Cancel, vec![failed.clone(), pending.clone()]),
        (edit, vec![failed.clone()]),
    ] {
        let before = rows(database).await;
        let repair = database.repair(&ids, wish, later()).await.unwrap().repair;
        assert_ne!(rows(database).await, before);
        let undone = database
            .undo(&repair, later().after(UNDO_WINDOW))
            .await
            .unwrap();
        assert_eq!(
            undone,
            Undone {
                undone: ids.len(),
                moved: 0,
                rest: Rest::Nothing
            }
        );
        assert_eq!(rows(database).await, before);
    }
}

async fn what_has_moved_since_is_left_alone(database: &TestDatabase) {
    let sent = ended(database, refused()).await;
    let again = ended(database, refused()).await;
    let unmoved = ended(database, refused()).await;
    let requeue = || Wish::Requeue { attempts: 5 };
    let ids = [sent.clone(), again.clone(), unmoved.clone()];
    let repair = database.repair(&ids, requeue(), later()).await.unwrap();
    let mut claimed = database.claim(&relay("a"), 1, later()).await;
    let claimed = claimed.remove(0);
    database
        .settle(&relay("a"), &claimed, accepted(), later())
        .await;
    // Back where the repair had put it, by another way.
    let moved: Vec<OutboxMessageId> = ids.into_iter().filter(|id| *id != claimed.id).collect();
    let even_later = later().after(seconds(1));
    for wish in [Wish::Cancel, requeue()] {
        database
            .repair(&moved[..1], wish, even_later)
            .await
            .unwrap();
    }
    let undone = database.undo(&repair.repair, even_later).await.unwrap();
    assert_eq!((undone.undone, undone.moved), (1, 2));
    let status = async |id: &OutboxMessageId| database.message(id).await.status;
    assert_eq!(status(&claimed.id).await, Status::Sent);
    assert_eq!(status(&moved[0]).await, Status::Pending);
    assert_eq!(status(&moved[1]).await, Status::Failed);
}

async fn a_repair_is_undone_once_and_in_time(database: &TestDatabase) {
    let id = ended(database, refused()).await;
    let repair = database
        .repair(std::slice::from_ref(&id), Wish::Cancel, later())
        .await
        .unwrap()
        .repair;
    let too_late = later().after(UNDO_WINDOW).after(seconds(65));
    let error = database.undo(&repair, too_late).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("repair {repair} was made 11 min 5 s ago and can be undone for 10 min only")
    );
    assert_eq!(database.message(&id).await.status, Status::Cancelled);
    database.undo(&repair, later()).await.unwrap();
    let error = database.undo(&repair, later()).await.unwrap_err();
    assert!(matches!(error, RepairError::AlreadyUndone(_)), "{error}");
    assert_eq!(database.message(&id).await.status, Status::Failed);
}

async fn a_repair_that_does_not_exist_is_named(database: &TestDatabase) {
    let id = RepairId::generate();
    let error = database.undo(&id, moment()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("there is no repair {id}"));
}

async fn who_undid_it_is_in_the_history(database: &TestDatabase) {
    let id = ended(database, refused()).await;
    let repair = database
        .repair(
            std::slice::from_ref(&id),
            Wish::Requeue { attempts: 1 },
            later(),
        )
        .await
        .unwrap()
        .repair;
    database.undo(&repair, later()).await.unwrap();
    let history = database
        .read(move |connection| history(connection, "outbox_message", id.as_str()))
        .await;
    let told: Vec<(&str, &str, &str)> = history
        .iter()
        .map(|act| {
            let reason = act.detail["reason"].as_str().unwrap_or("-");
            (act.actor.as_str(), act.action.as_str(), reason)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("li", "outbox.requeue", "模板已修复"),
            ("wang", "outbox.undo", "-")
        ]
    );
}

async fn many_are_undone_in_batches(database: &TestDatabase) {
    let messages: Vec<NewMessage> = (0..750).map(|_| message()).collect();
    database
        .write(move |transaction| outbox::enqueue(transaction, messages, moment()))
        .await;
    let before = rows(database).await;
    let ids: Vec<OutboxMessageId> = before.iter().map(|row| row.id.clone()).collect();
    let repair = database
        .repair(&ids, Wish::Cancel, later())
        .await
        .unwrap()
        .repair;
    let first = database
        .undo(&repair, later().after(UNDO_WINDOW))
        .await
        .unwrap();
    assert_eq!((first.undone, first.rest), (500, Rest::More));
    // What was begun in time may be finished later.
    let second = database
        .undo(&repair, later().after(UNDO_WINDOW * 2))
        .await
        .unwrap();
    assert_eq!((second.undone, second.rest), (250, Rest::Nothing));
    assert_eq!(rows(database).await, before);
}
