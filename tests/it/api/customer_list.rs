use diesel::connection::SimpleConnection;
use serde_json::{Value, json};
use shared::db::DbConnection;

use super::Office;
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(
    a_list_masks_numbers_and_names_people,
    a_page_has_bounds_and_no_customer_is_on_two,
    a_search_finds_parts_of_name_number_and_wechat_id,
    signs_that_mean_something_to_a_pattern_are_searched_as_they_are,
    a_search_takes_letters_in_any_case,
    one_or_two_characters_are_looked_for_in_names_alone,
    every_part_of_every_text_is_found,
    filters_are_combined,
    a_list_that_is_too_long_to_count_says_so_and_where_it_ends,
    what_was_never_assigned_comes_last_in_a_long_list_too,
    a_list_is_sorted_as_asked,
);

async fn a_list_masks_numbers_and_names_people(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    let mut expected = office.customer(&id).await;
    expected["phone"] = json!("138****8999");
    for by in [&office.li, &office.zhou, &office.admin] {
        let page = office.api.get(by, "/api/customers").await.data();
        assert_eq!(
            page,
            json!({ "items": [expected], "total": 1, "totalIsExact": true, "page": 1, "pageSize": 20, "totalPages": 1 })
        );
    }
    assert_eq!(expected["assignedToName"], "李四");
}

async fn a_page_has_bounds_and_no_customer_is_on_two(database: &TestDatabase) {
    let office = Office::open(database).await;
    // All of the same moment: only the id tells them apart.
    let mut leads = database.leads(25, &office.li).await;
    let mut seen = Vec::new();
    for (page, count) in [(1, 10), (2, 10), (3, 5), (4, 0)] {
        let path = format!("/api/customers?pageSize=10&page={page}");
        let answer = office.api.get(&office.zhang, &path).await.data();
        let items = answer["items"].as_array().unwrap();
        assert_eq!(items.len(), count);
        assert_eq!(
            (&answer["total"], &answer["totalPages"]),
            (&json!(25), &json!(3))
        );
        seen.extend(
            items
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned()),
        );
    }
    leads.reverse();
    assert_eq!(seen, leads);
    let all = office
        .api
        .get(&office.zhang, "/api/customers?pageSize=100")
        .await
        .data();
    assert_eq!(all["items"].as_array().unwrap().len(), 25);
    let usual = office.api.get(&office.zhang, "/api/customers").await.data();
    assert_eq!(usual["items"].as_array().unwrap().len(), 20);
}

async fn a_search_finds_parts_of_name_number_and_wechat_id(database: &TestDatabase) {
    let office = Office::open(database).await;
    database.lead("王女士", "13800138999", &office.li).await;
    database.lead("王先生", "13900139000", &office.li).await;
    database.lead("赵女士", "15912345678", &office.li).await;
    let update = "UPDATE customers SET wechat_id = 'zhao_wx' WHERE name = '赵女士'";
    database.connection().batch_execute(update).unwrap();
    for (part, names) in [
        ("王", vec!["王先生", "王女士"]),
        ("女士", vec!["赵女士", "王女士"]),
        ("8999", vec!["王女士"]),
        ("13900139000", vec!["王先生"]),
        ("zhao", vec!["赵女士"]),
        ("CUS159", vec!["赵女士"]),
        (" 王女士 ", vec!["王女士"]),
        ("钱", vec![]),
    ] {
        assert_eq!(found(&office, &[("search", part)]).await, names, "{part}");
    }
}

