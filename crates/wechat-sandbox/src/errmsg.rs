//! Error codes and the texts that the live platform was seen to send with them.

use crate::clock::Timestamp;

/// What the platform answers instead of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) errcode: i64,
    /// The text without its ` rid: …` tail.
    pub(crate) text: String,
}

impl Refusal {
    /// A refusal with the platform's usual text for the code.
    pub(crate) fn new(errcode: i64) -> Self {
        Self {
            errcode,
            text: usual_text(errcode).to_owned(),
        }
    }

    pub(crate) fn with_text(errcode: i64, text: impl Into<String>) -> Self {
        Self {
            errcode,
            text: text.into(),
        }
    }

    /// The JSON body, with the request id that the platform appends to every error text.
    pub(crate) fn to_body(&self, now: Timestamp) -> String {
        let errmsg = if self.text.contains("rid: ") {
            self.text.clone()
        } else {
            format!("{} rid: {}", self.text, request_id(now))
        };
        serde_json::json!({ "errcode": self.errcode, "errmsg": errmsg }).to_string()
    }
}

/// `<8 hex>-<8 hex>-<8 hex>`; the first group is the unix time in seconds.
pub(crate) fn request_id(now: Timestamp) -> String {
    let seconds = now.seconds();
    let (first, second) = (rand::random::<u32>(), rand::random::<u32>());
    format!("{seconds:08x}-{first:08x}-{second:08x}")
}

/// The text the platform sends with a code. Clients must not match on it, so an unlisted code
/// gets a neutral one.
pub(crate) fn usual_text(errcode: i64) -> &'static str {
    match errcode {
        0 => "ok",
        40001 => {
            "invalid credential, access_token is invalid or not latest, could get access_token by \
             getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r"
        }
        40002 => "invalid grant_type",
        40003 => "invalid openid",
        40013 => "invalid appid",
        40014 => "invalid access_token",
        40029 => "invalid code,",
        40037 => "invalid template_id",
        40066 => "invalid url",
        40101 => "missing parameter",
        40125 => "invalid appsecret",
        40163 => "code been used,",
        40226 => "code blocked,",
        40243 => "appsecret is frozen",
        41001 => "access_token missing",
        41002 => "appid missing",
        41004 => "appsecret missing",
        41008 => "missing code",
        41030 => "invalid page",
        42001 => "access_token expired",
        43001 => "require GET method",
        43002 => "require POST method",
        43101 => "user refuse to accept the msg",
        43107 => "subscribe message capacity banned",
        43108 => "Cannot make concurrent calls to the same OpenID, please try again",
        44002 => "empty post data",
        45009 => "reach max api daily quota limit",
        45011 => "api minute-quota reach limit  mustslower  retry next minute",
        45168 => "hit sensitive word",
        47001 => "data format error",
        48001 => "api unauthorized",
        48004 => "api forbidden for irregularities",
        48006 => "forbid to clear quota because of reaching the limit",
        50002 => "user limited",
        76021 => "cgi_path not found, please check",
        -501_000 => "Environment invalid",
        -504_002 => "functions execute fail",
        -504_003 => "Invoking task timed out after 3 seconds",
        // -1 and everything this list does not know.
        _ => "system error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_group_of_a_request_id_is_the_unix_time_in_hex() {
        let body = Refusal::new(40013).to_body(Timestamp::from_seconds(0x6718_a6a7));
        let errmsg = serde_json::from_str::<serde_json::Value>(&body).unwrap()["errmsg"]
            .as_str()
            .unwrap()
            .to_owned();
        let rid = errmsg.strip_prefix("invalid appid rid: ").unwrap();
        let groups: Vec<&str> = rid.split('-').collect();
        assert_eq!(groups[0], "6718a6a7");
        assert_eq!(groups.len(), 3);
        assert!(groups.iter().all(|group| {
            group.len() == 8 && group.bytes().all(|byte| byte.is_ascii_hexdigit())
        }));
    }
}
