//! What a platform adds to its error texts, by which its staff find the call again.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::platform::Platform;
use crate::refusal::Refusal;
use crate::{mini_program, wecom};

/// Where and when a call came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace {
    pub(crate) platform: Platform,
    pub(crate) address: IpAddr,
    pub(crate) now: Timestamp,
}

impl Trace {
    /// The JSON body of a refusal.
    pub(crate) fn body(&self, refusal: &Refusal) -> String {
        let errcode = refusal.errcode;
        let usual = match self.platform {
            Platform::MiniProgram => mini_program::usual_text(errcode),
            Platform::Wecom => wecom::usual_text(errcode),
        };
        let text = refusal.text.as_deref().unwrap_or(usual);
        let errmsg = match self.platform {
            // A scripted text that has a tail is sent as it stands.
            Platform::MiniProgram if text.contains("rid: ") => text.to_owned(),
            Platform::MiniProgram => format!("{text} rid: {}", request_id(self.now)),
            Platform::Wecom if text.contains("hint: [") => text.to_owned(),
            Platform::Wecom => format!(
                "{text}, hint: [{}], from ip: {}, more info at \
                 https://open.work.weixin.qq.com/devtool/query?e={errcode}",
                hint(self.now),
                self.address
            ),
        };
        let mut body = Map::new();
        body.insert("errcode".to_owned(), Value::from(errcode));
        body.insert("errmsg".to_owned(), Value::from(errmsg));
        body.extend(refusal.beside.clone());
        Value::Object(body).to_string()
    }
}

/// `<8 hex>-<8 hex>-<8 hex>`; the first group is the unix time in seconds.
fn request_id(now: Timestamp) -> String {
    let seconds = now.seconds();
    let (first, second) = (rand::random::<u32>(), rand::random::<u32>());
    format!("{seconds:08x}-{first:08x}-{second:08x}")
}

/// 25 digits; the first ten are the unix time in seconds.
fn hint(now: Timestamp) -> String {
    let digits = rand::random_range(0..1_000_000_000_000_000_u64);
    format!("{:010}{digits:015}", now.seconds())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn errmsg(platform: Platform, refusal: &Refusal) -> String {
        let trace = Trace {
            platform,
            address: IpAddr::V4(Ipv4Addr::new(1, 2, 3, 4)),
            now: Timestamp::from_seconds(0x6718_a6a7),
        };
        let body: Value = serde_json::from_str(&trace.body(refusal)).unwrap();
        assert_eq!(body["errcode"], refusal.errcode);
        body["errmsg"].as_str().unwrap().to_owned()
    }

    #[test]
    fn the_first_group_of_a_request_id_is_the_unix_time_in_hex() {
        let errmsg = errmsg(Platform::MiniProgram, &Refusal::new(40013));
        let rid = errmsg.strip_prefix("invalid appid rid: ").unwrap();
        let groups: Vec<&str> = rid.split('-').collect();
        assert_eq!(groups[0], "6718a6a7");
        assert_eq!(groups.len(), 3);
        assert!(groups.iter().all(|group| {
            group.len() == 8 && group.bytes().all(|byte| byte.is_ascii_hexdigit())
        }));
    }

    #[test]
    fn a_hint_is_the_unix_time_and_fifteen_digits() {
        let errmsg = errmsg(Platform::Wecom, &Refusal::new(45009));
        let rest = errmsg
            .strip_prefix("api freq out of limit, hint: [1729668775")
            .unwrap();
        let (digits, tail) = rest.split_at(15);
        assert!(digits.bytes().all(|byte| byte.is_ascii_digit()));
        assert_eq!(
            tail,
            "], from ip: 1.2.3.4, more info at \
             https://open.work.weixin.qq.com/devtool/query?e=45009"
        );
    }

    #[test]
    fn a_text_with_a_tail_is_sent_as_it_stands() {
        let rid = Refusal::with_text(1, "busy rid: x");
        assert_eq!(errmsg(Platform::MiniProgram, &rid), "busy rid: x");
        let hint = Refusal::with_text(1, "busy, hint: [1]");
        assert_eq!(errmsg(Platform::Wecom, &hint), "busy, hint: [1]");
    }
}
