use std::sync::atomic::{AtomicBool, Ordering};

use diesel::connection::SimpleConnection;
use serde_json::json;

use crate::api::Office;
use crate::harness::Session;

/// A rule by which everybody's leads move on to everybody, run again and again.
pub struct Transfers<'office> {
    office: &'office Office<'office>,
    rule: String,
    leads: Vec<String>,
}

/// What the runs did.
#[derive(Debug, Default)]
pub struct Transferred {
    pub runs: usize,
    /// Customers that changed hands.
    pub moved: usize,
}

impl<'office> Transfers<'office> {
    pub async fn between(
        office: &'office Office<'office>,
        people: &[&Session],
        leads: &[String],
    ) -> Self {
        let ids: Vec<&String> = people.iter().map(|person| &person.id).collect();
        let body = json!({
            "name": "谁的线索都流转", "sourceUserIds": ids, "targetUserIds": ids,
            "conditions": { "inactiveHours": 1, "transferCooldownHours": 0 },
            "window": { "enabled": false },
        });
        let path = "/api/lead-transfer/rules";
        let rule = office.api.post(&office.admin, path, &body).await.data();
        Self {
            office,
            rule: rule["id"].as_str().unwrap().to_owned(),
            leads: leads.to_vec(),
        }
    }

    /// Runs the rule until everybody else is done, a few leads at a time.
    pub async fn run_until(&self, finished: &AtomicBool) -> Transferred {
        let mut transferred = Transferred::default();
        let order = json!({ "ruleId": self.rule, "batchSize": 5 });
        while !finished.load(Ordering::Relaxed) {
            self.let_a_day_pass();
            let path = "/api/lead-transfer/execute-now";
            let run = self.office.api.post(&self.office.admin, path, &order).await;
            let id = run.data()["id"].as_str().unwrap().to_owned();
            let run = self.office.until_transferred(&id).await;
            assert_eq!(run["status"], "finished", "{run}");
            transferred.runs += 1;
            transferred.moved += usize::try_from(run["moved"].as_u64().unwrap()).unwrap();
        }
        transferred
    }

    /// A rule takes what nobody has touched for an hour. One customer after the other: several locked
    /// at once, in whatever order, would get in the way of those who lock them in the order of ids.
    fn let_a_day_pass(&self) {
        let mut connection = self.office.database.connection();
        for lead in &self.leads {
            let update = format!(
                "UPDATE customers SET last_activity_at = '2026-01-02 03:04:05' \
                 WHERE id = '{lead}' AND assigned_to IS NOT NULL"
            );
            connection.batch_execute(&update).unwrap();
        }
    }
}
