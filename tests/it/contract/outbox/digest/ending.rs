//! What becomes of the messages when their digest is not delivered.

use std::fs;
use std::path::Path;

use diesel::connection::SimpleConnection;
use shared::db::DbConnection;
use shared::outbox::{
    self, Cause, DIGEST, ListFilter, QuietEnded, RepairAct, RepairError, Status, Verdict, Wish,
};

use super::{cause, digest_of, end, end_quiet, somebody, stands, to, told};
use crate::harness::{TestDatabase, accepted, on_each_database, refused, relay, retry, seconds};

on_each_database!(
    a_digest_that_is_not_taken_is_dissolved,
    one_that_may_have_been_delivered_is_not_dissolved,
    a_digest_whose_relay_dies_keeps_what_it_tells,
    a_digest_that_failed_is_requeued_with_all_it_tells,
    only_the_digest_can_be_repaired,
    the_way_back_lets_everything_go_by_itself,
);

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
