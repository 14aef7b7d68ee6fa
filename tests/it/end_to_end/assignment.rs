use outbox_relay::relay::Until;
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::Channel;
use shared::notification::Kind;
use shared::outbox::Status;
use wechat_sandbox::{Api, MessageFilter};

use crate::harness::{
    RelayStage, Session, TestApi, TestDatabase, on_each_database, pool, refuse_inserts,
};

on_each_database!(
    each_entrance_reaches_the_new_owner_exactly_once_on_each_channel,
    a_batch_of_many_is_one_message,
    the_previous_owner_is_told_too,
    what_was_overtaken_before_it_left_does_not_arrive,
    an_unchanged_owner_hears_nothing,
    a_rolled_back_assignment_reaches_nobody,
);

const MANAGERS_OPENID: &str = "oManager00000000000000000000";
const EMPLOYEES_OPENID: &str = "oEmployee0000000000000000000";

/// The API and a relay, each on the database's clock, and the sandbox between them and the phones.
struct Company<'database> {
    stage: RelayStage<'database>,
    api: TestApi,
    manager: Session,
    employee: Session,
}

impl<'database> Company<'database> {
    async fn on(database: &'database TestDatabase) -> Self {
        let stage = RelayStage::on(database).await;
        // Else admins would be told of every customer that a test enters.
        for channel in [Channel::WechatSubscribe, Channel::WechatCloud] {
            stage
                .route(Kind::CustomerCreated, channel, |route| {
                    route.enabled = false;
                })
                .await;
        }
        let api = TestApi::on(database).await;
        let (manager, employee) = (
            api.user("manager", "manager").await,
            api.user("xiaoli", "employee").await,
        );
        api.bind(&manager, MANAGERS_OPENID).await;
        api.bind(&employee, EMPLOYEES_OPENID).await;
        Self {
            stage,
            api,
            manager,
            employee,
        }
    }

    /// Lets a relay deliver everything that is due.
    async fn deliver(&self) {
        let mut relay = self.stage.relay_on_database_clock(Until::Drained).await;
        relay.ended().await;
        relay.stop().await;
    }

    /// What has arrived on somebody's phone, channel by channel.
    fn arrived(&self, openid: &str) -> Vec<(Api, Value)> {
        let filter = MessageFilter {
            recipient: Some(openid.to_owned()),
            ..MessageFilter::default()
        };
        let mut arrived: Vec<_> = self
            .stage
            .sandbox
            .messages(&filter)
            .iter()
            .map(|message| (message.api, message.data()))
            .collect();
        arrived.sort_by_key(|(api, _)| *api);
        arrived
    }

    async fn close(self) {
        let mut messages = self.stage.database.messages().await;
        messages.retain(|message| message.superseded_by.is_none());
        assert!(
            messages
                .iter()
                .all(|message| message.status == Status::Sent && message.attempt == 1)
        );
        assert_eq!(messages.len() as u64, self.stage.sandbox.stats().accepted);
        assert_eq!(self.stage.sandbox.stats().duplicates, 0);
        self.api.stop().await;
    }
}

async fn each_entrance_reaches_the_new_owner_exactly_once_on_each_channel(database: &TestDatabase) {
    let company = Company::on(database).await;
    for (position, entrance) in ["single", "miniprogram", "batch", "pool"]
        .into_iter()
        .enumerate()
    {
        let name = format!("客户{position}");
        let customer = company
            .api
            .customer(&company.manager, &name, &format!("1380013800{position}"))
            .await;
        let one = json!({ "assignedTo": company.employee.id, "assignmentReason": entrance });
        let many = json!({ "customerIds": [customer], "assignedTo": company.employee.id, "assignmentReason": entrance });
        let (method, path, body) = match entrance {
            "single" => (
                Method::PATCH,
                format!("/api/customers/{customer}/assign"),
                one,
            ),
            "miniprogram" => (
                Method::PATCH,
                format!("/api/customers/miniprogram/{customer}/assign"),
                one,
            ),
            "batch" => (Method::POST, "/api/customers/batch-assign".to_owned(), many),
            _ => {
                pool(database, &customer).await;
                (
                    Method::POST,
                    "/api/customers/public-pool/assign".to_owned(),
                    many,
                )
            }
        };
        company
            .api
            .call(&company.manager, method, &path, &body)
            .await
            .data();
        company.deliver().await;

        let arrived = company.arrived(EMPLOYEES_OPENID);
        let of_this: Vec<_> = arrived
            .iter()
            .filter(|(api, data)| match api {
                Api::CloudFunction => data["source"] == entrance,
                _ => data["thing2"]["value"] == entrance,
            })
            .collect();
        assert_eq!(of_this.len(), 2, "{entrance}: {arrived:?}");
        assert_eq!(of_this[0].1["thing1"]["value"], name, "{entrance}");
        assert_eq!(of_this[1].1["customerName"], name, "{entrance}");
        assert_eq!(of_this[1].1["customerId"], customer, "{entrance}");
        assert_eq!(arrived.len(), 2 * (position + 1));
    }
    assert!(
        company.arrived(MANAGERS_OPENID).is_empty(),
        "who gives away what is theirs need not be told"
    );
    company.close().await;
}

