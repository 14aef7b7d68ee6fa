//! What operators have set in the database, as this relay last read it.

use shared::db::{DbConnection, DbError};
use shared::domain::{Channel, UtcTimestamp};
use shared::outbox::{
    ChannelSettings, ErrcodeOverride, UnknownOutcomePolicy, channel_settings, errcode_overrides,
    relays,
};
use wechat::errcode::{Api, Class, Rules};

/// One reading of the settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Controls {
    settings: Vec<ChannelSettings>,
    rules: Rules,
    live_relays: usize,
}

/// A little less than the rate: of messages that set out in exact steps, one too many would arrive
/// within a minute now and then, and a platform that counts would refuse it.
const WITHIN_THE_RATE: f64 = 60.0 / 61.0;

impl Controls {
    pub(crate) fn read(connection: &mut DbConnection, now: UtcTimestamp) -> Result<Self, DbError> {
        let overrides = errcode_overrides(connection)?;
        Ok(Self {
            settings: channel_settings(connection)?,
            rules: Rules::with_overrides(overrides.iter().filter_map(class_set)),
            live_relays: relays(connection, now)?.len(),
        })
    }

    /// What the platform's codes mean here.
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What becomes of a message that may have been delivered.
    pub(crate) fn unknown_outcome(&self, channel: Channel) -> UnknownOutcomePolicy {
        self.of(channel)
            .map_or(UnknownOutcomePolicy::Resend, |set| set.unknown_outcome)
    }

    /// Messages in hand at once on a channel, if somebody has set it.
    pub(crate) fn concurrency(&self, channel: Channel) -> Option<usize> {
        let set = self.of(channel)?.concurrency?;
        usize::try_from(set).ok()
    }

    /// This relay's part of a channel's rate limit, in messages per minute.
    pub(crate) fn rate_per_minute(&self, channel: Channel) -> Option<f64> {
        let of_all = self.of(channel)?.rate_per_minute?;
        let relays = u32::try_from(self.relays()).unwrap_or(u32::MAX);
        Some(f64::from(of_all) * WITHIN_THE_RATE / f64::from(relays))
    }

    /// How many relays share what may go out.
    pub(crate) fn relays(&self) -> usize {
        // This relay may not have been registered when the others were counted.
        self.live_relays.max(1)
    }

    fn of(&self, channel: Channel) -> Option<&ChannelSettings> {
        self.settings.iter().find(|set| set.channel == channel)
    }
}

/// An override that this program cannot read is passed over, and the table's own rule holds: a newer
/// release may know more words.
fn class_set(set: &ErrcodeOverride) -> Option<(Api, i64, Class)> {
    let (Ok(api), Ok(class)) = (set.api.parse(), set.class.parse()) else {
        log::warn!(
            api = set.api.as_str(), errcode = set.errcode, class = set.class.as_str();
            "an override is passed over, this program does not know its words: {}/{} as {}",
            set.api, set.errcode, set.class
        );
        return None;
    };
    Some((api, set.errcode, class))
}
