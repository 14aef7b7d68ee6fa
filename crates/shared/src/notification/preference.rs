use std::collections::BTreeSet;

use chrono::{DateTime, TimeZone};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::kind::Kind;
use super::quiet_window::{QuietWindow, overlap, quiet_until};
use crate::db::schema::notification_preferences;
use crate::db::{DbConnection, DbError, WriteTransaction, each_backend};
use crate::domain::{Channel, RecipientId, UserId, UtcTimestamp, text_enum};
use crate::outbox::{Priority, look_again_at_quiet};

/// What somebody wants to be told outside of the notification centre, and when. In the centre
/// everything is to be found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Preferences {
    /// Of what they are not told; of what is [mandatory](Kind::is_mandatory) they are.
    pub muted_kinds: BTreeSet<Kind>,
    /// On which channels they are told of nothing but what is mandatory.
    pub muted_channels: BTreeSet<Channel>,
    /// When they are told later.
    pub quiet_windows: Vec<QuietWindow>,
    /// What high priority does within these windows.
    pub high_priority: HighPriority,
}

text_enum! {
    /// What becomes of what is urgent while somebody does not want to be disturbed.
    #[derive(Default)]
    pub enum HighPriority ("treatment of high priority") {
        /// It waits like everything else.
        #[default]
        Waits => "waits",
        /// It comes at once.
        BreaksThrough => "breaks_through",
    }
}

/// What somebody's preferences say of one message at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// To get it.
    Now,
    /// To get it from this moment on.
    Later {
        /// The end of the window.
        until: UtcTimestamp,
    },
    /// Not to get it on this channel.
    Elsewhere,
    /// Not to get it.
    Never,
}

/// Why preferences cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PreferenceProblem {
    /// Everybody is told of this.
    #[error("{0} is mandatory")]
    Mandatory(Kind),
    /// A window has no day, or one that does not exist.
    #[error("window {window} has no day, or one that is not 1 to 7")]
    NoDay {
        /// Which, from 0.
        window: usize,
    },
    /// A window ends when it begins.
    #[error("window {window} has no length")]
    NoLength {
        /// Which, from 0.
        window: usize,
    },
    /// Two windows share some time.
    #[error("window {window} overlaps with window {other}")]
    Overlap {
        /// Which, from 0.
        window: usize,
        /// Which of those before it.
        other: usize,
    },
}

impl Preferences {
    /// Whether they can be.
    ///
    /// # Errors
    /// The first problem found.
    pub fn check(&self) -> Result<(), PreferenceProblem> {
        if let Some(kind) = self.muted_kinds.iter().find(|kind| kind.is_mandatory()) {
            return Err(PreferenceProblem::Mandatory(*kind));
        }
        for (window, quiet) in self.quiet_windows.iter().enumerate() {
            let all_days_exist = quiet.days.iter().all(|day| (1..=7).contains(day));
            if quiet.days.is_empty() || !all_days_exist {
                return Err(PreferenceProblem::NoDay { window });
            }
            if quiet.start == quiet.end {
                return Err(PreferenceProblem::NoLength { window });
            }
        }
        match overlap(&self.quiet_windows) {
            Some((one, another)) => Err(PreferenceProblem::Overlap {
                window: one.max(another),
                other: one.min(another),
            }),
            None => Ok(()),
        }
    }

    /// What they say of a message at a moment, which is given in the zone of the installation.
    pub fn wish<Tz: TimeZone>(
        &self,
        kind: Kind,
        channel: Channel,
        priority: Priority,
        moment: &DateTime<Tz>,
    ) -> Wish {
        if !kind.is_mandatory() {
            if self.muted_kinds.contains(&kind) {
                return Wish::Never;
            }
            if self.muted_channels.contains(&channel) {
                return Wish::Elsewhere;
            }
        }
        if priority == Priority::High && self.high_priority == HighPriority::BreaksThrough {
            return Wish::Now;
        }
        match quiet_until(&self.quiet_windows, moment) {
            None => Wish::Now,
            Some(until) => Wish::Later { until },
        }
    }
}

/// Somebody's preferences; the usual ones if they have not said anything.
///
/// # Errors
/// What the database says.
pub fn preferences(connection: &mut DbConnection, user: &UserId) -> Result<Preferences, DbError> {
    let stored: Option<String> = notification_preferences::table
        .find(user)
        .select(notification_preferences::preferences)
        .first(connection)
        .optional()?;
    Ok(stored.map(|text| read(&text)).unwrap_or_default())
}

/// Preferences as stored. What cannot be read counts as nothing said: rather told too much than not
/// at all.
pub(crate) fn read(text: &str) -> Preferences {
    serde_json::from_str(text).unwrap_or_else(|error| {
        log::error!("somebody's notification preferences cannot be read: {error}");
        Preferences::default()
    })
}

