//! Entering a customer, and looking at one.

use serde_json::{Value, json};

use super::Office;
use crate::harness::{Answer, Session, TestDatabase, on_each_database};

on_each_database!(
    a_customer_is_entered_with_everything_known_of_it,
    a_phone_or_a_wechat_id_is_enough_and_one_must_be_there,
    a_number_or_wechat_id_is_entered_once,
    what_a_customer_must_not_be_is_refused_and_nothing_is_written,
    who_enters_for_themselves_finds_it_in_the_centre_only,
    who_enters_for_somebody_else_has_them_told_everywhere,
    managers_are_told_of_new_customers_except_the_one_who_entered_it,
    only_those_who_may_assign_enter_for_others,
    the_owner_of_a_new_customer_is_checked_like_in_an_assignment,
    employees_see_what_is_theirs_or_was_entered_by_them,
    the_lists_of_words_are_public_and_whole,
);

async fn a_customer_is_entered_with_everything_known_of_it(database: &TestDatabase) {
    let office = Office::open(database).await;
    let body = json!({
        "name": " 王女士 ", "phone": "13800138999", "wechatId": "wang_1", "leadSource": "小红书",
        "serviceCategory": "住家育儿嫂", "leadLevel": "A类", "contractStatus": "匹配中",
        "remarks": "第一行\n第二行", "assignedTo": office.li.id, "assignmentReason": "老客户",
    });
    let answer = office.api.post(&office.sun, "/api/customers", &body).await;
    assert_eq!(answer.said(), (201, "客户创建成功"));
    let customer = answer.data();
    let now = &customer["createdAt"];
    assert_eq!(
        customer,
        json!({
            "id": customer["id"],
            "customerId": customer["customerId"],
            "name": "王女士",
            "phone": "13800138999",
            "wechatId": "wang_1",
            "leadSource": "小红书",
            "serviceCategory": "住家育儿嫂",
            "leadLevel": "A类",
            "contractStatus": "匹配中",
            "remarks": "第一行\n第二行",
            "assignedTo": office.li.id,
            "assignedToName": "李四",
            "assignedBy": office.sun.id,
            "assignedByName": "孙运营",
            "assignedAt": now,
            "assignmentReason": "老客户",
            "inPublicPool": false,
            "publicPoolEntryTime": null,
            "publicPoolReason": null,
            "claimCount": 0,
            "lastActivityAt": now,
            "lastFollowUpAt": null,
            "transferCount": 0,
            "lastTransferredAt": null,
            "autoTransferEnabled": true,
            "frozen": false,
            "frozenBy": null,
            "frozenByName": null,
            "frozenAt": null,
            "frozenReason": null,
            "createdBy": office.sun.id,
            "createdByName": "孙运营",
            "createdAt": now,
            "updatedAt": now,
            "version": 1,
        })
    );
    let number = customer["customerId"]
        .as_str()
        .unwrap()
        .strip_prefix("CUS")
        .unwrap();
    assert!(
        number.len() == 11 && number.bytes().all(|b| b.is_ascii_digit()),
        "{number}"
    );
    let id = customer["id"].as_str().unwrap();
    assert_eq!(
        office.customer(id).await,
        customer,
        "the detail shows the whole number"
    );
    let history = office.history(id).await;
    assert_eq!(history.len(), 1);
    assert_eq!(
        (
            &history[0]["entrance"],
            &history[0]["fromUserId"],
            &history[0]["reason"]
        ),
        (&json!("create"), &Value::Null, &json!("老客户"))
    );
}

async fn a_phone_or_a_wechat_id_is_enough_and_one_must_be_there(database: &TestDatabase) {
    let office = Office::open(database).await;
    let enter = async |more: Value| enter(&office, &office.li, more).await;
    assert_eq!(
        enter(json!({ "phone": "13800138999" })).await.data()["wechatId"],
        Value::Null
    );
    let by_wechat = enter(json!({ "wechatId": "wang_1", "phone": "" }))
        .await
        .data();
    assert_eq!(
        (&by_wechat["phone"], &by_wechat["contractStatus"]),
        (&Value::Null, &json!("待定"))
    );
    let before = database.contents().await;
    for nothing in [
        json!({}),
        json!({ "phone": "", "wechatId": "  " }),
        json!({ "phone": null }),
    ] {
        let answer = enter(nothing).await;
        assert_eq!(answer.said(), (400, "请填写手机号或微信号"));
    }
    database.assert_unchanged_since(&before).await;
}

