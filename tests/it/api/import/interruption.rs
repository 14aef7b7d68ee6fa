use std::time::Duration;

use diesel::prelude::*;
use serde_json::json;
use shared::clock::{Clock, SystemClock};
use shared::db::schema::imports;
use shared::domain::{ImportId, UserId};

use super::{file_of, import};
use crate::api::Office;
use crate::harness::{SECRET, TestDatabase, TestProcess, eventually, on_each_database};

on_each_database!(
    a_silent_import_is_shown_as_interrupted_and_stays_so,
    an_import_whose_process_is_killed_leaves_all_or_nothing,
    old_imports_are_forgotten,
);

async fn a_silent_import_is_shown_as_interrupted_and_stays_so(database: &TestDatabase) {
    let office = Office::open(database).await;
    let recent = store(database, &office.sun.id, Duration::from_secs(20)).await;
    let silent = store(database, &office.sun.id, Duration::from_secs(40)).await;
    let show = async |id: &str| {
        let path = format!("/api/imports/{id}");
        office.api.get(&office.sun, &path).await.data()
    };
    assert_eq!(show(&recent).await["state"], "writing");
    for _ in 0..2 {
        let import = show(&silent).await;
        assert_eq!(import["state"], "failed");
        assert_eq!(import["failure"]["code"], "interrupted");
        assert_eq!(
            import["failure"]["message"],
            "导入被中断，未导入任何客户；请重新上传"
        );
        assert!(!import["finishedAt"].is_null());
    }
}

async fn an_import_whose_process_is_killed_leaves_all_or_nothing(database: &TestDatabase) {
    const ROWS: u32 = 3_000;
    let office = Office::open(database).await;
    let arguments = [
        "--database-url",
        &database.url().reveal(),
        "--jwt-secret",
        SECRET,
        "--listen",
        "127.0.0.1:0",
    ]
    .map(str::to_owned);
    let process = TestProcess::start("crm-api", &arguments);
    let address = address_of(&process).await;
    let accepted = reqwest::Client::new()
        .post(format!("{address}/api/customers/import"))
        .bearer_auth(&office.sun.token)
        .header("content-type", "text/csv")
        .body(file_of(0, ROWS))
        .send()
        .await
        .unwrap();
    assert_eq!(accepted.status().as_u16(), 202);
    let accepted: serde_json::Value =
        serde_json::from_str(&accepted.text().await.unwrap()).unwrap();
    process.kill();

    // Half a minute later.
    let silent_since = SystemClock.now().before(Duration::from_secs(31));
    database
        .write(move |transaction| {
            diesel::update(imports::table.filter(imports::finished_at.is_null()))
                .set(imports::alive_at.eq(silent_since))
                .execute(transaction.connection())?;
            Ok(())
        })
        .await;
    let path = format!("/api/imports/{}", accepted["data"]["id"].as_str().unwrap());
    let import = office.api.get(&office.sun, &path).await.data();
    let page = office.api.get(&office.admin, "/api/customers").await.data();
    let entered = match import["state"].as_str() {
        Some("done") => ROWS,
        Some("failed") => 0,
        other => panic!("{other:?}"),
    };
    assert_eq!(import["imported"], entered);
    assert_eq!(page["total"], entered);
    assert_eq!(database.news().await.is_empty(), entered == 0);
}

async fn address_of(process: &TestProcess) -> String {
    const SAID: &str = "serving on ";
    eventually("the API serves", async || process.said().contains(SAID)).await;
    let said = process.said();
    let (_, rest) = said.split_once(SAID).unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

async fn old_imports_are_forgotten(database: &TestDatabase) {
    let office = Office::open(database).await;
    let days = |count: u64| Duration::from_secs(count * 24 * 60 * 60);
    let old = store(database, &office.sun.id, days(91)).await;
    let recent = store(database, &office.sun.id, days(89)).await;
    import(&office.api, &office.sun, "", &file_of(0, 1)).await;
    for (id, status) in [(old, 404), (recent, 200)] {
        let path = format!("/api/imports/{id}");
        assert_eq!(office.api.get(&office.sun, &path).await.status, status);
    }
}

/// An import that began so long ago, and of which nothing has been heard since.
async fn store(database: &TestDatabase, user: &str, ago: Duration) -> String {
    let (id, user): (ImportId, UserId) = (ImportId::generate(), user.parse().unwrap());
    let began_at = SystemClock.now().before(ago);
    let row = (
        imports::id.eq(id.clone()),
        imports::user_id.eq(user),
        imports::invalid_rows.eq("refuse"),
        imports::state.eq("writing"),
        imports::total.eq(3),
        imports::created_at.eq(began_at),
        imports::alive_at.eq(began_at),
    );
    database
        .write(move |transaction| {
            diesel::insert_into(imports::table)
                .values(row)
                .execute(transaction.connection())?;
            Ok(())
        })
        .await;
    json!(id).as_str().unwrap().to_owned()
}
