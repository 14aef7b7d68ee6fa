use diesel::prelude::*;
use serde_json::{Value, json};
use shared::db::DbConnection;
use shared::db::schema::leases;
use shared::domain::{Channel, Role};
use shared::notification::{Kind, Route, RouteSettings, put_route};

use crate::harness::{Answer, Session, TestApi, TestDatabase, eventually, moment};

/// An office at work: one of every role and one employee more, a server, and a route of every kind
/// on both channels of the mini program. Nobody has been told anything yet.
pub struct Office<'database> {
    pub database: &'database TestDatabase,
    pub api: TestApi,
    /// 系统管理员
    pub admin: Session,
    /// 张经理
    pub zhang: Session,
    /// 孙运营
    pub sun: Session,
    /// 周派单
    pub zhou: Session,
    /// 李四, an employee.
    pub li: Session,
    /// 王五, an employee.
    pub wang: Session,
}

impl<'database> Office<'database> {
    pub async fn open(database: &'database TestDatabase) -> Self {
        Self::open_with(database, |_| {}).await
    }

    /// With settings of the server changed from the usual ones.
    pub async fn open_with(
        database: &'database TestDatabase,
        change: impl FnOnce(&mut crm_api::Config),
    ) -> Self {
        let office = Self {
            admin: database.staff("admin", "系统管理员", Role::Admin).await,
            zhang: database.staff("zhang", "张经理", Role::Manager).await,
            sun: database.staff("sun", "孙运营", Role::Operator).await,
            zhou: database.staff("zhou", "周派单", Role::Dispatch).await,
            li: database.staff("li", "李四", Role::Employee).await,
            wang: database.staff("wang", "王五", Role::Employee).await,
            api: TestApi::with(database, change).await,
            database,
        };
        for &kind in Kind::ALL {
            for channel in [Channel::WechatSubscribe, Channel::WechatCloud] {
                office.put_route(kind, channel, |_| {}).await;
            }
        }
        office
    }

    /// From now on nothing of this kind goes out on this channel.
    pub async fn switch_off(&self, kind: Kind, channel: Channel) {
        self.put_route(kind, channel, |settings| settings.enabled = false)
            .await;
    }

    async fn put_route(
        &self,
        kind: Kind,
        channel: Channel,
        change: impl FnOnce(&mut RouteSettings),
    ) {
        let mut settings = RouteSettings {
            enabled: true,
            ..RouteSettings::default()
        };
        change(&mut settings);
        let route = Route {
            kind,
            channel,
            settings,
        };
        self.database
            .write(move |transaction| put_route(transaction, &route, moment()))
            .await;
    }

    pub async fn assign(&self, by: &Session, customer: &str, to: &Session) -> Answer {
        self.api.assign(by, customer, to).await
    }

    pub async fn batch(&self, by: &Session, customers: &[String], to: &Session) -> Answer {
        let body = json!({ "customerIds": customers, "assignedTo": to.id });
        self.api
            .post(by, "/api/customers/batch-assign", &body)
            .await
    }

    pub async fn assign_from_pool(
        &self,
        by: &Session,
        customers: &[String],
        to: &Session,
    ) -> Answer {
        let body = json!({ "customerIds": customers, "assignedTo": to.id });
        self.api
            .post(by, "/api/customers/public-pool/assign", &body)
            .await
    }

    pub async fn claim(&self, by: &Session, customers: &[String]) -> Answer {
        let body = json!({ "customerIds": customers });
        self.api
            .post(by, "/api/customers/public-pool/claim", &body)
            .await
    }

    pub async fn release(&self, by: &Session, customer: &str, reason: &str) -> Answer {
        let path = format!("/api/customers/{customer}/release-to-pool");
        self.api.post(by, &path, &json!({ "reason": reason })).await
    }

    pub async fn batch_release(&self, by: &Session, customers: &[String], reason: &str) -> Answer {
        let body = json!({ "customerIds": customers, "reason": reason });
        self.api
            .post(by, "/api/customers/batch-release-to-pool", &body)
            .await
    }

    /// A customer as the admin sees it.
    pub async fn customer(&self, id: &str) -> Value {
        self.api
            .get(&self.admin, &format!("/api/customers/{id}"))
            .await
            .data()
    }

    /// Who gave a customer to whom, oldest first.
    pub async fn history(&self, id: &str) -> Vec<Value> {
        let path = format!("/api/customers/{id}/assignments?pageSize=100");
        let page = self.api.get(&self.admin, &path).await.data();
        let mut changes = page["items"].as_array().unwrap().clone();
        changes.reverse();
        changes
    }

    /// The texts in somebody's notification centre, oldest first.
    pub async fn inbox(&self, of: &Session) -> Vec<String> {
        let page = self
            .api
            .get(of, "/api/notifications?pageSize=100")
            .await
            .data();
        let entries = page["items"].as_array().unwrap().iter().rev();
        entries
            .map(|entry| entry["content"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until a run of transfer rules is over; answers it.
    pub async fn until_transferred(&self, run: &str) -> Value {
        let path = format!("/api/lead-transfer/runs/{run}");
        let mut ended = Value::Null;
        eventually("the run is over", async || {
            ended = self.api.get(&self.admin, &path).await.data();
            !ended["finishedAt"].is_null()
        })
        .await;
        ended
    }

    /// Waits until nobody works at anything by a lease.
    pub async fn until_at_rest(&self) {
        eventually("every lease was given back", async || {
            let held = |connection: &mut DbConnection| {
                Ok(leases::table.count().get_result::<i64>(connection)?)
            };
            self.database.read(held).await == 0
        })
        .await;
    }
}
