use std::collections::BTreeMap;
use std::convert::Infallible;
use std::str::FromStr;

use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::sql_types::Text;
use serde::{Serialize, Serializer};

use crate::domain::{Channel, ChannelSet};

/// The channels on which a message goes on, one after the other, if its recipient cannot be reached
/// on its own: one at least. Stored as their names, joined by commas.
#[derive(Debug, Clone, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub struct FallbackChannels(String);

const SEPARATOR: char = ',';

impl FallbackChannels {
    /// These channels in this order; `None` if there are none.
    pub fn in_order(channels: &[Channel]) -> Option<Self> {
        let names: Vec<&str> = channels.iter().map(|channel| channel.as_str()).collect();
        let joined = names.join(&SEPARATOR.to_string());
        (!joined.is_empty()).then_some(Self(joined))
    }

    /// The channels, first things first.
    pub fn iter(&self) -> impl Iterator<Item = Channel> + '_ {
        // A newer release may know more channels: what this one cannot use is passed over.
        let names = self.0.split(SEPARATOR);
        names.filter_map(|name| name.parse().ok())
    }

    /// The text, as stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FallbackChannels {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl Serialize for FallbackChannels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

crate::db::columns::text_column!(FallbackChannels);

/// The routes of one kind as chains, from the channel of each to the one that takes over from it. Each
/// channel is in one chain.
///
/// Routes that go round in a circle cannot be saved. Should somebody have written them by hand, the
/// circle is cut before one of its channels, so that nothing is lost and nothing goes on for ever.
pub fn fallback_chains(fallbacks: &BTreeMap<Channel, Option<Channel>>) -> Vec<Vec<Channel>> {
    let named: ChannelSet = fallbacks.values().copied().flatten().collect();
    let heads = fallbacks
        .keys()
        .filter(|channel| !named.contains(**channel));
    let mut seen = ChannelSet::default();
    let mut chains = Vec::new();
    for &head in heads.chain(fallbacks.keys()) {
        let mut chain = Vec::new();
        let mut next = Some(head);
        while let Some(channel) = next.filter(|channel| !seen.contains(*channel)) {
            // One that takes over without a route of its own is the end.
            let Some(fallback) = fallbacks.get(&channel) else {
                break;
            };
            seen = seen.with(channel);
            chain.push(channel);
            next = *fallback;
        }
        if !chain.is_empty() {
            chains.push(chain);
        }
    }
    chains
}

#[cfg(test)]
mod tests {
    use super::Channel::{WechatCloud, WechatSubscribe, WecomApp, WecomRobot};
    use super::*;

    #[test]
    fn channels_keep_their_order_as_text() {
        let channels = [WecomApp, WechatCloud];
        let stored = FallbackChannels::in_order(&channels).unwrap();
        assert_eq!(stored.as_str(), "wecom_app,wechat_cloud");
        let Ok(read) = stored.as_str().parse::<FallbackChannels>();
        assert_eq!(read.iter().collect::<Vec<_>>(), channels);
        assert_eq!(FallbackChannels::in_order(&[]), None);
    }

    #[test]
    fn a_channel_of_a_newer_release_is_passed_over() {
        let Ok(read) = "carrier_pigeon,wecom_app".parse::<FallbackChannels>();
        assert_eq!(read.iter().collect::<Vec<_>>(), [WecomApp]);
        assert_eq!(serde_json::json!(read), serde_json::json!(["wecom_app"]));
    }

    #[test]
    fn each_channel_is_in_one_chain() {
        type Link = (Channel, Option<Channel>);
        let cases: [(&[Link], &[&[Channel]]); 6] = [
            (&[], &[]),
            (
                &[(WechatSubscribe, None), (WecomApp, None)],
                &[&[WechatSubscribe], &[WecomApp]],
            ),
            (
                &[
                    (WechatSubscribe, Some(WecomApp)),
                    (WechatCloud, None),
                    (WecomApp, None),
                ],
                &[&[WechatSubscribe, WecomApp], &[WechatCloud]],
            ),
            (
                &[
                    (WechatSubscribe, None),
                    (WechatCloud, Some(WechatSubscribe)),
                    (WecomApp, Some(WechatCloud)),
                ],
                &[&[WecomApp, WechatCloud, WechatSubscribe]],
            ),
            // A fallback without a route.
            (&[(WechatSubscribe, Some(WecomApp))], &[&[WechatSubscribe]]),
            // Circles, by hand: of two, of one, and one with a tail that leads into it.
            (
                &[
                    (WechatSubscribe, Some(WechatCloud)),
                    (WechatCloud, Some(WechatSubscribe)),
                    (WecomApp, Some(WecomApp)),
                    (WecomRobot, Some(WechatCloud)),
                ],
                &[&[WecomRobot, WechatCloud, WechatSubscribe], &[WecomApp]],
            ),
        ];
        for (links, expected) in cases {
            let links: BTreeMap<Channel, Option<Channel>> = links.iter().copied().collect();
            assert_eq!(fallback_chains(&links), expected, "{links:?}");
        }
    }
}
