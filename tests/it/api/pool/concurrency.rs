use serde_json::{Value, json};

use crate::api::Office;
use crate::harness::{Gate, Session, TestApi, TestDatabase, on_each_database};

on_each_database!(
    of_two_who_claim_one_lead_at_once_exactly_one_gets_it,
    a_claim_and_an_assignment_at_once_give_it_to_one,
    many_claims_of_one_person_at_once_stay_under_the_cap,
    a_release_and_a_claim_at_once_are_told_in_the_order_they_happened,
);

async fn of_two_who_claim_one_lead_at_once_exactly_one_gets_it(database: &TestDatabase) {
    let office = Office::open(database).await;
    let leads = database.pooled_leads(1).await;
    let gate = Gate::before(database, "customers");
    let (one, other, ()) = tokio::join!(
        office.claim(&office.li, &leads),
        office.claim(&office.wang, &leads),
        gate.open_when_waiting(2),
    );
    let (one, other) = (one.data(), other.data());
    let (winner, loser, owner) = if one["success"] == 1 {
        (one, other, &office.li)
    } else {
        (other, one, &office.wang)
    };
    assert_eq!(
        winner,
        json!({ "success": 1, "failed": 0, "unchanged": 0, "errors": [] })
    );
    assert_eq!(
        loser,
        json!({
            "success": 0,
            "failed": 1,
            "unchanged": 0,
            "errors": [{ "customerId": leads[0], "error": "该线索已被他人认领" }],
        })
    );
    let customer = office.customer(&leads[0]).await;
    assert_eq!(
        (&customer["assignedTo"], &customer["claimCount"]),
        (&json!(owner.id), &json!(1))
    );
    assert_eq!(office.history(&leads[0]).await.len(), 1);
    assert_eq!(database.news().await.len(), 1);
}

async fn a_claim_and_an_assignment_at_once_give_it_to_one(database: &TestDatabase) {
    let office = Office::open(database).await;
    let leads = database.pooled_leads(1).await;
    let gate = Gate::before(database, "customers");
    let (claimed, assigned, ()) = tokio::join!(
        office.claim(&office.li, &leads),
        office.assign_from_pool(&office.zhang, &leads, &office.wang),
        gate.open_when_waiting(2),
    );
    let (claimed, assigned) = (claimed.data(), assigned.data());
    let owner = if claimed["success"] == 1 {
        assert_eq!(assigned["errors"][0]["error"], "客户不在公海中");
        &office.li
    } else {
        assert_eq!(claimed["errors"][0]["error"], "该线索已被他人认领");
        &office.wang
    };
    assert_eq!(
        office.customer(&leads[0]).await["assignedTo"],
        json!(owner.id)
    );
    assert_eq!(office.history(&leads[0]).await.len(), 1);
}

async fn many_claims_of_one_person_at_once_stay_under_the_cap(database: &TestDatabase) {
    let office = Office::open_with(database, |config| config.customers_per_person_max = 5).await;
    let leads = database.pooled_leads(16).await;
    // Half of the claims wait for the rows, half for the person.
    let claims = leads
        .iter()
        .map(|lead| claim_of(&office, &office.li, lead))
        .collect();
    let answers = TestApi::at_once(claims).await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(won, 5);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(
            answer.said(),
            (409, "您已达到客户持有上限（5个），无法继续领取")
        );
    }
    let path = "/api/customers/my-customer-count";
    assert_eq!(
        office.api.get(&office.li, path).await.data(),
        json!({ "count": 5, "limit": 5 })
    );
}

async fn a_release_and_a_claim_at_once_are_told_in_the_order_they_happened(
    database: &TestDatabase,
) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    let leads = [lead.clone()];
    let gate = Gate::before(database, "customers");
    let (released, claimed, ()) = tokio::join!(
        office.release(&office.zhang, &lead, "测试"),
        office.claim(&office.wang, &leads),
        gate.open_when_waiting(2),
    );
    released.data();
    let claimed = claimed.data();
    let customer = office.customer(&lead).await;
    if claimed["success"] == 1 {
        assert_eq!(customer["assignedTo"], json!(office.wang.id));
        assert_eq!(office.history(&lead).await.len(), 2);
    } else {
        assert_eq!(claimed["errors"][0]["error"], "该线索已被他人认领");
        assert_eq!(
            (&customer["assignedTo"], &customer["inPublicPool"]),
            (&Value::Null, &json!(true))
        );
        assert_eq!(office.history(&lead).await.len(), 1);
    }
}

fn claim_of(office: &Office<'_>, by: &Session, lead: &str) -> reqwest::RequestBuilder {
    let path = "/api/customers/public-pool/claim";
    let request = office.api.request(reqwest::Method::POST, path);
    request
        .bearer_auth(&by.token)
        .json(&json!({ "customerIds": [lead] }))
}
