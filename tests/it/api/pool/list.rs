use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::api::Office;
use crate::harness::{Session, TestDatabase, on_each_database};

on_each_database!(
    everybody_sees_the_pool_with_masked_numbers,
    the_pool_is_sorted_by_the_time_of_entry_and_paged,
    the_pool_is_filtered_like_the_list_of_customers,
    the_statistics_count_what_is_there_and_what_moved_today,
);

async fn page(office: &Office<'_>, by: &Session, query: &str) -> Value {
    let path = format!("/api/customers/public-pool{query}");
    office.api.get(by, &path).await.data()
}

fn names(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    let names = items.iter().map(|item| item["name"].as_str().unwrap());
    names.collect()
}

async fn everybody_sees_the_pool_with_masked_numbers(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.pooled_lead("王女士", "13800138999").await;
    database.lead("赵先生", "13800138001", &office.zhou).await;
    for by in [&office.admin, &office.zhang, &office.zhou, &office.li] {
        let page = page(&office, by, "").await;
        assert_eq!(page["total"], 1);
        let item = &page["items"][0];
        assert_eq!(
            (&item["id"], &item["phone"], &item["publicPoolReason"]),
            (&json!(lead), &json!("138****8999"), &json!("联系不上"))
        );
    }
}

async fn the_pool_is_sorted_by_the_time_of_entry_and_paged(database: &TestDatabase) {
    let office = Office::open(database).await;
    let leads = database.leads(5, &office.li).await;
    // Not in the order in which they were entered.
    for place in [3, 0, 4, 1, 2] {
        office
            .release(&office.li, &leads[place], "测试")
            .await
            .data();
    }
    let all = page(&office, &office.li, "").await;
    assert_eq!(names(&all), ["客户2", "客户1", "客户4", "客户0", "客户3"]);
    let oldest = page(&office, &office.li, "?sortOrder=asc&pageSize=2").await;
    assert_eq!(names(&oldest), ["客户3", "客户0"]);
    assert_eq!(
        (&oldest["total"], &oldest["totalPages"]),
        (&json!(5), &json!(3))
    );
    let last = page(&office, &office.li, "?pageSize=2&page=3").await;
    assert_eq!(names(&last), ["客户3"]);
    let refused = office
        .api
        .get(&office.li, "/api/customers/public-pool?pageSize=101")
        .await;
    assert_eq!(refused.said(), (400, "pageSize 必须在 1 到 100 之间"));
}

async fn the_pool_is_filtered_like_the_list_of_customers(database: &TestDatabase) {
    let office = Office::open(database).await;
    database.pooled_lead("王女士", "13800138001").await;
    database.pooled_lead("赵先生", "13800138002").await;
    database.lead("王先生", "13800138003", &office.li).await;
    let change =
        "UPDATE customers SET lead_source = '抖音', lead_level = 'B类' WHERE name = '赵先生'";
    database.connection().batch_execute(change).unwrap();
    for (query, expected) in [
        ("?search=王", vec!["王女士"]),
        ("?search=138002", vec!["赵先生"]),
        ("?leadSource=抖音", vec!["赵先生"]),
        ("?leadLevel=流失", vec!["王女士"]),
        ("?contractStatus=已签约", vec![]),
        ("?serviceCategory=月嫂&leadSource=美团", vec!["王女士"]),
    ] {
        let page = page(&office, &office.li, query).await;
        assert_eq!(names(&page), expected, "{query}");
    }
    let refused = office
        .api
        .get(&office.li, "/api/customers/public-pool?assignedTo=x")
        .await;
    assert_eq!(refused.said(), (400, "不支持的字段：assignedTo"));
}

async fn the_statistics_count_what_is_there_and_what_moved_today(database: &TestDatabase) {
    let office = Office::open(database).await;
    let statistics = async || {
        let path = "/api/customers/public-pool/statistics";
        office.api.get(&office.li, path).await.data()
    };
    assert_eq!(
        statistics().await,
        json!({ "total": 0, "todayEntered": 0, "todayClaimed": 0, "byLeadSource": {}, "byLeadLevel": {} })
    );
    let leads = database.leads(5, &office.li).await;
    // Entered before today, and without a level.
    let old = database.pooled_leads(2).await;
    database
        .connection()
        .batch_execute(
            "UPDATE customers SET lead_source = '抖音', lead_level = NULL WHERE in_public_pool",
        )
        .unwrap();
    office
        .batch_release(&office.li, &leads[..4], "测试")
        .await
        .data();
    office.claim(&office.wang, &leads[..1]).await.data();
    office
        .assign_from_pool(&office.zhang, &leads[1..2], &office.wang)
        .await
        .data();
    office
        .assign(&office.sun, &old[0], &office.wang)
        .await
        .data();
    // What is entered anew was in no pool, and what goes from hand to hand is in none.
    office
        .api
        .customer(&office.li, "孙先生", "13600136000")
        .await;
    office
        .assign(&office.zhang, &leads[4], &office.wang)
        .await
        .data();
    let expected = json!({
        "total": 3,
        "todayEntered": 4,
        "todayClaimed": 3,
        "byLeadSource": { "抖音": 1, "美团": 2 },
        "byLeadLevel": { "未分级": 1, "流失": 2 },
    });
    assert_eq!(statistics().await, expected);

    // What moved before this day does not count, and what has left the pool since still does.
    database
        .connection()
        .batch_execute(
            "UPDATE assignments SET created_at = '2026-01-02 03:04:05' WHERE entrance <> 'claim'",
        )
        .unwrap();
    let after = statistics().await;
    assert_eq!(
        (&after["todayEntered"], &after["todayClaimed"]),
        (&json!(0), &json!(1))
    );
}
