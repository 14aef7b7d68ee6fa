use shared::db::DbError;

/// Why a member could not be entered or changed.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// Another member has this number.
    #[error("该会员编号已存在")]
    NumberTaken,
    /// Another member has this phone number.
    #[error("该手机号已存在会员记录")]
    PhoneTaken,
    /// Another member has this WeChat account.
    #[error("该微信号已存在会员记录")]
    WechatTaken,
    /// There is no such member.
    #[error("会员不存在")]
    NotFound,
    /// The membership was revoked; not everybody may give it back.
    #[error("membership revoked")]
    Revoked,
    /// The database says no.
    #[error(transparent)]
    Database(DbError),
}

impl From<DbError> for MemberError {
    fn from(error: DbError) -> Self {
        match &error {
            DbError::Duplicate { constraint } if constraint.contains("member_no") => {
                Self::NumberTaken
            }
            _ => Self::Database(error),
        }
    }
}

impl From<diesel::result::Error> for MemberError {
    fn from(error: diesel::result::Error) -> Self {
        DbError::from(error).into()
    }
}
