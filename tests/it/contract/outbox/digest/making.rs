//! When a digest is made, and of what.

use shared::domain::OutboxMessageId;
use shared::outbox::{
    self, AfterQuiet, Cause, DIGEST, ListFilter, Message, NewMessage, Priority, QuietEnded, Status,
};

use super::{cause, digest_of, end, end_quiet, end_quiet_with, somebody, stands, to, told, wait};
use crate::harness::{
    Gate, TestDatabase, accepted, message, moment, on_each_database, relay, seconds,
};

on_each_database!(
    what_waited_for_one_recipient_becomes_one_message,
    nobody_claims_what_waited_before_it_was_looked_at_together,
    two_relays_at_one_moment_make_one_digest,
    what_comes_later_is_in_the_next_digest,
    what_is_to_wait_on_or_go_alone_does,
    whoever_wants_other_times_is_looked_at_again,
    the_indexes_are_used,
);

async fn what_waited_for_one_recipient_becomes_one_message(database: &TestDatabase) {
    let (one, other) = (somebody(), somebody());
    let mut members = Vec::new();
    for priority in [Priority::Low, Priority::High, Priority::Medium] {
        let new = NewMessage {
            priority,
            ..to(&one)
        };
        members.push(wait(database, new).await);
    }
    let alone = wait(database, to(&other)).await;
    let ended = end_quiet(database, end()).await;
    let expected = QuietEnded {
        digests: 1,
        gathered: 3,
        alone: 1,
        waiting: 0,
    };
    assert_eq!(ended, expected);
    assert_eq!(
        end_quiet(database, end()).await,
        QuietEnded::default(),
        "once"
    );
    let digest = database.message(&members[0]).await.digest_id.unwrap();
    for id in &members {
        let member = database.message(id).await;
        assert_eq!(stands(&member), (Status::Skipped, Some(&digest)));
        assert_eq!((member.finished_at, member.attempt), (Some(end()), 0));
        let told_in = Cause::InDigest {
            digest: digest.clone(),
            status: Status::Pending,
            due_at: Some(end()),
        };
        assert_eq!(cause(database, id).await, told_in);
    }
    let row = database.message(&digest).await;
    assert_eq!(row.kind, DIGEST);
    assert_eq!(
        (row.status, row.priority, row.due_at, row.recipient_id),
        (Status::Pending, Priority::High, end(), one)
    );
    let claimed = database.claim(&relay("a"), 10, end()).await;
    let ids: Vec<&OutboxMessageId> = claimed.iter().map(|message| &message.id).collect();
    assert_eq!(ids, [&digest, &alone]);
    let told = told(database, &claimed[0], end()).await;
    assert_eq!((told.count, told.first.len()), (3, 3));
    database.leases_may_remain();
}

async fn nobody_claims_what_waited_before_it_was_looked_at_together(database: &TestDatabase) {
    let id = wait(database, message()).await;
    let row = database.message(&id).await;
    assert_eq!((row.quiet_until, row.due_at), (Some(end()), end()));
    assert_eq!(database.claim(&relay("a"), 10, end()).await.len(), 0);
    let agenda = database
        .read(|connection| outbox::agenda(connection, end(), end()))
        .await;
    assert!(agenda.quiet_over);
    let before = end().before(seconds(1));
    let agenda = database
        .read(move |connection| outbox::agenda(connection, before, before))
        .await;
    assert!(!agenda.quiet_over);
    assert_eq!(end_quiet(database, before).await, QuietEnded::default());
    end_quiet(database, end()).await;
    assert_eq!(database.claim_one(&relay("a"), end()).await.id, id);
    database.leases_may_remain();
}

