//! Telling somebody something: the entry in the notification centre and the messages that go out.

use std::collections::BTreeMap;

use diesel::prelude::*;
use serde_json::{Map, Value, json};
use shared::db::DbError;
use shared::domain::{Channel, ChannelSet, NotificationId, UserId};
use shared::notification::{
    self, InboxFilter, Kind, Notice, NotificationPriority, Reach, ReadFilter, Route, RouteSettings,
    Terms,
};
use shared::outbox::Priority;

use crate::harness::{TestDatabase, moment, on_each_database, seconds};

on_each_database! {
    a_notice_is_one_entry_and_one_message_per_recipient_and_active_route,
    a_notice_for_the_inbox_only_sends_nothing,
    nothing_goes_out_on_a_disabled_route_or_an_unconfigured_channel,
    a_rolled_back_notice_leaves_neither_entry_nor_message,
    a_notice_to_somebody_unknown_is_refused_as_a_whole,
    a_missing_value_is_a_dash,
    the_inbox_is_paged_filtered_and_counted,
    only_ones_own_entries_can_be_marked_as_read,
    a_route_is_replaced_not_doubled,
}

/// Everything that could be configured is.
fn all_channels() -> ChannelSet {
    Channel::ALL.iter().copied().collect()
}

fn notice(recipients: &[&UserId], reach: Reach) -> Notice {
    let data = json!({
        "customerId": "c1",
        "customerName": "王女士",
        "phone": "138****8999",
        "leadSource": "美团",
    });
    Notice {
        kind: Kind::CustomerAssigned,
        recipients: recipients.iter().copied().cloned().collect(),
        data: data.as_object().unwrap().clone(),
        subject: Some("customer:c1".to_owned()),
        reach,
        terms: Terms::default(),
        request_id: Some("request-1".parse().unwrap()),
    }
}

async fn user(database: &TestDatabase) -> UserId {
    let id = UserId::generate();
    let sql = format!(
        "INSERT INTO users (id, username, password_hash, name, role, created_at, updated_at) \
         VALUES ('{id}', '{id}', 'x', 'x', 'employee', '2026-01-02', '2026-01-02')"
    );
    database
        .write(move |transaction| {
            diesel::sql_query(sql).execute(transaction.connection())?;
            Ok(())
        })
        .await;
    id
}

enum Use {
    Enabled,
    Disabled,
}

fn route(channel: Channel, used: &Use) -> Route {
    Route {
        kind: Kind::CustomerAssigned,
        channel,
        settings: RouteSettings {
            enabled: matches!(used, Use::Enabled),
            template_id: Some("template".to_owned()),
            page: Some("pages/customer/detail?id={{customerId}}".to_owned()),
            fields: BTreeMap::from([("thing1".to_owned(), "{{customerName}}".to_owned())]),
            ..RouteSettings::default()
        },
    }
}

async fn put_route(database: &TestDatabase, route: Route) {
    database
        .write(move |transaction| notification::put_route(transaction, &route, moment()))
        .await;
}

async fn tell(
    database: &TestDatabase,
    notice: Notice,
    configured: ChannelSet,
) -> Result<(), DbError> {
    database
        .database()
        .write(move |transaction| notification::notify(transaction, &notice, configured, moment()))
        .await
}

async fn inbox(database: &TestDatabase, user: &UserId) -> Vec<notification::Notification> {
    let user = user.clone();
    let (entries, total) = database
        .read(move |connection| {
            notification::inbox(connection, &user, &InboxFilter::default(), 0, 100)
        })
        .await;
    assert_eq!(usize::try_from(total).unwrap(), entries.len());
    entries
}

