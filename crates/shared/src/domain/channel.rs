use std::fmt;
use std::str::FromStr;

use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::sql_types::Text;
use serde::{Deserialize, Serialize};

use super::{InvalidId, text_enum};

text_enum! {
    /// A way to reach people outside the CRM.
    pub enum Channel ("channel") {
        /// A subscribe message of the mini program, sent directly.
        WechatSubscribe => "wechat_subscribe",
        /// A cloud function of the mini program that sends the message itself.
        WechatCloud => "wechat_cloud",
        /// A message of a WeCom application.
        WecomApp => "wecom_app",
        /// A WeCom group robot.
        WecomRobot => "wecom_robot",
    }
}

/// Some of the channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChannelSet(u8);

impl ChannelSet {
    /// The set with `channel` in it.
    #[must_use]
    pub fn with(self, channel: Channel) -> Self {
        Self(self.0 | 1 << channel as u8)
    }

    /// Whether `channel` is one of them.
    pub fn contains(self, channel: Channel) -> bool {
        self.0 & 1 << channel as u8 != 0
    }

    /// Those in the set, in the order of their definition.
    pub fn iter(self) -> impl Iterator<Item = Channel> {
        Channel::ALL
            .iter()
            .copied()
            .filter(move |channel| self.contains(*channel))
    }
}

impl FromIterator<Channel> for ChannelSet {
    fn from_iter<I: IntoIterator<Item = Channel>>(channels: I) -> Self {
        channels.into_iter().fold(Self::default(), Self::with)
    }
}

/// An application on a platform in which a user has an identity: `mini_program:<appid>` or
/// `wecom:<corpid>`.
///
/// Identities are kept per application. An openid means nothing outside the mini program that
/// issued it, and one shared column for two of them sends messages to nobody.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, AsExpression, FromSqlRow, Serialize,
)]
#[diesel(sql_type = Text)]
#[serde(transparent)]
pub struct App(String);

impl App {
    /// The mini program with this appid.
    pub fn mini_program(appid: &str) -> Self {
        Self(format!("mini_program:{appid}"))
    }

    /// The WeCom corporation with this corpid.
    pub fn wecom(corpid: &str) -> Self {
        Self(format!("wecom:{corpid}"))
    }

    /// The text, as stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for App {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = text
            .strip_prefix("mini_program:")
            .or_else(|| text.strip_prefix("wecom:"));
        let right = id.is_some_and(|id| {
            (1..=64).contains(&id.len())
                && id
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        });
        if right {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId {
                what: "app (mini_program:<appid> or wecom:<corpid>)",
                text: text.chars().take(64).collect(),
            })
        }
    }
}

impl fmt::Display for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for App {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

crate::db::columns::text_column!(App);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set: ChannelSet = [Channel::WecomRobot, Channel::WechatCloud]
            .into_iter()
            .collect();
        assert_eq!(
            set.iter().collect::<Vec<_>>(),
            [Channel::WechatCloud, Channel::WecomRobot]
        );
        assert!(!set.contains(Channel::WechatSubscribe));
    }

    #[test]
    fn an_app_names_its_platform() {
        assert!("mini_program:wx123".parse::<App>().is_ok());
        assert!("wecom:ww-1_2".parse::<App>().is_ok());
        for text in ["", "wx123", "mini_program:", "mini_program:a b", "qq:1"] {
            assert!(text.parse::<App>().is_err(), "{text:?}");
        }
    }
}
