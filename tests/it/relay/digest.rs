use std::time::Duration;

use chrono::{NaiveTime, Timelike};
use serde_json::{Map, Value, json};
use shared::clock::Clock;
use shared::domain::{App, Channel, UserId};
use shared::notification::{
    HighPriority, Kind, Notice, Preferences, QuietWindow, Reach, Terms, notify, put_preferences,
};
use shared::outbox::{Cause, DIGEST, Message, PendingKinds, Status, cancel_pending, explain};
use wechat_sandbox::{Api, DEMO_CORPID, Fault, FaultAction, MessageFilter};

use crate::harness::{CRM_URL, RelayStage, TestDatabase, assignment, on_each_database, seconds};

on_each_database!(
    what_gathers_in_a_night_is_told_in_one_message,
    what_breaks_through_is_not_told_again,
    what_was_muted_meanwhile_is_not_told,
    a_window_that_is_lifted_ends_at_once,
    a_window_that_is_made_longer_lasts_longer,
    two_windows_one_after_the_other_are_one,
    a_digest_that_meets_the_next_night_stays_what_it_is,
    a_digest_without_a_route_goes_out_message_by_message,
    a_digest_without_a_subscription_goes_out_message_by_message,
    the_last_one_that_is_left_goes_out_as_itself,
    a_card_has_a_line_for_each,
    a_cloud_function_is_told_how_many,
    two_relays_at_the_end_of_a_window_tell_it_once,
);

const SUBSCRIBE: Channel = Channel::WechatSubscribe;

fn window(start: u32, end: u32) -> QuietWindow {
    let time = |hour| NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
    QuietWindow {
        days: (1..=7).collect(),
        start: time(start),
        end: time(end),
    }
}

fn quiet(windows: &[(u32, u32)]) -> Preferences {
    Preferences {
        quiet_windows: windows
            .iter()
            .map(|(start, end)| window(*start, *end))
            .collect(),
        ..Preferences::default()
    }
}

fn night() -> Preferences {
    quiet(&[(22, 8)])
}

/// Moves the clock to the next moment at which it is this time in the office.
fn until(stage: &RelayStage<'_>, hour: u32, minute: u32) {
    const DAY: u64 = 24 * 60 * 60;
    let local = stage
        .clock
        .now()
        .to_datetime()
        .with_timezone(&chrono_tz::Asia::Shanghai);
    let now = u64::from(local.num_seconds_from_midnight());
    let wanted = u64::from(hour * 3_600 + minute * 60);
    // A second later: the clock has fractions of one.
    stage.clock.advance(seconds((wanted + DAY - now) % DAY));
}

async fn says(stage: &RelayStage<'_>, user: &UserId, preferences: Preferences) {
    let (user, now) = (user.clone(), stage.clock.now());
    stage
        .database
        .write(move |transaction| put_preferences(transaction, &user, &preferences, now))
        .await;
}

/// Tells somebody of something about a customer, as the API does.
async fn tell(stage: &RelayStage<'_>, user: &UserId, kind: Kind, customer: &str, channel: Channel) {
    let mut data: Map<String, Value> = assignment();
    data.insert("customerName".to_owned(), json!(customer));
    let notice = Notice {
        kind,
        recipients: vec![user.clone()],
        data,
        subject: Some(format!("customer:{customer}")),
        reach: Reach::AllChannels,
        terms: Terms::default(),
        request_id: None,
    };
    let now = stage.clock.now();
    stage
        .database
        .write(move |transaction| {
            notify(transaction, &notice, [channel].into_iter().collect(), now)
        })
        .await;
}

async fn assigned(stage: &RelayStage<'_>, user: &UserId, customer: &str) {
    tell(stage, user, Kind::CustomerAssigned, customer, SUBSCRIBE).await;
    stage.deliver().await;
}

/// The first field of each card that has arrived, oldest first.
fn arrived(stage: &RelayStage<'_>) -> Vec<String> {
    let cards = stage.sandbox.messages(&MessageFilter::default());
    let firsts = cards.iter().map(|card| {
        let data = card.data();
        data["thing1"]["value"].as_str().unwrap().to_owned()
    });
    firsts.collect()
}

async fn digests(database: &TestDatabase) -> Vec<Message> {
    let mut messages = database.messages().await;
    messages.retain(|message| message.kind == DIGEST);
    messages
}

