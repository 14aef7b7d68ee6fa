use shared::db::DbError;
use shared::domain::Channel;
use shared::operation_log::Actor;
use shared::outbox::{self, ChannelSettings, Status, UnknownOutcomePolicy};

use crate::harness::{TestDatabase, message, moment, on_each_database, relay, seconds};

on_each_database! {
    what_nobody_has_set_is_as_usual,
    what_was_set_last_holds,
    a_number_out_of_its_range_is_refused,
    a_rescued_message_is_left_to_a_person_where_nothing_is_sent_again,
}

async fn set(database: &TestDatabase, settings: ChannelSettings) -> Result<(), DbError> {
    let set = move |transaction: &mut shared::db::WriteTransaction<'_>| {
        outbox::set_channel(transaction, &settings, &Actor::System, moment())
    };
    database.database().write(set).await
}

async fn of(database: &TestDatabase, channel: Channel) -> ChannelSettings {
    let all = database.read(outbox::channel_settings).await;
    assert_eq!(all.len(), Channel::ALL.len());
    all.into_iter().find(|set| set.channel == channel).unwrap()
}

async fn what_nobody_has_set_is_as_usual(database: &TestDatabase) {
    for &channel in Channel::ALL {
        assert_eq!(
            of(database, channel).await,
            ChannelSettings::default_of(channel)
        );
    }
}

async fn what_was_set_last_holds(database: &TestDatabase) {
    let first = ChannelSettings {
        channel: Channel::WechatCloud,
        unknown_outcome: UnknownOutcomePolicy::AssumeSent,
        concurrency: Some(8),
        rate_per_minute: Some(20),
    };
    let second = ChannelSettings {
        unknown_outcome: UnknownOutcomePolicy::HoldForOperator,
        concurrency: None,
        rate_per_minute: Some(40),
        ..first.clone()
    };
    for settings in [first, second] {
        set(database, settings.clone()).await.unwrap();
        assert_eq!(of(database, Channel::WechatCloud).await, settings);
    }
    let other = of(database, Channel::WechatSubscribe).await;
    assert_eq!(other, ChannelSettings::default_of(Channel::WechatSubscribe));
}

async fn a_number_out_of_its_range_is_refused(database: &TestDatabase) {
    let usual = ChannelSettings::default_of(Channel::WechatCloud);
    for (concurrency, rate_per_minute) in [(Some(0), None), (Some(4_097), None), (None, Some(0))] {
        let wrong = ChannelSettings {
            concurrency,
            rate_per_minute,
            ..usual.clone()
        };
        let refused = set(database, wrong).await.unwrap_err();
        assert!(matches!(refused, DbError::Constraint(_)), "{refused}");
    }
    assert_eq!(of(database, Channel::WechatCloud).await, usual);
}

async fn a_rescued_message_is_left_to_a_person_where_nothing_is_sent_again(
    database: &TestDatabase,
) {
    for policy in [
        UnknownOutcomePolicy::HoldForOperator,
        UnknownOutcomePolicy::AssumeSent,
    ] {
        let settings = ChannelSettings {
            unknown_outcome: policy,
            ..ChannelSettings::default_of(Channel::WechatSubscribe)
        };
        set(database, settings).await.unwrap();
        let id = database.enqueue(message()).await;
        database.claim_one(&relay("lost"), moment()).await;
        let reclaimed = database.reclaim(moment().after(seconds(60))).await;
        assert_eq!(
            (reclaimed.rescued, reclaimed.failed),
            (vec![], vec![id.clone()])
        );
        let row = database.message(&id).await;
        assert_eq!((row.status, row.outcome_unknown), (Status::Failed, true));
        assert!(row.last_error.unwrap().contains("does not send again"));
    }
}
