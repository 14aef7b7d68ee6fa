use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::Method;
use serde_json::{Value, json};
use wechat_sandbox::{DEMO_APPID, DEMO_TEMPLATE_ID, MessageFilter, User};

use crate::pair::Pair;

/// The password of every demo login.
pub(crate) const PASSWORD: &str = "yizhan-demo";

/// Username, name, role.
const STAFF: [(&str, &str, &str); 4] = [
    ("manager", "陈经理", "manager"),
    ("xiaoli", "李小丽", "employee"),
    ("xiaowang", "王小明", "employee"),
    ("xiaozhang", "张小芳", "employee"),
];

/// Name, phone, source, service.
const LEADS: [(&str, &str, &str, &str); 5] = [
    ("王女士", "13800138001", "美团", "月嫂"),
    ("刘先生", "13800138002", "抖音", "住家育儿嫂"),
    ("赵女士", "13800138003", "转介绍", "保洁"),
    ("周先生", "13800138004", "小红书", "小时工"),
    ("吴女士", "13800138005", "官网", "月嫂"),
];

const KINDS: [&str; 5] = [
    "customer.assigned",
    "customer.batch_assigned",
    "customer.assigned_from_pool",
    "customer.transferred_away",
    "system.digest",
];

/// How long the first delivery may take before something must be wrong.
const PATIENCE: Duration = Duration::from_secs(15);

/// Demo data in place, seen through the API like any client sees it.
pub(crate) struct Demo {
    http: reqwest::Client,
    manager_token: String,
    customer: Value,
    employees: Vec<Value>,
}

impl Demo {
    /// Creates staff, leads, bindings and routes if the database has none, and makes the sandbox
    /// know the staff's phones.
    pub(crate) async fn prepare(pair: &Pair) -> anyhow::Result<Self> {
        let http = reqwest::Client::new();
        let api = Api {
            http: &http,
            url: pair.api_url(),
        };
        let admin = api.login("admin").await?;
        if !api.is_seeded(&admin).await? {
            api.seed(&admin).await?;
        }
        let users = api.users(&admin).await?;
        for (position, (username, name, _)) in STAFF.iter().enumerate() {
            let user = User {
                openid: openid(position),
                appid: Some(DEMO_APPID.to_owned()),
                name: Some(format!("{name} {username}")),
                unionid: None,
            };
            pair.sandbox().put_user(user).map_err(anyhow::Error::msg)?;
        }
        let manager_token = api.login("manager").await?;
        let page = api
            .call(
                Method::GET,
                "/api/customers?pageSize=1",
                Some(&manager_token),
                None,
            )
            .await?;
        let customer = page["items"][0].clone();
        if customer.is_null() {
            bail!("there is no customer in the data folder; remove it for a fresh start");
        }
        let employees = users
            .into_iter()
            .filter(|user| user["role"] == "employee")
            .collect();
        Ok(Self {
            manager_token,
            customer,
            employees,
            http,
        })
    }

    /// Gives the lead to somebody who does not have it, and waits until the phone shows it.
    pub(crate) async fn assign_and_wait(&self, pair: &Pair) -> anyhow::Result<String> {
        let api = Api {
            http: &self.http,
            url: pair.api_url(),
        };
        let employee = self.next_owner(0)?;
        let (sandbox, openid) = (pair.sandbox(), openid_of(employee)?);
        let arrived = || {
            let filter = MessageFilter {
                recipient: Some(openid.clone()),
                ..MessageFilter::default()
            };
            sandbox.messages(&filter).len() >= 2
        };
        let path = format!("/api/customers/{}/assign", text(&self.customer, "id")?);
        let body = json!({ "assignedTo": text(employee, "id")?, "assignmentReason": "快速体验" });
        let started = Instant::now();
        api.call(Method::PATCH, &path, Some(&self.manager_token), Some(&body))
            .await?;
        let committed = started.elapsed();
        let waiting = sandbox.until(|_| arrived());
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            bail!(
                "the assignment did not arrive at the sandbox within {} s; start again with --log info",
                PATIENCE.as_secs()
            );
        }
        Ok(format!(
            "{} was assigned to {} in {:.0} ms; both messages were on the phone {:.0} ms after that.",
            text(&self.customer, "name")?,
            text(employee, "name")?,
            committed.as_secs_f64() * 1_000.0,
            (started.elapsed() - committed).as_secs_f64() * 1_000.0,
        ))
    }

    /// A command that gives the lead to the one after.
    pub(crate) fn curl(&self, api: &str) -> String {
        let id = |value: &Value| value["id"].as_str().unwrap_or_default().to_owned();
        let next = self.next_owner(1).map(id).unwrap_or_default();
        format!(
            "curl -X PATCH {api}/api/customers/{}/assign -H 'Content-Type: application/json' -H 'Authorization: Bearer {}' -d '{{\"assignedTo\": \"{next}\"}}'",
            id(&self.customer),
            self.manager_token,
        )
    }

    fn next_owner(&self, skip: usize) -> anyhow::Result<&Value> {
        let owner = &self.customer["assignedTo"];
        let mut others = self
            .employees
            .iter()
            .filter(|employee| employee["id"] != *owner);
        others
            .nth(skip)
            .context("the demo needs three employees; remove the data folder for a fresh start")
    }
}

