use serde_json::{Map, Value, json};
use shared::domain::{Phone, RequestId, UserId};
use shared::notification::{Kind, Notice, Reach, Terms};

use super::due::DueCustomer;
use super::waits::Waits;
use crate::customers::subject_of;

/// How many customers have an entry each in the notification centre of their owner, of one slot. The
/// others are in the number that goes with them.
pub const ENTRIES_MAX: usize = 10;

/// What an owner is told of the customers that are due, those without activity for longest first: of
/// one, who it is. Of several, the first of them in the notification centre, and one message with the
/// number of all, which alone goes out: a subscription for one message is not to be used up by a
/// morning's reminders, nor a telephone to ring a hundred times.
pub(super) fn notices(
    owner: &UserId,
    due: &[DueCustomer],
    waits: Waits,
    time: &str,
    request_id: &RequestId,
) -> Vec<Notice> {
    let of = |data, subject, reach| Notice {
        kind: Kind::CustomerFollowUpDue,
        recipients: vec![owner.clone()],
        data,
        subject,
        reach,
        terms: Terms::default(),
        request_id: Some(request_id.clone()),
    };
    let of_one = |customer: &DueCustomer, reach| {
        let days = waits.days_since(customer.last_activity_at);
        let data = data(customer, &customer.name, days, time);
        of(data, Some(subject_of(&customer.id)), reach)
    };
    match due {
        [] => Vec::new(),
        [customer] => vec![of_one(customer, Reach::AllChannels)],
        [first, .., last] => {
            let shown = due.iter().take(ENTRIES_MAX);
            let mut notices: Vec<Notice> = shown
                .map(|customer| of_one(customer, Reach::InboxOnly))
                .collect();
            let count = due.len();
            // So long at least: the last is the one with whom something was done last.
            let days = waits.days_since(last.last_activity_at);
            let mut summary = data(first, &format!("{}等{count}个客户", first.name), days, time);
            summary.remove("phone");
            summary.insert("count".to_owned(), json!(count));
            summary.insert("customerCount".to_owned(), json!(count));
            notices.push(of(summary, None, Reach::AllChannels));
            notices
        }
    }
}

fn data(customer: &DueCustomer, name: &str, days: i64, time: &str) -> Map<String, Value> {
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
    put("customerId", json!(customer.id));
    put("customerName", json!(name));
    put("phone", json!(customer.phone.as_ref().map(Phone::masked)));
    put("leadSource", json!(customer.lead_source));
    put("serviceCategory", json!(customer.service_category));
    put("days", json!(days));
    put("time", json!(time));
    // What the fields of a card are called.
    put("source", json!(format!("已{days}天未跟进")));
    put("assignerName", json!("系统"));
    put("assignTime", json!(time));
    data
}
