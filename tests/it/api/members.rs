use serde_json::{Value, json};
use shared::clock::{Clock, SystemClock};
use shared::outbox::{Message, Status};

use super::Office;
use crate::harness::{Answer, Session, TestApi, TestDatabase, on_each_database};

on_each_database!(
    a_member_is_entered_shown_and_told_of,
    what_must_be_given_is_asked_for_by_name,
    what_cannot_be_is_refused_and_nothing_is_written,
    nobody_is_entered_twice,
    a_change_is_told_and_kept_and_one_that_changes_nothing_is_not,
    a_membership_is_revoked_and_given_back_by_those_who_may,
    members_are_found_page_by_page_with_masked_numbers,
    whole_numbers_are_for_those_who_may_change_members,
    a_deleted_member_is_not_there,
    the_request_is_kept_on_what_it_caused,
    nobody_is_forgotten_where_the_triggers_are_missing,
);

const MEMBERS: &str = "/api/members";
const CREATE: &str = "/api/members/create";

async fn office(database: &TestDatabase) -> Office<'_> {
    let office = Office::open(database).await;
    for kind in ["member.registered", "member.updated"] {
        office
            .api
            .put(
                &office.admin,
                &format!("/api/notification-routes/{kind}/wecom_app"),
                &json!({ "enabled": true, "format": "textcard", "recipients": "@all" }),
            )
            .await
            .data();
    }
    office
}

fn anna() -> Value {
    json!({ "member_no": "M1", "wechat": "wx-anna", "phone": "13800138999" })
}

async fn create(api: &TestApi, by: &Session, body: &Value) -> Answer {
    api.post(by, CREATE, body).await
}

/// What was told of members, a text for each message: kind, what changed, and the status.
async fn told(database: &TestDatabase) -> Vec<String> {
    let messages = database.messages().await;
    let mut told: Vec<String> = messages
        .iter()
        .map(|message| {
            let payload = payload(message);
            let changed = payload["changedFields"].as_str().unwrap_or("-");
            format!("{} {changed} {}", message.kind, message.status)
        })
        .collect();
    told.sort();
    told
}

fn payload(message: &Message) -> Value {
    serde_json::from_str(&message.payload).unwrap()
}

async fn withdraw(database: &TestDatabase) {
    let messages = database.messages().await;
    let pending: Vec<_> = messages
        .into_iter()
        .filter(|message| message.status == Status::Pending)
        .map(|message| message.id)
        .collect();
    database
        .repair(&pending, shared::outbox::Wish::Cancel, SystemClock.now())
        .await
        .unwrap();
}

async fn a_member_is_entered_shown_and_told_of(database: &TestDatabase) {
    let office = office(database).await;
    let body = json!({
        "member_no": " M1 ", "wechat": "wx-anna", "phone": "13800138999", "nickname": "小满 😀",
        "gender": "female", "birth_year": 1990, "height": 172, "weight": 60, "province": "浙江",
        "city": "杭州", "district": "西湖区", "education": "bachelor", "occupation": "teacher",
        "income": "20-30万", "marital_status": "single", "self_introduction": "爱好登山\n爱猫",
        "partner_requirements": "有责任心",
    });
    let answer = create(&office.api, &office.sun, &body).await;
    assert_eq!((answer.status, answer.said().1), (201, "会员创建成功"));
    let member = answer.data();
    let mut expected = json!({
        "memberNo": "M1", "wechat": "wx-anna", "phone": "13800138999", "nickname": "小满 😀",
        "gender": "female", "birthYear": 1990, "height": 172, "weight": 60, "province": "浙江",
        "city": "杭州", "district": "西湖区", "education": "bachelor", "occupation": "teacher",
        "income": "20-30万", "maritalStatus": "single", "selfIntroduction": "爱好登山\n爱猫",
        "partnerRequirements": "有责任心", "status": "ACTIVE",
    });
    for field in ["id", "createdAt", "updatedAt"] {
        assert!(member[field].is_string(), "{field}");
        expected[field] = member[field].clone();
    }
    assert_eq!(member, expected);
    let path = format!("{MEMBERS}/{}", member["id"].as_str().unwrap());
    assert_eq!(office.api.get(&office.sun, &path).await.data(), member);

    let messages = database.messages().await;
    assert_eq!(told(database).await, ["member.registered - pending"]);
    let payload = payload(&messages[0]);
    assert_eq!(
        (&payload["memberId"], &payload["gender"], &payload["phone"]),
        (&member["id"], &json!("女"), &json!("138****8999"))
    );
    // The other spelling of the names is understood as well.
    let body = json!({ "memberNo": "M2", "wechat": "wx-2", "phone": "13800138002", "birthYear": 1991, "status": "INACTIVE" });
    let second = create(&office.api, &office.admin, &body).await.data();
    assert_eq!(
        (&second["birthYear"], &second["status"]),
        (&json!(1991), &json!("INACTIVE"))
    );
    assert_eq!(
        told(database).await.len(),
        1,
        "nobody hears of the inactive"
    );
}

