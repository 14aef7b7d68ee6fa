//! Several messages that waited for one recipient, told as one.

mod ending;
mod making;
mod members;

use std::collections::HashMap;

use shared::domain::{Channel, OutboxMessageId, RecipientId, UserId, UtcTimestamp};
use shared::outbox::{
    self, AfterQuiet, AttemptReport, Cause, ClaimedMessage, DO_NOT_DISTURB, MembersTold, Message,
    NewMessage, QuietEnded, Settlement, Status, Verdict, explain,
};

use crate::harness::{TestDatabase, message, moment, relay, report, seconds, settlement};

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
