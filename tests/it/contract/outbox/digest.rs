use std::collections::HashMap;
use std::fs;
use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use shared::db::{DbConnection, DbError};
use shared::domain::{Channel, OutboxMessageId, RecipientId, UserId, UtcTimestamp};
use shared::outbox::{
    self, AfterQuiet, AttemptReport, Cause, ClaimedMessage, DIGEST, DO_NOT_DISTURB, ListFilter,
    MembersTold, Message, NewMessage, PendingKinds, Priority, QuietEnded, RepairAct, RepairError,
    Retention, Settlement, Status, Verdict, Wish, explain,
};

use crate::harness::{
    Gate, TestDatabase, accepted, message, moment, on_each_database, refused, relay, report, retry,
    seconds, settlement,
};

on_each_database! {
    what_waited_for_one_recipient_becomes_one_message,
    nobody_claims_what_waited_before_it_was_looked_at_together,
    two_relays_at_one_moment_make_one_digest,
    what_comes_later_is_in_the_next_digest,
    what_is_to_wait_on_or_go_alone_does,
    what_is_no_longer_true_drops_out_until_the_digest_leaves,
    a_change_and_a_claim_at_one_moment_agree_on_what_is_told,
    what_has_expired_drops_out_when_the_digest_is_claimed,
    a_repeat_tells_the_same,
    a_digest_that_is_not_taken_is_dissolved,
    one_that_may_have_been_delivered_is_not_dissolved,
    a_digest_whose_relay_dies_keeps_what_it_tells,
    a_digest_that_failed_is_requeued_with_all_it_tells,
    only_the_digest_can_be_repaired,
    what_a_digest_tells_is_kept_as_long_as_the_digest,
    it_is_one_message_in_every_figure,
    whoever_wants_other_times_is_looked_at_again,
    the_way_back_lets_everything_go_by_itself,
    the_indexes_are_used,
}

const CHANNEL: Channel = Channel::WechatSubscribe;

/// When the window ends.
fn end() -> UtcTimestamp {
    moment().after(seconds(3_600))
}

fn somebody() -> RecipientId {
    RecipientId::from(&UserId::generate())
}

fn to(recipient: &RecipientId) -> NewMessage {
    NewMessage {
        recipient_id: recipient.clone(),
        ..message()
    }
}

fn about(subject: &str, recipient: &RecipientId) -> NewMessage {
    NewMessage {
        subject: Some(subject.to_owned()),
        ..to(recipient)
    }
}

/// The recipient does not want to be disturbed until then.
fn quiet(claimed: &ClaimedMessage, until: UtcTimestamp) -> Settlement {
    Settlement {
        report: AttemptReport {
            rule: DO_NOT_DISTURB.to_owned(),
            errcode: None,
            http_status: None,
            error: Some("the recipient does not want to be disturbed now".to_owned()),
            ..report(moment())
        },
        ..settlement(claimed, Verdict::Postponed { due_at: until }, moment())
    }
}

/// Enqueues a message that then waits for the end of the window.
async fn wait(database: &TestDatabase, new: NewMessage) -> OutboxMessageId {
    let id = database.enqueue(new).await;
    let claimed = database.claim(&relay("a"), 10, moment()).await;
    assert_eq!(claimed.len(), 1);
    let settlements = vec![quiet(&claimed[0], end())];
    database
        .settle_all(&relay("a"), settlements, moment())
        .await;
    id
}

async fn end_quiet(database: &TestDatabase, now: UtcTimestamp) -> QuietEnded {
    end_quiet_with(database, AfterQuiet::Gathered, now).await
}

async fn end_quiet_with(
    database: &TestDatabase,
    after: AfterQuiet,
    now: UtcTimestamp,
) -> QuietEnded {
    database
        .write(move |transaction| {
            let quiet = outbox::lock_quiet_over(transaction, CHANNEL, 100, now)?;
            let ended = quiet.into_iter().map(|message| (message, after)).collect();
            outbox::end_quiet(transaction, CHANNEL, ended, now)
        })
        .await
}

/// Several messages that waited, and the digest that was made of them.
async fn digest_of(
    database: &TestDatabase,
    messages: Vec<NewMessage>,
) -> (OutboxMessageId, Vec<OutboxMessageId>) {
    let mut members = Vec::new();
    for new in messages {
        members.push(wait(database, new).await);
    }
    assert_eq!(end_quiet(database, end()).await.digests, 1);
    let digest = database.message(&members[0]).await.digest_id.unwrap();
    (digest, members)
}

