use serde_json::{Value, json};

use super::{MEMBERS, anna, assert_is_missing, create, office, told, withdraw};
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(
    a_change_is_told_and_kept_and_one_that_changes_nothing_is_not,
    a_membership_is_revoked_and_given_back_by_those_who_may,
    a_deleted_member_is_not_there,
);

async fn a_change_is_told_and_kept_and_one_that_changes_nothing_is_not(database: &TestDatabase) {
    let office = office(database).await;
    let member = create(&office.api, &office.admin, &anna()).await.data();
    withdraw(database).await;
    let id = member["id"].as_str().unwrap();
    let path = format!("{MEMBERS}/{id}");
    let body = json!({ "city": "杭州", "phone": "13900139000", "birthYear": 1990 });
    let changed = office.api.patch(&office.sun, &path, &body).await;
    assert_eq!(changed.said(), (200, "会员更新成功"));
    let changed = changed.data();
    assert_eq!(
        (&changed["city"], &changed["phone"], &changed["birthYear"]),
        (&json!("杭州"), &json!("13900139000"), &json!(1990))
    );
    assert_eq!(changed["createdAt"], member["createdAt"]);
    assert!(changed["updatedAt"].as_str() > member["updatedAt"].as_str());

    let before = database.contents().await;
    for same in [
        body,
        json!({}),
        json!({ "nickname": null, "status": "ACTIVE" }),
    ] {
        let answer = office.api.patch(&office.sun, &path, &same).await;
        assert_eq!(answer.data(), changed);
    }
    database.assert_unchanged_since(&before).await;

    let cleared = office
        .api
        .patch(
            &office.sun,
            &path,
            &json!({ "city": null, "birth_year": null }),
        )
        .await
        .data();
    assert_eq!(
        (&cleared["city"], &cleared["birthYear"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        told(database).await,
        [
            "member.registered - cancelled",
            "member.updated 手机号、出生年份、城市 pending"
        ]
    );
    let history = database
        .read({
            let id = id.to_owned();
            move |connection| shared::operation_log::history(connection, "member", &id)
        })
        .await;
    let acts: Vec<(&str, &str, &Value)> = history
        .iter()
        .map(|act| {
            (
                act.actor.as_str(),
                act.action.as_str(),
                &act.detail["changed"],
            )
        })
        .collect();
    assert_eq!(
        acts,
        [
            ("admin", "member.create", &Value::Null),
            (
                "sun",
                "member.update",
                &json!(["phone", "birth_year", "city"])
            ),
            ("sun", "member.update", &json!(["birth_year", "city"])),
        ]
    );
}

async fn a_membership_is_revoked_and_given_back_by_those_who_may(database: &TestDatabase) {
    let office = office(database).await;
    let member = create(&office.api, &office.admin, &anna()).await.data();
    withdraw(database).await;
    let path = format!("{MEMBERS}/{}", member["id"].as_str().unwrap());
    let revoke = format!("{path}/revoke");
    let refused = office.api.post(&office.sun, &revoke, &json!({})).await;
    assert_eq!(refused.said(), (403, "没有权限撤销会员"));
    let revoked = office.api.post(&office.zhang, &revoke, &json!({})).await;
    assert_eq!(revoked.said(), (200, "会员已撤销"));
    assert_eq!(revoked.data()["status"], "REVOKED");
    let before = database.contents().await;
    office
        .api
        .post(&office.admin, &revoke, &json!({}))
        .await
        .data();
    database.assert_unchanged_since(&before).await;

    // Their number is free for a new membership, until the old one comes back.
    let again = json!({ "member_no": "M2", "wechat": "wx-2", "phone": "13800138999", "status": "INACTIVE" });
    create(&office.api, &office.admin, &again).await.data();
    let back = json!({ "status": "ACTIVE" });
    let refused = office.api.patch(&office.sun, &path, &back).await;
    assert_eq!(refused.said(), (403, "没有权限恢复已撤销的会员"));
    let refused = office.api.patch(&office.zhang, &path, &back).await;
    assert_eq!(refused.said(), (409, "该手机号已存在会员记录"));
    let back = json!({ "status": "ACTIVE", "phone": "13800138001" });
    let member = office.api.patch(&office.zhang, &path, &back).await.data();
    assert_eq!(member["status"], "ACTIVE");
    assert_eq!(
        told(database).await,
        [
            "member.registered - cancelled",
            "member.registered - pending"
        ]
    );
}

async fn a_deleted_member_is_not_there(database: &TestDatabase) {
    let office = office(database).await;
    let member = create(&office.api, &office.admin, &anna()).await.data();
    // Written by another program, with hardly anything in it.
    database.shell("INSERT INTO members (member_no, phone) VALUES ('OLD', '电话未知')");
    database.shell("UPDATE members SET deleted = TRUE WHERE member_no = 'M1'");
    let path = format!("{MEMBERS}/{}", member["id"].as_str().unwrap());
    assert_is_missing(&office, &path).await;
    let page = office.api.get(&office.admin, MEMBERS).await.data();
    assert_eq!(page["total"], 1);
    assert_eq!(
        (
            &page["items"][0]["memberNo"],
            &page["items"][0]["phone"],
            &page["items"][0]["wechat"]
        ),
        (&json!("OLD"), &json!("****"), &Value::Null)
    );
    let number_is_kept = json!({ "member_no": "M1", "wechat": "wx-2", "phone": "13800138999" });
    let answer = create(&office.api, &office.admin, &number_is_kept).await;
    assert_eq!(answer.said(), (409, "该会员编号已存在"));
}