async fn what_gathers_in_a_night_is_told_in_one_message(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let (asleep, awake) = (stage.employee().await, stage.employee().await);
    says(&stage, &asleep.id, night()).await;
    until(&stage, 21, 59);
    assigned(&stage, &asleep.id, "晚上").await;
    assert_eq!(arrived(&stage), ["晚上"]);
    until(&stage, 23, 0);
    assigned(&stage, &asleep.id, "半夜").await;
    until(&stage, 2, 0);
    // Also what everybody is told of, and what is less urgent.
    assigned(&stage, &asleep.id, "凌晨").await;
    let changed = Kind::CustomerStatusChanged;
    tell(&stage, &asleep.id, changed, "清晨", SUBSCRIBE).await;
    assigned(&stage, &awake.id, "夜班").await;
    assert_eq!(arrived(&stage), ["晚上", "夜班"]);
    let waiting = database.messages().await;
    let waiting = waiting.iter().filter(|row| row.status == Status::Pending);
    assert_eq!(waiting.count(), 3);
    until(&stage, 7, 59);
    stage.deliver().await;
    assert_eq!(arrived(&stage).len(), 2, "not yet");

    until(&stage, 8, 1);
    assigned(&stage, &asleep.id, "早上").await;
    let mut told = arrived(&stage).split_off(2);
    told.sort();
    assert_eq!(told, ["您有 3 条新通知", "早上"]);
    let digests = digests(database).await;
    assert_eq!(digests.len(), 1);
    assert_eq!((digests[0].status, digests[0].attempt), (Status::Sent, 1));
    for message in database.messages().await {
        let expected = match &message.digest_id {
            Some(id) => {
                assert_eq!(id, &digests[0].id);
                Status::Skipped
            }
            None => Status::Sent,
        };
        assert_eq!(message.status, expected);
        if message.digest_id.is_some() {
            let (id, now) = (message.id.clone(), stage.clock.now());
            let explanation = database
                .read(move |connection| explain(connection, &id, now))
                .await;
            let explanation = explanation.unwrap();
            assert!(matches!(
                explanation.cause,
                Cause::InDigest {
                    status: Status::Sent,
                    ..
                }
            ));
            assert_eq!(explanation.fix, None);
        }
    }
    // The next night is another one.
    until(&stage, 22, 30);
    assigned(&stage, &asleep.id, "又一晚").await;
    until(&stage, 8, 1);
    stage.deliver().await;
    assert_eq!(arrived(&stage).last().unwrap(), "又一晚", "alone");
}

async fn what_breaks_through_is_not_told_again(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    let preferences = Preferences {
        high_priority: HighPriority::BreaksThrough,
        ..night()
    };
    says(&stage, &employee.id, preferences).await;
    until(&stage, 23, 0);
    for customer in ["甲", "乙"] {
        let changed = Kind::CustomerStatusChanged;
        tell(&stage, &employee.id, changed, customer, SUBSCRIBE).await;
    }
    assigned(&stage, &employee.id, "急").await;
    assert_eq!(arrived(&stage), ["急"]);
    until(&stage, 8, 1);
    stage.deliver().await;
    assert_eq!(arrived(&stage), ["急", "您有 2 条新通知"]);
}

async fn what_was_muted_meanwhile_is_not_told(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    says(&stage, &employee.id, night()).await;
    until(&stage, 23, 0);
    let changed = Kind::CustomerStatusChanged;
    tell(&stage, &employee.id, changed, "甲", SUBSCRIBE).await;
    assigned(&stage, &employee.id, "乙").await;
    assigned(&stage, &employee.id, "丙").await;
    let preferences = Preferences {
        muted_kinds: [changed].into(),
        muted_channels: [SUBSCRIBE].into(),
        ..night()
    };
    says(&stage, &employee.id, preferences).await;
    until(&stage, 8, 1);
    stage.deliver().await;
    // What is mandatory is told on a muted channel as well.
    assert_eq!(arrived(&stage), ["您有 2 条新通知"]);
    let muted = &database.messages().await[0];
    assert_eq!(
        (muted.status, muted.last_error.as_deref()),
        (Status::Skipped, Some("the recipient has muted this"))
    );
}

async fn a_window_that_is_lifted_ends_at_once(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    says(&stage, &employee.id, night()).await;
    until(&stage, 23, 0);
    assigned(&stage, &employee.id, "甲").await;
    assigned(&stage, &employee.id, "乙").await;
    until(&stage, 23, 30);
    says(&stage, &employee.id, Preferences::default()).await;
    stage.deliver().await;
    assert_eq!(arrived(&stage), ["您有 2 条新通知"]);
}