async fn signs_that_mean_something_to_a_pattern_are_searched_as_they_are(database: &TestDatabase) {
    let office = Office::open(database).await;
    for (n, name) in ["100%满意", "100分", "a_b", "axb", r"a\b", "a'b"]
        .iter()
        .enumerate()
    {
        database
            .lead(name, &format!("1380013800{n}"), &office.li)
            .await;
    }
    for (part, names) in [
        ("%", vec!["100%满意"]),
        ("100%", vec!["100%满意"]),
        ("_", vec!["a_b"]),
        ("a_b", vec!["a_b"]),
        (r"\", vec![r"a\b"]),
        (r"a\b", vec![r"a\b"]),
        ("'", vec!["a'b"]),
        ("' OR 1=1 --", vec![]),
    ] {
        assert_eq!(found(&office, &[("search", part)]).await, names, "{part}");
    }
}

async fn a_search_takes_letters_in_any_case(database: &TestDatabase) {
    let office = Office::open(database).await;
    database.lead("Alice", "13800138999", &office.li).await;
    for part in ["alice", "ALICE", "Ali"] {
        assert_eq!(
            found(&office, &[("search", part)]).await,
            ["Alice"],
            "{part}"
        );
    }
}

async fn one_or_two_characters_are_looked_for_in_names_alone(database: &TestDatabase) {
    let office = Office::open(database).await;
    database.lead("8号客户", "13800138999", &office.li).await;
    database.lead("Zq", "13900139000", &office.li).await;
    let update = "UPDATE customers SET wechat_id = 'zqx8' WHERE name = '8号客户'";
    database.connection().batch_execute(update).unwrap();
    for (part, names) in [
        ("8", vec!["8号客户"]),
        ("号客", vec!["8号客户"]),
        ("89", vec![]),
        ("zq", vec!["Zq"]),
        ("zqx", vec!["8号客户"]),
        ("客号", vec![]),
    ] {
        assert_eq!(found(&office, &[("search", part)]).await, names, "{part}");
    }
}

async fn every_part_of_every_text_is_found(database: &TestDatabase) {
    let office = Office::open(database).await;
    let (name, phone, wechat_id) = ("欧阳 Anna-娜", "13805718999", "Wx_Anna 88");
    database.lead(name, phone, &office.li).await;
    database.lead("赵先生", "15912345678", &office.li).await;
    let update = format!(
        "UPDATE customers SET wechat_id = '{wechat_id}', number = 'CUS90817263544' WHERE phone = '{phone}'"
    );
    database.connection().batch_execute(&update).unwrap();
    for text in [name, phone, wechat_id, "US90817263544"] {
        let characters: Vec<char> = text.chars().collect();
        let lengths = if text == name { 1..=9 } else { 3..=14 };
        for length in lengths {
            for part in characters.windows(length) {
                let part: String = part.iter().collect();
                let part = part.trim();
                if part.is_empty() || (text != name && part.chars().count() < 3) {
                    continue;
                }
                assert_eq!(found(&office, &[("search", part)]).await, [name], "{part}");
            }
        }
    }
    for part in ["娜Anna", "13805718998", "999cus", "88 cus", "anna8"] {
        let none: [&str; 0] = [];
        assert_eq!(found(&office, &[("search", part)]).await, none, "{part}");
    }
}

async fn filters_are_combined(database: &TestDatabase) {
    let office = Office::open(database).await;
    database.lead("甲", "13800138001", &office.li).await;
    database.lead("乙", "13800138002", &office.wang).await;
    database.pooled_lead("丙", "13800138003").await;
    let update = "UPDATE customers SET lead_source = '官网', service_category = '家教', \
        contract_status = '已签约' WHERE name = '乙'";
    database.connection().batch_execute(update).unwrap();
    let wang = office.wang.id.as_str();
    for (filters, names) in [
        (vec![("leadSource", "官网")], vec!["乙"]),
        (vec![("leadSource", "美团")], vec!["丙", "甲"]),
        (vec![("serviceCategory", "家教")], vec!["乙"]),
        (vec![("contractStatus", "待定")], vec!["丙", "甲"]),
        (vec![("leadLevel", "流失")], vec!["丙"]),
        (vec![("inPublicPool", "true")], vec!["丙"]),
        (vec![("inPublicPool", "false")], vec!["乙", "甲"]),
        (vec![("assignedTo", wang)], vec!["乙"]),
        (vec![("assignedTo", wang), ("leadSource", "美团")], vec![]),
        (vec![("leadSource", "美团"), ("search", "甲")], vec!["甲"]),
        (
            vec![("inPublicPool", "true"), ("search", "138001")],
            vec!["丙"],
        ),
        (
            vec![("leadLevel", "A类"), ("contractStatus", "已签约")],
            vec!["乙"],
        ),
        (vec![("leadSource", "官网"), ("search", "丙")], vec![]),
    ] {
        assert_eq!(found(&office, &filters).await, names, "{filters:?}");
    }
}

async fn a_list_is_sorted_as_asked(database: &TestDatabase) {
    let office = Office::open(database).await;
    let first = database.lead("甲", "13800138001", &office.li).await;
    database.lead("乙", "13800138002", &office.li).await;
    let third = database.lead("丙", "13800138003", &office.li).await;
    office
        .assign(&office.zhang, &third, &office.wang)
        .await
        .data();
    office
        .assign(&office.zhang, &first, &office.wang)
        .await
        .data();
    for (by, order, names) in [
        ("createdAt", "asc", ["甲", "乙", "丙"]),
        ("createdAt", "desc", ["丙", "乙", "甲"]),
        ("updatedAt", "asc", ["乙", "丙", "甲"]),
        ("lastActivityAt", "desc", ["甲", "丙", "乙"]),
        // Never assigned comes last either way.
        ("assignedAt", "asc", ["丙", "甲", "乙"]),
        ("assignedAt", "desc", ["甲", "丙", "乙"]),
    ] {
        let sorted = found(&office, &[("sortBy", by), ("sortOrder", order)]).await;
        assert_eq!(sorted, names, "{by} {order}");
    }
    assert_eq!(found(&office, &[]).await, ["丙", "乙", "甲"]);
    // Who is not in the pool comes last either way.
    database.pooled_lead("丁", "13800138004").await;
    for (order, names) in [
        ("asc", ["丁", "甲", "乙", "丙"]),
        ("desc", ["丁", "丙", "乙", "甲"]),
    ] {
        let query = [("sortBy", "publicPoolEntryTime"), ("sortOrder", order)];
        assert_eq!(found(&office, &query).await, names, "{order}");
    }
}

/// Puts so many customers of somebody into the table, one a minute; the first `assigned` of them were
/// given to them, one a minute too.
fn crowd(database: &TestDatabase, count: u32, assigned: u32, owner: &str) {
    let minute = |n: &str| match database.connection() {
        DbConnection::Sqlite(_) => {
            format!("strftime('%Y-%m-%d %H:%M:%f', '2026-01-02', '+' || {n} || ' minutes')")
        }
        DbConnection::Postgres(_) => {
            format!("timestamp '2026-01-02' + {n} * interval '1 minute'")
        }
    };
    let at = minute("n");
    let insert = format!(
        "INSERT INTO customers (id, number, name, phone, lead_source, contract_status, assigned_to, \
         assigned_at, last_activity_at, created_at, updated_at) \
         WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) \
         SELECT '0193e5a0-1111-7000-8000-' || CAST(100000000000 + n AS TEXT), \
         'CUS' || CAST(10000000000 + n AS TEXT), '客户' || CAST(n AS TEXT), \
         CAST(13800000000 + n AS TEXT), CASE WHEN n % 1000 = 0 THEN '官网' ELSE '美团' END, '待定', \
         '{owner}', CASE WHEN n <= {assigned} THEN {at} END, {at}, {at}, {at} FROM numbers"
    );
    database.connection().batch_execute(&insert).unwrap();
}

async fn a_list_that_is_too_long_to_count_says_so_and_where_it_ends(database: &TestDatabase) {
    let office = Office::open(database).await;
    crowd(database, 10_001, 0, &office.li.id);
    for by in [&office.zhang, &office.li] {
        let last = office.api.get(by, "/api/customers?page=10").await.data();
        assert_eq!(
            (&last["total"], &last["totalIsExact"], &last["totalPages"]),
            (&json!(10_000), &json!(false), &json!(10))
        );
        let items = last["items"].as_array().unwrap();
        let names: Vec<&Value> = items.iter().map(|item| &item["name"]).collect();
        assert_eq!((names.len(), names[0]), (20, &json!("客户9821")));

        let beyond = office.api.get(by, "/api/customers?page=11").await;
        let message = "匹配的客户超过10000个，最多可查看前200个，请缩小筛选范围或改变排序";
        assert_eq!(beyond.said(), (400, message));
        assert_eq!(beyond.body["error"]["details"]["field"], "page");
    }
    // Whatever matches no more than 10,000 has all its pages.
    for (query, total, first) in [
        ("leadSource=官网&page=1", 10, "客户10000"),
        ("search=客户&pageSize=100", 10_000, "客户10001"),
        ("search=户1&pageSize=100&page=12", 1_113, "客户1"),
    ] {
        let path = format!("/api/customers?{query}");
        let page = office.api.get(&office.zhang, &path).await.data();
        assert_eq!(page["total"], total, "{query}");
        assert_eq!(page["totalIsExact"], json!(total < 10_000), "{query}");
        let items = page["items"].as_array().unwrap();
        let expected = if total == 1_113 {
            items.last().unwrap()
        } else {
            &items[0]
        };
        assert_eq!(expected["name"], first, "{query}");
    }
    database
        .connection()
        .batch_execute("DELETE FROM customers WHERE name = '客户1'")
        .unwrap();
    let path = "/api/customers?page=500";
    let last = office.api.get(&office.zhang, path).await.data();
    assert_eq!(
        (&last["total"], &last["totalIsExact"], &last["totalPages"]),
        (&json!(10_000), &json!(true), &json!(500))
    );
    assert_eq!(last["items"][19]["name"], "客户2");
}

async fn what_was_never_assigned_comes_last_in_a_long_list_too(database: &TestDatabase) {
    let office = Office::open(database).await;
    crowd(database, 10_001, 30, &office.li.id);
    let forward: Vec<u32> = (1..=60).collect();
    let backward: Vec<u32> = (1..=30).rev().chain((9_972..=10_001).rev()).collect();
    for (order, expected) in [("asc", forward), ("desc", backward)] {
        let mut seen = Vec::new();
        for page in 1..=3 {
            let path = format!("/api/customers?sortBy=assignedAt&sortOrder={order}&page={page}");
            let answer = office.api.get(&office.zhang, &path).await.data();
            for item in answer["items"].as_array().unwrap() {
                let number = item["name"].as_str().unwrap().strip_prefix("客户").unwrap();
                seen.push(number.parse::<u32>().unwrap());
            }
        }
        assert_eq!(seen, expected, "{order}");
    }
}

/// The names on the first page that the manager gets.
async fn found(office: &Office<'_>, query: &[(&str, &str)]) -> Vec<String> {
    let request = office
        .api
        .request(reqwest::Method::GET, "/api/customers")
        .query(query);
    let page = crate::harness::TestApi::send(request.bearer_auth(&office.zhang.token))
        .await
        .data();
    let items: &Vec<Value> = page["items"].as_array().unwrap();
    assert_eq!(page["total"], json!(items.len()));
    items
        .iter()
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}