async fn a_number_or_wechat_id_is_entered_once(database: &TestDatabase) {
    let office = Office::open(database).await;
    let first = json!({ "phone": "13800138999", "wechatId": "wang_1" });
    enter(&office, &office.li, first).await.data();
    let before = database.contents().await;
    for (again, message) in [
        (json!({ "phone": "13800138999" }), "该手机号已存在客户记录"),
        (
            json!({ "phone": " 13800138999 ", "wechatId": "wang_2" }),
            "该手机号已存在客户记录",
        ),
        (json!({ "wechatId": "wang_1" }), "该微信号已存在客户记录"),
        (
            json!({ "phone": "13800138000", "wechatId": "wang_1" }),
            "该微信号已存在客户记录",
        ),
    ] {
        let answer = enter(&office, &office.wang, again).await;
        assert_eq!(answer.said(), (409, message));
        assert_eq!(answer.body["error"], json!({ "code": "CONFLICT" }));
    }
    database.assert_unchanged_since(&before).await;
}

async fn what_a_customer_must_not_be_is_refused_and_nothing_is_written(database: &TestDatabase) {
    let office = Office::open(database).await;
    let before = database.contents().await;
    for (field, value, message) in [
        ("name", json!(" "), "字段 name 不能为空"),
        ("name", json!("王".repeat(51)), "字段 name 不能超过50字"),
        ("name", json!("王\n女士"), "字段 name 包含不允许的控制字符"),
        ("phone", json!("12800138999"), "手机号格式不正确"),
        ("phone", json!("+8613800138999"), "手机号格式不正确"),
        ("phone", json!("１３８００１３８９９９"), "手机号格式不正确"),
        ("phone", json!(13_800_138_999_i64), "字段 phone 的值不正确"),
        (
            "wechatId",
            json!("x".repeat(65)),
            "字段 wechatId 不能超过64字",
        ),
        ("leadSource", json!("微博"), "字段 leadSource 的值不正确"),
        ("leadSource", Value::Null, "字段 leadSource 的值不正确"),
        (
            "serviceCategory",
            json!("司机"),
            "字段 serviceCategory 的值不正确",
        ),
        ("leadLevel", json!("A"), "字段 leadLevel 的值不正确"),
        (
            "contractStatus",
            json!(""),
            "字段 contractStatus 的值不正确",
        ),
        (
            "remarks",
            json!("备".repeat(2_001)),
            "字段 remarks 不能超过2000字",
        ),
        (
            "remarks",
            json!("\u{0}"),
            "字段 remarks 包含不允许的控制字符",
        ),
        (
            "assignmentReason",
            json!("因".repeat(201)),
            "分配原因不能超过200字",
        ),
        ("claimCount", json!(9), "不支持的字段：claimCount"),
        ("inPublicPool", json!(true), "不支持的字段：inPublicPool"),
    ] {
        let mut body = json!({ "phone": "13800138999" });
        body[field] = value.clone();
        let answer = enter(&office, &office.zhang, body).await;
        assert_eq!(answer.said(), (400, message), "{field}: {value}");
        assert_eq!(answer.body["error"]["details"]["field"], field);
    }
    database.assert_unchanged_since(&before).await;
    let longest =
        json!({ "wechatId": "x", "name": "王".repeat(50), "remarks": "备".repeat(2_000) });
    assert_eq!(enter(&office, &office.zhang, longest).await.status, 201);
}

async fn who_enters_for_themselves_finds_it_in_the_centre_only(database: &TestDatabase) {
    let office = Office::open(database).await;
    enter(&office, &office.li, json!({ "phone": "13800138999" }))
        .await
        .data();
    let everywhere = "inbox wechat_cloud wechat_subscribe";
    assert_eq!(
        database.news().await,
        [
            "customer.assigned li: inbox".to_owned(),
            format!("customer.created admin: {everywhere}"),
            format!("customer.created zhang: {everywhere}"),
        ]
    );
    assert_eq!(
        office.inbox(&office.li).await,
        ["您有新的客户【王女士】，电话：138****8999，来源：美团，请及时跟进！"]
    );
}

async fn who_enters_for_somebody_else_has_them_told_everywhere(database: &TestDatabase) {
    let office = Office::open(database).await;
    let body = json!({ "wechatId": "wang_1", "assignedTo": office.wang.id });
    enter(&office, &office.sun, body).await.data();
    let news = database.news().await;
    assert_eq!(
        news[0],
        "customer.assigned wang: inbox wechat_cloud wechat_subscribe"
    );
    assert_eq!(news.len(), 3);
    // There is no number to show.
    assert_eq!(
        office.inbox(&office.wang).await,
        ["您有新的客户【王女士】，电话：-，来源：美团，请及时跟进！"]
    );
}

