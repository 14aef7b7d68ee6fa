use shared::db::DbError;

/// Why a rule cannot be, or cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// There is no such rule.
    #[error("流转规则不存在")]
    NotFound,
    /// Another rule is called so.
    #[error("规则名称已存在")]
    NameTaken,
    /// Somebody named in this field does not exist.
    #[error("用户不存在：{id}")]
    UserMissing {
        /// The field.
        field: &'static str,
        /// As it came.
        id: String,
    },
    /// Somebody who should get leads has been deactivated.
    #[error("流入用户未激活：{name}")]
    UserInactive {
        /// Who.
        name: String,
    },
    /// Nobody could get the leads of somebody: they are the only target themselves.
    #[error("{name} 的线索没有可流入的用户，请至少再选择一个流入用户")]
    NobodyToReceive {
        /// Who.
        name: String,
    },
    /// The database says no.
    #[error(transparent)]
    Database(DbError),
}

impl From<DbError> for RuleError {
    fn from(error: DbError) -> Self {
        match &error {
            DbError::Duplicate { constraint } if constraint.contains("name") => Self::NameTaken,
            _ => Self::Database(error),
        }
    }
}

impl From<diesel::result::Error> for RuleError {
    fn from(error: diesel::result::Error) -> Self {
        DbError::from(error).into()
    }
}
