use serde_json::json;

use super::{MEMBERS, anna, create, office};
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(
    members_are_found_page_by_page_with_masked_numbers,
    whole_numbers_are_for_those_who_may_change_members,
);

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
