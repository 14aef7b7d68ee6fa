//! The message that everything here is measured with. Each one has a number, by which the sink
//! knows it.

use serde_json::{Value, json};
use shared::domain::{Channel, RecipientId, UtcTimestamp};
use shared::notification::Kind;
use shared::outbox::{NewMessage, Priority, RetryPolicy};

use crate::people::{Person, openid};

/// The app that messages go out from.
pub const APPID: &str = "wxbench0000000001";

/// The template they are put into.
pub const TEMPLATE_ID: &str = "bench-template-0000000000000000000000000000";

const CUSTOMER_ID: &str = "0193e5a0-6e2b-7c4d-8f10-aabbccddeeff";
const TIME: &str = "2026年11月21日 20:40";

/// The message of this number, due at `now`.
pub fn new_message(
    number: usize,
    people: &[Person],
    priority: Priority,
    now: UtcTimestamp,
) -> NewMessage {
    NewMessage {
        kind: Kind::CustomerAssigned.as_str().to_owned(),
        channel: Channel::WechatSubscribe,
        recipient_id: RecipientId::from(&people[number % people.len()].id),
        subject: Some(format!("customer:{CUSTOMER_ID}")),
        dedup_key: None,
        payload: payload(&customer_name(number)),
        priority,
        attempts_max: RetryPolicy::default().attempts_max,
        due_at: now,
        expires_at: None,
        request_id: None,
        fallbacks: None,
    }
}

/// The customer's name in the message of this number.
pub fn customer_name(number: usize) -> String {
    format!("客户{number}")
}

/// The number of the message with this customer's name, if it is one of the bench's.
pub fn number(customer_name: &str) -> Option<usize> {
    customer_name.strip_prefix("客户")?.parse().ok()
}

/// What an assignment writes into the outbox.
pub fn payload(customer_name: &str) -> Value {
    json!({
        "assignTime": TIME,
        "assignerName": "李经理",
        "customerId": CUSTOMER_ID,
        "customerName": customer_name,
        "leadSource": "美团",
        "newOwner": "王小明",
        "operatorName": "李经理",
        "phone": "138****8999",
        "serviceCategory": "月嫂",
        "source": "手动分配",
        "time": TIME,
    })
}

/// What a relay makes of it on the wire.
pub fn body(number: usize) -> String {
    let openid = openid(number);
    format!(
        "{{\"touser\":\"{openid}\",\"template_id\":\"{TEMPLATE_ID}\",\
         \"page\":\"pages/customer/detail?id={CUSTOMER_ID}\",\"data\":{{\
         \"name3\":{{\"value\":\"李经理\"}},\"thing1\":{{\"value\":\"客户{number}\"}},\
         \"thing2\":{{\"value\":\"手动分配\"}},\"time4\":{{\"value\":\"{TIME}\"}}}},\
         \"miniprogram_state\":\"formal\",\"lang\":\"zh_CN\"}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_json_with_the_number_in_it() {
        let body: Value = serde_json::from_str(&body(42)).unwrap();
        assert_eq!(body["data"]["thing1"]["value"], "客户42");
        assert_eq!(payload(&customer_name(42))["customerName"], "客户42");
        assert_eq!(number(&customer_name(42)), Some(42));
        assert_eq!(number("王女士"), None);
    }
}