/// Stores somebody's preferences. They apply to what is sent from then on, also if it waits already: what
/// waits for the end of a window that is no longer one goes out soon.
///
/// # Errors
/// What the database says.
pub fn put_preferences(
    transaction: &mut WriteTransaction<'_>,
    user: &UserId,
    preferences: &Preferences,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let text = serde_json::json!(preferences).to_string();
    let row = (
        notification_preferences::user_id.eq(user),
        notification_preferences::preferences.eq(&text),
        notification_preferences::updated_at.eq(now),
    );
    let changes = (
        notification_preferences::preferences.eq(&text),
        notification_preferences::updated_at.eq(now),
    );
    each_backend!(transaction.connection(), |c| diesel::insert_into(
        notification_preferences::table
    )
    .values(row)
    .on_conflict(notification_preferences::user_id)
    .do_update()
    .set(changes)
    .execute(c))?;
    look_again_at_quiet(transaction, &RecipientId::from(user), now)
}

#[cfg(test)]
mod tests {
    use chrono::FixedOffset;

    use super::*;
    use crate::notification::quiet_window::tests::{EVERY_DAY, local, window};

    fn quiet(windows: &[QuietWindow]) -> Preferences {
        Preferences {
            quiet_windows: windows.to_vec(),
            ..Preferences::default()
        }
    }

    #[test]
    fn who_does_not_want_to_be_told_is_not_told_but_of_what_is_mandatory() {
        use Channel::{WechatSubscribe, WecomApp};
        use Priority::{High, Medium};

        let zone = FixedOffset::east_opt(8 * 3_600).unwrap();
        let midnight = local("2026-01-02 23:00").and_local_timezone(zone).unwrap();
        let preferences = Preferences {
            muted_kinds: [Kind::CustomerTransferredAway].into(),
            muted_channels: [WecomApp].into(),
            quiet_windows: vec![window(EVERY_DAY, "22:00", "08:00")],
            high_priority: HighPriority::BreaksThrough,
        };
        let until = local("2026-01-03 00:00").and_utc().into();
        for (kind, channel, priority, wish) in [
            (
                Kind::CustomerTransferredAway,
                WechatSubscribe,
                High,
                Wish::Never,
            ),
            (Kind::CustomerTransferredAway, WecomApp, High, Wish::Never),
            (Kind::CustomerCreated, WecomApp, High, Wish::Elsewhere),
            (Kind::CustomerAssigned, WecomApp, High, Wish::Now),
            (
                Kind::CustomerAssigned,
                WecomApp,
                Medium,
                Wish::Later { until },
            ),
            (Kind::CustomerCreated, WechatSubscribe, High, Wish::Now),
            (
                Kind::CustomerCreated,
                WechatSubscribe,
                Medium,
                Wish::Later { until },
            ),
        ] {
            let said = preferences.wish(kind, channel, priority, &midnight);
            assert_eq!(said, wish, "{kind} {channel} {priority:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_named() {
        use PreferenceProblem::{Mandatory, NoDay, NoLength, Overlap};
        let mandatory = Preferences {
            muted_kinds: [Kind::SystemAnnouncement].into(),
            ..Preferences::default()
        };
        let expected = Err(Mandatory(Kind::SystemAnnouncement));
        assert_eq!(mandatory.check(), expected);
        for (windows, expected) in [
            (
                vec![window(&[], "22:00", "08:00")],
                Err(NoDay { window: 0 }),
            ),
            (
                vec![window(&[0], "22:00", "08:00")],
                Err(NoDay { window: 0 }),
            ),
            (
                vec![window(&[8], "22:00", "08:00")],
                Err(NoDay { window: 0 }),
            ),
            (
                vec![window(&[1], "22:00", "22:00")],
                Err(NoLength { window: 0 }),
            ),
            (
                vec![
                    window(&[1], "10:00", "12:00"),
                    window(&[1], "11:00", "13:00"),
                ],
                Err(Overlap {
                    window: 1,
                    other: 0,
                }),
            ),
            (
                vec![
                    window(&[1], "22:00", "08:00"),
                    window(&[2], "07:00", "09:00"),
                ],
                Err(Overlap {
                    window: 1,
                    other: 0,
                }),
            ),
            (
                vec![
                    window(&[7], "22:00", "08:00"),
                    window(&[1], "07:00", "09:00"),
                ],
                Err(Overlap {
                    window: 1,
                    other: 0,
                }),
            ),
            (
                vec![
                    window(&[7], "22:00", "08:00"),
                    window(&[1], "08:00", "09:00"),
                ],
                Ok(()),
            ),
        ] {
            assert_eq!(quiet(&windows).check(), expected, "{windows:?}");
        }
    }

    #[test]
    fn what_is_stored_is_what_was_said() {
        let preferences = Preferences {
            muted_kinds: [Kind::CustomerCreated].into(),
            muted_channels: [Channel::WechatCloud].into(),
            quiet_windows: vec![window(&[1, 7], "22:00", "08:30")],
            high_priority: HighPriority::BreaksThrough,
        };
        let text = serde_json::json!(preferences).to_string();
        assert_eq!(read(&text), preferences);
        assert_eq!(read("{}"), Preferences::default());
        assert_eq!(read("no JSON"), Preferences::default());
    }
}
