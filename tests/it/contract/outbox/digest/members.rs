//! What a digest tells, and how it is counted and kept.

use shared::db::DbError;
use shared::domain::{OutboxMessageId, RecipientId};
use shared::outbox::{self, Cause, NewMessage, PendingKinds, Retention, Status, Verdict};

use super::{cause, digest_of, end, somebody, stands, to, told};
use crate::harness::{Gate, TestDatabase, accepted, on_each_database, relay, retry, seconds};

on_each_database!(
    what_is_no_longer_true_drops_out_until_the_digest_leaves,
    a_change_and_a_claim_at_one_moment_agree_on_what_is_told,
    what_has_expired_drops_out_when_the_digest_is_claimed,
    a_repeat_tells_the_same,
    what_a_digest_tells_is_kept_as_long_as_the_digest,
    it_is_one_message_in_every_figure,
);

fn about(subject: &str, recipient: &RecipientId) -> NewMessage {
    NewMessage {
        subject: Some(subject.to_owned()),
        ..to(recipient)
    }
}

async fn supersede(database: &TestDatabase, subject: &str) -> Vec<OutboxMessageId> {
    let subjects = [subject.to_owned()];
    let superseded = database
        .write(move |transaction| {
            let (kinds, reason) = (PendingKinds::Every, "superseded: on purpose");
            outbox::supersede(transaction, &subjects, kinds, reason, end())
        })
        .await;
    superseded.into_iter().map(|message| message.id).collect()
}

async fn what_is_no_longer_true_drops_out_until_the_digest_leaves(database: &TestDatabase) {
    let recipient = somebody();
    let subjects = ["customer:1", "customer:2", "customer:3"];
    let messages = subjects.map(|subject| about(subject, &recipient));
    let (digest, members) = digest_of(database, messages.into()).await;
    assert_eq!(
        supersede(database, "customer:2").await,
        [members[1].clone()]
    );
    let gone = database.message(&members[1]).await;
    assert_eq!(stands(&gone), (Status::Cancelled, None));
    assert!(matches!(
        cause(database, &members[1]).await,
        Cause::Superseded { .. }
    ));

    let claimed = database.claim_one(&relay("a"), end()).await;
    assert_eq!(claimed.id, digest);
    assert_eq!(told(database, &claimed, end()).await.count, 2);
    assert_eq!(supersede(database, "customer:1").await, [], "under way");
    // It did not leave, so what it tells can be mended again.
    let later = end().after(seconds(5));
    database
        .settle(&relay("a"), &claimed, retry(later), end())
        .await;
    assert_eq!(
        supersede(database, "customer:1").await,
        [members[0].clone()]
    );
    let claimed = database.claim_one(&relay("a"), later).await;
    assert_eq!(told(database, &claimed, later).await.count, 1);
    database
        .settle(&relay("a"), &claimed, accepted(), later)
        .await;
    assert_eq!(supersede(database, "customer:3").await, [], "it was told");
    let member = database.message(&members[2]).await;
    assert_eq!(stands(&member), (Status::Skipped, Some(&digest)));
}

async fn a_change_and_a_claim_at_one_moment_agree_on_what_is_told(database: &TestDatabase) {
    let recipient = somebody();
    let messages = ["customer:1", "customer:2"].map(|subject| about(subject, &recipient));
    let (_, members) = digest_of(database, messages.into()).await;
    let gate = Gate::before(database, "outbox_messages");
    let relay_name = relay("a");
    let (claimed, superseded, ()) = tokio::join!(
        database.claim(&relay_name, 10, end()),
        supersede(database, "customer:1"),
        gate.open_when_waiting(2),
    );
    let claimed = match claimed.into_iter().next() {
        Some(claimed) => claimed,
        // The change was first, and had the digest locked.
        None => database.claim_one(&relay("a"), end()).await,
    };
    let told = told(database, &claimed, end()).await;
    let expected = if superseded.is_empty() { 2 } else { 1 };
    assert_eq!(told.count, expected, "{superseded:?}");
    let first = database.message(&members[0]).await;
    assert_eq!(first.digest_id.is_some(), superseded.is_empty());
    database.leases_may_remain();
}

async fn what_has_expired_drops_out_when_the_digest_is_claimed(database: &TestDatabase) {
    let recipient = somebody();
    let expiring = NewMessage {
        expires_at: Some(end().after(seconds(60))),
        ..to(&recipient)
    };
    let messages = vec![to(&recipient), expiring, to(&recipient)];
    let (_, members) = digest_of(database, messages).await;
    let late = end().after(seconds(61));
    let claimed = database.claim_one(&relay("a"), late).await;
    assert_eq!(told(database, &claimed, late).await.count, 2);
    let expired = database.message(&members[1]).await;
    assert_eq!(stands(&expired), (Status::Cancelled, None));
    assert!(matches!(
        cause(database, &members[1]).await,
        Cause::Expired { .. }
    ));
    database.leases_may_remain();
}

async fn a_repeat_tells_the_same(database: &TestDatabase) {
    let recipient = somebody();
    let expiring = NewMessage {
        expires_at: Some(end().after(seconds(60))),
        ..about("customer:1", &recipient)
    };
    let (_, members) = digest_of(database, vec![expiring, to(&recipient)]).await;
    let claimed = database.claim_one(&relay("a"), end()).await;
    let unknown = Verdict::Retry {
        due_at: end().after(seconds(90)),
        outcome: outbox::Outcome::Unknown,
    };
    database.settle(&relay("a"), &claimed, unknown, end()).await;
    assert_eq!(supersede(database, "customer:1").await, []);
    let late = end().after(seconds(90));
    let claimed = database.claim_one(&relay("a"), late).await;
    assert_eq!(told(database, &claimed, late).await.count, members.len());
    database.leases_may_remain();
}

async fn what_a_digest_tells_is_kept_as_long_as_the_digest(database: &TestDatabase) {
    let kept = Retention {
        sent: seconds(300),
        failed: seconds(300),
        skipped_and_cancelled: seconds(100),
    };
    let (digest, _) = digest_of(database, vec![to(&somebody()); 2]).await;
    let claimed = database.claim_one(&relay("a"), end()).await;
    database
        .settle(&relay("a"), &claimed, accepted(), end())
        .await;
    for (second, left) in [(101, 3), (300, 3), (301, 0)] {
        let now = end().after(seconds(second));
        database
            .write(move |transaction| outbox::prune(transaction, kept, 10, now))
            .await;
        assert_eq!(database.messages().await.len(), left, "{digest} {second}");
    }
}

async fn it_is_one_message_in_every_figure(database: &TestDatabase) {
    digest_of(database, vec![to(&somebody()); 3]).await;
    let (backlog, failures) = database
        .read(|connection| {
            let backlog = outbox::backlog(connection, end())?;
            Ok::<_, DbError>((backlog, outbox::failures(connection, end())?))
        })
        .await;
    assert_eq!(
        (
            backlog.count(Status::Pending),
            backlog.count(Status::Skipped)
        ),
        (1, 0)
    );
    assert_eq!(failures, []);
}
