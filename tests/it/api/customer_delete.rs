//! Removing a customer.

use diesel::prelude::*;
use serde_json::{Value, json};
use shared::db::schema::{assignments, follow_ups};
use shared::outbox::Status;

use super::Office;
use crate::harness::{Gate, TestDatabase, on_each_database};

on_each_database!(
    a_customer_goes_with_its_history_and_what_waits_to_be_told_of_it,
    who_follows_an_old_link_reads_why_it_leads_nowhere,
    a_number_is_free_again_once_its_customer_is_deleted,
    what_is_deleted_cannot_be_deleted_again,
    of_an_assignment_and_a_deletion_at_once_neither_leaves_anything_behind,
);

async fn a_customer_goes_with_its_history_and_what_waits_to_be_told_of_it(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    let other = database.lead("赵女士", "13900139000", &office.li).await;
    for lead in [&id, &other] {
        office
            .assign(&office.zhang, lead, &office.wang)
            .await
            .data();
    }
    let path = format!("/api/customers/{id}");
    let follow_up = json!({ "content": "已联系" });
    office
        .api
        .post(&office.wang, &format!("{path}/follow-ups"), &follow_up)
        .await
        .data();
    let number = office.customer(&id).await["customerId"].clone();

    let answer = office.api.delete(&office.admin, &path).await;
    assert_eq!(answer.said(), (200, "客户删除成功"));
    // Two people on two channels.
    let expected =
        json!({ "id": id, "customerId": number, "name": "王女士", "cancelledMessages": 4 });
    assert_eq!(answer.data(), expected);

    let subject = format!("customer:{id}");
    for message in database.messages().await {
        if message.subject.as_ref() == Some(&subject) {
            assert_eq!(message.status, Status::Cancelled);
            let why = message.last_error.as_deref();
            assert_eq!(why, Some("superseded: the customer was deleted"));
        } else {
            assert_eq!(message.status, Status::Pending);
        }
    }
    let left: (i64, i64) = database
        .read(|connection| {
            Ok((
                assignments::table.count().get_result(connection)?,
                follow_ups::table.count().get_result(connection)?,
            ))
        })
        .await;
    assert_eq!(left, (1, 0), "what belongs to the other stays");

    let logs = office
        .api
        .get(&office.admin, &format!("{path}/operation-logs"))
        .await
        .data();
    let last = &logs["items"][0];
    assert_eq!(
        (&last["action"], &last["actorName"]),
        (&json!("customer.delete"), &json!("系统管理员"))
    );
    assert_eq!(
        last["detail"],
        json!({
            "customerId": number, "name": "王女士", "phone": "138****8999",
            "assignedTo": office.wang.id, "cancelledMessages": 4,
        })
    );
    // (In tests the customer's own number has the digits of the phone.)
    assert!(!logs.to_string().contains("\"13800138999\""));
}

async fn who_follows_an_old_link_reads_why_it_leads_nowhere(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.zhou).await;
    office.assign(&office.zhang, &id, &office.li).await.data();
    let path = format!("/api/customers/{id}");
    office.api.delete(&office.admin, &path).await.data();
    let inbox = office
        .api
        .get(&office.li, "/api/notifications")
        .await
        .data();
    let link = inbox["items"][0]["link"].as_str().unwrap().to_owned();
    assert_eq!(link, format!("/customers/{id}"));
    for path in [
        format!("/api{link}"),
        format!("{path}/follow-ups"),
        format!("{path}/assignments"),
    ] {
        let answer = office.api.get(&office.li, &path).await;
        assert_eq!(answer.said(), (404, "该客户已被删除"), "{path}");
    }
}

async fn a_number_is_free_again_once_its_customer_is_deleted(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    office
        .api
        .delete(&office.admin, &format!("/api/customers/{id}"))
        .await
        .data();
    office
        .api
        .customer(&office.li, "王女士", "13800138999")
        .await;
}

async fn what_is_deleted_cannot_be_deleted_again(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    let path = format!("/api/customers/{id}");
    office.api.delete(&office.admin, &path).await.data();
    let before = database.contents().await;
    let again = office.api.delete(&office.admin, &path).await;
    assert_eq!(again.said(), (404, "客户不存在"));
    for (by, path) in [(&office.zhang, &path), (&office.li, &path)] {
        let answer = office.api.delete(by, path).await;
        assert_eq!(answer.said(), (403, "没有权限删除客户"));
    }
    let nobody = office.api.delete(&office.admin, "/api/customers/nobody");
    assert_eq!(nobody.await.said(), (404, "客户不存在"));
    database.assert_unchanged_since(&before).await;
}

async fn of_an_assignment_and_a_deletion_at_once_neither_leaves_anything_behind(
    database: &TestDatabase,
) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    let path = format!("/api/customers/{id}");
    let gate = Gate::before(database, "customers");
    let (assigned, deleted, ()) = tokio::join!(
        office.assign(&office.zhang, &id, &office.wang),
        office.api.delete(&office.admin, &path),
        gate.open_when_waiting(2),
    );
    assert_eq!(deleted.status, 200);
    match assigned.said() {
        (200, _) => assert_eq!(deleted.data()["cancelledMessages"], 4),
        said => assert_eq!(said, (404, "客户不存在")),
    }
    let waiting = database.messages().await.into_iter();
    let waiting: Vec<Value> = waiting
        .filter(|message| message.status == Status::Pending)
        .map(|message| json!(message.kind))
        .collect();
    assert_eq!(waiting, [] as [Value; 0]);
}
