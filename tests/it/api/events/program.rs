use crm_api::auth::service_token::Scope;
use diesel::prelude::*;
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::{Clock, SystemClock};
use shared::db::schema::{idempotency_keys, service_tokens};
use shared::domain::UtcTimestamp;

use super::{PATH, signed, tell};
use crate::api::Office;
use crate::harness::{
    SECRET, Session, TestApi, TestDatabase, TestProcess, eventually, on_each_database, seconds,
};

on_each_database!(
    a_program_tells_of_events_until_its_token_is_revoked,
    a_token_is_good_until_its_end,
    only_the_hash_of_a_token_is_stored,
    the_use_of_a_token_is_noted_once_a_minute,
    a_program_repeats_a_request_under_a_key_of_its_own,
    a_program_sees_its_own_events_alone,
    a_program_makes_the_relays_look,
    a_token_is_never_logged,
);

async fn a_program_tells_of_events_until_its_token_is_revoked(database: &TestDatabase) {
    let office = Office::open(database).await;
    let program = database.program("contracts", &[Scope::Events]).await;
    let other_process = TestApi::on(database).await;
    let body = signed(&json!({ "userIds": [office.li.id] }));
    for api in [&office.api, &other_process] {
        let answer = api.post(&program, PATH, &body).await;
        assert_eq!(answer.said(), (202, "事件已受理：通知 1 人"));
    }
    database.revoke(&program).await;
    let before = database.contents().await;
    for api in [&office.api, &other_process] {
        let answer = api.post(&program, PATH, &body).await;
        assert_eq!(answer.said(), (401, "服务令牌无效、已过期或已撤销"));
    }
    database.assert_unchanged_since(&before).await;
}

async fn a_token_is_good_until_its_end(database: &TestDatabase) {
    let office = Office::open(database).await;
    let body = signed(&json!({ "userIds": [office.li.id] }));
    let now = SystemClock.now();
    let soon = now.after(seconds(600));
    let good = database
        .program_until("good", &[Scope::Events], Some(soon))
        .await;
    let over = database
        .program_until("over", &[Scope::Events], Some(now))
        .await;
    assert_eq!(tell(&office, &good, &body).await.status, 202);
    assert_eq!(tell(&office, &over, &body).await.status, 401);
    // Nothing but the whole of it will do.
    let mut cut = good.clone();
    cut.token.pop();
    let longer = Session {
        token: format!("{}0", good.token),
        ..good.clone()
    };
    for wrong in [cut, longer] {
        assert_eq!(tell(&office, &wrong, &body).await.status, 401);
    }
}

async fn only_the_hash_of_a_token_is_stored(database: &TestDatabase) {
    let office = Office::open(database).await;
    let program = database.program("contracts", &[Scope::Events]).await;
    assert!(program.token.starts_with("yzs_") && program.token.len() == 68);
    let body = signed(&json!({ "userIds": [office.li.id] }));
    tell(&office, &program, &body).await.data();
    let digits = program.token.strip_prefix("yzs_").unwrap();
    assert!(!database.contains(digits).await);
}

async fn the_use_of_a_token_is_noted_once_a_minute(database: &TestDatabase) {
    let office = Office::open(database).await;
    let program = database.program("contracts", &[Scope::Events]).await;
    let noted = async || -> Option<UtcTimestamp> {
        database
            .read(|connection| {
                let noted = service_tokens::table.select(service_tokens::last_used_at);
                Ok(noted.first(connection)?)
            })
            .await
    };
    assert_eq!(noted().await, None);
    // What it may not do is no use of it.
    let look = office.api.get(&program, "/api/customers").await;
    assert_eq!(look.said(), (403, "服务令牌不能用于此接口"));
    assert_eq!(noted().await, None);
    let body = signed(&json!({ "userIds": [office.li.id] }));
    tell(&office, &program, &body).await.data();
    let first = noted().await;
    assert!(first.is_some());
    tell(&office, &program, &body).await.data();
    assert_eq!(noted().await, first, "not again so soon");
    let earlier = SystemClock.now().before(seconds(61));
    database
        .write(move |transaction| {
            diesel::update(service_tokens::table)
                .set(service_tokens::last_used_at.eq(earlier))
                .execute(transaction.connection())?;
            Ok(())
        })
        .await;
    tell(&office, &program, &body).await.data();
    assert!(noted().await > first);
}

