//! The first start makes the first user.

use diesel::prelude::*;
use shared::db::schema::users;

use crate::harness::{
    PASSWORD, SECRET, TestApi, TestDatabase, TestProcess, eventually, on_each_database,
};

on_each_database!(
    a_second_start_makes_no_second_admin_and_changes_no_password,
    two_servers_that_start_at_once_make_one_admin,
    a_random_password_is_shown_once_and_is_not_in_the_log,
    a_password_that_is_given_is_not_shown,
);

async fn a_second_start_makes_no_second_admin_and_changes_no_password(database: &TestDatabase) {
    let first = TestApi::on(database).await;
    let before = database.contents().await;
    first.stop().await;
    let second = TestApi::with(database, |config| {
        config.admin_password = Some("quite another password".into());
    })
    .await;
    database.assert_unchanged_since(&before).await;
    second.admin().await;
    assert_eq!(
        second
            .try_login("admin", "quite another password")
            .await
            .status,
        401
    );
}

async fn two_servers_that_start_at_once_make_one_admin(database: &TestDatabase) {
    let (one, other) = tokio::join!(TestApi::on(database), TestApi::on(database));
    assert_eq!(usernames(database).await, ["admin"]);
    one.admin().await;
    other.admin().await;
}

async fn a_random_password_is_shown_once_and_is_not_in_the_log(database: &TestDatabase) {
    let server = serving(database, &[]).await;
    let said = server.said();
    let shown: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("password"))
        .collect();
    let [line] = shown.as_slice() else {
        panic!("{said}")
    };
    let password = line.strip_prefix("First user: admin  password: ").unwrap();
    let password = password.strip_suffix("  (shown once)").unwrap();
    assert_eq!(password.len(), 20, "{line}");
    assert_eq!(said.matches(password).count(), 1);
    server.terminate();

    let again = serving(database, &[]).await;
    assert!(!again.said().contains("password"), "{}", again.said());
    again.terminate();
    let api = TestApi::on(database).await;
    assert_eq!(api.try_login("admin", password).await.status, 200);
    assert_eq!(api.try_login("admin", PASSWORD).await.status, 401);
}

async fn a_password_that_is_given_is_not_shown(database: &TestDatabase) {
    let server = serving(database, &["--admin-password", "given by hand"]).await;
    let said = server.terminate().said;
    assert!(said.contains("created the first user, admin"), "{said}");
    assert!(
        !said.contains("given by hand") && !said.contains("First user:"),
        "{said}"
    );
    let api = TestApi::on(database).await;
    assert_eq!(api.try_login("admin", "given by hand").await.status, 200);
}

/// The real program, once it serves.
async fn serving(database: &TestDatabase, more: &[&str]) -> TestProcess {
    let url = database.url().reveal();
    let usual = [
        "--database-url",
        &url,
        "--jwt-secret",
        SECRET,
        "--listen",
        "127.0.0.1:0",
    ];
    let arguments: Vec<String> = usual
        .iter()
        .chain(more)
        .map(|&text| text.to_owned())
        .collect();
    let server = TestProcess::start("crm-api", &arguments);
    eventually("the server serves", async || {
        server.said().contains("serving on http://")
    })
    .await;
    server
}

async fn usernames(database: &TestDatabase) -> Vec<String> {
    database
        .read(|connection| Ok(users::table.select(users::username).load(connection)?))
        .await
}
