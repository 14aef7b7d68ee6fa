use serde_json::{Value, json};
use shared::domain::Role;

use super::Office;
use crate::harness::{Gate, PASSWORD, TestDatabase, on_each_database};

on_each_database!(
    a_user_is_made_shown_and_listed_without_secrets,
    a_username_is_taken_once,
    what_a_user_must_not_be_is_refused_and_nothing_is_written,
    a_change_changes_what_is_named_and_null_takes_away,
    a_user_that_does_not_exist_is_not_found,
    users_are_listed_newest_first_by_role_and_activity,
    the_last_admin_stays,
    of_two_admins_who_deactivate_each_other_at_once_one_stays,
    assignable_users_are_the_active_ones_without_numbers,
);

async fn a_user_is_made_shown_and_listed_without_secrets(database: &TestDatabase) {
    let office = Office::open(database).await;
    let body = json!({
        "username": "zhao.6_a-b", "password": PASSWORD, "name": " 赵六 ", "phone": "13800138999",
        "role": "dispatch", "department": "派单部",
    });
    let answer = office.api.post(&office.admin, "/api/users", &body).await;
    assert_eq!(answer.said(), (201, "用户创建成功"));
    let user = answer.data();
    assert_eq!(
        user,
        json!({
            "id": user["id"],
            "username": "zhao.6_a-b",
            "name": "赵六",
            "phone": "13800138999",
            "role": "dispatch",
            "roleName": "派单老师",
            "department": "派单部",
            "active": true,
            "createdAt": user["createdAt"],
            "updatedAt": user["createdAt"],
        })
    );
    let path = format!("/api/users/{}", user["id"].as_str().unwrap());
    assert_eq!(office.api.get(&office.admin, &path).await.data(), user);
    let page = office
        .api
        .get(&office.admin, "/api/users?role=dispatch")
        .await
        .data();
    assert_eq!((&page["total"], &page["items"][0]), (&json!(2), &user));
    office.api.login("zhao.6_a-b").await;
    let contents = format!("{:?}", database.contents().await);
    assert!(contents.contains("user.create") && !contents.contains(PASSWORD));
}

async fn a_username_is_taken_once(database: &TestDatabase) {
    let office = Office::open(database).await;
    let before = database.contents().await;
    let body =
        json!({ "username": "li", "password": PASSWORD, "name": "另一个李四", "role": "employee" });
    let answer = office.api.post(&office.admin, "/api/users", &body).await;
    assert_eq!(answer.said(), (409, "用户名已存在"));
    assert_eq!(answer.body["error"]["code"], "CONFLICT");
    database.assert_unchanged_since(&before).await;
}

async fn what_a_user_must_not_be_is_refused_and_nothing_is_written(database: &TestDatabase) {
    let office = Office::open(database).await;
    let before = database.contents().await;
    let right =
        json!({ "username": "new", "password": PASSWORD, "name": "新人", "role": "employee" });
    let name_rule = "用户名只能包含字母、数字、点、下划线和连字符，长度2到64";
    let password_rule = "密码长度必须在8到128个字符之间，且不能包含控制字符";
    for (field, value, message) in [
        ("username", json!("x"), name_rule),
        ("username", json!("x".repeat(65)), name_rule),
        ("username", json!("王五"), name_rule),
        ("username", json!("a b"), name_rule),
        ("password", json!("1234567"), password_rule),
        ("password", json!("x".repeat(129)), password_rule),
        ("password", json!("12345678\u{0}"), password_rule),
        ("name", json!("  "), "字段 name 不能为空"),
        ("name", json!("王".repeat(51)), "字段 name 不能超过50字"),
        ("phone", json!("12345678901"), "手机号格式不正确"),
        ("role", json!("boss"), "字段 role 的值不正确"),
        (
            "department",
            json!("部".repeat(51)),
            "字段 department 不能超过50字",
        ),
        ("active", json!(true), "不支持的字段：active"),
        ("token_epoch", json!(7), "不支持的字段：token_epoch"),
    ] {
        let mut body = right.clone();
        body[field] = value;
        let answer = office.api.post(&office.admin, "/api/users", &body).await;
        assert_eq!(answer.said(), (400, message), "{field}");
        assert_eq!(answer.body["error"]["details"]["field"], field);
    }
    database.assert_unchanged_since(&before).await;
    assert_eq!(
        office
            .api
            .post(&office.admin, "/api/users", &right)
            .await
            .status,
        201
    );
}

async fn a_change_changes_what_is_named_and_null_takes_away(database: &TestDatabase) {
    let office = Office::open(database).await;
    let path = format!("/api/users/{}", office.li.id);
    let mut expected = office.api.get(&office.admin, &path).await.data();
    for (body, field, value) in [
        (json!({ "name": "李四四" }), "name", json!("李四四")),
        (
            json!({ "phone": "13800138999" }),
            "phone",
            json!("13800138999"),
        ),
        (
            json!({ "department": "销售部" }),
            "department",
            json!("销售部"),
        ),
        (json!({ "phone": null }), "phone", Value::Null),
        (json!({ "department": "" }), "department", Value::Null),
        (json!({}), "department", Value::Null),
    ] {
        let answer = office.api.patch(&office.admin, &path, &body).await;
        assert_eq!(answer.said(), (200, "用户更新成功"), "{body}");
        let user = answer.data();
        expected[field] = value;
        expected["updatedAt"] = user["updatedAt"].clone();
        assert_eq!(user, expected, "{body}");
    }
    assert_eq!(
        office.api.get(&office.li, "/api/auth/me").await.status,
        200,
        "their session stays"
    );
    let before = database.contents().await;
    for (body, message) in [
        (json!({ "name": "" }), "字段 name 不能为空"),
        (json!({ "name": "李", "phone": "1" }), "手机号格式不正确"),
        (json!({ "username": "other" }), "不支持的字段：username"),
        (
            json!({ "password": "short" }),
            "密码长度必须在8到128个字符之间，且不能包含控制字符",
        ),
        (json!({ "active": "no" }), "字段 active 的值不正确"),
    ] {
        let answer = office.api.patch(&office.admin, &path, &body).await;
        assert_eq!(answer.said(), (400, message), "{body}");
    }
    database.assert_unchanged_since(&before).await;
}

