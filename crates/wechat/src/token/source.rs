//! Where a token comes from.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::call_error::CallError;
use crate::client::{ApiClient, Errcode};
use crate::errcode::Api;

/// The credentials of an app and the call that turns them into an access token.
#[derive(Debug, Clone)]
pub enum TokenSource {
    /// `POST /cgi-bin/stable_token` without `force_refresh`, for Mini Programs. All processes that
    /// ask get the same token with its remaining time, so they need not coordinate. At most 10,000
    /// calls a minute and 500,000 a day per app.
    StableToken {
        /// The app's id.
        appid: String,
        /// The AppSecret.
        secret: SecretString,
    },
    /// `GET /cgi-bin/gettoken`, for an application of a WeCom corporation: every application has a
    /// secret, and so a token, of its own. All processes that ask get the same one.
    CorpToken {
        /// The corporation's id.
        corpid: String,
        /// The application's secret.
        secret: SecretString,
    },
}

pub(super) struct TokenGrant {
    pub token: SecretString,
    pub lifetime: Duration,
}

#[derive(Serialize)]
struct StableTokenRequest<'a> {
    grant_type: &'static str,
    appid: &'a str,
    secret: &'a str,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    /// Seconds.
    expires_in: u64,
}

impl TokenSource {
    /// The call that a refusal comes back from.
    #[must_use]
    pub fn api(&self) -> Api {
        match self {
            Self::StableToken { .. } => Api::Token,
            Self::CorpToken { .. } => Api::WecomToken,
        }
    }

    pub(super) async fn fetch(&self, client: &ApiClient) -> Result<TokenGrant, CallError> {
        let answer = match self {
            Self::StableToken { appid, secret } => {
                let request = StableTokenRequest {
                    grant_type: "client_credential",
                    appid,
                    secret: secret.expose_secret(),
                };
                client.post("/cgi-bin/stable_token", &[], &request).await?
            }
            Self::CorpToken { corpid, secret } => {
                let query = [
                    ("corpid", corpid.as_str()),
                    ("corpsecret", secret.expose_secret()),
                ];
                client.get("/cgi-bin/gettoken", &query).await?
            }
        };
        let answer: TokenAnswer = answer.into_success(Errcode::OmittedOnSuccess)?;
        if answer.access_token.is_empty() || answer.expires_in == 0 {
            let reason = "the token is empty or has already ended".to_owned();
            return Err(CallError::NoAnswer {
                reason,
                http_status: None,
            });
        }
        Ok(TokenGrant {
            token: SecretString::from(answer.access_token),
            lifetime: Duration::from_secs(answer.expires_in),
        })
    }
}