/// The API as a client uses it.
struct Api<'http> {
    http: &'http reqwest::Client,
    url: String,
}

impl Api<'_> {
    async fn login(&self, username: &str) -> anyhow::Result<String> {
        let body = json!({ "username": username, "password": PASSWORD });
        let data = self
            .call(Method::POST, "/api/auth/login", None, Some(&body))
            .await?;
        text(&data, "access_token")
    }

    async fn users(&self, token: &str) -> anyhow::Result<Vec<Value>> {
        let page = self
            .call(Method::GET, "/api/users?pageSize=100", Some(token), None)
            .await?;
        Ok(page["items"].as_array().cloned().unwrap_or_default())
    }

    /// Leads are made last: where there is one, everything else is there.
    async fn is_seeded(&self, admin: &str) -> anyhow::Result<bool> {
        let page = self
            .call(Method::GET, "/api/customers?pageSize=1", Some(admin), None)
            .await?;
        Ok(page["total"] != 0)
    }

    /// Each step may have been made by an earlier start that was interrupted.
    async fn seed(&self, admin: &str) -> anyhow::Result<()> {
        let known = self.users(admin).await?;
        for (position, (username, name, role)) in STAFF.iter().enumerate() {
            let user = match known.iter().find(|user| user["username"] == *username) {
                Some(user) => user.clone(),
                None => {
                    let body = json!({ "username": username, "password": PASSWORD, "name": name, "role": role });
                    self.call(Method::POST, "/api/users", Some(admin), Some(&body))
                        .await?
                }
            };
            let path = format!(
                "/api/users/{}/bindings/mini_program:{DEMO_APPID}",
                text(&user, "id")?
            );
            let body = json!({ "externalId": openid(position) });
            self.call(Method::PUT, &path, Some(admin), Some(&body))
                .await?;
        }
        for kind in KINDS {
            for channel in ["wechat_subscribe", "wechat_cloud"] {
                let path = format!("/api/notification-routes/{kind}/{channel}");
                let body = json!({ "enabled": true, "templateId": DEMO_TEMPLATE_ID });
                self.call(Method::PUT, &path, Some(admin), Some(&body))
                    .await?;
            }
        }
        let manager = self.login("manager").await?;
        for (name, phone, source, service) in LEADS {
            let body = json!({ "name": name, "phone": phone, "leadSource": source, "serviceCategory": service });
            self.call(Method::POST, "/api/customers", Some(&manager), Some(&body))
                .await?;
        }
        Ok(())
    }

    /// One call; the answer's `data`, or the API's own words for what went wrong.
    async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer: Value = request.send().await?.json().await?;
        if answer["success"] != true {
            bail!("{method} {path}: {}", answer["message"]);
        }
        Ok(answer["data"].clone())
    }
}

/// The openid of the demo user at this place of the list: 28 characters, the first an o.
fn openid(position: usize) -> String {
    format!("oYizhanDemoUser{position:0>13}")
}

fn openid_of(user: &Value) -> anyhow::Result<String> {
    let position = STAFF
        .iter()
        .position(|(username, _, _)| user["username"] == *username);
    position
        .map(openid)
        .context("the demo staff was changed; remove the data folder for a fresh start")
}

fn text(value: &Value, field: &str) -> anyhow::Result<String> {
    value[field]
        .as_str()
        .map(ToOwned::to_owned)
        .with_context(|| format!("the API's answer has no {field}"))
}
