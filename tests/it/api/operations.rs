//! What operators and their tools ask a server.

use diesel::connection::SimpleConnection;
use reqwest::Method;
use serde_json::json;
use shared::db::migrations;

use super::Office;
use crate::harness::{Answer, TestApi, TestDatabase, on_each_database};

on_each_database!(
    a_server_is_alive_and_ready,
    a_server_without_its_schema_is_alive_but_not_ready_until_it_is_back,
    a_schema_that_is_newer_is_not_ready_either,
    the_figures_count_requests_assignments_and_the_outbox,
);

async fn a_server_is_alive_and_ready(database: &TestDatabase) {
    let api = TestApi::on(database).await;
    assert_eq!(
        get(&api, "/healthz").await.data(),
        json!({ "status": "ok" })
    );
    assert_eq!(
        get(&api, "/readyz").await.data(),
        json!({ "status": "ready" })
    );
}

async fn a_server_without_its_schema_is_alive_but_not_ready_until_it_is_back(
    database: &TestDatabase,
) {
    let api = TestApi::on(database).await;
    let mut connection = database.connection();
    migrations::revert_all(&mut connection).unwrap();
    let answer = get(&api, "/readyz").await;
    assert_eq!(answer.said(), (503, "服务暂时不可用，请稍后再试"));
    assert_eq!(
        answer.body["error"],
        json!({ "code": "SERVICE_UNAVAILABLE" })
    );
    assert_eq!(get(&api, "/healthz").await.status, 200);
    migrations::run(&mut connection).unwrap();
    assert_eq!(
        get(&api, "/readyz").await.status,
        200,
        "it recovers by itself"
    );
}

async fn a_schema_that_is_newer_is_not_ready_either(database: &TestDatabase) {
    let api = TestApi::on(database).await;
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('20991231235959')";
    database.connection().batch_execute(newer).unwrap();
    assert_eq!(get(&api, "/readyz").await.status, 503);
}

async fn the_figures_count_requests_assignments_and_the_outbox(database: &TestDatabase) {
    let office = Office::open(database).await;
    let leads = database.leads(3, &office.li).await;
    office
        .batch(&office.zhang, &leads, &office.wang)
        .await
        .data();
    office
        .assign(&office.zhang, &leads[0], &office.wang)
        .await
        .data();
    let stranger = format!("/api/customers/{}/assign", "x".repeat(40));
    office
        .api
        .patch(
            &office.zhang,
            &stranger,
            &json!({ "assignedTo": office.wang.id }),
        )
        .await;
    get(&office.api, "/a/path/of/a/stranger").await;

    let answer = get(&office.api, "/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4");
    let figures = answer.body.as_str().unwrap();
    for line in [
        r#"crm_api_assignments_total{entrance="batch",result="assigned"} 3"#,
        r#"crm_api_assignments_total{entrance="single",result="unchanged"} 1"#,
        r#"crm_api_request_duration_seconds_count{method="POST",route="/api/customers/batch-assign",status="200"} 1"#,
        r#"crm_api_request_duration_seconds_count{method="PATCH",route="/api/customers/{id}/assign",status="404"} 1"#,
        r#"crm_api_request_duration_seconds_count{method="GET",route="unmatched",status="404"} 1"#,
        r#"outbox_messages{channel="wechat_cloud",status="pending"} 2"#,
        r#"outbox_messages{channel="wechat_cloud",status="sent"} 0"#,
    ] {
        assert!(
            figures.lines().any(|figure| figure == line),
            "{line} is not in\n{figures}"
        );
    }
    let age = figures
        .lines()
        .find_map(|line| line.strip_prefix("outbox_oldest_due_age_seconds "));
    let age: f64 = age.unwrap().parse().unwrap();
    assert!((0.0..60.0).contains(&age), "{age}");
    assert!(
        !figures.contains("stranger"),
        "a stranger's path is no label"
    );
}

async fn get(api: &TestApi, path: &str) -> Answer {
    TestApi::send(api.request(Method::GET, path)).await
}
