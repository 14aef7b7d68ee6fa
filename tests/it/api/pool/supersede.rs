//! What has not left yet and is no longer true does not go out.

use shared::domain::Channel;
use shared::notification::Kind;
use shared::outbox::{Message, Status};

use crate::api::Office;
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(
    a_reassignment_takes_back_what_had_not_left,
    a_release_takes_back_what_had_not_left,
    who_gets_it_back_is_told_anew,
    a_batch_takes_back_one_by_one_and_names_its_summary,
    an_unchanged_owner_keeps_their_message,
    the_console_tells_what_took_its_place,
);

async fn of_kind(database: &TestDatabase, kind: Kind, channel: Channel) -> Vec<Message> {
    let mut messages = database.messages().await;
    messages.retain(|message| message.kind == kind.as_str() && message.channel == channel);
    messages
}

async fn a_reassignment_takes_back_what_had_not_left(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.zhou).await;
    office.assign(&office.zhang, &lead, &office.li).await.data();
    office
        .assign(&office.zhang, &lead, &office.wang)
        .await
        .data();
    for channel in [Channel::WechatSubscribe, Channel::WechatCloud] {
        let told = of_kind(database, Kind::CustomerAssigned, channel).await;
        assert_eq!(told.len(), 2);
        assert_eq!(
            (
                told[0].recipient_id.as_str(),
                told[0].status,
                told[0].last_error.as_deref(),
                told[0].superseded_by.as_ref()
            ),
            (
                office.li.id.as_str(),
                Status::Cancelled,
                Some("superseded: reassigned to 王五"),
                Some(&told[1].id)
            )
        );
        assert_eq!(
            (told[1].recipient_id.as_str(), told[1].status),
            (office.wang.id.as_str(), Status::Pending)
        );
        // That they lost it is true all the same.
        let lost = of_kind(database, Kind::CustomerTransferredAway, channel).await;
        assert_eq!(lost.len(), 2);
        assert!(lost.iter().all(|message| message.status == Status::Pending));
    }
}

async fn a_release_takes_back_what_had_not_left(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.pooled_lead("王女士", "13800138999").await;
    office
        .assign_from_pool(&office.zhang, std::slice::from_ref(&lead), &office.li)
        .await
        .data();
    office.release(&office.zhang, &lead, "分错了").await.data();
    let channel = Channel::WechatSubscribe;
    let told = of_kind(database, Kind::CustomerAssignedFromPool, channel).await;
    assert_eq!(
        (
            told[0].status,
            told[0].last_error.as_deref(),
            told[0].superseded_by.as_ref()
        ),
        (
            Status::Cancelled,
            Some("superseded: released to the public pool"),
            None
        )
    );
    let reclaimed = of_kind(database, Kind::CustomerReclaimed, channel).await;
    assert_eq!((reclaimed.len(), reclaimed[0].status), (1, Status::Pending));
}

async fn who_gets_it_back_is_told_anew(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.zhou).await;
    for to in [&office.li, &office.wang, &office.li] {
        office.assign(&office.zhang, &lead, to).await.data();
    }
    let told = of_kind(database, Kind::CustomerAssigned, Channel::WechatCloud).await;
    let statuses: Vec<Status> = told.iter().map(|message| message.status).collect();
    assert_eq!(
        statuses,
        [Status::Cancelled, Status::Cancelled, Status::Pending]
    );
    assert_eq!(told[1].superseded_by.as_ref(), Some(&told[2].id));
}

async fn a_batch_takes_back_one_by_one_and_names_its_summary(database: &TestDatabase) {
    let office = Office::open(database).await;
    let leads = database.leads(3, &office.zhou).await;
    for lead in &leads {
        office.assign(&office.zhang, lead, &office.li).await.data();
    }
    office
        .batch(&office.zhang, &leads, &office.wang)
        .await
        .data();
    let channel = Channel::WechatSubscribe;
    let summary = of_kind(database, Kind::CustomerBatchAssigned, channel).await;
    assert_eq!(summary.len(), 1);
    let told = of_kind(database, Kind::CustomerAssigned, channel).await;
    assert_eq!(told.len(), 3);
    for message in told {
        assert_eq!(message.status, Status::Cancelled);
        assert_eq!(message.superseded_by.as_ref(), Some(&summary[0].id));
    }
    // The summary speaks of nobody in particular, and stays.
    office
        .batch_release(&office.zhang, &leads[..1], "清理")
        .await
        .data();
    let summary = of_kind(database, Kind::CustomerBatchAssigned, channel).await;
    assert_eq!(summary[0].status, Status::Pending);
}

async fn an_unchanged_owner_keeps_their_message(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.zhou).await;
    for _ in 0..2 {
        office.assign(&office.zhang, &lead, &office.li).await.data();
    }
    let told = of_kind(database, Kind::CustomerAssigned, Channel::WechatCloud).await;
    assert_eq!((told.len(), told[0].status), (1, Status::Pending));
}

async fn the_console_tells_what_took_its_place(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.zhou).await;
    for to in [&office.li, &office.wang] {
        office.assign(&office.zhang, &lead, to).await.data();
    }
    let told = of_kind(database, Kind::CustomerAssigned, Channel::WechatCloud).await;
    let path = format!("/api/outbox/{}/explain", told[0].id);
    let data = office.api.get(&office.admin, &path).await.data();
    assert_eq!(
        (&data["cause"]["code"], &data["cause"]["message"]),
        (
            &serde_json::json!("superseded"),
            &serde_json::json!(told[1].id)
        )
    );
    assert_eq!(
        data["text"],
        format!("发送前已被 {} 取代：reassigned to 王五", told[1].id)
    );
    let path = format!("/api/outbox/{}", told[0].id);
    let data = office.api.get(&office.admin, &path).await.data();
    assert_eq!(data["supersededBy"], serde_json::json!(told[1].id));
}