async fn two_relays_at_one_moment_make_one_digest(database: &TestDatabase) {
    let recipient = somebody();
    for _ in 0..3 {
        wait(database, to(&recipient)).await;
    }
    let gate = Gate::before(database, "outbox_messages");
    let (one, other, ()) = tokio::join!(
        end_quiet(database, end()),
        end_quiet(database, end()),
        gate.open_when_waiting(2),
    );
    assert_eq!(
        (one.digests + other.digests, one.gathered + other.gathered),
        (1, 3)
    );
    let messages = database.messages().await;
    let digests: Vec<&Message> = messages.iter().filter(|row| row.kind == DIGEST).collect();
    assert_eq!(digests.len(), 1);
    for row in messages.iter().filter(|row| row.kind != DIGEST) {
        assert_eq!(stands(row), (Status::Skipped, Some(&digests[0].id)));
    }
}

async fn what_comes_later_is_in_the_next_digest(database: &TestDatabase) {
    let recipient = somebody();
    let (first, _) = digest_of(database, vec![to(&recipient); 2]).await;
    let (second, members) = digest_of(database, vec![to(&recipient); 3]).await;
    assert_ne!(first, second);
    assert_eq!(members.len(), 3);
    let of_first = ListFilter {
        digest_id: Some(first),
        ..ListFilter::default()
    };
    let of_first = database
        .read(move |connection| outbox::list(connection, &of_first, 10))
        .await;
    assert_eq!(of_first.len(), 2, "as many as it had");
}

async fn what_is_to_wait_on_or_go_alone_does(database: &TestDatabase) {
    let recipient = somebody();
    let ids = [
        wait(database, to(&recipient)).await,
        wait(database, to(&recipient)).await,
    ];
    let later = end().after(seconds(600));
    let waits = AfterQuiet::Waits { until: later };
    let ended = end_quiet_with(database, waits, end()).await;
    assert_eq!((ended.waiting, ended.digests), (2, 0));
    for id in &ids {
        let row = database.message(id).await;
        assert_eq!((row.due_at, row.quiet_until), (later, Some(later)));
        let until = Cause::DoNotDisturb { until: later };
        assert_eq!(cause(database, id).await, until);
    }
    let ended = end_quiet_with(database, AfterQuiet::Alone, later).await;
    assert_eq!((ended.alone, ended.digests), (2, 0));
    for _ in &ids {
        let claimed = database.claim_one(&relay("a"), later).await;
        database
            .settle(&relay("a"), &claimed, accepted(), later)
            .await;
    }
}

async fn whoever_wants_other_times_is_looked_at_again(database: &TestDatabase) {
    let (one, other) = (somebody(), somebody());
    for recipient in [&one, &one, &other] {
        wait(database, to(recipient)).await;
    }
    let now = moment().after(seconds(60));
    database
        .write(move |transaction| outbox::look_again_at_quiet(transaction, &one, now))
        .await;
    let ended = end_quiet(database, now).await;
    assert_eq!((ended.digests, ended.gathered, ended.alone), (1, 2, 0));
    let ended = end_quiet(database, end()).await;
    assert_eq!((ended.digests, ended.alone), (0, 1));
}

/// Asked for every second, and whatever else waits must not be read.
async fn the_indexes_are_used(database: &TestDatabase) {
    let messages: Vec<NewMessage> = (0..2_000).map(|_| message()).collect();
    database
        .write(move |transaction| outbox::enqueue(transaction, messages, moment()))
        .await;
    let quiet = "(outbox_messages.status = 'pending' AND outbox_messages.quiet_until IS NOT NULL)";
    for (condition, index) in [
        (
            format!("{quiet} AND due_at <= '2026-01-02 04:04:05'"),
            "outbox_quiet",
        ),
        (
            format!("{quiet} AND channel = 'wecom_app' AND recipient_id IN ('a', 'b')"),
            "outbox_quiet",
        ),
        (
            "digest_id IN ('a', 'b')".to_owned(),
            "outbox_digest_members",
        ),
    ] {
        let query = format!("SELECT id FROM outbox_messages WHERE {condition}");
        let plan = database.outbox_plan(&query, "");
        assert!(plan.contains(index), "{plan}");
    }
}
