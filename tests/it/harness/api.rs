//! The API, served on a port of its own, as its clients see it.

use std::net::TcpListener;
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Barrier;
use wechat_sandbox::{DEMO_APPID, DEMO_ENVIRONMENT};

use super::TestDatabase;

/// The password of everybody in tests.
pub const PASSWORD: &str = "correct horse battery";

/// What signs the tokens of every server in tests.
pub const SECRET: &str = "a signing secret for tests, longer than 32 bytes";

/// A server on a test's database, with `admin` in it, and both channels of the mini program on.
pub struct TestApi {
    server: crm_api::Server,
    http: reqwest::Client,
}

/// A user of the API with a valid token.
#[derive(Debug, Clone)]
pub struct Session {
    pub id: String,
    pub token: String,
}

/// What the API answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub headers: reqwest::header::HeaderMap,
}

impl Answer {
    /// The `data` of a success; anything else fails the test.
    #[track_caller]
    pub fn data(self) -> Value {
        assert!(self.status < 300, "{}: {}", self.status, self.body);
        self.body["data"].clone()
    }

    /// The status and the user-visible message.
    pub fn said(&self) -> (u16, &str) {
        (
            self.status,
            self.body["message"].as_str().unwrap_or_default(),
        )
    }
}

impl TestApi {
    pub async fn on(database: &TestDatabase) -> Self {
        Self::with(database, |_| {}).await
    }

    /// With settings changed from the usual ones.
    pub async fn with(database: &TestDatabase, change: impl FnOnce(&mut crm_api::Config)) -> Self {
        let mut config = crm_api::Config::new(database.url().clone(), SECRET.into());
        config.admin_password = Some(PASSWORD.into());
        config.wechat_appid = Some(DEMO_APPID.to_owned());
        config.wechat_cloud_env = Some(DEMO_ENVIRONMENT.to_owned());
        config.workers = Some(crm_api::WorkerCount(2));
        // Nothing happens in a test that the test has not asked for.
        config.scheduler = crm_api::SchedulerUse::Off;
        change(&mut config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = crm_api::Server::start(config, listener).await.unwrap();
        Self {
            server,
            http: reqwest::Client::new(),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// A request to be changed before it is sent; see [`TestApi::send`].
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url()))
    }

    pub async fn send(request: reqwest::RequestBuilder) -> Answer {
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer {
            status,
            body,
            headers,
        }
    }

    /// Sends all of them at the same moment, each from a task of its own.
    pub async fn at_once(requests: Vec<reqwest::RequestBuilder>) -> Vec<Answer> {
        let barrier = Arc::new(Barrier::new(requests.len()));
        let sending: Vec<_> = requests
            .into_iter()
            .map(|request| {
                let barrier = Arc::clone(&barrier);
                tokio::spawn(async move {
                    barrier.wait().await;
                    Self::send(request).await
                })
            })
            .collect();
        let mut answers = Vec::with_capacity(sending.len());
        for sent in sending {
            answers.push(sent.await.unwrap());
        }
        answers
    }

    pub async fn get(&self, session: &Session, path: &str) -> Answer {
        Self::send(self.request(Method::GET, path).bearer_auth(&session.token)).await
    }

    pub async fn call(
        &self,
        session: &Session,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Answer {
        Self::send(
            self.request(method, path)
                .bearer_auth(&session.token)
                .json(body),
        )
        .await
    }

    pub async fn post(&self, session: &Session, path: &str, body: &Value) -> Answer {
        self.call(session, Method::POST, path, body).await
    }

    pub async fn put(&self, session: &Session, path: &str, body: &Value) -> Answer {
        self.call(session, Method::PUT, path, body).await
    }

    pub async fn patch(&self, session: &Session, path: &str, body: &Value) -> Answer {
        self.call(session, Method::PATCH, path, body).await
    }

    pub async fn delete(&self, session: &Session, path: &str) -> Answer {
        Self::send(
            self.request(Method::DELETE, path)
                .bearer_auth(&session.token),
        )
        .await
    }

    pub async fn try_login(&self, username: &str, password: &str) -> Answer {
        let body = json!({ "username": username, "password": password });
        Self::send(self.request(Method::POST, "/api/auth/login").json(&body)).await
    }

    pub async fn login(&self, username: &str) -> Session {
        let data = self.try_login(username, PASSWORD).await.data();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Session {
            id: text(&data["user"]["id"]),
            token: text(&data["access_token"]),
        }
    }

    pub async fn admin(&self) -> Session {
        self.login("admin").await
    }

    /// A new user of this role, logged in.
    pub async fn user(&self, username: &str, role: &str) -> Session {
        let body =
            json!({ "username": username, "password": PASSWORD, "name": username, "role": role });
        self.call(&self.admin().await, Method::POST, "/api/users", &body)
            .await
            .data();
        self.login(username).await
    }

    /// Ties a user to an openid of the demo mini program.
    pub async fn bind(&self, user: &Session, openid: &str) {
        let path = format!("/api/users/{}/bindings/mini_program:{DEMO_APPID}", user.id);
        let body = json!({ "externalId": openid });
        self.call(&self.admin().await, Method::PUT, &path, &body)
            .await
            .data();
    }

    /// A new customer, entered by `by` for themselves; answers the id.
    pub async fn customer(&self, by: &Session, name: &str, phone: &str) -> String {
        let body = json!({ "name": name, "phone": phone, "leadSource": "美团", "serviceCategory": "月嫂" });
        let data = self
            .call(by, Method::POST, "/api/customers", &body)
            .await
            .data();
        data["id"].as_str().unwrap().to_owned()
    }

    /// Gives one customer to somebody.
    pub async fn assign(&self, by: &Session, customer: &str, to: &Session) -> Answer {
        let body = json!({ "assignedTo": to.id });
        self.call(
            by,
            Method::PATCH,
            &format!("/api/customers/{customer}/assign"),
            &body,
        )
        .await
    }

    pub async fn stop(self) {
        self.server.stop().await;
    }
}
