use serde_json::{Value, json};

use super::{file_of, import, send_file, until_finished};
use crate::api::Office;
use crate::harness::{TestApi, TestDatabase, on_each_database, refuse_inserts};

on_each_database!(
    each_owner_and_each_manager_is_told_once,
    one_customer_is_named,
    an_import_is_seen_by_its_sender_and_admins_in_every_process,
    a_file_that_comes_twice_under_one_key_is_imported_once,
    of_two_files_with_the_same_customers_at_once_one_is_entered,
    an_import_that_cannot_be_written_fails_and_leaves_nothing,
);

async fn each_owner_and_each_manager_is_told_once(database: &TestDatabase) {
    let office = Office::open(database).await;
    let mut file = "姓名,手机号,线索来源,负责人\n".to_owned();
    for number in 0..1_500 {
        file.push_str(&format!("客户{number},139{number:08},美团,li\n"));
    }
    file.push_str(
        "王女士,13800138999,抖音,wang\n赵先生,13800138998,抖音,\n钱女士,13800138997,抖音,\n",
    );
    let done = import(&office.api, &office.zhang, "", &file).await;
    assert_eq!(done["imported"], 1_503, "{done}");
    let everywhere = "inbox wechat_cloud wechat_subscribe";
    assert_eq!(
        database.news().await,
        [
            format!("customer.assigned wang: {everywhere}"),
            format!("customer.batch_assigned li: {everywhere}"),
            // Who imports for themselves finds them in the centre.
            "customer.batch_assigned zhang: inbox".to_owned(),
            format!("customer.created admin: {everywhere}"),
        ]
    );
    assert_eq!(
        office.inbox(&office.li).await,
        ["张经理 分配了 1500 个客户给您，请及时跟进！"]
    );
    assert_eq!(
        office.inbox(&office.admin).await,
        ["张经理 创建了新客户：1503个客户（-），来源：批量导入"]
    );
}

async fn one_customer_is_named(database: &TestDatabase) {
    let office = Office::open(database).await;
    let file = "姓名,手机号,线索来源,负责人\n王女士,13800138999,抖音,li\n";
    import(&office.api, &office.sun, "", file).await;
    assert_eq!(
        office.inbox(&office.li).await,
        ["您有新的客户【王女士】，电话：138****8999，来源：抖音，请及时跟进！"]
    );
    assert_eq!(
        office.inbox(&office.zhang).await,
        ["孙运营 创建了新客户：王女士（138****8999），来源：抖音"]
    );
}

async fn an_import_is_seen_by_its_sender_and_admins_in_every_process(database: &TestDatabase) {
    let office = Office::open(database).await;
    let accepted = send_file(&office.api, &office.sun, "", file_of(0, 3)).await;
    assert_eq!(accepted.said(), (202, "文件已接收，正在导入 3 行数据"));
    assert_eq!(accepted.body["data"]["state"], "validating");
    let id = accepted.body["data"]["id"].as_str().unwrap().to_owned();
    let other_process = TestApi::on(database).await;
    let done = until_finished(&other_process, &office.sun, accepted).await;
    assert_eq!(done["imported"], 3);
    assert_eq!(done["createdBy"], json!(office.sun.id));
    let path = format!("/api/imports/{id}");
    let answer = other_process.get(&office.admin, &path).await;
    assert_eq!(answer.data(), done);
    let stranger = other_process.get(&office.zhang, &path).await;
    assert_eq!(stranger.said(), (404, "导入记录不存在"));
    for unknown in [office.sun.id.as_str(), "x"] {
        let path = format!("/api/imports/{unknown}");
        let answer = office.api.get(&office.admin, &path).await;
        assert_eq!(answer.said(), (404, "导入记录不存在"));
    }
}

async fn a_file_that_comes_twice_under_one_key_is_imported_once(database: &TestDatabase) {
    let office = Office::open(database).await;
    let send = async || {
        let request = office
            .api
            .request(reqwest::Method::POST, "/api/customers/import")
            .bearer_auth(&office.sun.token)
            .header("content-type", "text/csv")
            .header("idempotency-key", "k")
            .body(file_of(0, 2_000) + "\n");
        TestApi::send(request).await
    };
    let (one, other) = tokio::join!(send(), send());
    assert_eq!(one.body["data"]["id"], other.body["data"]["id"]);
    let done = until_finished(&office.api, &office.sun, one).await;
    assert_eq!(done["imported"], 2_000);
    assert_eq!(office.inbox(&office.sun).await.len(), 1);
}

async fn of_two_files_with_the_same_customers_at_once_one_is_entered(database: &TestDatabase) {
    let office = Office::open(database).await;
    let other_process = TestApi::on(database).await;
    let mut backwards: Vec<String> = file_of(0, 300).lines().map(str::to_owned).collect();
    backwards[1..].reverse();
    let file = file_of(0, 300);
    let backwards = backwards.join("\n");
    let (one, other) = tokio::join!(
        import(&office.api, &office.sun, "", &file),
        import(&other_process, &office.zhang, "", &backwards),
    );
    let mut states: Vec<&Value> = vec![&one["state"], &other["state"]];
    states.sort_by_key(ToString::to_string);
    assert_eq!(states, ["done", "failed"], "{one}\n{other}");
    let failed = if one["state"] == "failed" { one } else { other };
    assert_eq!(failed["failure"]["code"], "invalid_rows");
    assert_eq!(failed["invalid"], 300);
    let page = office.api.get(&office.admin, "/api/customers").await.data();
    assert_eq!(page["total"], 300);
}

async fn an_import_that_cannot_be_written_fails_and_leaves_nothing(database: &TestDatabase) {
    let office = Office::open(database).await;
    refuse_inserts(database, "outbox_messages");
    let file = file_of(0, 5)
        .replace("服务类别", "负责人")
        .replace("月嫂", "li");
    let failed = import(&office.api, &office.sun, "", &file).await;
    assert_eq!(failed["failure"]["code"], "internal");
    let page = office.api.get(&office.admin, "/api/customers").await.data();
    assert_eq!(page["total"], 0);
    assert!(database.news().await.is_empty());
}
