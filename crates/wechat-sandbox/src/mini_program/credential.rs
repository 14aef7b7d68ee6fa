//! The calls that take the AppSecret: both token calls and the login.

use serde_json::{Value, json};

use crate::api::Api;
use crate::call::Call;
use crate::clock::Timestamp;
use crate::mini_program::app::WrongSecret;
use crate::mini_program::token::Refresh;
use crate::mini_program::{Account, MiniProgram};
use crate::refusal::Refusal;

impl MiniProgram {
    pub(crate) fn token(&mut self, call: &Call, now: Timestamp) -> Result<String, Refusal> {
        let appid = call.parameter("appid").ok_or_else(|| Refusal::new(41002))?;
        let secret = call
            .parameter("secret")
            .ok_or_else(|| Refusal::new(41004))?;
        if call.parameter("grant_type") != Some("client_credential") {
            return Err(Refusal::new(40002));
        }
        self.authenticate(appid, secret, call)?
            .count_today(Api::Token, now)?;
        let grant = self.tokens.classic(appid, now);
        Ok(json!({ "access_token": grant.token, "expires_in": grant.expires_in }).to_string())
    }

    pub(crate) fn stable_token(&mut self, call: &Call, now: Timestamp) -> Result<String, Refusal> {
        let body = call.object()?;
        let appid = call
            .text_field("appid")
            .ok_or_else(|| Refusal::new(41002))?;
        let secret = call
            .text_field("secret")
            .ok_or_else(|| Refusal::new(41004))?;
        if call.text_field("grant_type") != Some("client_credential") {
            return Err(Refusal::new(40002));
        }
        let refresh = match body.get("force_refresh") {
            None | Some(Value::Null | Value::Bool(false)) => Refresh::WhenDue,
            Some(Value::Bool(true)) => Refresh::Forced,
            Some(_) => return Err(Refusal::new(47001)),
        };
        self.authenticate(appid, secret, call)?
            .count_today(Api::StableToken, now)?;
        let grant = self.tokens.stable(appid, refresh, now);
        Ok(json!({ "access_token": grant.token, "expires_in": grant.expires_in }).to_string())
    }

    pub(crate) fn code_to_session(
        &mut self,
        call: &Call,
        now: Timestamp,
    ) -> Result<String, Refusal> {
        let appid = call.parameter("appid").ok_or_else(|| Refusal::new(41002))?;
        let secret = call
            .parameter("secret")
            .ok_or_else(|| Refusal::new(41004))?;
        let code = call
            .parameter("js_code")
            .ok_or_else(|| Refusal::new(41008))?;
        if call.parameter("grant_type") != Some("authorization_code") {
            return Err(Refusal::new(40002));
        }
        self.authenticate(appid, secret, call)?
            .count_today(Api::CodeToSession, now)?;
        let openid = self.codes.take(code, appid, now)?;
        // 22 base64 characters and their padding: the shape of a 16-byte key.
        let random = format!("{:032x}", rand::random::<u128>());
        let mut answer = json!({ "session_key": format!("{}==", &random[..22]) });
        if let Some(unionid) = self
            .users
            .get(&openid)
            .and_then(|user| user.unionid.clone())
        {
            answer["unionid"] = Value::String(unionid);
        }
        answer["openid"] = Value::String(openid);
        Ok(answer.to_string())
    }

    fn authenticate(
        &mut self,
        appid: &str,
        secret: &str,
        call: &Call,
    ) -> Result<&mut Account, Refusal> {
        let account = self.account(appid)?;
        if account.app.secret != secret {
            return Err(match account.app.wrong_secret {
                WrongSecret::InvalidAppsecret => Refusal::new(40125),
                WrongSecret::InvalidCredential => Refusal::with_text(40001, "invalid credential"),
            });
        }
        let ip = call.address;
        if account
            .app
            .ip_allow_list
            .as_ref()
            .is_some_and(|allowed| !allowed.contains(&ip))
        {
            let text = format!("invalid ip {ip} ipv6 ::ffff:{ip}, not in whitelist");
            return Err(Refusal::with_text(40164, text));
        }
        Ok(account)
    }
}