async fn what_must_be_given_is_asked_for_by_name(database: &TestDatabase) {
    let office = office(database).await;
    let before = database.contents().await;
    for field in ["member_no", "wechat", "phone"] {
        for nothing in [None, Some(Value::Null), Some(json!("")), Some(json!("  "))] {
            let mut body = anna();
            match nothing {
                None => drop(body.as_object_mut().unwrap().remove(field)),
                Some(value) => body[field] = value,
            }
            let answer = create(&office.api, &office.admin, &body).await;
            assert_eq!(
                answer.said(),
                (400, format!("{field} 不能为空").as_str()),
                "{body}"
            );
            assert_eq!(answer.body["error"]["details"]["field"], field);
        }
    }
    let answer = create(&office.api, &office.admin, &json!({})).await;
    assert_eq!(answer.said(), (400, "member_no 不能为空"));
    database.assert_unchanged_since(&before).await;

    let member = create(&office.api, &office.admin, &anna()).await.data();
    let path = format!("{MEMBERS}/{}", member["id"].as_str().unwrap());
    for field in ["member_no", "wechat", "phone"] {
        for nothing in [Value::Null, json!(" ")] {
            let answer = office
                .api
                .patch(&office.admin, &path, &json!({ field: nothing }))
                .await;
            assert_eq!(answer.said(), (400, format!("{field} 不能为空").as_str()));
        }
    }
}

async fn what_cannot_be_is_refused_and_nothing_is_written(database: &TestDatabase) {
    let office = office(database).await;
    let member = create(&office.api, &office.admin, &anna()).await.data();
    let path = format!("{MEMBERS}/{}", member["id"].as_str().unwrap());
    let before = database.contents().await;
    for (field, value, message) in [
        ("phone", json!("12345"), "手机号格式不正确"),
        (
            "member_no",
            json!("x".repeat(65)),
            "字段 member_no 不能超过64字",
        ),
        (
            "nickname",
            json!("王".repeat(51)),
            "字段 nickname 不能超过50字",
        ),
        (
            "nickname",
            json!("a\nb"),
            "字段 nickname 包含不允许的控制字符",
        ),
        (
            "self_introduction",
            json!("王".repeat(2_001)),
            "字段 self_introduction 不能超过2000字",
        ),
        (
            "birth_year",
            json!(1_899),
            "birth_year 必须在 1900 到 2100 之间",
        ),
        ("height", json!(0), "height 必须在 50 到 260 之间"),
        ("weight", json!(401), "weight 必须在 20 到 400 之间"),
        ("height", json!("tall"), "字段 height 的值不正确"),
        ("status", json!("GONE"), "字段 status 的值不正确"),
        (
            "status",
            json!("REVOKED"),
            "撤销会员请使用 POST /api/members/{id}/revoke",
        ),
        ("deleted", json!(true), "不支持的字段：deleted"),
    ] {
        let mut body = json!({ "member_no": "M2", "wechat": "wx-2", "phone": "13800138002" });
        body[field] = value.clone();
        let answer = create(&office.api, &office.admin, &body).await;
        assert_eq!(answer.said(), (400, message), "{body}");
        let body = json!({ field: value });
        let answer = office.api.patch(&office.admin, &path, &body).await;
        assert_eq!(answer.said(), (400, message), "{body}");
    }
    for path in [
        format!("{MEMBERS}/0193e5a0-6e2b-7c4d-8f10-aabbccddeeff"),
        format!("{MEMBERS}/M1"),
    ] {
        assert_eq!(
            office.api.get(&office.admin, &path).await.said(),
            (404, "会员不存在")
        );
        let answer = office
            .api
            .patch(&office.admin, &path, &json!({ "city": "杭州" }))
            .await;
        assert_eq!(answer.said(), (404, "会员不存在"));
        let answer = office
            .api
            .post(&office.admin, &format!("{path}/revoke"), &json!({}))
            .await;
        assert_eq!(answer.said(), (404, "会员不存在"));
    }
    database.assert_unchanged_since(&before).await;
}