async fn a_program_repeats_a_request_under_a_key_of_its_own(database: &TestDatabase) {
    let office = Office::open(database).await;
    let one = database.program("one", &[Scope::Events]).await;
    let other = database.program("other", &[Scope::Events]).await;
    let body = signed(&json!({ "userIds": [office.li.id] }));
    let send = async |by: &Session, body: &Value| {
        let request = office.api.request(Method::POST, PATH);
        let request = request.bearer_auth(&by.token).json(body);
        TestApi::send(request.header("idempotency-key", "k")).await
    };
    let first = send(&one, &body).await;
    assert_eq!(first.status, 202);
    let again = send(&one, &body).await;
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!((again.status, again.data()), (202, first.clone().data()));
    // Somebody else's key of the same name is another key.
    for by in [&other, &office.admin] {
        let answer = send(by, &body).await;
        assert_eq!(answer.status, 202);
        assert_ne!(answer.data()["eventId"], first.body["data"]["eventId"]);
    }
    let different = signed(&json!({ "userIds": [office.wang.id] }));
    assert_eq!(send(&one, &different).await.status, 409);
    let keys: i64 = database
        .read(|connection| Ok(idempotency_keys::table.count().get_result(connection)?))
        .await;
    assert_eq!(keys, 3);
}

async fn a_program_sees_its_own_events_alone(database: &TestDatabase) {
    let office = Office::open(database).await;
    let one = database.program("one", &[Scope::Events]).await;
    let other = database.program("other", &[Scope::Events]).await;
    let body = signed(&json!({ "userIds": [office.li.id] }));
    let told = tell(&office, &one, &body).await.data();
    let path = format!("{PATH}/{}", told["eventId"].as_str().unwrap());
    for by in [&one, &office.admin] {
        let standing = office.api.get(by, &path).await.data();
        assert_eq!(standing["eventId"], told["eventId"]);
        assert_eq!(standing["sentBy"], "one");
    }
    let answer = office.api.get(&other, &path).await;
    assert_eq!(answer.said(), (404, "事件不存在"));
}

async fn a_program_makes_the_relays_look(database: &TestDatabase) {
    let office = Office::open(database).await;
    let queue = database.program("queue", &[Scope::ProcessQueue]).await;
    let path = "/api/wecom/process-queue";
    let answer = office.api.post(&queue, path, &json!({})).await;
    assert_eq!(answer.said(), (200, "已通知发送程序处理队列"));
    let events = database.program("events", &[Scope::Events]).await;
    let answer = office.api.post(&events, path, &json!({})).await;
    assert_eq!(answer.said(), (403, "该服务令牌没有此接口所需的权限范围"));
}

async fn a_token_is_never_logged(database: &TestDatabase) {
    const MARKED: &str = "标记客户";
    let li = database
        .staff("li", "李四", shared::domain::Role::Employee)
        .await;
    let good = database.program("good", &[Scope::Events]).await;
    let revoked = database.program("revoked", &[Scope::Events]).await;
    database.revoke(&revoked).await;
    let url = database.url().reveal();
    let arguments = [
        "--database-url",
        &url,
        "--listen",
        "127.0.0.1:0",
        "--jwt-secret",
        SECRET,
        "--log",
        "trace",
        "--log-format",
        "json",
        "--scheduler",
        "off",
    ];
    let process = TestProcess::start("crm-api", &arguments.map(str::to_owned));
    let mut address = String::new();
    eventually("it serves", async || {
        let said = process.said();
        let found = said.split("serving on http://").nth(1);
        address = found.map_or(String::new(), |rest| {
            rest.split(' ').next().unwrap_or_default().to_owned()
        });
        !address.is_empty()
    })
    .await;
    let client = reqwest::Client::new();
    let mut body = signed(&json!({ "userIds": [li.id] }));
    body["data"]["customerName"] = json!(MARKED);
    for (program, path, status) in [
        (&good, PATH, 202),
        (&good, "/api/customers", 403),
        (&revoked, PATH, 401),
        (&revoked, "/api/customers", 401),
    ] {
        let request = client.post(format!("http://{address}{path}"));
        let request = request.bearer_auth(&program.token).json(&body);
        let answer = TestApi::send(request).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
    }
    let said = process.terminate().said;
    assert!(
        said.contains("/api/events 202"),
        "at this level every request is logged"
    );
    for secret in [good.token.as_str(), revoked.token.as_str(), MARKED] {
        assert!(!said.contains(secret), "{secret} is in the log");
    }
}
