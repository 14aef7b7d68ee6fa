use serde_json::{Value, json};

use super::{MEMBERS, anna, assert_is_missing, create, office, payload, told};
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(
    a_member_is_entered_shown_and_told_of,
    what_must_be_given_is_asked_for_by_name,
    what_cannot_be_is_refused_and_nothing_is_written,
    nobody_is_entered_twice,
);

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
        assert_is_missing(&office, &path).await;
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
