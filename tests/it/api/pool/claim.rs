use serde_json::{Value, json};

use crate::api::Office;
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(
    a_claim_takes_the_customer_out_of_the_pool_for_oneself,
    a_claim_of_several_is_told_once_in_the_centre,
    what_somebody_else_has_or_nobody_knows_is_refused_one_by_one,
    nobody_claims_beyond_the_cap,
    a_claim_names_one_to_fifty_customers,
    everybody_sees_how_many_they_have_and_may_have,
);

async fn a_claim_takes_the_customer_out_of_the_pool_for_oneself(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.pooled_lead("王女士", "13800138999").await;
    let answer = office.claim(&office.li, std::slice::from_ref(&lead)).await;
    assert_eq!(answer.said(), (200, "领取完成：成功 1 个，失败 0 个"));
    assert_eq!(
        answer.data(),
        json!({ "success": 1, "failed": 0, "unchanged": 0, "errors": [] })
    );

    let customer = office.customer(&lead).await;
    assert_eq!(customer["assignedTo"], json!(office.li.id));
    assert_eq!(customer["assignedBy"], json!(office.li.id));
    assert_eq!(
        (
            &customer["inPublicPool"],
            &customer["leadLevel"],
            &customer["claimCount"],
            &customer["publicPoolEntryTime"],
        ),
        (&json!(false), &Value::Null, &json!(1), &Value::Null)
    );
    let history = office.history(&lead).await;
    assert_eq!(history.len(), 1);
    assert_eq!(
        (&history[0]["entrance"], &history[0]["fromUserId"]),
        (&json!("claim"), &Value::Null)
    );
    // They know already: nothing goes out to a phone.
    assert_eq!(database.news().await, ["customer.assigned li: inbox"]);
}

async fn a_claim_of_several_is_told_once_in_the_centre(database: &TestDatabase) {
    let office = Office::open(database).await;
    let leads = database.pooled_leads(5).await;
    let answer = office.claim(&office.zhou, &leads).await;
    assert_eq!(answer.said(), (200, "领取完成：成功 5 个，失败 0 个"));
    assert_eq!(
        database.news().await,
        ["customer.batch_assigned zhou: inbox"]
    );
}

async fn what_somebody_else_has_or_nobody_knows_is_refused_one_by_one(database: &TestDatabase) {
    let office = Office::open(database).await;
    let pooled = database.pooled_lead("王女士", "13800138001").await;
    let taken = database.lead("赵先生", "13800138002", &office.wang).await;
    let own = database.lead("钱女士", "13800138003", &office.li).await;
    let unknown = office.li.id.clone();
    let batch = [
        taken.clone(),
        "nobody".to_owned(),
        pooled,
        own,
        unknown.clone(),
    ];
    let answer = office.claim(&office.li, &batch).await;
    assert_eq!(answer.said(), (200, "领取完成：成功 1 个，失败 3 个"));
    assert_eq!(
        answer.data(),
        json!({
            "success": 1,
            "failed": 3,
            "unchanged": 1,
            "errors": [
                { "customerId": "nobody", "error": "客户不存在" },
                { "customerId": taken, "error": "该线索已被他人认领" },
                { "customerId": unknown, "error": "客户不存在" },
            ],
        })
    );
    assert_eq!(
        office.customer(&taken).await["assignedTo"],
        json!(office.wang.id)
    );
}

async fn nobody_claims_beyond_the_cap(database: &TestDatabase) {
    let office = Office::open_with(database, |config| config.customers_per_person_max = 3).await;
    let leads = database.pooled_leads(5).await;
    let before = database.contents().await;
    let refused = office.claim(&office.li, &leads[..4]).await;
    assert_eq!(refused.said(), (409, "您最多还可以领取 3 个客户"));
    database.assert_unchanged_since(&before).await;

    office.claim(&office.li, &leads[..2]).await.data();
    let refused = office.claim(&office.li, &leads[2..4]).await;
    assert_eq!(refused.said(), (409, "您最多还可以领取 1 个客户"));
    office.claim(&office.li, &leads[2..3]).await.data();
    let refused = office.claim(&office.li, &leads[3..4]).await;
    assert_eq!(
        refused.said(),
        (409, "您已达到客户持有上限（3个），无法继续领取")
    );

    // The cap is for claims: whoever assigns knows what they do.
    office
        .assign_from_pool(&office.zhang, &leads[3..4], &office.li)
        .await
        .data();
    let refused = office.claim(&office.li, &leads[4..]).await;
    assert_eq!(
        refused.said(),
        (409, "您已达到客户持有上限（3个），无法继续领取")
    );

    // Who gives some back has room again.
    for lead in &leads[..2] {
        office.release(&office.li, lead, "暂无意向").await.data();
    }
    office.claim(&office.li, &leads[4..]).await.data();
}

async fn a_claim_names_one_to_fifty_customers(database: &TestDatabase) {
    let office = Office::open(database).await;
    let leads = database.pooled_leads(51).await;
    for batch in [&leads[..0], &leads[..]] {
        let refused = office.claim(&office.li, batch).await;
        assert_eq!(refused.said(), (400, "客户数量必须在1到50之间"));
        assert_eq!(refused.body["error"]["details"]["field"], "customerIds");
    }
    let answer = office.claim(&office.li, &leads[..50]).await;
    assert_eq!(answer.said(), (200, "领取完成：成功 50 个，失败 0 个"));
    let refused = office.claim(&office.li, &leads[50..]).await;
    assert_eq!(
        refused.said(),
        (409, "您已达到客户持有上限（50个），无法继续领取")
    );
}

async fn everybody_sees_how_many_they_have_and_may_have(database: &TestDatabase) {
    let office = Office::open(database).await;
    let leads = database.leads(2, &office.li).await;
    let count = async |of| {
        let path = "/api/customers/my-customer-count";
        office.api.get(of, path).await.data()
    };
    assert_eq!(count(&office.li).await, json!({ "count": 2, "limit": 50 }));
    assert_eq!(
        count(&office.wang).await,
        json!({ "count": 0, "limit": 50 })
    );
    office
        .release(&office.li, &leads[0], "暂无意向")
        .await
        .data();
    assert_eq!(count(&office.li).await, json!({ "count": 1, "limit": 50 }));
}
