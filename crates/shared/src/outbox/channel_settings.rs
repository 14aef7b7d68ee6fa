use diesel::prelude::*;
use serde::Serialize;
use serde_json::json;

use crate::db::schema::channel_settings;
use crate::db::{DbConnection, DbError, WriteTransaction, each_backend};
use crate::domain::{Channel, UtcTimestamp, text_enum};
use crate::operation_log::{self, Actor, Operation};

text_enum! {
    /// What becomes of a message that may have been delivered: the request was written, and no
    /// answer came.
    pub enum UnknownOutcomePolicy ("policy for unknown outcomes") {
        /// It is sent again: perhaps twice, never not at all.
        Resend => "resend",
        /// It stops as *failed*, and a person decides.
        HoldForOperator => "hold_for_operator",
        /// It counts as sent, and stays marked.
        AssumeSent => "assume_sent",
    }
}

/// What operators set for one channel while relays run.
#[derive(
    Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset, Serialize,
)]
#[diesel(table_name = channel_settings, treat_none_as_null = true, treat_none_as_default_value = false)]
#[serde(rename_all = "camelCase")]
pub struct ChannelSettings {
    /// Which channel.
    pub channel: Channel,
    /// What becomes of a message that may have been delivered.
    pub unknown_outcome: UnknownOutcomePolicy,
    /// Messages in hand at once, per relay: 1 to 4096. `None`: as the relay was started with.
    pub concurrency: Option<i32>,
    /// Messages per minute, of all relays together: 1 to 6,000,000. `None`: no limit.
    pub rate_per_minute: Option<i32>,
}

/// More than this a minute WeCom does not take from a group robot.
const ROBOT_MESSAGES_PER_MINUTE: i32 = 20;

impl ChannelSettings {
    /// What holds where nobody has set anything.
    pub fn default_of(channel: Channel) -> Self {
        Self {
            channel,
            unknown_outcome: UnknownOutcomePolicy::Resend,
            concurrency: None,
            rate_per_minute: match channel {
                Channel::WecomRobot => Some(ROBOT_MESSAGES_PER_MINUTE),
                Channel::WechatSubscribe | Channel::WechatCloud | Channel::WecomApp => None,
            },
        }
    }
}

/// The settings of every channel.
///
/// # Errors
/// What the database says.
pub fn channel_settings(connection: &mut DbConnection) -> Result<Vec<ChannelSettings>, DbError> {
    let set: Vec<ChannelSettings> = channel_settings::table
        .select(ChannelSettings::as_select())
        .load(connection)?;
    let of = |&channel: &Channel| {
        set.iter()
            .find(|settings| settings.channel == channel)
            .cloned()
            .unwrap_or_else(|| ChannelSettings::default_of(channel))
    };
    Ok(Channel::ALL.iter().map(of).collect())
}

/// Sets everything for one channel. Relays follow within seconds.
///
/// # Errors
/// [`DbError::Constraint`] for a number out of its range; else what the database says.
pub fn set_channel(
    transaction: &mut WriteTransaction<'_>,
    settings: &ChannelSettings,
    actor: &Actor,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let row = (settings, channel_settings::updated_at.eq(now));
    each_backend!(transaction.connection(), |c| diesel::insert_into(
        channel_settings::table
    )
    .values(row)
    .on_conflict(channel_settings::channel)
    .do_update()
    .set(row)
    .execute(c))?;
    let operation = Operation {
        action: "channel.set",
        entity: "channel",
        entity_id: settings.channel.to_string(),
        detail: json!({ "settings": settings }),
        request_id: None,
    };
    operation_log::record(transaction, actor, vec![operation], now)
}
