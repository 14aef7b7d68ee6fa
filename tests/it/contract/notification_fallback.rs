//! Which of several routes of a kind goes out, where some take over from others.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use serde_json::Map;
use shared::domain::{Channel, ChannelSet, UserId};
use shared::notification::{self, Kind, Notice, Reach, Route, RouteSettings, Terms};
use shared::outbox::FallbackChannels;

use crate::harness::{TestDatabase, moment, on_each_database};

on_each_database! {
    the_first_of_a_chain_goes_out_and_knows_the_others,
    what_is_off_or_not_configured_is_passed_over,
    chains_of_one_kind_do_not_touch_another,
    routes_that_go_round_in_a_circle_by_hand_lose_nothing,
    a_channel_takes_over_from_one_other_alone,
}

const SUBSCRIBE: Channel = Channel::WechatSubscribe;
const CLOUD: Channel = Channel::WechatCloud;
const APP: Channel = Channel::WecomApp;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    On,
    Off,
    NotConfigured,
}

type Line = (Channel, Use, Option<Channel>);

/// A channel on which something went out, and those that are left for it.
type Told = (Channel, Vec<Channel>);

async fn put(database: &TestDatabase, kind: Kind, (channel, used, fallback): Line) {
    let route = Route {
        kind,
        channel,
        settings: RouteSettings {
            enabled: used != Use::Off,
            fallback,
            ..RouteSettings::default()
        },
    };
    database
        .write(move |transaction| notification::put_route(transaction, &route, moment()))
        .await;
}

/// What goes out, each with the channels that are left.
async fn tell(database: &TestDatabase, kind: Kind, configured: ChannelSet) -> Vec<Told> {
    let user = UserId::generate();
    let sql = format!(
        "INSERT INTO users (id, username, password_hash, name, role, created_at, updated_at) \
         VALUES ('{user}', '{user}', 'x', 'x', 'employee', '2026-01-02', '2026-01-02'); \
         DELETE FROM outbox_messages;"
    );
    database.connection().batch_execute(&sql).unwrap();
    let notice = Notice {
        kind,
        recipients: vec![user],
        data: Map::new(),
        subject: None,
        reach: Reach::AllChannels,
        terms: Terms::default(),
        request_id: None,
    };
    database
        .write(move |transaction| notification::notify(transaction, &notice, configured, moment()))
        .await;
    let messages = database.messages().await;
    let told = messages.into_iter().map(|message| {
        let left = message.fallbacks.iter().flat_map(FallbackChannels::iter);
        (message.channel, left.collect())
    });
    let mut told: Vec<Told> = told.collect();
    told.sort();
    told
}

/// Puts these routes of assignments and tells of one.
async fn outcome(database: &TestDatabase, lines: &[Line]) -> Vec<Told> {
    let forget = "DELETE FROM notification_routes WHERE kind = 'customer.assigned'";
    database.connection().batch_execute(forget).unwrap();
    for line in lines {
        put(database, Kind::CustomerAssigned, *line).await;
    }
    let configured = lines
        .iter()
        .filter(|(_, used, _)| *used != Use::NotConfigured)
        .map(|(channel, ..)| *channel);
    tell(database, Kind::CustomerAssigned, configured.collect()).await
}

async fn the_first_of_a_chain_goes_out_and_knows_the_others(database: &TestDatabase) {
    use Use::On;
    type Expected = (Channel, &'static [Channel]);
    let cases: [(&[Line], &[Expected]); 4] = [
        (
            &[(SUBSCRIBE, On, None), (CLOUD, On, None), (APP, On, None)],
            &[(SUBSCRIBE, &[]), (CLOUD, &[]), (APP, &[])],
        ),
        (
            &[
                (SUBSCRIBE, On, Some(APP)),
                (CLOUD, On, None),
                (APP, On, None),
            ],
            &[(SUBSCRIBE, &[APP]), (CLOUD, &[])],
        ),
        (
            &[
                (SUBSCRIBE, On, Some(APP)),
                (CLOUD, On, None),
                (APP, On, Some(CLOUD)),
            ],
            &[(SUBSCRIBE, &[APP, CLOUD])],
        ),
        (
            &[(SUBSCRIBE, On, None), (APP, On, Some(SUBSCRIBE))],
            &[(APP, &[SUBSCRIBE])],
        ),
    ];
    for (lines, expected) in cases {
        let told = outcome(database, lines).await;
        let expected: Vec<Told> = expected
            .iter()
            .map(|(channel, left)| (*channel, left.to_vec()))
            .collect();
        assert_eq!(told, expected);
    }
}

async fn what_is_off_or_not_configured_is_passed_over(database: &TestDatabase) {
    use Use::{NotConfigured, Off, On};
    for unusable in [Off, NotConfigured] {
        let cases: [([Use; 3], Vec<Told>); 6] = [
            ([On, On, On], vec![(SUBSCRIBE, vec![APP, CLOUD])]),
            ([unusable, On, On], vec![(APP, vec![CLOUD])]),
            ([On, unusable, On], vec![(SUBSCRIBE, vec![CLOUD])]),
            ([On, On, unusable], vec![(SUBSCRIBE, vec![APP])]),
            ([unusable, unusable, On], vec![(CLOUD, vec![])]),
            ([unusable, unusable, unusable], vec![]),
        ];
        for ([subscribe, app, cloud], expected) in cases {
            let lines = [
                (SUBSCRIBE, subscribe, Some(APP)),
                (APP, app, Some(CLOUD)),
                (CLOUD, cloud, None),
            ];
            assert_eq!(outcome(database, &lines).await, expected);
        }
    }
}

async fn chains_of_one_kind_do_not_touch_another(database: &TestDatabase) {
    for kind in [Kind::CustomerAssigned, Kind::CustomerCreated] {
        for channel in [SUBSCRIBE, APP] {
            let fallback = (kind == Kind::CustomerAssigned && channel == SUBSCRIBE).then_some(APP);
            put(database, kind, (channel, Use::On, fallback)).await;
        }
    }
    let configured: ChannelSet = [SUBSCRIBE, APP].into_iter().collect();
    assert_eq!(
        tell(database, Kind::CustomerCreated, configured).await,
        [(SUBSCRIBE, vec![]), (APP, vec![])]
    );
    assert_eq!(
        tell(database, Kind::CustomerAssigned, configured).await,
        [(SUBSCRIBE, vec![APP])]
    );
}

async fn routes_that_go_round_in_a_circle_by_hand_lose_nothing(database: &TestDatabase) {
    let lines = [
        (SUBSCRIBE, Use::On, Some(APP)),
        (APP, Use::On, Some(SUBSCRIBE)),
    ];
    let told = outcome(database, &lines).await;
    assert_eq!(told, [(SUBSCRIBE, vec![APP])]);
}

async fn a_channel_takes_over_from_one_other_alone(database: &TestDatabase) {
    put(
        database,
        Kind::CustomerAssigned,
        (SUBSCRIBE, Use::On, Some(APP)),
    )
    .await;
    for (channel, fallback) in [("wechat_cloud", "wecom_app"), ("wecom_app", "wecom_app")] {
        let second = format!(
            "INSERT INTO notification_routes (kind, channel, updated_at, fallback) \
             VALUES ('customer.assigned', '{channel}', '2026-01-02', '{fallback}')"
        );
        let refused = diesel::sql_query(second).execute(&mut database.connection());
        assert!(refused.is_err(), "{channel} {fallback}");
    }
}