async fn managers_are_told_of_new_customers_except_the_one_who_entered_it(database: &TestDatabase) {
    let office = Office::open(database).await;
    database
        .staff("gone", "前经理", shared::domain::Role::Manager)
        .await;
    diesel::connection::SimpleConnection::batch_execute(
        &mut database.connection(),
        "UPDATE users SET active = FALSE WHERE username = 'gone'",
    )
    .unwrap();
    enter(&office, &office.zhang, json!({ "phone": "13800138999" }))
        .await
        .data();
    assert_eq!(
        database.news().await,
        [
            "customer.assigned zhang: inbox",
            "customer.created admin: inbox wechat_cloud wechat_subscribe",
        ]
    );
    assert_eq!(
        office.inbox(&office.admin).await,
        ["张经理 创建了新客户：王女士（138****8999），来源：美团"]
    );
    let messages = database.messages().await;
    assert!(
        messages
            .iter()
            .all(|message| !message.payload.contains("13800138999"))
    );
}

async fn only_those_who_may_assign_enter_for_others(database: &TestDatabase) {
    let office = Office::open(database).await;
    let before = database.contents().await;
    let for_wang = json!({ "phone": "13800138999", "assignedTo": office.wang.id });
    for by in [&office.li, &office.zhou] {
        let answer = enter(&office, by, for_wang.clone()).await;
        assert_eq!(answer.said(), (403, "没有权限分配客户"));
    }
    database.assert_unchanged_since(&before).await;
    let for_oneself = json!({ "phone": "13800138999", "assignedTo": office.li.id });
    assert_eq!(enter(&office, &office.li, for_oneself).await.status, 201);
    let for_nobody = json!({ "phone": "13800138000", "assignedTo": " " });
    let data = enter(&office, &office.li, for_nobody).await.data();
    assert_eq!(data["assignedTo"], json!(office.li.id));
}

async fn the_owner_of_a_new_customer_is_checked_like_in_an_assignment(database: &TestDatabase) {
    let office = Office::open(database).await;
    let path = format!("/api/users/{}", office.wang.id);
    office
        .api
        .patch(&office.admin, &path, &json!({ "active": false }))
        .await
        .data();
    let before = database.contents().await;
    for (owner, message) in [
        ("0193e5a0-6e2b-7c4d-8f10-aabbccddeeff", "指定的负责人不存在"),
        ("nobody", "指定的负责人不存在"),
        (&office.wang.id, "指定的负责人未激活"),
    ] {
        let body = json!({ "phone": "13800138999", "assignedTo": owner });
        let answer = enter(&office, &office.zhang, body).await;
        assert_eq!(answer.said(), (400, message));
        assert_eq!(answer.body["error"]["details"]["field"], "assignedTo");
    }
    database.assert_unchanged_since(&before).await;
}

async fn employees_see_what_is_theirs_or_was_entered_by_them(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = enter(&office, &office.li, json!({ "phone": "13800138999" }))
        .await
        .data()["id"]
        .clone();
    let id = id.as_str().unwrap();
    office.assign(&office.zhang, id, &office.wang).await.data();
    let stranger = office
        .database
        .staff("other", "旁人", shared::domain::Role::Employee)
        .await;
    for path in [
        format!("/api/customers/{id}"),
        format!("/api/customers/{id}/assignments"),
    ] {
        for may in [
            &office.li,
            &office.wang,
            &office.zhou,
            &office.sun,
            &office.zhang,
        ] {
            assert_eq!(office.api.get(may, &path).await.status, 200);
        }
        let answer = office.api.get(&stranger, &path).await;
        assert_eq!(
            answer.said(),
            (404, "客户不存在"),
            "like one that does not exist"
        );
    }
    let seen = async |by: &Session| {
        office.api.get(by, "/api/customers").await.data()["total"]
            .as_i64()
            .unwrap()
    };
    assert_eq!(
        (
            seen(&office.li).await,
            seen(&office.wang).await,
            seen(&stranger).await
        ),
        (1, 1, 0)
    );
}

async fn the_lists_of_words_are_public_and_whole(database: &TestDatabase) {
    let office = Office::open(database).await;
    let request = office
        .api
        .request(reqwest::Method::GET, "/api/customers/enums");
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        crate::harness::TestApi::send(request).await.data(),
        json!({
            "leadSources": words(
                "美团 抖音 快手 小红书 转介绍 99保姆网 杭州同馨 握个手平台 线索购买 莲心 美家 天机鹿 \
                 孕妈联盟 高阁 星星 妈妈网 犀牛 宝宝树 幼亲舒 熊猫 官网 其他"
            ),
            "serviceCategories": words(
                "月嫂 住家育儿嫂 保洁 住家保姆 养宠 小时工 白班育儿 白班保姆 住家护老 家教 陪伴师"
            ),
            "leadLevels": words("O类 A类 B类 C类 D类 流失"),
            "contractStatuses": words("已签约 签约中 匹配中 已面试 流失客户 已退款 退款中 待定"),
        })
    );
}

/// Enters 王女士 from 美团, with `more`.
async fn enter(office: &Office<'_>, by: &Session, more: Value) -> Answer {
    let mut body = json!({ "name": "王女士", "leadSource": "美团" });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    office.api.post(by, "/api/customers", &body).await
}
