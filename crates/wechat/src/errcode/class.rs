//! The classes of error codes, and their short text form for configuration.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What to do after an error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Done.
    Ok,
    /// A passing trouble: try again after a growing pause.
    Retry(RetryPace),
    /// The access token is no longer good: expire it if it is still the one that was used, get
    /// the next one, try once more. Refused again, it is a slow retry that a person should see.
    Token,
    /// A limit was reached: leave the whole channel alone for a while. Nothing is wrong with the
    /// message, and it uses up no attempt.
    Wait(WaitFor),
    /// This message can never be sent.
    Dead,
    /// This message can never be sent, because the recipient has no subscription to the template
    /// left: what is known of the subscription becomes 0.
    Resubscribe,
    /// The configuration or the account is broken: stop the whole channel and call a person.
    /// Nothing is wrong with the message, and it uses up no attempt.
    Halt,
}

/// How soon to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryPace {
    /// The usual growing pause.
    Normal,
    /// About a second, and it uses up no attempt: another message to the same recipient was
    /// under way.
    Soon,
    /// Minutes: an early repeat would not help.
    Slow,
}

/// How long to leave a channel alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WaitFor {
    /// This long.
    Duration(Duration),
    /// Until the day ends in Beijing (UTC+8 without daylight saving), when daily quotas are
    /// reset.
    NextBeijingMidnight,
    /// As long as the window lasts that was breached: WeCom has one code for the calls of a minute, an
    /// hour, a day and a month, and mostly does not say which it was.
    BreachedWindow,
}

/// The shortest window in which a platform counts calls.
const WINDOW_MIN: Duration = Duration::from_secs(60);
/// A window of unknown length is tried again at least this often.
const WINDOW_UNKNOWN_MAX: Duration = Duration::from_secs(60 * 60);

impl WaitFor {
    /// The wait for a refusal with this text, after calls have been refused for `lasted` already.
    ///
    /// It differs for a breached window alone: as long as the window that the text names. Where it
    /// names none, a minute at first, and each time as long again as it has lasted, up to an hour.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wechat::errcode::WaitFor;
    /// let wait = WaitFor::BreachedWindow.after("api freq out of limit", Duration::from_secs(240));
    /// assert_eq!(wait, WaitFor::Duration(Duration::from_secs(240)));
    /// ```
    #[must_use]
    pub fn after(self, errmsg: &str, lasted: Duration) -> Self {
        match self {
            Self::Duration(_) | Self::NextBeijingMidnight => self,
            Self::BreachedWindow => named_window(errmsg)
                .unwrap_or(Self::Duration(lasted.clamp(WINDOW_MIN, WINDOW_UNKNOWN_MAX))),
        }
    }

    /// The pause from a moment given in seconds since 1970 (UTC). Never zero.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wechat::errcode::WaitFor;
    /// // 2026-11-21 15:59:00 UTC is one minute before midnight in Beijing.
    /// assert_eq!(WaitFor::NextBeijingMidnight.pause_from(1_795_276_740), Duration::from_secs(60));
    /// ```
    #[must_use]
    pub fn pause_from(self, unix_seconds: i64) -> Duration {
        const DAY: i64 = 24 * 60 * 60;
        const BEIJING_AHEAD_OF_UTC: i64 = 8 * 60 * 60;
        match self {
            Self::Duration(duration) => duration,
            Self::BreachedWindow => WINDOW_MIN,
            Self::NextBeijingMidnight => {
                let into_the_day = (unix_seconds + BEIJING_AHEAD_OF_UTC).rem_euclid(DAY);
                Duration::from_secs((DAY - into_the_day).unsigned_abs())
            }
        }
    }
}

/// The window that a refusal speaks of, in what it says before its trace: `api minute freq out of
/// limit, hint: […]`. After a month's, every day is tried.
fn named_window(errmsg: &str) -> Option<WaitFor> {
    let said = errmsg.split("hint").next()?;
    said.split(|c: char| !c.is_ascii_alphabetic())
        .find_map(|word| match word {
            "minute" => Some(WaitFor::Duration(WINDOW_MIN)),
            "hour" | "hourly" => Some(WaitFor::Duration(Duration::from_secs(60 * 60))),
            "day" | "daily" | "month" | "monthly" => Some(WaitFor::NextBeijingMidnight),
            _ => None,
        })
}

/// A text that names no class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no class: ok, retry, retry_soon, retry_slow, token, wait:<seconds>, wait_midnight, wait_window, dead, resubscribe or halt"
)]
pub struct UnknownClassText(String);

impl fmt::Display for Class {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait(WaitFor::Duration(duration)) => {
                write!(formatter, "wait:{}", duration.as_secs())
            }
            Self::Wait(WaitFor::NextBeijingMidnight) => formatter.write_str("wait_midnight"),
            Self::Wait(WaitFor::BreachedWindow) => formatter.write_str("wait_window"),
            Self::Ok => formatter.write_str("ok"),
            Self::Retry(RetryPace::Normal) => formatter.write_str("retry"),
            Self::Retry(RetryPace::Soon) => formatter.write_str("retry_soon"),
            Self::Retry(RetryPace::Slow) => formatter.write_str("retry_slow"),
            Self::Token => formatter.write_str("token"),
            Self::Dead => formatter.write_str("dead"),
            Self::Resubscribe => formatter.write_str("resubscribe"),
            Self::Halt => formatter.write_str("halt"),
        }
    }
}

impl FromStr for Class {
    type Err = UnknownClassText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownClassText(text.to_owned());
        if let Some(seconds) = text.strip_prefix("wait:") {
            let seconds: u32 = seconds.parse().map_err(|_| unknown())?;
            return Ok(Self::Wait(WaitFor::Duration(Duration::from_secs(
                seconds.into(),
            ))));
        }
        match text {
            "ok" => Ok(Self::Ok),
            "retry" => Ok(Self::Retry(RetryPace::Normal)),
            "retry_soon" => Ok(Self::Retry(RetryPace::Soon)),
            "retry_slow" => Ok(Self::Retry(RetryPace::Slow)),
            "token" => Ok(Self::Token),
            "wait_midnight" => Ok(Self::Wait(WaitFor::NextBeijingMidnight)),
            "wait_window" => Ok(Self::Wait(WaitFor::BreachedWindow)),
            "dead" => Ok(Self::Dead),
            "resubscribe" => Ok(Self::Resubscribe),
            "halt" => Ok(Self::Halt),
            _ => Err(unknown()),
        }
    }
}