async fn a_notice_is_one_entry_and_one_message_per_recipient_and_active_route(
    database: &TestDatabase,
) {
    let (a, b) = (user(database).await, user(database).await);
    for channel in [Channel::WechatSubscribe, Channel::WechatCloud] {
        put_route(database, route(channel, &Use::Enabled)).await;
    }
    let notice = notice(&[&a, &b], Reach::AllChannels);
    tell(database, notice.clone(), all_channels())
        .await
        .unwrap();

    for user in [&a, &b] {
        let entries = inbox(database, user).await;
        assert_eq!(entries.len(), 1);
        let entry = &entries[0];
        assert_eq!(
            (entry.kind, entry.title.as_str(), entry.priority),
            (
                Kind::CustomerAssigned,
                "客户分配通知",
                NotificationPriority::High
            )
        );
        assert_eq!(
            entry.content,
            "您有新的客户【王女士】，电话：138****8999，来源：美团，请及时跟进！"
        );
        assert_eq!(entry.link.as_deref(), Some("/customers/c1"));
        assert_eq!((entry.read_at, entry.created_at), (None, moment()));
    }
    let messages = database.messages().await;
    let mut sent_to: Vec<_> = messages
        .iter()
        .map(|m| (m.channel.as_str(), m.recipient_id.as_str()))
        .collect();
    sent_to.sort_unstable();
    let mut expected: Vec<_> = ["wechat_cloud", "wechat_subscribe"]
        .into_iter()
        .flat_map(|channel| [(channel, a.as_str()), (channel, b.as_str())])
        .collect();
    expected.sort_unstable();
    assert_eq!(sent_to, expected);
    for message in &messages {
        assert_eq!(message.kind, "customer.assigned");
        assert_eq!(
            (message.priority, message.due_at),
            (Priority::High, moment())
        );
        assert_eq!(
            (&message.subject, &message.request_id),
            (&notice.subject, &notice.request_id)
        );
        let payload: Map<String, Value> = serde_json::from_str(&message.payload).unwrap();
        assert_eq!(payload, notice.data);
    }
}

async fn a_notice_for_the_inbox_only_sends_nothing(database: &TestDatabase) {
    let a = user(database).await;
    put_route(database, route(Channel::WechatSubscribe, &Use::Enabled)).await;
    tell(database, notice(&[&a], Reach::InboxOnly), all_channels())
        .await
        .unwrap();
    assert_eq!(inbox(database, &a).await.len(), 1);
    assert_eq!(database.messages().await, []);
}

async fn nothing_goes_out_on_a_disabled_route_or_an_unconfigured_channel(database: &TestDatabase) {
    let a = user(database).await;
    put_route(database, route(Channel::WechatSubscribe, &Use::Disabled)).await;
    put_route(database, route(Channel::WechatCloud, &Use::Enabled)).await;
    put_route(database, route(Channel::WecomApp, &Use::Enabled)).await;
    let configured = ChannelSet::default()
        .with(Channel::WechatSubscribe)
        .with(Channel::WecomApp)
        .with(Channel::WecomRobot);
    tell(database, notice(&[&a], Reach::AllChannels), configured)
        .await
        .unwrap();
    let channels: Vec<Channel> = database
        .messages()
        .await
        .iter()
        .map(|m| m.channel)
        .collect();
    assert_eq!(channels, [Channel::WecomApp]);
    assert_eq!(inbox(database, &a).await.len(), 1);
}

async fn a_rolled_back_notice_leaves_neither_entry_nor_message(database: &TestDatabase) {
    let a = user(database).await;
    put_route(database, route(Channel::WechatSubscribe, &Use::Enabled)).await;
    let notice = notice(&[&a], Reach::AllChannels);
    let answer = database
        .database()
        .write(move |transaction| {
            notification::notify(transaction, &notice, all_channels(), moment())?;
            Err::<(), _>(DbError::NotFound)
        })
        .await;
    assert!(answer.is_err());
    assert_eq!(inbox(database, &a).await, []);
    assert_eq!(database.messages().await, []);
}

async fn a_notice_to_somebody_unknown_is_refused_as_a_whole(database: &TestDatabase) {
    let a = user(database).await;
    put_route(database, route(Channel::WechatSubscribe, &Use::Enabled)).await;
    let nobody = UserId::generate();
    let answer = tell(
        database,
        notice(&[&a, &nobody], Reach::AllChannels),
        all_channels(),
    )
    .await;
    assert!(matches!(answer, Err(DbError::Reference(_))), "{answer:?}");
    assert_eq!(inbox(database, &a).await, []);
    assert_eq!(database.messages().await, []);
}

async fn a_missing_value_is_a_dash(database: &TestDatabase) {
    let a = user(database).await;
    let mut notice = notice(&[&a], Reach::InboxOnly);
    notice.data.remove("leadSource");
    notice.data.insert("customerName".to_owned(), Value::Null);
    tell(database, notice, all_channels()).await.unwrap();
    assert_eq!(
        inbox(database, &a).await[0].content,
        "您有新的客户【-】，电话：138****8999，来源：-，请及时跟进！"
    );
}

