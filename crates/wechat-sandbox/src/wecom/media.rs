//! `webhook/upload_media`: files that a robot sends later by their id.

use std::collections::HashMap;

use rand::distr::{Alphanumeric, SampleString};
use serde_json::json;

use super::Wecom;
use crate::call::Call;
use crate::clock::Timestamp;
use crate::refusal::Refusal;

/// Life of a file, in seconds.
const LIFETIME: u64 = 3 * 24 * 3_600;
/// Characters of a file's id.
const ID_CHARACTERS: usize = 43;

/// What was uploaded, by its id.
#[derive(Debug, Default)]
pub(crate) struct Media {
    by_id: HashMap<String, Upload>,
}

#[derive(Debug)]
struct Upload {
    robot_key: String,
    expires_at: Timestamp,
}

impl Media {
    fn keep(&mut self, robot_key: &str, now: Timestamp) -> String {
        let id = Alphanumeric.sample_string(&mut rand::rng(), ID_CHARACTERS);
        let upload = Upload {
            robot_key: robot_key.to_owned(),
            expires_at: now.plus_seconds(LIFETIME),
        };
        self.by_id.insert(id.clone(), upload);
        id
    }

    /// Whether a robot has uploaded it, and it has not expired.
    pub(crate) fn has(&self, robot_key: &str, id: &str, now: Timestamp) -> bool {
        self.by_id
            .get(id)
            .is_some_and(|upload| upload.robot_key == robot_key && now < upload.expires_at)
    }
}

impl Wecom {
    /// Takes one file. What is in it does not matter here.
    pub(crate) fn upload(&mut self, call: &Call, now: Timestamp) -> Result<String, Refusal> {
        let key = call
            .parameter("key")
            .filter(|key| self.robots.iter().any(|post| post.robot.key == *key))
            .ok_or_else(|| Refusal::with_text(40058, "invalid param 'key'"))?;
        let media_type = call
            .parameter("type")
            .filter(|media_type| matches!(*media_type, "file" | "voice"))
            .ok_or_else(|| Refusal::new(40004))?;
        if !has_media_part(call.body()) {
            return Err(Refusal::new(44001));
        }
        let answer = json!({
            "errcode": 0,
            "errmsg": "ok",
            "type": media_type,
            "media_id": self.media.keep(key, now),
            "created_at": now.seconds().to_string(),
        });
        Ok(answer.to_string())
    }
}

/// Whether a form has a file in the field that the platform reads.
fn has_media_part(body: &[u8]) -> bool {
    let has = |needle: &[u8]| body.windows(needle.len()).any(|window| window == needle);
    (has(br#"name="media""#) || has(b"name=media")) && has(b"filename=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_stands_in_the_field_media() {
        let part = |name: &str| {
            format!(
                "--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a.txt\"\r\n\
                 \r\nhello\r\n--b--\r\n"
            )
        };
        assert!(has_media_part(part("media").as_bytes()));
        assert!(!has_media_part(part("file").as_bytes()));
        assert!(!has_media_part(b""));
    }
}