/// What a digest that was just claimed has to tell.
async fn told(database: &TestDatabase, digest: &ClaimedMessage, now: UtcTimestamp) -> MembersTold {
    let digest = digest.clone();
    let mut told: HashMap<OutboxMessageId, MembersTold> = database
        .write(move |transaction| outbox::members_to_tell(transaction, &[&digest], 8, now))
        .await;
    assert_eq!(told.len(), 1);
    told.drain().next().unwrap().1
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

async fn cause(database: &TestDatabase, id: &OutboxMessageId) -> Cause {
    let id = id.clone();
    let explanation = database
        .read(move |connection| explain(connection, &id, end()))
        .await;
    explanation.unwrap().cause
}

fn stands(message: &Message) -> (Status, Option<&OutboxMessageId>) {
    (message.status, message.digest_id.as_ref())
}

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

async fn a_digest_that_is_not_taken_is_dissolved(database: &TestDatabase) {
    for verdict in [refused(), Verdict::Pointless] {
        let recipient = somebody();
        let (digest, members) = digest_of(database, vec![to(&recipient); 2]).await;
        let claimed = database.claim_one(&relay("a"), end()).await;
        database.settle(&relay("a"), &claimed, verdict, end()).await;
        assert_eq!(database.message(&digest).await.status, Status::Skipped);
        let reason = Some("reach max api daily quota limit".to_owned());
        assert_eq!(cause(database, &digest).await, Cause::Dissolved { reason });
        assert_eq!(end_quiet(database, end()).await, QuietEnded::default());
        for id in &members {
            let claimed = database.claim_one(&relay("a"), end()).await;
            assert_eq!(&claimed.id, id);
            database
                .settle(&relay("a"), &claimed, accepted(), end())
                .await;
        }
    }
}

async fn one_that_may_have_been_delivered_is_not_dissolved(database: &TestDatabase) {
    let recipient = somebody();
    let (digest, members) = digest_of(database, vec![to(&recipient); 2]).await;
    let claimed = database.claim_one(&relay("a"), end()).await;
    let unknown = Verdict::Retry {
        due_at: end(),
        outcome: outbox::Outcome::Unknown,
    };
    database.settle(&relay("a"), &claimed, unknown, end()).await;
    let claimed = database.claim_one(&relay("a"), end()).await;
    database
        .settle(&relay("a"), &claimed, refused(), end())
        .await;
    assert_eq!(database.message(&digest).await.status, Status::Failed);
    for id in &members {
        let member = database.message(id).await;
        assert_eq!(stands(&member), (Status::Skipped, Some(&digest)));
    }
}

async fn a_digest_whose_relay_dies_keeps_what_it_tells(database: &TestDatabase) {
    let recipient = somebody();
    let (digest, members) = digest_of(database, vec![to(&recipient); 2]).await;
    database.register(&relay("a"), end()).await;
    database.claim_one(&relay("a"), end()).await;
    let later = end().after(seconds(60));
    let reclaimed = database.reclaim(later).await;
    assert_eq!(reclaimed.rescued, std::slice::from_ref(&digest));
    assert_eq!(end_quiet(database, later).await, QuietEnded::default());
    let claimed = database.claim_one(&relay("b"), later).await;
    assert_eq!(claimed.id, digest);
    assert_eq!(told(database, &claimed, later).await.count, members.len());
    database
        .settle(&relay("b"), &claimed, accepted(), later)
        .await;
    assert_eq!(database.message(&digest).await.status, Status::Sent);
}

async fn a_digest_that_failed_is_requeued_with_all_it_tells(database: &TestDatabase) {
    let recipient = somebody();
    let (digest, members) = digest_of(database, vec![to(&recipient); 2]).await;
    database
        .connection()
        .batch_execute("UPDATE outbox_messages SET attempts_max = 1 WHERE kind = 'system.digest'")
        .unwrap();
    let claimed = database.claim_one(&relay("a"), end()).await;
    database
        .settle(&relay("a"), &claimed, retry(end()), end())
        .await;
    let failed = cause(database, &members[0]).await;
    let expected = Cause::InDigest {
        digest: digest.clone(),
        status: Status::Failed,
        due_at: None,
    };
    assert_eq!(failed, expected);
    assert!(failed.fix().unwrap().contains("requeue"));
    let requeue = Wish::Requeue { attempts: 3 };
    let repaired = database
        .repair(std::slice::from_ref(&digest), requeue.clone(), end())
        .await
        .unwrap();
    // Back, and once more.
    let undone = database.undo(&repaired.repair, end()).await.unwrap();
    assert_eq!((undone.undone, undone.moved), (1, 0));
    database.repair(&[digest], requeue, end()).await.unwrap();
    let claimed = database.claim_one(&relay("a"), end()).await;
    assert_eq!(told(database, &claimed, end()).await.count, members.len());
    database
        .settle(&relay("a"), &claimed, accepted(), end())
        .await;
}

async fn only_the_digest_can_be_repaired(database: &TestDatabase) {
    let recipient = somebody();
    let (digest, members) = digest_of(database, vec![to(&recipient); 2]).await;
    for (wish, act) in [
        (Wish::Requeue { attempts: 1 }, RepairAct::Requeue),
        (Wish::Cancel, RepairAct::Cancel),
    ] {
        let answer = database.repair(&members[..1], wish, end()).await;
        let Err(error @ RepairError::InDigest { .. }) = answer else {
            panic!("{answer:?}");
        };
        let sentence = format!(
            "message {} is told in digest {digest}; only the digest can be {}",
            members[0],
            act.participle()
        );
        assert_eq!(error.to_string(), sentence);
        let repairable = database
            .read(move |connection| {
                let skipped = ListFilter {
                    status: Some(Status::Skipped),
                    ..ListFilter::default()
                };
                outbox::count_repairable(connection, act, &skipped)
            })
            .await;
        assert_eq!(repairable, 0, "not among all that match");
    }
    let cancelled = database
        .repair(std::slice::from_ref(&digest), Wish::Cancel, end())
        .await
        .unwrap();
    assert_eq!(database.claim(&relay("a"), 10, end()).await.len(), 0);
    let edit = Wish::Edit {
        payload: "{}".parse().unwrap(),
        attempts: 1,
    };
    let answer = database
        .repair(std::slice::from_ref(&digest), edit, end())
        .await;
    assert!(matches!(answer, Err(RepairError::EditOfDigest(_))));
    database.undo(&cancelled.repair, end()).await.unwrap();
    let claimed = database.claim_one(&relay("a"), end()).await;
    assert_eq!(told(database, &claimed, end()).await.count, 2);
    database
        .settle(&relay("a"), &claimed, accepted(), end())
        .await;
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

/// An earlier release knows no digests.
async fn the_way_back_lets_everything_go_by_itself(database: &TestDatabase) {
    let (waiting, _) = digest_of(database, vec![to(&somebody()); 2]).await;
    let (sent, _) = digest_of(database, vec![to(&somebody()); 2]).await;
    for claimed in database.claim(&relay("a"), 10, end()).await {
        let verdict = if claimed.id == sent {
            accepted()
        } else {
            Verdict::Released { hold: None }
        };
        database.settle(&relay("a"), &claimed, verdict, end()).await;
    }
    let mut connection = database.connection();
    let of = match &connection {
        DbConnection::Sqlite(_) => "sqlite",
        DbConnection::Postgres(_) => "postgres",
    };
    let migration = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../migrations")
        .join(of)
        .join("2026-11-26-100100_digests");
    for script in ["down.sql", "up.sql"] {
        let sql = fs::read_to_string(migration.join(script)).unwrap();
        connection.batch_execute(&sql).unwrap();
    }
    let rows = database.messages().await;
    let stand: Vec<(&str, Status)> = rows
        .iter()
        .map(|row| (row.kind.as_str(), row.status))
        .collect();
    let assigned = "customer.assigned";
    assert_eq!(
        stand,
        [
            (assigned, Status::Pending),
            (assigned, Status::Pending),
            (assigned, Status::Skipped),
            (assigned, Status::Skipped),
            (DIGEST, Status::Sent),
        ],
        "{waiting}"
    );
    assert_eq!(database.claim(&relay("a"), 10, end()).await.len(), 1);
    database.leases_may_remain();
}

/// Asked for every second, and whatever else waits must not be read.
async fn the_indexes_are_used(database: &TestDatabase) {
    #[derive(QueryableByName)]
    struct Step {
        #[diesel(sql_type = Text)]
        detail: String,
    }
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
        line: String,
    }
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
        let plan: String = match &mut database.connection() {
            DbConnection::Sqlite(c) => {
                let plan = format!("EXPLAIN QUERY PLAN {query}");
                let steps: Vec<Step> = diesel::sql_query(plan).load(c).unwrap();
                steps.into_iter().map(|step| step.detail).collect()
            }
            DbConnection::Postgres(c) => {
                c.batch_execute("ANALYZE outbox_messages").unwrap();
                let plan = format!("EXPLAIN {query}");
                let lines: Vec<Line> = diesel::sql_query(plan).load(c).unwrap();
                lines.into_iter().map(|line| line.line).collect()
            }
        };
        assert!(plan.contains(index), "{plan}");
    }
}
