use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use super::Office;
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(
    a_list_masks_numbers_and_names_people,
    a_page_has_bounds_and_no_customer_is_on_two,
    a_search_finds_parts_of_name_number_and_wechat_id,
    signs_that_mean_something_to_a_pattern_are_searched_as_they_are,
    a_search_takes_letters_in_any_case,
    filters_are_combined,
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
            json!({ "items": [expected], "total": 1, "page": 1, "pageSize": 20, "totalPages": 1 })
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
