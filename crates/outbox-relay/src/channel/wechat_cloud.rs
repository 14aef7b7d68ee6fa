use serde_json::{Map, Value, json};
use shared::outbox::ClaimedMessage;
use wechat::errcode::Api;
use wechat::{AccessToken, CloudFunctions};

use crate::verdict::SendOutcome;

/// The event for the cloud function. It carries the message id, so that the function can tell a
/// repeat.
#[derive(Debug, Clone, PartialEq)]
pub struct CloudRequest {
    event: Value,
}

/// What of the payload the function is given.
const HANDED_OVER: [&str; 6] = [
    "customerName",
    "source",
    "assignerName",
    "customerId",
    "assignTime",
    "customerCount",
];

impl CloudRequest {
    pub(super) fn prepare(
        message: &ClaimedMessage,
        openid: &str,
        data: &Map<String, Value>,
    ) -> Self {
        let mut notification_data: Map<String, Value> = HANDED_OVER
            .iter()
            .filter_map(|&name| data.get(name).map(|value| (name.to_owned(), value.clone())))
            .collect();
        notification_data.insert("assignedToId".to_owned(), json!(message.recipient_id));
        notification_data.insert("openid".to_owned(), json!(openid));
        let event = json!({
            "type": "sendCustomerAssignNotify",
            "messageId": message.id,
            "notificationData": notification_data,
        });
        Self { event }
    }

    pub(super) async fn send(
        &self,
        cloud_functions: &CloudFunctions,
        token: &AccessToken,
        env: &str,
        function: &str,
    ) -> SendOutcome {
        match cloud_functions
            .invoke(token, env, function, &self.event)
            .await
        {
            Ok(answer) => SendOutcome::FunctionAnswered(answer),
            Err(error) => SendOutcome::Failed {
                api: Api::CloudFunction,
                error,
            },
        }
    }
}