async fn a_batch_of_many_is_one_message(database: &TestDatabase) {
    let company = Company::on(database).await;
    let mut customers = Vec::new();
    for position in 0..25 {
        let phone = format!("138001380{position:02}");
        customers.push(
            company
                .api
                .customer(&company.manager, &format!("客户{position}"), &phone)
                .await,
        );
    }
    let body = json!({ "customerIds": customers, "assignedTo": company.employee.id });
    company
        .api
        .call(
            &company.manager,
            Method::POST,
            "/api/customers/batch-assign",
            &body,
        )
        .await
        .data();
    company.deliver().await;

    let arrived = company.arrived(EMPLOYEES_OPENID);
    assert_eq!(arrived.len(), 2, "one on each channel");
    assert_eq!(arrived[0].1["thing1"]["value"], "25个客户");
    assert_eq!(arrived[1].1["customerCount"], 25);
    company.close().await;
}

async fn the_previous_owner_is_told_too(database: &TestDatabase) {
    let company = Company::on(database).await;
    let successor = company.api.user("xiaowang", "employee").await;
    company
        .api
        .bind(&successor, "oSuccessor000000000000000000")
        .await;
    let customer = company
        .api
        .customer(&company.manager, "王女士", "13800138001")
        .await;
    company
        .api
        .assign(&company.manager, &customer, &company.employee)
        .await
        .data();
    company.deliver().await;
    company
        .api
        .assign(&company.manager, &customer, &successor)
        .await
        .data();
    company.deliver().await;
    assert_eq!(
        company.arrived(EMPLOYEES_OPENID).len(),
        4,
        "got it, lost it, on two channels"
    );
    assert_eq!(company.arrived("oSuccessor000000000000000000").len(), 2);
    company.close().await;
}

async fn what_was_overtaken_before_it_left_does_not_arrive(database: &TestDatabase) {
    let company = Company::on(database).await;
    let successor = company.api.user("xiaowang", "employee").await;
    company
        .api
        .bind(&successor, "oSuccessor000000000000000000")
        .await;
    let customer = company
        .api
        .customer(&company.manager, "王女士", "13800138001")
        .await;
    for to in [&company.employee, &successor] {
        company
            .api
            .assign(&company.manager, &customer, to)
            .await
            .data();
    }
    company.deliver().await;
    assert_eq!(
        company.arrived(EMPLOYEES_OPENID).len(),
        2,
        "lost it, on two channels, and never heard that they had it"
    );
    assert_eq!(company.arrived("oSuccessor000000000000000000").len(), 2);
    company.close().await;
}

async fn an_unchanged_owner_hears_nothing(database: &TestDatabase) {
    let company = Company::on(database).await;
    let customer = company
        .api
        .customer(&company.manager, "王女士", "13800138001")
        .await;
    for _ in 0..3 {
        company
            .api
            .assign(&company.manager, &customer, &company.employee)
            .await
            .data();
    }
    company.deliver().await;
    assert_eq!(company.arrived(EMPLOYEES_OPENID).len(), 2);
    company.close().await;
}

async fn a_rolled_back_assignment_reaches_nobody(database: &TestDatabase) {
    let company = Company::on(database).await;
    let customer = company
        .api
        .customer(&company.manager, "王女士", "13800138001")
        .await;
    // The last thing an assignment writes is what fails.
    refuse_inserts(database, "outbox_messages");
    let answer = company
        .api
        .assign(&company.manager, &customer, &company.employee)
        .await;
    assert_eq!(answer.said(), (500, "服务器内部错误"));
    company.deliver().await;

    let after = company
        .api
        .get(&company.manager, &format!("/api/customers/{customer}"))
        .await
        .data();
    assert_eq!(
        after["assignedTo"], company.manager.id,
        "the change is undone"
    );
    assert!(database.messages().await.is_empty());
    assert_eq!(company.stage.sandbox.stats().requests, 0);
    company.close().await;
}
