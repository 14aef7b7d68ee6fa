use serde_json::{Map, Value, json};
use shared::outbox::is_test;

use crate::{Draft, TEST_MARK};

/// The event for the cloud function. It carries the message id, so that the function can tell a
/// repeat.
#[derive(Debug, Clone, PartialEq)]
pub struct CloudRequest {
    event: Value,
}

/// What of the payload the function is given.
pub(crate) const HANDED_OVER: [&str; 6] = [
    "customerName",
    "source",
    "assignerName",
    "customerId",
    "assignTime",
    "customerCount",
];

impl CloudRequest {
    pub(crate) fn prepare(draft: &Draft<'_>) -> Self {
        let data = draft.data;
        let mut notification_data: Map<String, Value> = HANDED_OVER
            .iter()
            .filter_map(|&name| data.get(name).map(|value| (name.to_owned(), value.clone())))
            .collect();
        notification_data.insert("assignedToId".to_owned(), json!(draft.recipient_id));
        notification_data.insert("openid".to_owned(), json!(draft.address));
        if is_test(data) {
            notification_data.insert("isTest".to_owned(), json!(true));
            if let Some(Value::String(name)) = notification_data.get_mut("customerName") {
                name.insert_str(0, TEST_MARK);
            }
        }
        let event = json!({
            "type": "sendCustomerAssignNotify",
            "messageId": draft.id,
            "notificationData": notification_data,
        });
        Self { event }
    }

    /// What the function is given.
    pub fn event(&self) -> &Value {
        &self.event
    }
}
