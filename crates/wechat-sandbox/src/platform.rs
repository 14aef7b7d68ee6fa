//! The two platforms that are imitated.

use actix_web::http::header::HeaderValue;

/// Whose endpoint a call is for. The two speak alike but word and mark their refusals
/// differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Platform {
    /// `api.weixin.qq.com`.
    MiniProgram,
    /// `qyapi.weixin.qq.com`.
    Wecom,
}

impl Platform {
    /// The Content-Type of an answer; the mini program's says `encoding` where others say
    /// `charset`.
    pub(crate) const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::MiniProgram => "application/json; encoding=utf-8",
            Self::Wecom => "application/json; charset=UTF-8",
        })
    }
}
