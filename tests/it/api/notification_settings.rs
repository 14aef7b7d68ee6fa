use serde_json::{Value, json};

use super::Office;
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(
    nobody_who_has_said_nothing_is_spared_anything,
    what_somebody_says_is_kept_for_them_alone,
    what_cannot_be_wished_is_refused_by_name,
);

const PATH: &str = "/api/notifications/settings";

fn nothing_said() -> Value {
    json!({
        "mutedKinds": [],
        "mutedChannels": [],
        "quietWindows": [],
        "highPriorityBreaksThrough": false,
        "mandatoryKinds": [
            "customer.assigned", "customer.batch_assigned", "customer.assigned_from_pool",
            "lead.auto_transfer_in", "system.announcement", "system.digest"
        ],
        "timeZone": "Asia/Shanghai",
    })
}

/// Takes the names of kinds and channels out of somebody's settings: they are the same for all.
fn names_taken(settings: &mut Value) -> Value {
    let settings = settings.as_object_mut().unwrap();
    let mut take = |name: &str| settings.remove(name).unwrap();
    json!({ "kinds": take("kinds"), "channels": take("channels") })
}

async fn nobody_who_has_said_nothing_is_spared_anything(database: &TestDatabase) {
    let office = Office::open(database).await;
    let mut settings = office.api.get(&office.li, PATH).await.data();
    let named = names_taken(&mut settings);
    assert_eq!(settings, nothing_said());
    let kinds = named["kinds"].as_array().unwrap();
    let of = |kind: &str| kinds.iter().find(|one| one["kind"] == kind).unwrap();
    assert_eq!(
        of("report.weekly"),
        &json!({ "kind": "report.weekly", "title": "本周工作周报", "module": "报表", "mandatoryBecause": null })
    );
    assert_eq!(
        of("customer.assigned")["mandatoryBecause"],
        "新客户需要及时跟进"
    );
    assert!(
        kinds.iter().all(|one| one["kind"] != "member.registered"),
        "nobody gets it in person"
    );
    assert!(
        kinds.iter().all(|one| one["kind"] != "system.digest"),
        "it is made of what was not muted"
    );
    let channels = named["channels"].as_array().unwrap();
    let configured: Vec<(&Value, &Value)> = channels
        .iter()
        .map(|one| (&one["channel"], &one["configured"]))
        .collect();
    assert_eq!(
        configured,
        [
            (&json!("wechat_subscribe"), &json!(true)),
            (&json!("wechat_cloud"), &json!(true)),
            (&json!("wecom_app"), &json!(false)),
        ]
    );
}

async fn what_somebody_says_is_kept_for_them_alone(database: &TestDatabase) {
    let office = Office::open(database).await;
    let body = json!({
        "mutedKinds": ["customer.transferred_away", "report.weekly"],
        "mutedChannels": ["wecom_app"],
        "quietWindows": [
            { "days": [1, 2, 3, 4, 5], "start": "22:00", "end": "08:00" },
            { "days": [6, 7], "start": "20:30", "end": "10:00" },
        ],
        "highPriorityBreaksThrough": true,
    });
    let answer = office.api.put(&office.li, PATH, &body).await;
    assert_eq!(answer.said(), (200, "通知设置已保存"));
    let mut expected = nothing_said();
    for (field, value) in body.as_object().unwrap() {
        expected[field] = value.clone();
    }
    let mut said = answer.data();
    names_taken(&mut said);
    assert_eq!(said, expected);
    let mut stored = office.api.get(&office.li, PATH).await.data();
    names_taken(&mut stored);
    assert_eq!(stored, expected);
    let mut of_another = office.api.get(&office.wang, PATH).await.data();
    names_taken(&mut of_another);
    assert_eq!(of_another, nothing_said());

    let mut reset = office.api.put(&office.li, PATH, &json!({})).await.data();
    names_taken(&mut reset);
    assert_eq!(reset, nothing_said());
}

async fn what_cannot_be_wished_is_refused_by_name(database: &TestDatabase) {
    let office = Office::open(database).await;
    let before = database.contents().await;
    let window = |days: Value, start: &str, end: &str| json!({ "quietWindows": [{ "days": days, "start": start, "end": end }] });
    let fifteen: Vec<Value> = (0..15)
        .map(|n| json!({ "days": [1], "start": format!("{n:02}:00"), "end": format!("{n:02}:30") }))
        .collect();
    for (body, status, message) in [
        (
            json!({ "mutedKinds": ["customer.assigned"] }),
            422,
            "“客户分配通知”（customer.assigned）不能屏蔽",
        ),
        (
            json!({ "mutedKinds": ["fax.sent"] }),
            400,
            "字段 mutedKinds[0] 的值不正确",
        ),
        (
            json!({ "mutedChannels": ["fax"] }),
            400,
            "字段 mutedChannels[0] 的值不正确",
        ),
        (
            window(json!([]), "22:00", "08:00"),
            422,
            "免打扰时段必须选择星期，1 为星期一，7 为星期日",
        ),
        (
            window(json!([8]), "22:00", "08:00"),
            422,
            "免打扰时段必须选择星期，1 为星期一，7 为星期日",
        ),
        (
            window(json!([1]), "22:00", "22:00"),
            422,
            "免打扰时段的开始和结束时间不能相同",
        ),
        (
            window(json!([1]), "25:00", "08:00"),
            400,
            "字段 quietWindows[0].start 的值不正确",
        ),
        (
            window(json!([1]), "22:00", "8"),
            400,
            "字段 quietWindows[0].end 的值不正确",
        ),
        (
            json!({ "quietWindows": [
                { "days": [7], "start": "22:00", "end": "08:00" },
                { "days": [1], "start": "07:00", "end": "09:00" },
            ] }),
            422,
            "免打扰时段之间不能重叠",
        ),
        (
            json!({ "quietWindows": fifteen }),
            400,
            "免打扰时段不能超过14个",
        ),
        (json!({ "muted": [] }), 400, "不支持的字段：muted"),
    ] {
        let answer = office.api.put(&office.li, PATH, &body).await;
        assert_eq!(answer.said(), (status, message), "{body}");
        if status == 422 && body["mutedKinds"].is_null() {
            let windows = body["quietWindows"].as_array().unwrap().len();
            let details = &answer.body["error"]["details"];
            let field = format!("quietWindows[{}]", windows - 1);
            assert_eq!(details["field"], field, "{body}");
            let other = if windows == 2 {
                json!("quietWindows[0]")
            } else {
                Value::Null
            };
            assert_eq!(details["overlapsWith"], other, "{body}");
        }
    }
    database.assert_unchanged_since(&before).await;
}
