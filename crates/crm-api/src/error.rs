//! What can go wrong with a request.
//!
//! The parts of the domain have small errors of their own; here each becomes an [`ApiError`], which
//! alone knows status, code and words. A new variant does not compile until it has all three.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Value, json};
use shared::db::DbError;

use crate::assignment::{AssignError, ClaimError, Refusal, ReleaseRefusal};
use crate::auth::password::HashingFailed;
use crate::auth::policy::Act;
use crate::auto_transfer::RuleError;
use crate::customers::{CreateError, CustomerError, SearchError};
use crate::envelope::{self, ErrorBody};
use crate::members::MemberError;
use crate::users::{BindingError, UserError};

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// A value that cannot be; which field, and why.
    #[error("{message}")]
    Invalid {
        message: String,
        details: Option<Value>,
    },
    /// The body is not of the type that is read here.
    #[error("请求体必须是 {expected}")]
    UnsupportedMediaType { expected: &'static str },
    /// The body is larger than this endpoint takes.
    #[error("请求体过大，最大允许 {}", in_binary_units(*bytes_max))]
    TooLarge { bytes_max: usize },
    /// It is not known who asks.
    #[error("{0}")]
    Unauthenticated(Unauthenticated),
    /// Who asks may not.
    #[error("{0}")]
    Forbidden(&'static str),
    /// There is no such thing, or it is not for these eyes.
    #[error("{0}")]
    NotFound(String),
    /// There is no such URL.
    #[error("接口不存在")]
    NoSuchRoute,
    /// The URL exists, the method does not.
    #[error("该接口不支持此请求方法")]
    MethodNotAllowed { allow: String },
    /// It contradicts what is there.
    #[error("{0}")]
    Conflict(String),
    /// It is well formed, and more than a request may do.
    #[error("{message}")]
    Unprocessable {
        message: String,
        details: Option<Value>,
    },
    /// Too many failed logins.
    #[error("登录尝试次数过多，请稍后再试")]
    TooManyLogins,
    /// Too many requests of one client, or of all of them.
    #[error("提交过于频繁，请稍后再试")]
    TooManyRequests { retry_after_seconds: u64 },
    /// The database is away; later may work. The text is for the log.
    #[error("服务暂时不可用，请稍后再试")]
    Unavailable(String),
    /// A bug. The text is for the log.
    #[error("服务器内部错误")]
    Internal(String),
}

/// Why it is not known who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unauthenticated {
    /// No token came.
    #[error("请先登录")]
    NoToken,
    /// The token is over its time, forged, revoked, or its user was deactivated. Which of these is
    /// nobody's business.
    #[error("登录已失效，请重新登录")]
    InvalidToken,
    /// The same of a program's token.
    #[error("服务令牌无效、已过期或已撤销")]
    InvalidServiceToken,
    /// The login itself failed.
    #[error("用户名或密码错误")]
    WrongCredentials,
}

impl ApiError {
    /// A value that cannot be, with the field it came in.
    pub(crate) fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid {
            message: message.into(),
            details: Some(json!({ "field": field })),
        }
    }

    /// More than a request may do.
    pub(crate) fn unprocessable(message: impl Into<String>) -> Self {
        Self::Unprocessable {
            message: message.into(),
            details: None,
        }
    }

    /// A word for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "VALIDATION_FAILED",
            Self::UnsupportedMediaType { .. } => "UNSUPPORTED_MEDIA_TYPE",
            Self::TooLarge { .. } => "PAYLOAD_TOO_LARGE",
            Self::Unauthenticated(_) => "UNAUTHORIZED",
            Self::Forbidden(_) => "FORBIDDEN",
            Self::NotFound(_) => "NOT_FOUND",
            Self::NoSuchRoute => "ROUTE_NOT_FOUND",
            Self::MethodNotAllowed { .. } => "METHOD_NOT_ALLOWED",
            Self::Conflict(_) => "CONFLICT",
            Self::Unprocessable { .. } => "UNPROCESSABLE",
            Self::TooManyLogins | Self::TooManyRequests { .. } => "TOO_MANY_REQUESTS",
            Self::Unavailable(_) => "SERVICE_UNAVAILABLE",
            Self::Internal(_) => "INTERNAL_ERROR",
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Invalid { .. } => StatusCode::BAD_REQUEST,
            Self::UnsupportedMediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) | Self::NoSuchRoute => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Unprocessable { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyLogins | Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        use actix_web::http::header::{ALLOW, HeaderValue, RETRY_AFTER};

        let mut body = ErrorBody {
            code: self.code(),
            details: None,
        };
        if let Self::Invalid { details, .. } | Self::Unprocessable { details, .. } = self {
            body.details.clone_from(details);
        }
        let mut response = envelope::failed(self.status_code(), &self.to_string(), body);
        if let Self::MethodNotAllowed { allow } = self
            && let Ok(allow) = HeaderValue::from_str(allow)
        {
            response.headers_mut().insert(ALLOW, allow);
        }
        if let Self::TooManyRequests {
            retry_after_seconds,
        } = self
        {
            let seconds = HeaderValue::from(*retry_after_seconds);
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        response
    }
}

