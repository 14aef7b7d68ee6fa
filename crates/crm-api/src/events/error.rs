use shared::db::DbError;
use shared::notification::Kind;

use super::accept::RECIPIENTS_MAX;
use super::receipt::NotServed;

/// Why an event was not accepted. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// This API tells of such things itself.
    #[error("{0} 由系统自动发出，不能通过此接口提交")]
    NotSendable(Kind),
    /// The data is not that of the kind.
    #[error("{}", misfit(missing, unknown))]
    DataMisfit {
        /// Names that the texts need and that have no value.
        missing: Vec<String>,
        /// Names that the kind does not know.
        unknown: Vec<String>,
        /// Names that it knows.
        known: &'static [&'static str],
    },
    /// It should have been told already.
    #[error("dueAt 不能早于当前时间")]
    DueInThePast,
    /// So far ahead that it is a mistake.
    #[error("dueAt 不能晚于366天之后")]
    DueTooLate,
    /// It would be pointless before it is told.
    #[error("expiresAt 必须晚于 dueAt 和当前时间")]
    ExpiresTooEarly,
    /// More than one transaction should tell.
    #[error("接收人不能超过{RECIPIENTS_MAX}人（当前 {count} 人），请分批提交")]
    TooManyRecipients {
        /// How many they are.
        count: usize,
    },
    /// All who were named are not there.
    #[error("没有可通知的接收人")]
    NobodyToTell {
        /// Who they are, and why.
        not_served: Vec<NotServed>,
    },
    /// The database says no.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<diesel::result::Error> for EventError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

fn misfit(missing: &[String], unknown: &[String]) -> String {
    let named = |what: &str, names: &[String]| {
        (!names.is_empty()).then(|| format!("{what}：{}", names.join("、")))
    };
    let said: Vec<String> = [
        named("data 缺少", missing),
        named("data 中不支持的字段", unknown),
    ]
    .into_iter()
    .flatten()
    .collect();
    said.join("；")
}
