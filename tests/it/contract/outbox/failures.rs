use shared::domain::{Channel, UtcTimestamp};
use shared::outbox::{self, FailureLine, NewMessage, Status, Verdict, Wish};

use crate::harness::{
    TestDatabase, accepted, message, moment, on_each_database, refused, relay, seconds, settlement,
};

on_each_database! {
    failures_are_counted_by_errcode_kind_and_channel_in_three_windows,
    what_was_requeued_or_sent_is_no_failure,
}

const HOUR: u64 = 60 * 60;

async fn failures(database: &TestDatabase, now: UtcTimestamp) -> Vec<FailureLine> {
    database
        .read(move |connection| outbox::failures(connection, now))
        .await
}

/// A message of this kind that was given up at that moment.
async fn give_up(
    database: &TestDatabase,
    kind: &str,
    verdict: Verdict,
    errcode: Option<i64>,
    at: UtcTimestamp,
) {
    let kind = kind.to_owned();
    database
        .enqueue(NewMessage {
            kind,
            due_at: at,
            ..message()
        })
        .await;
    let claimed = database.claim_one(&relay("a"), at).await;
    let mut settlement = settlement(&claimed, verdict, at);
    settlement.report.errcode = errcode;
    database.settle_all(&relay("a"), vec![settlement], at).await;
}

async fn failures_are_counted_by_errcode_kind_and_channel_in_three_windows(
    database: &TestDatabase,
) {
    let now = moment().after(seconds(30 * 24 * HOUR));
    assert_eq!(failures(database, now).await, []);
    for age in [
        0,
        HOUR,
        HOUR + 1,
        24 * HOUR,
        7 * 24 * HOUR,
        7 * 24 * HOUR + 1,
    ] {
        let at = now.before(seconds(age));
        give_up(database, "customer.assigned", refused(), Some(47_003), at).await;
    }
    give_up(database, "customer.created", refused(), Some(47_003), now).await;
    give_up(database, "customer.assigned", refused(), None, now).await;
    give_up(
        database,
        "customer.assigned",
        Verdict::Pointless,
        Some(43_101),
        now,
    )
    .await;
    let lines = failures(database, now).await;
    let told: Vec<(Status, Option<i64>, &str, [i64; 3])> = lines
        .iter()
        .map(|line| {
            let counts = [line.last_hour, line.last_day, line.last_week];
            (line.status, line.errcode, line.kind.as_str(), counts)
        })
        .collect();
    assert_eq!(
        told,
        [
            (Status::Failed, Some(47_003), "customer.assigned", [2, 4, 5]),
            (Status::Failed, None, "customer.assigned", [1, 1, 1]),
            (Status::Failed, Some(47_003), "customer.created", [1, 1, 1]),
            (
                Status::Skipped,
                Some(43_101),
                "customer.assigned",
                [1, 1, 1]
            ),
        ]
    );
    assert_eq!(lines[0].channel, Channel::WechatSubscribe);
    assert_eq!(lines[0].last_at, Some(now));
    assert_eq!(
        lines[0].example.as_deref(),
        Some("reach max api daily quota limit")
    );
}

async fn what_was_requeued_or_sent_is_no_failure(database: &TestDatabase) {
    give_up(database, "x", refused(), None, moment()).await;
    give_up(database, "y", accepted(), None, moment()).await;
    let failed = database.messages().await.remove(0).id;
    assert_eq!(failures(database, moment()).await.len(), 1);
    let wish = Wish::Requeue { attempts: 1 };
    database.repair(&[failed], wish, moment()).await.unwrap();
    assert_eq!(failures(database, moment()).await, []);
}