async fn a_user_that_does_not_exist_is_not_found(database: &TestDatabase) {
    let office = Office::open(database).await;
    let before = database.contents().await;
    for id in ["0193e5a0-6e2b-7c4d-8f10-aabbccddeeff", "nobody"] {
        let path = format!("/api/users/{id}");
        let shown = office.api.get(&office.admin, &path).await;
        let changed = office
            .api
            .patch(&office.admin, &path, &json!({ "name": "谁" }))
            .await;
        assert_eq!(
            (shown.said(), changed.said()),
            ((404, "用户不存在"), (404, "用户不存在"))
        );
    }
    database.assert_unchanged_since(&before).await;
}

async fn users_are_listed_newest_first_by_role_and_activity(database: &TestDatabase) {
    let office = Office::open(database).await;
    let path = format!("/api/users/{}", office.li.id);
    office
        .api
        .patch(&office.admin, &path, &json!({ "active": false }))
        .await
        .data();
    for (query, usernames, total) in [
        ("", vec!["wang", "li", "zhou", "sun", "zhang", "admin"], 6),
        ("?pageSize=2&page=2", vec!["zhou", "sun"], 6),
        ("?pageSize=4&page=3", vec![], 6),
        ("?role=employee", vec!["wang", "li"], 2),
        ("?role=employee&active=true", vec!["wang"], 1),
        ("?active=false", vec!["li"], 1),
    ] {
        let page = office
            .api
            .get(&office.admin, &format!("/api/users{query}"))
            .await
            .data();
        let items = page["items"].as_array().unwrap();
        let found: Vec<&str> = items
            .iter()
            .map(|u| u["username"].as_str().unwrap())
            .collect();
        assert_eq!(
            (found, &page["total"]),
            (usernames, &json!(total)),
            "{query}"
        );
    }
    let page = office
        .api
        .get(&office.admin, "/api/users?pageSize=4&page=2")
        .await
        .data();
    assert_eq!(
        (&page["page"], &page["pageSize"], &page["totalPages"]),
        (&json!(2), &json!(4), &json!(2))
    );
}

async fn the_last_admin_stays(database: &TestDatabase) {
    let office = Office::open(database).await;
    let path = format!("/api/users/{}", office.admin.id);
    let before = database.contents().await;
    for body in [json!({ "active": false }), json!({ "role": "manager" })] {
        let answer = office.api.patch(&office.admin, &path, &body).await;
        assert_eq!(
            answer.said(),
            (409, "不能停用或降级最后一个系统管理员"),
            "{body}"
        );
    }
    database.assert_unchanged_since(&before).await;
    let promote = format!("/api/users/{}", office.zhang.id);
    office
        .api
        .patch(&office.admin, &promote, &json!({ "role": "admin" }))
        .await
        .data();
    office
        .api
        .patch(&office.admin, &path, &json!({ "active": false }))
        .await
        .data();
    let answer = office
        .api
        .patch(&office.zhang, &promote, &json!({ "active": false }))
        .await;
    assert_eq!(answer.status, 409);
}

async fn of_two_admins_who_deactivate_each_other_at_once_one_stays(database: &TestDatabase) {
    let office = Office::open(database).await;
    let other = database.staff("other", "另一个管理员", Role::Admin).await;
    let off = json!({ "active": false });
    let (path, other_path) = (
        format!("/api/users/{}", office.admin.id),
        format!("/api/users/{}", other.id),
    );
    // Both have counted the admins when they come to the operation log.
    let gate = Gate::before(database, "operation_logs");
    let (one, two, ()) = tokio::join!(
        office.api.patch(&office.admin, &other_path, &off),
        office.api.patch(&other, &path, &off),
        gate.open_when_waiting(2),
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    // The second may be out already when it is asked who they are.
    assert!(matches!(statuses, [200, 401 | 409]), "{statuses:?}");
}

async fn assignable_users_are_the_active_ones_without_numbers(database: &TestDatabase) {
    let office = Office::open(database).await;
    let path = format!("/api/users/{}", office.wang.id);
    office
        .api
        .patch(&office.admin, &path, &json!({ "active": false }))
        .await
        .data();
    let path = format!("/api/users/{}", office.li.id);
    let body = json!({ "department": "销售部", "phone": "13800138999" });
    office.api.patch(&office.admin, &path, &body).await.data();
    let users = office
        .api
        .get(&office.sun, "/api/customers/assignable-users")
        .await
        .data();
    let users = users.as_array().unwrap();
    assert_eq!(users.len(), 5, "{users:?}");
    assert!(users.contains(&json!({
        "id": office.li.id,
        "name": "李四",
        "role": "employee",
        "roleName": "普通员工",
        "department": "销售部",
    })));
    assert!(users.iter().all(|user| user["id"] != json!(office.wang.id)));
}
