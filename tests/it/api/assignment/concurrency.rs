use serde_json::{Value, json};

use crate::api::Office;
use crate::harness::{Gate, TestApi, TestDatabase, on_each_database};

on_each_database!(
    two_managers_who_assign_one_lead_at_once_both_succeed_in_turn,
    many_assignments_of_one_lead_at_once_make_one_chain,
    batches_that_name_the_same_customers_in_opposite_order_do_not_block_each_other,
    of_two_assignments_that_expect_the_same_version_one_wins,
    a_pooled_lead_is_given_out_once,
    of_two_entries_of_one_number_at_once_one_is_a_duplicate,
);

async fn two_managers_who_assign_one_lead_at_once_both_succeed_in_turn(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.zhou).await;
    let gate = Gate::before(database, "customers");
    let (one, other, ()) = tokio::join!(
        office.assign(&office.zhang, &lead, &office.li),
        office.assign(&office.sun, &lead, &office.wang),
        gate.open_when_waiting(2),
    );
    assert_eq!(one.said(), (200, "客户分配成功"));
    assert_eq!(other.said(), (200, "客户分配成功"));

    let history = office.history(&lead).await;
    assert_eq!(history.len(), 2);
    assert_eq!(history[0]["fromUserId"], json!(office.zhou.id));
    assert_eq!(history[1]["fromUserId"], history[0]["toUserId"]);
    let customer = office.customer(&lead).await;
    assert_eq!(customer["assignedTo"], history[1]["toUserId"]);
    assert_eq!(customer["version"], 3);

    let between = if history[0]["toUserId"] == json!(office.li.id) {
        "li"
    } else {
        "wang"
    };
    let everywhere = "inbox wechat_cloud wechat_subscribe";
    assert_eq!(
        database.news().await,
        [
            format!("customer.assigned li: {everywhere}"),
            format!("customer.assigned wang: {everywhere}"),
            format!("customer.transferred_away {between}: {everywhere}"),
            format!("customer.transferred_away zhou: {everywhere}"),
        ]
    );
}

async fn many_assignments_of_one_lead_at_once_make_one_chain(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.zhou).await;
    let path = format!("/api/customers/{lead}/assign");
    let requests = (0..16).map(|n| {
        let to = if n % 2 == 0 { &office.li } else { &office.wang };
        let request = office.api.request(reqwest::Method::PATCH, &path);
        request
            .bearer_auth(&office.zhang.token)
            .json(&json!({ "assignedTo": to.id }))
    });
    let answers = TestApi::at_once(requests.collect()).await;
    assert!(
        answers.iter().all(|answer| answer.status == 200),
        "{answers:?}"
    );

    let changed = |data: &Value| !data["notificationData"].is_null();
    let changes = answers
        .iter()
        .filter(|answer| changed(&answer.body["data"]))
        .count();
    let history = office.history(&lead).await;
    assert_eq!(history.len(), changes, "the answers tell what happened");
    let mut owner = json!(office.zhou.id);
    for change in &history {
        assert_eq!(change["fromUserId"], owner);
        assert_ne!(
            change["toUserId"], owner,
            "an unchanged owner is not in the history"
        );
        owner = change["toUserId"].clone();
    }
    let customer = office.customer(&lead).await;
    assert_eq!(customer["assignedTo"], owner);
    assert_eq!(customer["version"], json!(changes + 1));
    let messages = database.messages().await;
    let told = |kind: &str| {
        messages
            .iter()
            .filter(|message| message.kind == kind)
            .count()
    };
    // On two channels each; nobody but the actor would not be told of a loss.
    assert_eq!(told("customer.assigned"), 2 * changes);
    assert_eq!(told("customer.transferred_away"), 2 * changes);
}

async fn batches_that_name_the_same_customers_in_opposite_order_do_not_block_each_other(
    database: &TestDatabase,
) {
    let office = Office::open(database).await;
    let forward = database.leads(200, &office.zhou).await;
    let backward: Vec<String> = forward.iter().rev().cloned().collect();
    let requests = (0..8).map(|n| {
        let (ids, to) = if n % 2 == 0 {
            (&forward, &office.li)
        } else {
            (&backward, &office.wang)
        };
        let request = office
            .api
            .request(reqwest::Method::POST, "/api/customers/batch-assign");
        let body = json!({ "customerIds": ids, "assignedTo": to.id });
        request.bearer_auth(&office.zhang.token).json(&body)
    });
    for answer in TestApi::at_once(requests.collect()).await {
        let data = answer.data();
        let all = data["success"].as_i64().unwrap() + data["unchanged"].as_i64().unwrap();
        assert_eq!(all, 200, "{data}");
        assert!(
            data["success"] == 200 || data["success"] == 0,
            "a batch is one change: {data}"
        );
    }
}

async fn of_two_assignments_that_expect_the_same_version_one_wins(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.zhou).await;
    let path = format!("/api/customers/{lead}/assign");
    let requests = [&office.li, &office.wang].map(|to| {
        let request = office
            .api
            .request(reqwest::Method::PATCH, &path)
            .header("if-match", "1");
        request
            .bearer_auth(&office.zhang.token)
            .json(&json!({ "assignedTo": to.id }))
    });
    let gate = Gate::before(database, "customers");
    let (answers, ()) = tokio::join!(TestApi::at_once(requests.into()), gate.open_when_waiting(2));
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_eq!(office.history(&lead).await.len(), 1);
}

async fn a_pooled_lead_is_given_out_once(database: &TestDatabase) {
    let office = Office::open(database).await;
    let leads = database.pooled_leads(1).await;
    let gate = Gate::before(database, "customers");
    let (one, other, ()) = tokio::join!(
        office.assign_from_pool(&office.zhang, &leads, &office.li),
        office.assign_from_pool(&office.admin, &leads, &office.wang),
        gate.open_when_waiting(2),
    );
    let (one, other) = (one.data(), other.data());
    let (winner, loser) = if one["success"] == 1 {
        (one, other)
    } else {
        (other, one)
    };
    assert_eq!(
        (&winner["success"], &winner["failed"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(
        loser["errors"],
        json!([{ "customerId": leads[0], "error": "客户不在公海中" }])
    );
    let customer = office.customer(&leads[0]).await;
    assert_eq!(
        customer["assignedTo"],
        winner["notificationData"]["assignedToId"]
    );
    assert_eq!(customer["claimCount"], 1);
    assert_eq!(database.news().await.len(), 1);
}

async fn of_two_entries_of_one_number_at_once_one_is_a_duplicate(database: &TestDatabase) {
    let office = Office::open(database).await;
    let body = json!({ "name": "王女士", "phone": "13800138999", "leadSource": "美团" });
    let requests = [&office.li, &office.wang].map(|by| {
        let request = office.api.request(reqwest::Method::POST, "/api/customers");
        request.bearer_auth(&by.token).json(&body)
    });
    let mut answers = TestApi::at_once(requests.into()).await;
    answers.sort_by_key(|answer| answer.status);
    assert_eq!(answers[0].status, 201);
    assert_eq!(answers[1].said(), (409, "该手机号已存在客户记录"));
}
