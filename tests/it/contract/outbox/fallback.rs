use std::sync::Arc;

use diesel::connection::SimpleConnection;
use shared::domain::{Channel, OutboxMessageId, RecipientId, RelayName, UserId};
use shared::notification::{Kind, Route, RouteSettings, put_route};
use shared::outbox::{
    self, ClaimedMessage, FallbackCause, FallbackChannels, Message, NewMessage, Outcome, Priority,
    Settled, Settlement, Status, Verdict, Wish,
};

use crate::harness::{
    Gate, TestDatabase, accepted, message, moment, on_each_database, refused, relay, retry,
    seconds, settlement,
};

on_each_database! {
    whoever_is_not_reached_is_told_on_the_next_channel_for_every_cause_of_the_list,
    what_takes_over_takes_everything_along,
    nothing_else_goes_on,
    a_chain_goes_on_to_its_end,
    a_channel_whose_route_is_off_is_passed_over,
    a_message_goes_on_once_however_often_it_is_settled,
    two_settlements_at_once_make_one_message,
    what_is_requeued_and_ends_the_same_way_tells_nobody_twice,
    the_table_takes_one_message_that_takes_over_from_another,
    a_batch_goes_on_message_by_message,
    what_is_not_wanted_any_more_does_not_go_on,
}

/// Switches the route of assignments on a channel.
pub async fn route(database: &TestDatabase, channel: Channel, enabled: Switch) {
    let route = Route {
        kind: Kind::CustomerAssigned,
        channel,
        settings: RouteSettings {
            enabled: matches!(enabled, Switch::On),
            ..RouteSettings::default()
        },
    };
    database
        .write(move |transaction| put_route(transaction, &route, moment()))
        .await;
}

pub enum Switch {
    On,
    Off,
}

/// A subscribe message that may go on to these channels; their routes are on.
pub async fn with_fallbacks(database: &TestDatabase, fallbacks: &[Channel]) -> OutboxMessageId {
    for channel in fallbacks {
        route(database, *channel, Switch::On).await;
    }
    database.enqueue(new(fallbacks)).await
}

fn new(fallbacks: &[Channel]) -> NewMessage {
    NewMessage {
        subject: Some("customer:1".to_owned()),
        fallbacks: FallbackChannels::in_order(fallbacks),
        ..message()
    }
}

/// Its recipient cannot be reached.
pub fn unreachable(message: &ClaimedMessage, cause: FallbackCause) -> Settlement {
    Settlement {
        falls_back: Some(cause),
        ..settlement(message, Verdict::Pointless, moment())
    }
}

/// Claims the one message that is due on a channel and finds its recipient out of reach.
pub async fn do_not_reach(database: &TestDatabase, channel: Channel) -> Settled {
    let claimed = claim_one(database, channel).await;
    let settlement = unreachable(&claimed, FallbackCause::NoBinding);
    database
        .settle_all(&relay("a"), vec![settlement], moment())
        .await
}

async fn claim_one(database: &TestDatabase, channel: Channel) -> ClaimedMessage {
    let relay = relay("a");
    let mut claimed = database.claim_on(channel, &relay, 2, moment()).await;
    assert_eq!(claimed.len(), 1, "one message is due on {channel}");
    claimed.remove(0)
}

/// The message that took over from this one.
async fn successor(database: &TestDatabase, id: &OutboxMessageId) -> Message {
    let next = database.message(id).await.fell_back_to;
    database.message(&next.expect("it went on")).await
}

const APP: Channel = Channel::WecomApp;
const CLOUD: Channel = Channel::WechatCloud;
const SUBSCRIBE: Channel = Channel::WechatSubscribe;

async fn whoever_is_not_reached_is_told_on_the_next_channel_for_every_cause_of_the_list(
    database: &TestDatabase,
) {
    for &cause in FallbackCause::ALL {
        for verdict in [Verdict::Pointless, refused()] {
            let id = with_fallbacks(database, &[APP]).await;
            let claimed = claim_one(database, SUBSCRIBE).await;
            let settlement = Settlement {
                verdict: verdict.clone(),
                ..unreachable(&claimed, cause)
            };
            let settled = database
                .settle_all(&relay("a"), vec![settlement], moment())
                .await;
            let next = successor(database, &id).await;
            assert_eq!((next.channel, next.status), (APP, Status::Pending));
            let [fallback] = &settled.fallbacks[..] else {
                panic!("one went on");
            };
            assert_eq!(
                (&fallback.of, fallback.from, fallback.cause),
                (&id, SUBSCRIBE, cause)
            );
            assert_eq!((&fallback.id, fallback.to), (&next.id, APP));
            assert!(database.message(&id).await.status.is_final());
        }
    }
}

