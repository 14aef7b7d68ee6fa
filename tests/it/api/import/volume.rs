use std::time::{Duration, Instant};

use super::{file_of, send_file, until_finished};
use crate::api::Office;
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(ten_thousand_customers_are_entered_while_others_work);

/// The figures are printed, not judged: the machine may be busy with other tests.
async fn ten_thousand_customers_are_entered_while_others_work(database: &TestDatabase) {
    const ROWS: u32 = 10_000;
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.zhou).await;
    let began_at = Instant::now();
    let accepted = send_file(&office.api, &office.sun, "", file_of(0, ROWS)).await;
    let accepted_after = began_at.elapsed();
    let path = format!(
        "/api/imports/{}",
        accepted.body["data"]["id"].as_str().unwrap()
    );
    let (mut longest, mut others) = (Duration::ZERO, 0_u32);
    let mut owners = [&office.li, &office.wang].into_iter().cycle();
    loop {
        let asked_at = Instant::now();
        let owner = owners.next().unwrap();
        office.assign(&office.zhang, &lead, owner).await.data();
        longest = longest.max(asked_at.elapsed());
        others += 1;
        let import = office.api.get(&office.sun, &path).await.data();
        if !import["finishedAt"].is_null() {
            break;
        }
    }
    let took = began_at.elapsed();
    let done = until_finished(&office.api, &office.sun, accepted).await;
    assert_eq!(done["imported"], ROWS, "{done}");
    let page = office.api.get(&office.admin, "/api/customers").await.data();
    assert_eq!(page["totalIsExact"], false, "more than are counted");
    assert_eq!(
        office.inbox(&office.sun).await,
        [format!("孙运营 分配了 {ROWS} 个客户给您，请及时跟进！")]
    );
    println!(
        "import of {ROWS}: accepted after {accepted_after:.0?}, done after {took:.0?}; meanwhile {others} assignments, the longest {longest:.0?}"
    );
}
