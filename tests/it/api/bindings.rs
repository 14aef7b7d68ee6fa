use serde_json::{Value, json};

use super::Office;
use crate::harness::{Session, TestDatabase, on_each_database};

on_each_database!(
    an_identity_is_bound_changed_listed_and_unbound,
    an_identity_belongs_to_one_user_per_app,
    what_is_no_app_or_no_identity_is_refused,
    who_does_not_exist_and_what_is_not_bound_is_not_found,
    the_identity_itself_is_not_in_the_operation_log,
);

async fn an_identity_is_bound_changed_listed_and_unbound(database: &TestDatabase) {
    let office = Office::open(database).await;
    let list = format!("/api/users/{}/bindings", office.li.id);
    let bind = async |app: &str, identity: &str| {
        let body = json!({ "externalId": identity });
        let answer = office
            .api
            .put(&office.admin, &path(&office.li, app), &body)
            .await;
        assert_eq!(answer.said(), (200, "绑定成功"));
        answer.data()
    };
    bind("wecom:ww1", "li.si").await;
    let first = bind("mini_program:wx1", "openid-1").await;
    let second = bind("mini_program:wx1", "openid-2").await;
    assert_eq!(office.api.get(&office.admin, &list).await.data(), second);
    let seen: Vec<_> = second
        .as_array()
        .unwrap()
        .iter()
        .map(|b| (&b["app"], &b["externalId"]))
        .collect();
    assert_eq!(
        seen,
        [
            (&json!("mini_program:wx1"), &json!("openid-2")),
            (&json!("wecom:ww1"), &json!("li.si")),
        ]
    );
    assert_eq!(first[0]["createdAt"], second[0]["createdAt"]);
    assert!(first[0]["updatedAt"].as_str() < second[0]["updatedAt"].as_str());

    let removed = office
        .api
        .delete(&office.admin, &path(&office.li, "mini_program:wx1"))
        .await;
    assert_eq!(removed.said(), (200, "解绑成功"));
    assert_eq!(
        office.api.get(&office.admin, &list).await.data(),
        json!([second[1]])
    );
}

async fn an_identity_belongs_to_one_user_per_app(database: &TestDatabase) {
    let office = Office::open(database).await;
    let body = json!({ "externalId": "openid-1" });
    let wx1 = "mini_program:wx1";
    office
        .api
        .put(&office.admin, &path(&office.li, wx1), &body)
        .await
        .data();
    let other = json!({ "externalId": "openid-2" });
    office
        .api
        .put(&office.admin, &path(&office.wang, wx1), &other)
        .await
        .data();
    let before = database.contents().await;
    // Also for somebody who has another identity there already.
    for user in [&office.wang, &office.zhou] {
        let answer = office.api.put(&office.admin, &path(user, wx1), &body).await;
        assert_eq!(answer.said(), (409, "该微信标识已绑定其他用户"));
        assert_eq!(answer.body["error"]["code"], "CONFLICT");
    }
    database.assert_unchanged_since(&before).await;
    // The same text in another app is another identity.
    office
        .api
        .put(
            &office.admin,
            &path(&office.wang, "mini_program:wx2"),
            &body,
        )
        .await
        .data();
}

async fn what_is_no_app_or_no_identity_is_refused(database: &TestDatabase) {
    let office = Office::open(database).await;
    let before = database.contents().await;
    let right = json!({ "externalId": "openid-1" });
    let app_rule = "应用标识必须是 mini_program:<appid> 或 wecom:<corpid>";
    for app in ["wx1", "mini_program:", "qq:1", "wecom:a%20b", "%00"] {
        let put = office
            .api
            .put(&office.admin, &path(&office.li, app), &right)
            .await;
        let deleted = office
            .api
            .delete(&office.admin, &path(&office.li, app))
            .await;
        assert_eq!(
            (put.said(), deleted.said()),
            ((400, app_rule), (400, app_rule)),
            "{app}"
        );
    }
    let identity_rule = "externalId 必须是1到128个可见字符";
    for (body, message) in [
        (json!({ "externalId": "" }), identity_rule),
        (json!({ "externalId": "a b" }), identity_rule),
        (json!({ "externalId": "a\u{0}" }), identity_rule),
        (json!({ "externalId": "x".repeat(129) }), identity_rule),
        (json!({ "externalId": 7 }), "字段 externalId 的值不正确"),
        (json!({}), "缺少字段：externalId"),
        (
            json!({ "externalId": "x", "userId": "y" }),
            "不支持的字段：userId",
        ),
    ] {
        let answer = office
            .api
            .put(&office.admin, &path(&office.li, "wecom:ww1"), &body)
            .await;
        assert_eq!(answer.said(), (400, message), "{body}");
    }
    database.assert_unchanged_since(&before).await;
}

async fn who_does_not_exist_and_what_is_not_bound_is_not_found(database: &TestDatabase) {
    let office = Office::open(database).await;
    let before = database.contents().await;
    let body = json!({ "externalId": "openid-1" });
    for id in ["0193e5a0-6e2b-7c4d-8f10-aabbccddeeff", "nobody"] {
        let list = format!("/api/users/{id}/bindings");
        let listed = office.api.get(&office.admin, &list).await;
        let put = office
            .api
            .put(&office.admin, &format!("{list}/wecom:ww1"), &body)
            .await;
        assert_eq!(
            (listed.said(), put.said()),
            ((404, "用户不存在"), (404, "用户不存在")),
            "{id}"
        );
    }
    let removed = office
        .api
        .delete(&office.admin, &path(&office.li, "wecom:ww1"))
        .await;
    assert_eq!(removed.said(), (404, "绑定不存在"));
    let list = format!("/api/users/{}/bindings", office.li.id);
    assert_eq!(office.api.get(&office.admin, &list).await.data(), json!([]));
    database.assert_unchanged_since(&before).await;
}

async fn the_identity_itself_is_not_in_the_operation_log(database: &TestDatabase) {
    use diesel::prelude::*;
    use shared::db::schema::operation_logs;

    let office = Office::open(database).await;
    let body = json!({ "externalId": "openid-secret" });
    office
        .api
        .put(&office.admin, &path(&office.li, "wecom:ww1"), &body)
        .await
        .data();
    office
        .api
        .delete(&office.admin, &path(&office.li, "wecom:ww1"))
        .await
        .data();
    let log: Vec<(String, String, String)> = database
        .read(|connection| {
            let columns = (
                operation_logs::action,
                operation_logs::entity_id,
                operation_logs::detail,
            );
            Ok(operation_logs::table
                .order(operation_logs::id)
                .select(columns)
                .load(connection)?)
        })
        .await;
    let actions: Vec<&str> = log.iter().map(|(action, _, _)| action.as_str()).collect();
    assert_eq!(actions, ["binding.put", "binding.remove"]);
    for (_, entity_id, detail) in &log {
        assert_eq!(entity_id, &office.li.id);
        let detail: Value = serde_json::from_str(detail).unwrap();
        assert_eq!(detail, json!({ "app": "wecom:ww1" }));
    }
}

fn path(user: &Session, app: &str) -> String {
    format!("/api/users/{}/bindings/{app}", user.id)
}
