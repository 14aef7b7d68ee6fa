//! `webhook/send`: messages to a group by its robot.
//!
//! What is too long is refused here, where an app's text would be cut. Refused messages do not
//! count against the robot's frequency.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Wecom;
use super::content::{invalid, news, required};
use super::form::Form;
use super::frequency::{Frequency, PER_ROBOT};
use super::template_card;
use crate::call::Call;
use crate::message::{Delivery, Envelope, Repetition, raw};
use crate::refusal::Refusal;
use crate::world::Handling;

/// Most bytes of a text.
const TEXT_BYTES: usize = 2_048;
/// Most bytes of a markdown text of either version.
const MARKDOWN_BYTES: usize = 4_096;
/// Most bytes of a picture, and so many base64 characters.
const IMAGE_BYTES: usize = 2 * 1024 * 1024;

/// A robot in a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Robot {
    /// The secret in its address; a UUID on the real platform, any text here.
    pub key: String,
    /// Name of the group.
    pub name: String,
}

impl Robot {
    /// A robot of the group with this name.
    pub fn new(key: &str, name: &str) -> Self {
        Self {
            key: key.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// A robot and what it has sent lately.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) robot: Robot,
    sent: Frequency,
}

impl Post {
    pub(crate) const fn new(robot: Robot) -> Self {
        Self {
            robot,
            sent: Frequency::new(PER_ROBOT),
        }
    }
}

impl Wecom {
    /// Checks one message and delivers it to the robot's group.
    pub(crate) fn robot_send(
        &mut self,
        call: &Call,
        handling: &mut Handling<'_>,
    ) -> Result<String, Refusal> {
        let key = call.parameter("key").unwrap_or_default();
        let post = self
            .robots
            .iter_mut()
            .find(|post| post.robot.key == key)
            .ok_or_else(|| Refusal::new(93000))?;
        let message = Form::of(call);
        let msgtype = message.text("msgtype").unwrap_or_default();
        let is_uploaded = |id: &str| self.media.has(key, id, handling.now);
        let data =
            content(msgtype, &message, is_uploaded).map_err(|refusal| message.refuse(refusal))?;
        if !post.sent.admit(handling.now) {
            return Err(message.refuse(Refusal::new(45009)));
        }
        let delivery = Delivery {
            api: call.api,
            envelope: Envelope::WecomRobot {
                group: post.robot.name.clone(),
                msgtype: msgtype.to_owned(),
            },
            data: raw(&data),
            repeat: Repetition::ByContent,
            kept_back: None,
        };
        handling.journal.deliver(delivery, handling.now);
        Ok(json!({ "errcode": 0, "errmsg": message.ok_text() }).to_string())
    }
}

fn content(
    msgtype: &str,
    message: &Form<'_>,
    is_uploaded: impl Fn(&str) -> bool,
) -> Result<Value, Refusal> {
    let body = message.object(msgtype);
    match msgtype {
        "text" => {
            let content = limited(&body, "text", TEXT_BYTES)?;
            let mut shown = json!({ "content": content });
            for name in ["mentioned_list", "mentioned_mobile_list"] {
                if let Some(mentioned) = body.get(name) {
                    shown[name] = mentioned.clone();
                }
            }
            Ok(shown)
        }
        "markdown" | "markdown_v2" => {
            Ok(json!({ "content": limited(&body, msgtype, MARKDOWN_BYTES)? }))
        }
        "image" => {
            let base64 = required(&body, "base64", 44004)?;
            if base64.len() > IMAGE_BYTES.div_ceil(3) * 4 {
                return Err(Refusal::with_text(40009, "invalid image size"));
            }
            if body.text("md5").is_none_or(|md5| md5.len() != 32) {
                return Err(invalid("image.md5"));
            }
            Ok(json!({ "bytes": base64.len() / 4 * 3 }))
        }
        "news" => news(&body),
        "template_card" => {
            template_card::check(&body)?;
            Ok(Value::Object(body.fields().cloned().unwrap_or_default()))
        }
        "file" | "voice" => {
            let media_id = body.text("media_id").filter(|id| is_uploaded(id));
            let media_id = media_id.ok_or_else(|| Refusal::new(40007))?;
            Ok(json!({ "media_id": media_id }))
        }
        _ => Err(Refusal::new(40008)),
    }
}

fn limited<'call>(body: &Form<'call>, name: &str, most: usize) -> Result<&'call str, Refusal> {
    let content = required(body, "content", 44004)?;
    if content.len() > most {
        return Err(invalid(&format!("{name}.content exceed max length {most}")));
    }
    Ok(content)
}