async fn what_takes_over_takes_everything_along(database: &TestDatabase) {
    for channel in [APP, CLOUD] {
        route(database, channel, Switch::On).await;
    }
    let recipient = RecipientId::from(&UserId::generate());
    let id = database
        .enqueue(NewMessage {
            recipient_id: recipient.clone(),
            priority: Priority::High,
            dedup_key: Some("once".to_owned()),
            expires_at: Some(moment().after(seconds(900))),
            request_id: Some("request-1".parse().unwrap()),
            ..new(&[APP, CLOUD])
        })
        .await;
    let claimed = claim_one(database, SUBSCRIBE).await;
    let later = moment().after(seconds(2));
    let settlement = unreachable(&claimed, FallbackCause::NoSubscription);
    database
        .settle_all(&relay("a"), vec![settlement], later)
        .await;
    let (of, next) = (database.message(&id).await, successor(database, &id).await);
    let expected = Message {
        id: next.id.clone(),
        channel: APP,
        // Unique: the first message holds it.
        dedup_key: None,
        status: Status::Pending,
        attempt: 0,
        attempts_max: outbox::RetryPolicy::default().attempts_max,
        fence: 0,
        due_at: later,
        last_errcode: None,
        last_error: None,
        created_at: later,
        finished_at: None,
        fallbacks: FallbackChannels::in_order(&[CLOUD]),
        fallback_of: Some(id),
        fell_back_to: None,
        ..of.clone()
    };
    assert_eq!(next, expected);
    assert_eq!(
        of.fallbacks,
        FallbackChannels::in_order(&[APP, CLOUD]),
        "it remembers how it was enqueued"
    );
}

async fn nothing_else_goes_on(database: &TestDatabase) {
    let soon = moment().after(seconds(900));
    let unknown = Verdict::Retry {
        due_at: soon,
        outcome: Outcome::Unknown,
    };
    // Even if somebody names a cause: it is not over, or may have arrived.
    for verdict in [
        accepted(),
        Verdict::PresumedAccepted,
        Verdict::Undecided,
        retry(soon),
        unknown,
        Verdict::Postponed { due_at: soon },
        Verdict::Released { hold: None },
    ] {
        with_fallbacks(database, &[APP]).await;
        let claimed = claim_one(database, SUBSCRIBE).await;
        let settlement = Settlement {
            verdict,
            ..unreachable(&claimed, FallbackCause::NoBinding)
        };
        let settled = database
            .settle_all(&relay("a"), vec![settlement], moment())
            .await;
        assert_eq!(settled.fallbacks, []);
        let all =
            "UPDATE outbox_messages SET due_at = '2030-01-01 00:00:00' WHERE status = 'pending'";
        database.connection().batch_execute(all).unwrap();
    }
    // And what is over for a reason that is not on the list: the content, or the last attempt.
    for verdict in [refused(), Verdict::Pointless] {
        with_fallbacks(database, &[APP]).await;
        let claimed = claim_one(database, SUBSCRIBE).await;
        database
            .settle(&relay("a"), &claimed, verdict, moment())
            .await;
    }
    let last = NewMessage {
        attempts_max: 1,
        ..new(&[APP])
    };
    let last = database.enqueue(last).await;
    let claimed = claim_one(database, SUBSCRIBE).await;
    database
        .settle(&relay("a"), &claimed, retry(soon), moment())
        .await;
    assert_eq!(database.message(&last).await.status, Status::Failed);
    for message in database.messages().await {
        assert_eq!((message.fallback_of, message.fell_back_to), (None, None));
    }
}

async fn a_chain_goes_on_to_its_end(database: &TestDatabase) {
    let first = with_fallbacks(database, &[APP, CLOUD]).await;
    for channel in [SUBSCRIBE, APP] {
        assert_eq!(do_not_reach(database, channel).await.fallbacks.len(), 1);
    }
    assert_eq!(do_not_reach(database, CLOUD).await.fallbacks, []);
    let second = successor(database, &first).await;
    let third = successor(database, &second.id).await;
    assert_eq!(
        (second.channel, third.channel, third.fell_back_to),
        (APP, CLOUD, None)
    );
    let messages = database.messages().await;
    assert_eq!(messages.len(), 3);
    for message in messages {
        assert_eq!(message.status, Status::Skipped, "{}", message.channel);
    }
}