async fn a_window_that_is_made_longer_lasts_longer(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    says(&stage, &employee.id, night()).await;
    until(&stage, 23, 0);
    assigned(&stage, &employee.id, "甲").await;
    assigned(&stage, &employee.id, "乙").await;
    says(&stage, &employee.id, quiet(&[(22, 10)])).await;
    until(&stage, 8, 1);
    stage.deliver().await;
    assert_eq!(stage.sandbox.stats().accepted, 0);
    let (waiting, now) = (database.messages().await[0].clone(), stage.clock.now());
    let id = waiting.id.clone();
    let explanation = database
        .read(move |connection| explain(connection, &id, now))
        .await
        .unwrap();
    let until_ten = Cause::DoNotDisturb {
        until: waiting.due_at,
    };
    assert_eq!(explanation.cause, until_ten);
    let local = waiting
        .due_at
        .to_datetime()
        .with_timezone(&chrono_tz::Asia::Shanghai);
    assert_eq!((local.hour(), local.minute()), (10, 0));
    assert_eq!(stage.attempts(&waiting.id).await.len(), 1);
    until(&stage, 10, 1);
    stage.deliver().await;
    assert_eq!(arrived(&stage), ["您有 2 条新通知"]);
}

async fn two_windows_one_after_the_other_are_one(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    says(&stage, &employee.id, quiet(&[(22, 0), (0, 8)])).await;
    until(&stage, 23, 0);
    assigned(&stage, &employee.id, "甲").await;
    until(&stage, 0, 30);
    assigned(&stage, &employee.id, "乙").await;
    assert_eq!(stage.sandbox.stats().accepted, 0);
    until(&stage, 8, 1);
    stage.deliver().await;
    assert_eq!(arrived(&stage), ["您有 2 条新通知"]);
}

async fn a_digest_that_meets_the_next_night_stays_what_it_is(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    says(&stage, &employee.id, night()).await;
    until(&stage, 23, 0);
    assigned(&stage, &employee.id, "甲").await;
    assigned(&stage, &employee.id, "乙").await;
    let fault = FaultAction::HttpStatus {
        status: 502,
        body: "<html>Bad Gateway</html>".to_owned(),
    };
    let fault = Fault::on(Api::SubscribeSend, fault).unprocessed();
    stage.sandbox.add_fault(fault);
    until(&stage, 8, 1);
    stage.deliver().await;
    let first = digests(database).await.remove(0);
    assert_eq!((first.status, first.attempt), (Status::Pending, 1));
    assert!(first.outcome_unknown);

    until(&stage, 22, 30);
    for customer in ["丙", "丁", "戊"] {
        assigned(&stage, &employee.id, customer).await;
    }
    let waiting = digests(database).await;
    assert_eq!(waiting.len(), 1);
    assert!(waiting[0].quiet_until.is_some(), "it waits as well");
    until(&stage, 8, 1);
    stage.deliver().await;
    let mut told = arrived(&stage);
    told.sort();
    assert_eq!(told, ["您有 2 条新通知", "您有 3 条新通知"]);
    let digests = digests(database).await;
    assert_eq!(digests.len(), 2);
    assert!(digests.iter().all(|digest| digest.status == Status::Sent));
}

async fn a_digest_without_a_route_goes_out_message_by_message(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    says(&stage, &employee.id, night()).await;
    let digest = Kind::SystemDigest;
    stage
        .route(digest, SUBSCRIBE, |route| route.template_id = None)
        .await;
    for _ in 0..2 {
        until(&stage, 23, 0);
        assigned(&stage, &employee.id, "甲").await;
        assigned(&stage, &employee.id, "乙").await;
        until(&stage, 8, 1);
        stage.deliver().await;
        stage
            .route(digest, SUBSCRIBE, |route| route.enabled = false)
            .await;
    }
    assert_eq!(arrived(&stage), ["甲", "乙", "甲", "乙"]);
    assert_eq!(digests(database).await, []);
}

async fn a_digest_without_a_subscription_goes_out_message_by_message(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    says(&stage, &employee.id, night()).await;
    until(&stage, 23, 0);
    assigned(&stage, &employee.id, "甲").await;
    assigned(&stage, &employee.id, "乙").await;
    until(&stage, 8, 1);
    stage
        .sandbox
        .add_fault(Fault::errcode(Api::SubscribeSend, 43_101));
    stage.deliver().await;
    assert_eq!(arrived(&stage), ["甲", "乙"]);
    let digest = digests(database).await.remove(0);
    assert_eq!(digest.status, Status::Skipped);
    let (id, now) = (digest.id, stage.clock.now());
    let explanation = database
        .read(move |connection| explain(connection, &id, now))
        .await;
    assert!(matches!(
        explanation.unwrap().cause,
        Cause::Dissolved { .. }
    ));
}

