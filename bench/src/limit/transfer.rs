//! The rows of leads that move by rule, written by hand: five statements and one round trip for five
//! hundred leads, without looking at a single one of them first.

use shared::domain::{CustomerId, UserId, UtcTimestamp};

/// How many leads are moved in one transaction.
const BATCH: usize = 500;

/// The transactions that give these leads to these people in turn, as part of the one run there is.
pub fn transactions(
    leads: &[CustomerId],
    people: &[UserId],
    now: UtcTimestamp,
    begin: &str,
) -> Vec<String> {
    leads
        .chunks(BATCH)
        .zip(people.iter().cycle())
        .map(|(leads, to)| transaction(leads, to, now, begin))
        .collect()
}

fn transaction(leads: &[CustomerId], to: &UserId, now: UtcTimestamp, begin: &str) -> String {
    let ids: Vec<String> = leads.iter().map(|id| format!("'{id}'")).collect();
    let ids = ids.join(",");
    // The random part of a lead's id makes another one of each new row.
    let id = "'ffffffff' || substr(id, 9)";
    let moved = leads.len();
    format!(
        "{begin}; \
         INSERT INTO assignments (id, customer_id, from_user_id, to_user_id, entrance, reason, request_id, created_at) \
         SELECT {id}, id, assigned_to, '{to}', 'auto_transfer', '自动流转', 'limit', '{now}' \
         FROM customers WHERE id IN ({ids}); \
         INSERT INTO operation_logs (id, action, entity, entity_id, detail, request_id, created_at) \
         SELECT {id}, 'customer.assign', 'customer', id, '{{\"entrance\":\"auto_transfer\",\"from\":\"' \
         || assigned_to || '\",\"fromPublicPool\":false,\"reason\":\"自动流转\",\"to\":\"{to}\"}}', 'limit', '{now}' \
         FROM customers WHERE id IN ({ids}); \
         INSERT INTO lead_transfer_records (id, run_id, rule_id, rule_name, customer_id, from_user_id, to_user_id, created_at) \
         SELECT {id}, (SELECT id FROM lead_transfer_runs), (SELECT min(id) FROM lead_transfer_rules), '规则', id, assigned_to, '{to}', '{now}' \
         FROM customers WHERE id IN ({ids}); \
         UPDATE customers SET assigned_to = '{to}', assigned_by = NULL, assigned_at = '{now}', \
         assignment_reason = '自动流转', transfer_count = transfer_count + 1, last_transferred_at = '{now}', \
         last_activity_at = '{now}', updated_at = '{now}', version = version + 1 WHERE id IN ({ids}); \
         UPDATE lead_transfer_runs SET moved = moved + {moved}; \
         COMMIT"
    )
}
