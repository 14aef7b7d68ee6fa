//! Many customers at once, from a file.

mod file;
mod interruption;
mod outcome;
mod rows;
mod volume;

use reqwest::{Body, Method};
use serde_json::Value;

use crate::harness::{Answer, Session, TestApi, eventually};

/// Sends a file; `query` begins with a question mark, or is empty.
pub async fn send_file(api: &TestApi, by: &Session, query: &str, file: impl Into<Body>) -> Answer {
    let request = api
        .request(Method::POST, &format!("/api/customers/import{query}"))
        .bearer_auth(&by.token)
        .header("content-type", "text/csv; charset=utf-8")
        .body(file);
    TestApi::send(request).await
}

/// What became of the import that was accepted.
pub async fn until_finished(api: &TestApi, by: &Session, accepted: Answer) -> Value {
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    let id = accepted.body["data"]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/imports/{id}");
    let mut import = Value::Null;
    eventually("the import has finished", async || {
        import = api.get(by, &path).await.data();
        !import["finishedAt"].is_null()
    })
    .await;
    import
}

/// Sends a file and waits for what becomes of it.
async fn import(api: &TestApi, by: &Session, query: &str, file: &str) -> Value {
    let accepted = send_file(api, by, query, file.to_owned()).await;
    until_finished(api, by, accepted).await
}

/// A file of that many customers, numbered from `first`.
fn file_of(first: u32, count: u32) -> String {
    let mut file = "姓名,手机号,线索来源,服务类别\n".to_owned();
    for number in first..first + count {
        file.push_str(&format!("客户{number},139{number:08},美团,月嫂\n"));
    }
    file
}

/// The faults of an import: `line column message`.
fn faults(import: &Value) -> Vec<String> {
    let faults = import["errors"].as_array().unwrap().iter();
    faults
        .map(|fault| {
            let column = fault["column"].as_str().unwrap_or("-");
            format!(
                "{} {column} {}",
                fault["line"],
                fault["message"].as_str().unwrap()
            )
        })
        .collect()
}