async fn a_channel_whose_route_is_off_is_passed_over(database: &TestDatabase) {
    let id = with_fallbacks(database, &[APP, CLOUD]).await;
    route(database, APP, Switch::Off).await;
    do_not_reach(database, SUBSCRIBE).await;
    let next = successor(database, &id).await;
    assert_eq!((next.channel, next.fallbacks), (CLOUD, None));
    do_not_reach(database, CLOUD).await;

    let id = with_fallbacks(database, &[APP, CLOUD]).await;
    for channel in [APP, CLOUD] {
        route(database, channel, Switch::Off).await;
    }
    let settled = do_not_reach(database, SUBSCRIBE).await;
    assert_eq!(settled.fallbacks, []);
    let ended = database.message(&id).await;
    assert_eq!((ended.status, ended.fell_back_to), (Status::Skipped, None));
}

async fn a_message_goes_on_once_however_often_it_is_settled(database: &TestDatabase) {
    with_fallbacks(database, &[APP]).await;
    let claimed = claim_one(database, SUBSCRIBE).await;
    let settled = unreachable(&claimed, FallbackCause::NoBinding);
    let twice = vec![settled.clone(), settled.clone()];
    let first = database.settle_all(&relay("a"), twice, moment()).await;
    let again = database
        .settle_all(&relay("a"), vec![settled], moment())
        .await;
    assert_eq!((first.fallbacks.len(), again.fallbacks.len()), (1, 0));
    assert_eq!(again.leases_lost, [claimed.id]);
    assert_eq!(database.messages().await.len(), 2);
}

async fn two_settlements_at_once_make_one_message(database: &TestDatabase) {
    with_fallbacks(database, &[APP]).await;
    let claimed = claim_one(database, SUBSCRIBE).await;
    let settlements: Arc<[Settlement]> =
        Arc::new([unreachable(&claimed, FallbackCause::NoBinding)]);
    let settle = async |name: RelayName| {
        let settlements = Arc::clone(&settlements);
        database
            .write(move |transaction| outbox::settle(transaction, &name, &settlements, moment()))
            .await
    };
    let gate = Gate::before(database, "outbox_messages");
    let (one, other, ()) = tokio::join!(
        settle(relay("a")),
        settle(relay("a")),
        gate.open_when_waiting(2),
    );
    assert_eq!(one.fallbacks.len() + other.fallbacks.len(), 1);
    assert_eq!(one.leases_lost.len() + other.leases_lost.len(), 1);
    assert_eq!(database.messages().await.len(), 2);
}

async fn what_is_requeued_and_ends_the_same_way_tells_nobody_twice(database: &TestDatabase) {
    let id = with_fallbacks(database, &[APP]).await;
    do_not_reach(database, SUBSCRIBE).await;
    let next = successor(database, &id).await.id;
    let requeue = async || {
        let wish = Wish::Requeue { attempts: 1 };
        database
            .repair(std::slice::from_ref(&id), wish, moment())
            .await
            .unwrap();
    };
    requeue().await;
    assert_eq!(do_not_reach(database, SUBSCRIBE).await.fallbacks, []);
    assert_eq!(database.message(&id).await.fell_back_to, Some(next.clone()));
    assert_eq!(database.messages().await.len(), 2);

    // Not even when the other one has been deleted since.
    let delete = format!("DELETE FROM outbox_messages WHERE id = '{next}'");
    database.connection().batch_execute(&delete).unwrap();
    requeue().await;
    assert_eq!(do_not_reach(database, SUBSCRIBE).await.fallbacks, []);
    assert_eq!(database.messages().await.len(), 1);

    // What went another way first and ends so now goes on as it would have.
    let late = with_fallbacks(database, &[APP]).await;
    let claimed = claim_one(database, SUBSCRIBE).await;
    database
        .settle(&relay("a"), &claimed, refused(), moment())
        .await;
    let wish = Wish::Requeue { attempts: 1 };
    let ids = std::slice::from_ref(&late);
    database.repair(ids, wish, moment()).await.unwrap();
    assert_eq!(do_not_reach(database, SUBSCRIBE).await.fallbacks.len(), 1);
}