async fn the_last_one_that_is_left_goes_out_as_itself(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    says(&stage, &employee.id, night()).await;
    until(&stage, 23, 0);
    assigned(&stage, &employee.id, "甲").await;
    assigned(&stage, &employee.id, "乙").await;
    until(&stage, 8, 1);
    stage
        .sandbox
        .add_fault(Fault::errcode(Api::SubscribeSend, 43_108));
    stage.deliver().await;
    let digest = digests(database).await.remove(0);
    assert_eq!((digest.status, digest.attempt), (Status::Pending, 0));
    let now = stage.clock.now();
    let cancelled = database
        .write(move |transaction| {
            let (every, reason) = (PendingKinds::Every, "superseded: reassigned to 王五");
            cancel_pending(transaction, "customer:甲", every, reason, now)
        })
        .await;
    assert_eq!(cancelled, 1);
    stage.clock.advance(Duration::from_secs(3));
    stage.deliver().await;
    assert_eq!(arrived(&stage), ["乙"]);
    assert_eq!(digests(database).await[0].status, Status::Skipped);
}

async fn a_card_has_a_line_for_each(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    let user = stage.stranger().await;
    stage.bind(&user, App::wecom(DEMO_CORPID), "lisi").await;
    let (assigned, channel) = (Kind::CustomerAssigned, Channel::WecomApp);
    stage.route(assigned, channel, |_| {}).await;
    says(&stage, &user, night()).await;
    until(&stage, 23, 0);
    tell(&stage, &user, assigned, "王<b>女士", channel).await;
    for number in 2..=11 {
        tell(&stage, &user, assigned, &format!("客户{number}"), channel).await;
    }
    stage.deliver().await;
    until(&stage, 8, 1);
    stage.deliver().await;
    let cards = stage.delivered_to("lisi");
    assert_eq!(cards.len(), 1);
    let card = cards[0].data();
    assert_eq!(card["title"], "免打扰期间的 11 条通知");
    assert_eq!(card["btntxt"], "查看通知");
    let url = card["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("{CRM_URL}/notifications?message=")));
    let description = card["description"].as_str().unwrap();
    let lines: Vec<&str> = description.lines().collect();
    assert_eq!(lines.len(), 9);
    assert_eq!(
        lines[0],
        "客户分配通知：您有新的客户【王＜b＞女士】，电话：138****8999，来源…"
    );
    assert_eq!(
        lines[1],
        "客户分配通知：您有新的客户【客户2】，电话：138****8999，来源：美团…"
    );
    assert_eq!(lines[8], "…等 11 条");
}

async fn a_cloud_function_is_told_how_many(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    says(&stage, &employee.id, night()).await;
    until(&stage, 23, 0);
    for customer in ["甲", "乙"] {
        let assigned = Kind::CustomerAssigned;
        tell(
            &stage,
            &employee.id,
            assigned,
            customer,
            Channel::WechatCloud,
        )
        .await;
    }
    stage.deliver().await;
    until(&stage, 8, 1);
    stage.deliver().await;
    let calls = stage.sandbox.messages(&MessageFilter::default());
    assert_eq!(calls.len(), 1);
    let data = calls[0].data();
    assert_eq!(data["customerCount"], 2);
    assert_eq!(data["customerName"], "您有 2 条新通知");
    assert_eq!(data["source"], "免打扰期间的通知");
    assert_eq!(data["assignTime"], "2026年01月03日 08:01");
}

async fn two_relays_at_the_end_of_a_window_tell_it_once(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employees = stage.employees(5).await;
    for employee in &employees {
        says(&stage, &employee.id, night()).await;
    }
    until(&stage, 23, 0);
    for employee in &employees {
        for customer in ["甲", "乙", "丙"] {
            let assigned = Kind::CustomerAssigned;
            tell(&stage, &employee.id, assigned, customer, SUBSCRIBE).await;
        }
    }
    stage.deliver().await;
    let relays = [stage.relay().await, stage.relay().await];
    until(&stage, 8, 1);
    stage.until_status(Status::Sent, employees.len()).await;
    for relay in relays {
        relay.stop().await;
    }
    assert_eq!(arrived(&stage), ["您有 3 条新通知"; 5]);
    assert_eq!(digests(database).await.len(), employees.len());
}
