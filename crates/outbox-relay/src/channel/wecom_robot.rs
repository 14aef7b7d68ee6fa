use shared::notification::MessageFormat;
use wechat::errcode::Api;
use wechat::wecom::markdown_link;
use wechat::{RobotContent, WecomRobot};

use super::Wording;
use crate::verdict::SendOutcome;

/// A message to a group, rendered. The group is the robot's: whoever the message names as its
/// recipient is for readers of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RobotRequest {
    content: RobotContent,
}

impl RobotRequest {
    pub(crate) fn prepare(wording: &Wording) -> Result<Self, SendOutcome> {
        let mut content = wording.text();
        let made = if wording.format == MessageFormat::Text {
            if let Some(url) = &wording.url {
                content.push_str(&format!("\n{}：{url}", wording.button));
            }
            RobotContent::text(content)
        } else {
            if let Some(url) = &wording.url {
                content.push('\n');
                content.push_str(&markdown_link(&wording.button, url.as_str()));
            }
            RobotContent::markdown(content)
        };
        match made {
            Ok(content) => Ok(Self { content }),
            Err(too_long) => Err(SendOutcome::Unpreparable(too_long.to_string())),
        }
    }

    pub(crate) async fn send(&self, robot: &WecomRobot) -> SendOutcome {
        match robot.send(&self.content).await {
            Ok(()) => SendOutcome::Accepted {
                provider_message_id: None,
            },
            Err(error) => SendOutcome::Failed {
                api: Api::WecomRobot,
                error,
            },
        }
    }
}