async fn the_table_takes_one_message_that_takes_over_from_another(database: &TestDatabase) {
    let id = with_fallbacks(database, &[APP]).await;
    do_not_reach(database, SUBSCRIBE).await;
    let forget = format!("UPDATE outbox_messages SET fell_back_to = NULL WHERE id = '{id}'");
    database.connection().batch_execute(&forget).unwrap();
    let wish = Wish::Requeue { attempts: 1 };
    let ids = std::slice::from_ref(&id);
    database.repair(ids, wish, moment()).await.unwrap();
    do_not_reach(database, SUBSCRIBE).await;
    let messages = database.messages().await;
    assert_eq!(messages.len(), 2);
    assert_eq!(
        messages[0].fell_back_to.as_ref(),
        Some(&messages[1].id),
        "the one there was is found again"
    );
}

async fn a_batch_goes_on_message_by_message(database: &TestDatabase) {
    const COUNT: usize = 300;
    for channel in [APP, CLOUD] {
        route(database, channel, Switch::On).await;
    }
    let chains: [&[Channel]; 4] = [&[APP], &[], &[CLOUD, APP], &[APP, CLOUD]];
    let messages: Vec<NewMessage> = (0..COUNT).map(|n| new(chains[n % 4])).collect();
    database
        .write(move |transaction| outbox::enqueue(transaction, messages, moment()))
        .await;
    let claimed = database.claim(&relay("a"), COUNT, moment()).await;
    let settlements: Vec<Settlement> = claimed
        .iter()
        .enumerate()
        .map(|(n, message)| match n % 3 {
            0 => settlement(message, accepted(), moment()),
            _ => unreachable(message, FallbackCause::NoSubscription),
        })
        .collect();
    let out_of_reach: Vec<&OutboxMessageId> = settlements
        .iter()
        .filter(|settlement| settlement.falls_back.is_some())
        .map(|settlement| &settlement.message.id)
        .collect();
    database
        .settle_all(&relay("a"), settlements.clone(), moment())
        .await;
    let all = database.messages().await;
    let find = |id: &OutboxMessageId| all.iter().find(|message| message.id == *id).unwrap();
    for (n, message) in all[..COUNT].iter().enumerate() {
        let chain = chains[n % 4];
        let expected = chain
            .first()
            .filter(|_| out_of_reach.contains(&&message.id));
        let next = message.fell_back_to.as_ref().map(find);
        assert_eq!(next.map(|next| next.channel), expected.copied());
        if let Some(next) = next {
            assert_eq!(next.recipient_id, message.recipient_id);
            assert_eq!(next.fallback_of.as_ref(), Some(&message.id));
            assert_eq!(next.fallbacks, FallbackChannels::in_order(&chain[1..]));
        }
    }
}

async fn what_is_not_wanted_any_more_does_not_go_on(database: &TestDatabase) {
    let supersede = async || {
        database
            .write(|transaction| {
                let (subjects, reason) = (["customer:1".to_owned()], "superseded: on purpose");
                let kinds = outbox::PendingKinds::These(&["customer.assigned"]);
                outbox::supersede(transaction, &subjects, kinds, reason, moment())
            })
            .await
    };
    // It has gone on already and waits there.
    let id = with_fallbacks(database, &[APP]).await;
    do_not_reach(database, SUBSCRIBE).await;
    let superseded = supersede().await;
    let next = successor(database, &id).await;
    assert_eq!(superseded[0].id, next.id);
    assert_eq!(next.status, Status::Cancelled);

    // It is under way and does not arrive.
    let id = with_fallbacks(database, &[APP]).await;
    let claimed = claim_one(database, SUBSCRIBE).await;
    let elsewhere = NewMessage {
        subject: Some("customer:2".to_owned()),
        ..new(&[APP])
    };
    database.enqueue(elsewhere).await;
    let other = claim_one(database, SUBSCRIBE).await;
    assert_eq!(supersede().await, []);
    let settlements = [&claimed, &other]
        .map(|message| unreachable(message, FallbackCause::NoBinding))
        .into();
    let settled = database
        .settle_all(&relay("a"), settlements, moment())
        .await;
    assert_eq!(settled.fallbacks.len(), 1);
    assert_eq!(settled.fallbacks[0].of, other.id);
    let ended = database.message(&id).await;
    assert_eq!((ended.status, ended.fell_back_to), (Status::Skipped, None));
}
