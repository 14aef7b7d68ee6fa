use shared::notification::MessageFormat;
use wechat::RobotContent;
use wechat::wecom::markdown_link;

use crate::{Unrenderable, Wording};

/// A message to a group, rendered. The group is the robot's: whoever the message names as its
/// recipient is for readers of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RobotRequest {
    content: RobotContent,
}

impl RobotRequest {
    /// Puts a wording into the form of a robot.
    ///
    /// # Errors
    /// If the text is too long: the platform would refuse it.
    pub fn prepare(wording: &Wording) -> Result<Self, Unrenderable> {
        let mut content = wording.text();
        let content = if wording.format == MessageFormat::Text {
            if let Some(url) = &wording.url {
                content.push_str(&format!("\n{}：{url}", wording.button));
            }
            RobotContent::text(content)?
        } else {
            if let Some(url) = &wording.url {
                content.push('\n');
                content.push_str(&markdown_link(&wording.button, url.as_str()));
            }
            RobotContent::markdown(content)?
        };
        Ok(Self { content })
    }

    /// What the platform is sent.
    pub fn content(&self) -> &RobotContent {
        &self.content
    }
}
