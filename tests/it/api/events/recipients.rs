use serde_json::{Value, json};

use super::{PATH, messages_of, signed, tell};
use crate::api::Office;
use crate::harness::{TestDatabase, on_each_database, pool};

on_each_database!(
    who_is_named_in_several_ways_is_told_once,
    who_is_not_there_is_reported_and_the_others_are_told,
    if_nobody_is_left_nothing_is_written,
    a_thousand_are_told_in_one_transaction_and_one_more_are_refused,
);

async fn who_is_named_in_several_ways_is_told_once(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    let recipients = json!({
        "userIds": [office.li.id, office.li.id.to_uppercase(), office.zhang.id],
        "roles": ["employee"],
        "ownerOf": [lead, "CUS13800138999", lead],
    });
    let answer = tell(&office, &office.admin, &signed(&recipients)).await;
    assert_eq!(answer.said(), (202, "事件已受理：通知 3 人"));
    for person in [&office.li, &office.wang, &office.zhang] {
        assert_eq!(office.inbox(person).await.len(), 1);
    }
    let told = answer.data();
    assert_eq!(messages_of(database, &told["eventId"]).await.len(), 6);
}

async fn who_is_not_there_is_reported_and_the_others_are_told(database: &TestDatabase) {
    let office = Office::open(database).await;
    let of_wang = database.lead("王女士", "13800138999", &office.wang).await;
    let of_li = database.lead("赵先生", "13800138998", &office.li).await;
    let of_nobody = database.lead("钱女士", "13800138997", &office.li).await;
    pool(database, &of_nobody).await;
    deactivate(&office, &office.wang.id).await;
    let stranger = of_li.clone();
    let recipients = json!({
        "userIds": ["zhangsan", "zhangsan", stranger, office.wang.id],
        "ownerOf": [of_wang, of_li, of_nobody, "CUS00000000000", office.li.id],
    });
    let answer = tell(&office, &office.admin, &signed(&recipients)).await;
    assert_eq!(
        answer.said(),
        (202, "事件已受理：通知 1 人，7 个接收人未通知")
    );
    let told = answer.data();
    let mut left_out: Vec<(Value, Value, Value, Value)> = told["notServed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["userId"].clone(),
                one["customerId"].clone(),
                one["reason"].clone(),
                one["message"].clone(),
            )
        })
        .collect();
    left_out.sort_by_key(|one| format!("{one:?}"));
    let wang = json!(office.wang.id);
    let mut expected = vec![
        (
            json!("zhangsan"),
            Value::Null,
            json!("unknown_user"),
            json!("用户不存在"),
        ),
        (
            json!(stranger),
            Value::Null,
            json!("unknown_user"),
            json!("用户不存在"),
        ),
        (
            wang.clone(),
            Value::Null,
            json!("inactive_user"),
            json!("用户未激活"),
        ),
        (
            wang,
            json!(of_wang),
            json!("inactive_user"),
            json!("用户未激活"),
        ),
        (
            Value::Null,
            json!(of_nobody),
            json!("no_owner"),
            json!("客户没有负责人"),
        ),
        (
            Value::Null,
            json!("CUS00000000000"),
            json!("unknown_customer"),
            json!("客户不存在"),
        ),
        (
            Value::Null,
            json!(office.li.id),
            json!("unknown_customer"),
            json!("客户不存在"),
        ),
    ];
    expected.sort_by_key(|one| format!("{one:?}"));
    assert_eq!(left_out, expected);
    assert_eq!(office.inbox(&office.li).await.len(), 1);
}

async fn if_nobody_is_left_nothing_is_written(database: &TestDatabase) {
    let office = Office::open(database).await;
    deactivate(&office, &office.wang.id).await;
    let before = database.contents().await;
    let recipients = json!({ "userIds": [office.wang.id, "nobody"] });
    let answer = tell(&office, &office.admin, &signed(&recipients)).await;
    assert_eq!(answer.said(), (422, "没有可通知的接收人"));
    let left_out = &answer.body["error"]["details"]["notServed"];
    assert_eq!(left_out.as_array().unwrap().len(), 2, "{}", answer.body);
    database.assert_unchanged_since(&before).await;
}

async fn a_thousand_are_told_in_one_transaction_and_one_more_are_refused(database: &TestDatabase) {
    let office = Office::open(database).await;
    // With the five of the office who are not admins.
    let crowd: Vec<String> = (0..998)
        .map(|n| format!("('0198{n:04}-0000-7000-8000-000000000000', 'u{n}', 'none', '员工{n}', 'employee', '2026-01-02 03:04:05', '2026-01-02 03:04:05')"))
        .collect();
    database.shell(&format!(
        "INSERT INTO users (id, username, password_hash, name, role, created_at, updated_at) VALUES {}",
        crowd.join(", ")
    ));
    let of_roles = json!({ "roles": ["employee"] });
    let answer = tell(&office, &office.admin, &signed(&of_roles)).await;
    assert_eq!(answer.said(), (202, "事件已受理：通知 1000 人"));
    let told = answer.data();
    assert_eq!(
        told["messages"],
        json!({ "wechat_subscribe": 1_000, "wechat_cloud": 1_000 })
    );
    let before = database.contents().await;
    let one_more = signed(&json!({ "roles": ["employee"], "userIds": [office.sun.id] }));
    let answer = tell(&office, &office.admin, &one_more).await;
    assert_eq!(
        answer.said(),
        (422, "接收人不能超过1000人（当前 1001 人），请分批提交")
    );
    let many: Vec<&str> = vec!["x"; 1_001];
    for list in ["userIds", "ownerOf"] {
        let answer = tell(&office, &office.admin, &signed(&json!({ list: many }))).await;
        let said = format!("recipients.{list} 不能超过1000个");
        assert_eq!(answer.said(), (400, said.as_str()));
    }
    database.assert_unchanged_since(&before).await;
    let path = format!("{PATH}/{}", told["eventId"].as_str().unwrap());
    let standing = office.api.get(&office.admin, &path).await.data();
    assert_eq!(standing["messages"]["wechat_cloud"]["pending"], 1_000);
}

async fn deactivate(office: &Office<'_>, user: &str) {
    let path = format!("/api/users/{user}");
    let body = json!({ "active": false });
    office.api.patch(&office.admin, &path, &body).await.data();
}