async fn nobody_is_entered_twice(database: &TestDatabase) {
    let office = office(database).await;
    create(&office.api, &office.admin, &anna()).await.data();
    let other = json!({ "member_no": "M2", "wechat": "wx-2", "phone": "13800138002" });
    let second = create(&office.api, &office.admin, &other).await.data();
    let path = format!("{MEMBERS}/{}", second["id"].as_str().unwrap());
    let before = database.contents().await;
    for (field, value, message) in [
        ("member_no", "M1", "该会员编号已存在"),
        ("phone", "13800138999", "该手机号已存在会员记录"),
        ("wechat", "wx-anna", "该微信号已存在会员记录"),
    ] {
        let mut body = json!({ "member_no": "M3", "wechat": "wx-3", "phone": "13800138003" });
        body[field] = json!(value);
        let answer = create(&office.api, &office.admin, &body).await;
        assert_eq!(answer.said(), (409, message));
        let answer = office
            .api
            .patch(&office.admin, &path, &json!({ field: value }))
            .await;
        assert_eq!(answer.said(), (409, message));
    }
    database.assert_unchanged_since(&before).await;

    // What one keeps is not somebody else's.
    let same =
        json!({ "phone": "13800138002", "wechat": "wx-2", "member_no": "M2", "city": "杭州" });
    office.api.patch(&office.admin, &path, &same).await.data();

    // Of two at the same moment one is first.
    let body = json!({ "member_no": "M4", "wechat": "wx-4", "phone": "13800138004" });
    let twin = json!({ "member_no": "M5", "wechat": "wx-5", "phone": "13800138004" });
    let (one, two) = tokio::join!(
        create(&office.api, &office.admin, &body),
        create(&office.api, &office.sun, &twin)
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
}

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

async fn members_are_found_page_by_page_with_masked_numbers(database: &TestDatabase) {
    let office = office(database).await;
    for n in 1..=5 {
        let gender = if n % 2 == 0 { "male" } else { "female" };
        let body = json!({
            "member_no": format!("A{n}_%"), "wechat": format!("Wx-{n}"), "phone": format!("1380013800{n}"),
            "nickname": format!("小满{n}"), "gender": gender, "city": "杭州", "province": "浙江",
            "education": "master", "occupation": "it", "status": if n == 5 { "INACTIVE" } else { "ACTIVE" },
        });
        create(&office.api, &office.admin, &body).await.data();
    }
    let numbers = async |query: &str| {
        let page = office
            .api
            .get(&office.li, &format!("{MEMBERS}?{query}"))
            .await
            .data();
        let items = page["items"].as_array().unwrap();
        let numbers: Vec<String> = items
            .iter()
            .map(|item| item["memberNo"].as_str().unwrap().to_owned())
            .collect();
        (numbers.join(" "), page["total"].as_i64().unwrap())
    };
    for (query, found, total) in [
        ("", "A5_% A4_% A3_% A2_% A1_%", 5),
        ("pageSize=2", "A5_% A4_%", 5),
        ("pageSize=2&page=3", "A1_%", 5),
        ("page=9", "", 5),
        ("search=a3", "A3_%", 1),
        ("search=%E6%BB%A12", "A2_%", 1),
        ("search=WX-4", "A4_%", 1),
        ("search=138009", "", 0),
        ("search=0013800%31", "A1_%", 1),
        ("search=%25", "A5_% A4_% A3_% A2_% A1_%", 5),
        ("search=%5C", "", 0),
        ("gender=male", "A4_% A2_%", 2),
        ("status=INACTIVE", "A5_%", 1),
        ("status=REVOKED", "", 0),
        (
            "city=%E6%9D%AD%E5%B7%9E&gender=female&status=ACTIVE",
            "A3_% A1_%",
            2,
        ),
        ("province=%E6%B1%9F%E8%8B%8F", "", 0),
        ("education=master&occupation=it&pageSize=1", "A5_%", 5),
    ] {
        assert_eq!(numbers(query).await, (found.to_owned(), total), "{query}");
    }
    let page = office.api.get(&office.admin, MEMBERS).await.data();
    assert_eq!(page["items"][0]["phone"], "138****8005");
    assert_eq!((&page["page"], &page["totalPages"]), (&json!(1), &json!(1)));
    for (query, message) in [
        ("pageSize=101", "pageSize 必须在 1 到 100 之间"),
        ("status=GONE", "字段 status 的值不正确"),
        ("name=x", "不支持的字段：name"),
    ] {
        let answer = office
            .api
            .get(&office.li, &format!("{MEMBERS}?{query}"))
            .await;
        assert_eq!(answer.said(), (400, message));
    }
}

async fn whole_numbers_are_for_those_who_may_change_members(database: &TestDatabase) {
    let office = office(database).await;
    let member = create(&office.api, &office.admin, &anna()).await.data();
    let path = format!("{MEMBERS}/{}", member["id"].as_str().unwrap());
    for (who, phone) in [
        (&office.admin, "13800138999"),
        (&office.zhang, "13800138999"),
        (&office.sun, "13800138999"),
        (&office.zhou, "138****8999"),
        (&office.li, "138****8999"),
    ] {
        assert_eq!(office.api.get(who, &path).await.data()["phone"], phone);
    }
}

async fn a_deleted_member_is_not_there(database: &TestDatabase) {
    let office = office(database).await;
    let member = create(&office.api, &office.admin, &anna()).await.data();
    // Written by another program, with hardly anything in it.
    database.shell("INSERT INTO members (member_no, phone) VALUES ('OLD', '电话未知')");
    database.shell("UPDATE members SET deleted = TRUE WHERE member_no = 'M1'");
    let path = format!("{MEMBERS}/{}", member["id"].as_str().unwrap());
    assert_eq!(
        office.api.get(&office.admin, &path).await.said(),
        (404, "会员不存在")
    );
    let answer = office
        .api
        .patch(&office.admin, &path, &json!({ "city": "杭州" }))
        .await;
    assert_eq!(answer.said(), (404, "会员不存在"));
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

async fn the_request_is_kept_on_what_it_caused(database: &TestDatabase) {
    let office = office(database).await;
    let request = office
        .api
        .request(reqwest::Method::POST, CREATE)
        .bearer_auth(&office.admin.token)
        .header("x-request-id", "request-of-a-test")
        .json(&anna());
    TestApi::send(request).await.data();
    let request_ids = async || -> Vec<Option<String>> {
        let messages = database.messages().await;
        messages
            .iter()
            .map(|message| message.request_id.as_ref().map(ToString::to_string))
            .collect()
    };
    assert_eq!(request_ids().await, [Some("request-of-a-test".to_owned())]);
    withdraw(database).await;
    database.shell("UPDATE members SET city = '杭州'");
    assert_eq!(request_ids().await[1], None, "no request caused this");
}

/// The same acts with and without triggers leave the same messages.
async fn nobody_is_forgotten_where_the_triggers_are_missing(database: &TestDatabase) {
    let office = office(database).await;
    let mut left = Vec::new();
    for number in ["A", "B"] {
        database.shell("DELETE FROM outbox_messages");
        acts(&office, number).await;
        let mut messages = Vec::new();
        for message in database.messages().await {
            let mut said = payload(&message);
            said.as_object_mut().unwrap().remove("memberId");
            assert!(
                said["time"]
                    .as_str()
                    .unwrap()
                    .ends_with(|c: char| c.is_ascii_digit())
            );
            said.as_object_mut().unwrap().remove("time");
            assert!(message.request_id.is_some(), "{message:?}");
            assert_eq!(message.due_at, message.created_at);
            messages.push((
                (
                    message.kind,
                    message.channel,
                    message.recipient_id.to_string(),
                ),
                (message.status, message.priority, message.attempts_max),
                said.to_string().replace(&format!("\"{number}\""), "\"\""),
            ));
        }
        // Ids of one millisecond are in no order.
        messages.sort();
        left.push(messages);
        for trigger in ["members_inserted", "members_updated"] {
            let on_table = if database.url().is_embedded() {
                ""
            } else {
                " ON members"
            };
            if number == "A" {
                database.shell(&format!("DROP TRIGGER {trigger}{on_table}"));
            }
        }
    }
    assert!(left[0].len() >= 8, "{:?}", left[0]);
    assert_eq!(left[0], left[1]);
}

async fn acts(office: &Office<'_>, number: &str) {
    let database = office.database;
    // In the part that is masked.
    let digit = u32::from(number == "B");
    let change = async |id: &str, body: Value| {
        office
            .api
            .patch(&office.admin, &format!("{MEMBERS}/{id}"), &body)
            .await
            .data();
    };
    let body = json!({
        "member_no": number, "wechat": format!("wx-{number}"), "phone": format!("138{digit}0138000"),
        "gender": "male", "height": 180, "education": "phd", "province": "浙江", "city": "杭州",
    });
    let id = create(&office.api, &office.admin, &body).await.data()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    // The registration waits still.
    change(&id, json!({ "nickname": "小满 \"😀\"" })).await;
    withdraw(database).await;
    for body in [
        json!({ "nickname": null }),
        json!({ "gender": "female", "birth_year": 1990, "height": 170, "weight": 60 }),
        json!({ "province": "上海", "city": "上海", "district": "徐汇区" }),
    ] {
        change(&id, body).await;
    }
    withdraw(database).await;
    for body in [
        json!({ "education": "master", "occupation": "it", "income": "30万" }),
        json!({ "marital_status": "single", "self_introduction": "长".repeat(2_000) }),
        json!({ "partner_requirements": "x", "phone": format!("139{digit}0139000"), "wechat": format!("{number}-wx") }),
    ] {
        change(&id, body).await;
        withdraw(database).await;
    }
    for status in ["INACTIVE", "ACTIVE"] {
        change(&id, json!({ "status": status })).await;
    }
    // Comes back a second time before the first was told.
    office
        .api
        .post(&office.admin, &format!("{MEMBERS}/{id}/revoke"), &json!({}))
        .await
        .data();
    change(&id, json!({ "city": "苏州" })).await;
    change(&id, json!({ "status": "ACTIVE", "city": "无锡" })).await;
    withdraw(database).await;
    // On one more channel from here on.
    office
        .api
        .put(
            &office.admin,
            "/api/notification-routes/member.updated/wecom_robot",
            &json!({ "enabled": true, "recipients": "红娘群" }),
        )
        .await
        .data();
    change(&id, json!({ "city": "南京" })).await;
    office
        .api
        .put(
            &office.admin,
            "/api/notification-routes/member.updated/wecom_robot",
            &json!({ "enabled": false }),
        )
        .await
        .data();
    change(&id, json!({ "district": null })).await;
}
