//! WeCom on the stage of a relay: its application, its robot, and members to tell of.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use shared::clock::Clock;
use shared::domain::{Channel, OutboxMessageId, RecipientId};
use shared::notification::Kind;
use shared::outbox::{NewMessage, Priority};
use wechat_sandbox::{
    DEMO_AGENT_SECRET, DEMO_AGENTID, DEMO_CORPID, DEMO_ROBOT_KEY, Message, MessageFilter,
};

use super::{RelayStage, TestDatabase, message};

/// Where links in messages lead.
pub const CRM_URL: &str = "https://crm.example.com";

impl<'database> RelayStage<'database> {
    /// With the application and the robot of the sandbox's company, and a route of everything about
    /// members on both.
    pub async fn wecom(database: &'database TestDatabase) -> Self {
        let mut stage = Self::wecom_without_links(database).await;
        stage.start_relays_with(&["--crm-url", CRM_URL]);
        stage
    }

    /// The same where nobody knows where the CRM is.
    pub async fn wecom_without_links(database: &'database TestDatabase) -> Self {
        let mut stage = Self::on(database).await;
        stage.start_relays_with(&[
            "--wecom-corpid",
            DEMO_CORPID,
            "--wecom-agentid",
            &DEMO_AGENTID.to_string(),
            "--wecom-secret",
            DEMO_AGENT_SECRET,
            "--wecom-robot-key",
            DEMO_ROBOT_KEY,
        ]);
        for kind in [Kind::MemberRegistered, Kind::MemberUpdated] {
            for channel in [Channel::WecomApp, Channel::WecomRobot] {
                let everybody: RecipientId = "@all".parse().unwrap();
                stage
                    .route(kind, channel, |route| route.recipients = Some(everybody))
                    .await;
            }
        }
        stage
    }

    /// Tells these members, user ids joined by `|`, of a registration.
    pub async fn tell(&self, recipients: &str) -> OutboxMessageId {
        self.tell_on(Channel::WecomApp, recipients, registration())
            .await
    }

    pub async fn tell_on(
        &self,
        channel: Channel,
        recipients: &str,
        data: Map<String, Value>,
    ) -> OutboxMessageId {
        let new = NewMessage {
            kind: Kind::MemberRegistered.to_string(),
            channel,
            recipient_id: recipients.parse().unwrap(),
            subject: Some("member:M2026001".to_owned()),
            payload: Value::Object(data),
            priority: Priority::High,
            attempts_max: 10,
            due_at: self.clock.now(),
            ..message()
        };
        self.database.enqueue(new).await
    }

    /// What the application or the robot has delivered to somebody, oldest first.
    pub fn delivered_to(&self, recipient: &str) -> Vec<Arc<Message>> {
        self.sandbox.messages(&MessageFilter {
            recipient: Some(recipient.to_owned()),
            ..MessageFilter::default()
        })
    }

    /// Moves the clock of the relays and that of the platform.
    pub fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.sandbox.advance_clock(time);
    }
}

/// The data of an ordinary registration.
pub fn registration() -> Map<String, Value> {
    let data = json!({
        "memberId": "0193e5a0-6e2b-7c4d-8f10-aabbccddeeff",
        "memberNo": "M2026001",
        "gender": "女",
        "birthYear": "1995年",
        "height": "165cm",
        "weight": "未填写",
        "education": "本科",
        "occupation": "教师",
        "location": "浙江 杭州",
        "time": "2026年11月25日 18:30",
    });
    data.as_object().unwrap().clone()
}
