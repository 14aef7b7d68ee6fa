use serde_json::json;
use shared::clock::{Clock, SystemClock};

use crate::harness::{self, RelayStage, TestDatabase, message, on_each_database};

on_each_database!(
    without_a_relay_it_says_so,
    a_relay_is_listed_with_what_it_holds,
);

async fn without_a_relay_it_says_so(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    assert_eq!(stage.command(&["relays"]).said, "no relay is alive\n");
    assert_eq!(
        stage.command(&["relays", "--json"]).json()["relays"],
        json!([])
    );
}

async fn a_relay_is_listed_with_what_it_holds(database: &TestDatabase) {
    database.leases_may_remain();
    let stage = RelayStage::on(database).await;
    // The program compares with the database's clock. Ahead of it, so that it stays alive.
    let now = SystemClock.now().after(harness::seconds(600));
    let worker = harness::relay("worker-1");
    database.register(&worker, now).await;
    database.enqueue(message()).await;
    database.claim_one(&worker, now).await;
    let told = stage.command(&["relays", "--json"]).json();
    let told = &told["relays"][0];
    assert_eq!(
        (&told["name"], &told["life"], &told["leased"]),
        (
            &json!("worker-1"),
            &json!("alive"),
            &json!({ "wechat_subscribe": 1 })
        )
    );
    assert_eq!(told["run"]["version"], env!("CARGO_PKG_VERSION"));
    let table = stage.command(&["relays"]).said;
    for word in ["worker-1", "alive", "1 wechat_subscribe"] {
        assert!(table.contains(word), "{table}");
    }
}
