//! The imitated endpoints of both platforms.

use actix_web::http::Method;
use serde::{Deserialize, Serialize};

use crate::platform::Platform;

/// One endpoint of a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// `GET|POST /cgi-bin/token`.
    Token,
    /// `POST /cgi-bin/stable_token`.
    StableToken,
    /// `POST /cgi-bin/message/subscribe/send`.
    SubscribeSend,
    /// `POST /tcb/invokecloudfunction`.
    CloudFunction,
    /// `GET /sns/jscode2session`.
    #[serde(rename = "jscode2session")]
    CodeToSession,
    /// `GET /wxaapi/newtmpl/gettemplate`.
    GetTemplate,
    /// `POST /cgi-bin/openapi/quota/get`.
    QuotaGet,
    /// `POST /cgi-bin/clear_quota`.
    ClearQuota,
    /// WeCom: `GET /cgi-bin/gettoken`.
    WecomToken,
    /// WeCom: `POST /cgi-bin/message/send`.
    WecomSend,
    /// WeCom: `POST /cgi-bin/webhook/send`.
    WecomRobot,
    /// WeCom: `POST /cgi-bin/webhook/upload_media`.
    WecomUpload,
    /// WeCom: `GET /cgi-bin/agent/get`.
    WecomAgent,
    /// WeCom: `GET /cgi-bin/user/get`.
    WecomUser,
    /// WeCom: `GET /cgi-bin/get_api_domain_ip`.
    WecomAddresses,
}

impl Api {
    pub(crate) const ALL: [Self; 15] = [
        Self::Token,
        Self::StableToken,
        Self::SubscribeSend,
        Self::CloudFunction,
        Self::CodeToSession,
        Self::GetTemplate,
        Self::QuotaGet,
        Self::ClearQuota,
        Self::WecomToken,
        Self::WecomSend,
        Self::WecomRobot,
        Self::WecomUpload,
        Self::WecomAgent,
        Self::WecomUser,
        Self::WecomAddresses,
    ];

    pub(crate) fn of_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.path() == path)
    }

    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Token => "/cgi-bin/token",
            Self::StableToken => "/cgi-bin/stable_token",
            Self::SubscribeSend => "/cgi-bin/message/subscribe/send",
            Self::CloudFunction => "/tcb/invokecloudfunction",
            Self::CodeToSession => "/sns/jscode2session",
            Self::GetTemplate => "/wxaapi/newtmpl/gettemplate",
            Self::QuotaGet => "/cgi-bin/openapi/quota/get",
            Self::ClearQuota => "/cgi-bin/clear_quota",
            Self::WecomToken => "/cgi-bin/gettoken",
            Self::WecomSend => "/cgi-bin/message/send",
            Self::WecomRobot => "/cgi-bin/webhook/send",
            Self::WecomUpload => "/cgi-bin/webhook/upload_media",
            Self::WecomAgent => "/cgi-bin/agent/get",
            Self::WecomUser => "/cgi-bin/user/get",
            Self::WecomAddresses => "/cgi-bin/get_api_domain_ip",
        }
    }

    pub(crate) const fn platform(self) -> Platform {
        match self {
            Self::Token
            | Self::StableToken
            | Self::SubscribeSend
            | Self::CloudFunction
            | Self::CodeToSession
            | Self::GetTemplate
            | Self::QuotaGet
            | Self::ClearQuota => Platform::MiniProgram,
            Self::WecomToken
            | Self::WecomSend
            | Self::WecomRobot
            | Self::WecomUpload
            | Self::WecomAgent
            | Self::WecomUser
            | Self::WecomAddresses => Platform::Wecom,
        }
    }

    /// The errcode of a call with this method, when it is the wrong one.
    pub(crate) fn refused_method(self, method: &Method) -> Option<i64> {
        match self {
            Self::Token if method == Method::GET || method == Method::POST => None,
            Self::Token
            | Self::CodeToSession
            | Self::GetTemplate
            | Self::WecomToken
            | Self::WecomAgent
            | Self::WecomUser
            | Self::WecomAddresses => (method != Method::GET).then_some(43001),
            Self::StableToken
            | Self::SubscribeSend
            | Self::CloudFunction
            | Self::QuotaGet
            | Self::ClearQuota
            | Self::WecomSend
            | Self::WecomRobot
            | Self::WecomUpload => (method != Method::POST).then_some(43002),
        }
    }

    /// Whether an accepted call is a message to somebody.
    pub(crate) const fn is_message(self) -> bool {
        matches!(
            self,
            Self::SubscribeSend | Self::CloudFunction | Self::WecomSend | Self::WecomRobot
        )
    }

    /// Calls per day and account where the platform publishes a figure; the token figure is the
    /// one published for official accounts.
    pub(crate) const fn daily_limit(self) -> Option<u64> {
        match self {
            Self::Token => Some(2_000),
            Self::StableToken => Some(500_000),
            Self::SubscribeSend => Some(10_000_000),
            Self::CloudFunction
            | Self::CodeToSession
            | Self::GetTemplate
            | Self::QuotaGet
            | Self::ClearQuota
            | Self::WecomToken
            | Self::WecomSend
            | Self::WecomRobot
            | Self::WecomUpload
            | Self::WecomAgent
            | Self::WecomUser
            | Self::WecomAddresses => None,
        }
    }
}
