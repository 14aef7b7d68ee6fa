use serde_json::{Value, json};

use super::refused;
use crate::harness::{Ended, Session, TestApi, TestDatabase, on_each_database, run};

on_each_database!(
    a_token_is_made_printed_once_and_good,
    the_list_shows_every_token_and_no_secret,
    a_revoked_token_opens_nothing_and_frees_its_name,
    what_cannot_be_is_refused_with_the_way_out,
);

async fn a_token_is_made_printed_once_and_good(database: &TestDatabase) {
    let made = command(
        database,
        &["create", "--name", "contracts", "--scope", "events"],
    );
    assert!(made.status.success(), "{}", made.said);
    let token = made.printed.trim();
    assert_eq!(made.printed, format!("{token}\n"), "alone on its line");
    assert!(
        made.said
            .contains("Made the token contracts for events, good until 20")
    );
    assert!(!database.contains(token).await);

    let api = TestApi::on(database).await;
    let program = session(token);
    let answer = api
        .post(&program, "/api/events", &announcement(&api.admin().await))
        .await;
    assert_eq!(answer.said(), (202, "事件已受理：通知 1 人"));
    let queue = api
        .post(&program, "/api/wecom/process-queue", &json!({}))
        .await;
    assert_eq!(queue.status, 403);
    // Who made it is in the books.
    let made_by = "SELECT detail FROM operation_logs WHERE action = 'service_token.create'";
    let detail: Value = serde_json::from_str(&database.shell(made_by)).unwrap();
    assert_eq!(detail["console"], "tester");
    assert_eq!(detail["name"], "contracts");
}

async fn the_list_shows_every_token_and_no_secret(database: &TestDatabase) {
    let none = command(database, &["list"]);
    assert_eq!(none.printed, "there are no service tokens\n");
    let both = ["--scope", "process-queue", "--scope", "events"];
    let mut arguments = vec!["create", "--name", "cron", "--expires", "never"];
    arguments.extend(both);
    let cron = command(database, &arguments);
    assert!(
        cron.said
            .contains("for events, process-queue, good until it is revoked")
    );
    let hr = [
        "create",
        "--name",
        "hr",
        "--scope",
        "events",
        "--expires",
        "1ms",
    ];
    let hr = command(database, &hr);
    let list = command(database, &["list", "--json"]).json();
    let tokens = list["tokens"].as_array().unwrap();
    assert_eq!(tokens.len(), 2);
    assert_eq!(
        (
            &tokens[0]["name"],
            &tokens[0]["scopes"],
            &tokens[0]["expiresAt"]
        ),
        (
            &json!("cron"),
            &json!(["events", "process-queue"]),
            &Value::Null
        )
    );
    assert_eq!(tokens[0]["createdBy"], "tester");
    assert_eq!(tokens[0]["lastUsedAt"], Value::Null);
    let table = command(database, &["list"]).printed;
    for word in [
        "cron",
        "good",
        "hr",
        "expired",
        "events, process-queue",
        "never",
    ] {
        assert!(table.contains(word), "{table}");
    }
    for secret in [&cron.printed, &hr.printed] {
        assert!(!table.contains(secret.trim()) && !list.to_string().contains(secret.trim()));
    }
}

async fn a_revoked_token_opens_nothing_and_frees_its_name(database: &TestDatabase) {
    let create = ["create", "--name", "contracts", "--scope", "events"];
    let first = command(database, &create);
    refused(
        &command(database, &create),
        "there is a token contracts already; revoke it, or choose another name",
    );
    let api = TestApi::on(database).await;
    let body = announcement(&api.admin().await);
    let program = session(first.printed.trim());
    api.post(&program, "/api/events", &body).await.data();
    let revoked = command(database, &["revoke", "contracts"]);
    assert_eq!(
        revoked.printed,
        "revoked contracts: from now on it opens nothing\n"
    );
    assert_eq!(api.post(&program, "/api/events", &body).await.status, 401);
    let again = command(database, &["revoke", "contracts"]);
    assert!(again.status.success());
    assert!(
        again
            .printed
            .starts_with("the token contracts was revoked already")
    );

    let second = command(database, &create);
    let program = session(second.printed.trim());
    api.post(&program, "/api/events", &body).await.data();
    let list = command(database, &["list", "--json"]).json();
    let id = list["tokens"][1]["id"].as_str().unwrap().to_owned();
    assert!(command(database, &["revoke", &id]).status.success());
    assert_eq!(api.post(&program, "/api/events", &body).await.status, 401);
}

async fn what_cannot_be_is_refused_with_the_way_out(database: &TestDatabase) {
    for (arguments, answer) in [
        (
            &["revoke", "nobody"][..],
            "there is no token nobody; `crm-api service-token list` shows all of them",
        ),
        (
            &["create", "--name", "A B", "--scope", "events"],
            "a name has 1 to 64 small letters",
        ),
        (
            &["create", "--name", "a", "--scope", "everything"],
            "\"everything\" is not a scope; known: events, process-queue",
        ),
        (&["create", "--name", "a"], "--scope"),
        (
            &[
                "create",
                "--name",
                "a",
                "--scope",
                "events",
                "--expires",
                "0s",
            ],
            "or `never`",
        ),
    ] {
        refused(&command(database, arguments), answer);
    }
    let list = command(database, &["list"]);
    assert_eq!(list.printed, "there are no service tokens\n");
}

fn command(database: &TestDatabase, arguments: &[&str]) -> Ended {
    let url = database.url().reveal();
    let mut all = vec!["--database-url", &url, "service-token"];
    all.extend(arguments);
    let all: Vec<String> = all.into_iter().map(str::to_owned).collect();
    run("crm-api", &all)
}

fn session(token: &str) -> Session {
    Session {
        id: String::new(),
        token: token.to_owned(),
    }
}

fn announcement(to: &Session) -> Value {
    json!({
        "kind": "system.announcement",
        "recipients": { "userIds": [to.id] },
        "data": { "content": "测试" },
    })
}
