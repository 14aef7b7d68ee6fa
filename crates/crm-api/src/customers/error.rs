use shared::db::DbError;

/// Why a customer could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum CustomerError {
    /// There is no such customer, or it is out of sight.
    #[error("客户不存在")]
    NotFound,
    /// Somebody has changed it since the caller last looked.
    #[error("客户已被他人修改，请刷新后重试")]
    VersionChanged,
    /// Nobody could reach the customer any more.
    #[error("请填写手机号或微信号")]
    NoContact,
    /// Another customer has this number.
    #[error("该手机号已存在客户记录")]
    PhoneTaken,
    /// Another customer has this WeChat id.
    #[error("该微信号已存在客户记录")]
    WechatIdTaken,
    /// It is frozen already.
    #[error("该线索已被冻结，无需重复冻结")]
    AlreadyFrozen,
    /// It is not frozen.
    #[error("该线索未被冻结")]
    NotFrozen,
    /// The database says no.
    #[error(transparent)]
    Database(DbError),
}

impl From<DbError> for CustomerError {
    fn from(error: DbError) -> Self {
        match &error {
            DbError::Duplicate { constraint } if constraint.contains("phone") => Self::PhoneTaken,
            DbError::Duplicate { constraint } if constraint.contains("wechat_id") => {
                Self::WechatIdTaken
            }
            _ => Self::Database(error),
        }
    }
}

impl From<diesel::result::Error> for CustomerError {
    fn from(error: diesel::result::Error) -> Self {
        DbError::from(error).into()
    }
}