async fn the_inbox_is_paged_filtered_and_counted(database: &TestDatabase) {
    let (a, b) = (user(database).await, user(database).await);
    for kind in [
        Kind::CustomerAssigned,
        Kind::CustomerCreated,
        Kind::CustomerAssigned,
    ] {
        let notice = Notice {
            kind,
            ..notice(&[&a, &b], Reach::InboxOnly)
        };
        tell(database, notice, all_channels()).await.unwrap();
    }
    let all: Vec<NotificationId> = inbox(database, &a)
        .await
        .into_iter()
        .map(|n| n.id)
        .collect();
    assert_eq!(all.len(), 3);
    assert!(all.is_sorted_by(|newer, older| newer > older));
    let oldest = all[2].clone();
    let owner = a.clone();
    database
        .write(move |transaction| notification::mark_read(transaction, &owner, &[oldest], moment()))
        .await;
    for (kind, read, offset, limit, expected, total) in [
        (None, ReadFilter::All, 0, 2, &all[..2], 3),
        (None, ReadFilter::All, 2, 2, &all[2..], 3),
        (None, ReadFilter::All, 4, 2, &all[..0], 3),
        (None, ReadFilter::UnreadOnly, 0, 9, &all[..2], 2),
        (
            Some(Kind::CustomerCreated),
            ReadFilter::All,
            0,
            9,
            &all[1..2],
            1,
        ),
        (
            Some(Kind::CustomerAssigned),
            ReadFilter::UnreadOnly,
            0,
            9,
            &all[..1],
            1,
        ),
        (
            Some(Kind::CustomerTransferredAway),
            ReadFilter::All,
            0,
            9,
            &all[..0],
            0,
        ),
    ] {
        let owner = a.clone();
        let (page, counted) = database
            .read(move |connection| {
                let filter = InboxFilter {
                    kind,
                    read,
                    search: None,
                };
                notification::inbox(connection, &owner, &filter, offset, limit)
            })
            .await;
        let ids: Vec<NotificationId> = page.into_iter().map(|entry| entry.id).collect();
        assert_eq!(
            (ids.as_slice(), counted),
            (expected, total),
            "{kind:?} {read:?} from {offset}"
        );
    }
    assert_eq!(
        (unread(database, &a).await, unread(database, &b).await),
        (2, 3)
    );
}

async fn unread(database: &TestDatabase, user: &UserId) -> i64 {
    let user = user.clone();
    database
        .read(move |connection| notification::unread_count(connection, &user))
        .await
}

async fn only_ones_own_entries_can_be_marked_as_read(database: &TestDatabase) {
    let (a, b) = (user(database).await, user(database).await);
    for _ in 0..3 {
        tell(
            database,
            notice(&[&a, &b], Reach::InboxOnly),
            all_channels(),
        )
        .await
        .unwrap();
    }
    let mut ids: Vec<NotificationId> = Vec::new();
    for owner in [&a, &b] {
        ids.extend(
            inbox(database, owner)
                .await
                .into_iter()
                .take(2)
                .map(|entry| entry.id),
        );
    }
    let first_read = moment().after(seconds(10));
    for (now, expected) in [(first_read, 2), (moment().after(seconds(20)), 0)] {
        let (owner, ids) = (a.clone(), ids.clone());
        let marked = database
            .write(move |transaction| notification::mark_read(transaction, &owner, &ids, now))
            .await;
        assert_eq!(marked, expected);
    }
    assert_eq!(
        (unread(database, &a).await, unread(database, &b).await),
        (1, 3)
    );
    let marked = inbox(database, &a).await;
    assert!(
        marked
            .iter()
            .all(|entry| entry.read_at.is_none_or(|at| at == first_read)),
        "reading twice changes nothing"
    );

    let owner = a.clone();
    let marked = database
        .write(move |transaction| {
            notification::mark_all_read(transaction, &owner, moment().after(seconds(30)))
        })
        .await;
    assert_eq!(marked, 1);
    assert_eq!(
        (unread(database, &a).await, unread(database, &b).await),
        (0, 3)
    );
}

async fn a_route_is_replaced_not_doubled(database: &TestDatabase) {
    put_route(database, route(Channel::WechatSubscribe, &Use::Enabled)).await;
    put_route(database, route(Channel::WechatCloud, &Use::Enabled)).await;
    let mut changed = route(Channel::WechatSubscribe, &Use::Disabled);
    changed.settings.template_id = None;
    changed
        .settings
        .fields
        .insert("time4".to_owned(), "{{assignTime}}".to_owned());
    put_route(database, changed.clone()).await;
    let routes = database.read(notification::routes).await;
    let of_this_kind: Vec<Route> = routes
        .into_iter()
        .filter(|route| route.kind == Kind::CustomerAssigned)
        .collect();
    assert_eq!(
        of_this_kind,
        [route(Channel::WechatCloud, &Use::Enabled), changed]
    );
}