/// `10 MiB`, `16 KiB`.
fn in_binary_units(bytes: usize) -> String {
    const KIB: usize = 1024;
    if bytes.is_multiple_of(KIB * KIB) {
        format!("{} MiB", bytes / KIB / KIB)
    } else {
        format!("{} KiB", bytes.div_ceil(KIB))
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unavailable(reason) => Self::Unavailable(reason),
            // A part of the domain that expects one of these says so itself.
            DbError::Duplicate { .. }
            | DbError::Reference(_)
            | DbError::Constraint(_)
            | DbError::NotFound
            | DbError::Panicked
            | DbError::Query(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<HashingFailed> for ApiError {
    fn from(error: HashingFailed) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<UserError> for ApiError {
    fn from(error: UserError) -> Self {
        match error {
            UserError::UsernameTaken | UserError::LastAdmin => Self::Conflict(error.to_string()),
            UserError::NotFound => Self::NotFound(error.to_string()),
            UserError::Database(error) => error.into(),
        }
    }
}

impl From<BindingError> for ApiError {
    fn from(error: BindingError) -> Self {
        match error {
            BindingError::IdentityTaken => Self::Conflict(error.to_string()),
            BindingError::UserNotFound | BindingError::NotBound => {
                Self::NotFound(error.to_string())
            }
            BindingError::Database(error) => error.into(),
        }
    }
}

impl From<AssignError> for ApiError {
    fn from(error: AssignError) -> Self {
        match error {
            AssignError::TargetMissing | AssignError::TargetInactive => {
                Self::invalid("assignedTo", error.to_string())
            }
            AssignError::Database(error) => error.into(),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Missing => Self::NotFound(refusal.to_string()),
            Refusal::NotInPool | Refusal::Taken | Refusal::VersionChanged => {
                Self::Conflict(refusal.to_string())
            }
        }
    }
}

impl From<ClaimError> for ApiError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Full { .. } | ClaimError::TooMany { .. } => {
                Self::Conflict(error.to_string())
            }
            ClaimError::Assign(error) => error.into(),
            ClaimError::Database(error) => error.into(),
        }
    }
}

impl From<ReleaseRefusal> for ApiError {
    fn from(refusal: ReleaseRefusal) -> Self {
        match refusal {
            ReleaseRefusal::Missing => Self::NotFound(refusal.to_string()),
            ReleaseRefusal::NotOwn => Self::Forbidden(Act::ReleaseAnyCustomer.refusal()),
            ReleaseRefusal::InPool | ReleaseRefusal::Frozen | ReleaseRefusal::VersionChanged => {
                Self::Conflict(refusal.to_string())
            }
        }
    }
}

impl From<CreateError> for ApiError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::PhoneTaken | CreateError::WechatIdTaken => {
                Self::Conflict(error.to_string())
            }
            CreateError::NumberTaken => Self::Unavailable(error.to_string()),
            CreateError::Owner(error) => error.into(),
            CreateError::Database(error) => error.into(),
        }
    }
}

impl From<CustomerError> for ApiError {
    fn from(error: CustomerError) -> Self {
        match error {
            CustomerError::NotFound => Self::NotFound(error.to_string()),
            CustomerError::NoContact => Self::invalid("phone", error.to_string()),
            CustomerError::VersionChanged
            | CustomerError::PhoneTaken
            | CustomerError::WechatIdTaken
            | CustomerError::AlreadyFrozen
            | CustomerError::NotFrozen => Self::Conflict(error.to_string()),
            CustomerError::Database(error) => error.into(),
        }
    }
}

impl From<SearchError> for ApiError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::OutOfReach => Self::invalid("page", error.to_string()),
            SearchError::Database(error) => error.into(),
        }
    }
}

impl From<RuleError> for ApiError {
    fn from(error: RuleError) -> Self {
        let said = error.to_string();
        match error {
            RuleError::NotFound => Self::NotFound(said),
            RuleError::NameTaken => Self::Conflict(said),
            RuleError::UserMissing { field, .. } => Self::invalid(field, said),
            RuleError::UserInactive { .. } | RuleError::NobodyToReceive { .. } => {
                Self::invalid("targetUserIds", said)
            }
            RuleError::Database(error) => error.into(),
        }
    }
}

impl From<MemberError> for ApiError {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::NumberTaken | MemberError::PhoneTaken | MemberError::WechatTaken => {
                Self::Conflict(error.to_string())
            }
            MemberError::NotFound => Self::NotFound(error.to_string()),
            MemberError::Revoked => Self::Forbidden("没有权限恢复已撤销的会员"),
            MemberError::Database(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;

    #[actix_web::test]
    async fn a_server_error_says_nothing_of_its_cause() {
        for error in [
            ApiError::Internal("password of 13800138999".to_owned()),
            ApiError::Unavailable("host db-7 refused".to_owned()),
        ] {
            let response = error.error_response();
            assert!(response.status().is_server_error());
            let body = to_bytes(response.into_body()).await.unwrap();
            let body = String::from_utf8(body.to_vec()).unwrap();
            assert!(
                !body.contains("13800138999") && !body.contains("db-7"),
                "{body}"
            );
        }
    }

    #[actix_web::test]
    async fn a_validation_error_names_the_field() {
        let response = ApiError::invalid("phone", "手机号格式不正确").error_response();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let body: Value =
            serde_json::from_slice(&to_bytes(response.into_body()).await.unwrap()).unwrap();
        assert_eq!(body["message"], "手机号格式不正确");
        assert_eq!(body["error"]["details"]["field"], "phone");
    }

    #[test]
    fn the_database_being_away_is_not_a_bug() {
        let away = ApiError::from(DbError::Unavailable("timed out".to_owned()));
        assert_eq!(away.status_code(), StatusCode::SERVICE_UNAVAILABLE);
        let bug = ApiError::from(DbError::NotFound);
        assert_eq!(bug.status_code(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
