//! The channels: how each puts a message into its form and sends it.

mod wechat_cloud;
mod wechat_subscribe;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use shared::domain::Channel;
use shared::notification::RouteSettings;
use shared::outbox::ClaimedMessage;
use wechat::errcode::Rules;
use wechat::{
    AccessToken, ApiClient, ApiClientConfig, CloudFunctions, ConfigError, MiniProgram, TokenSlot,
};

use crate::Config;
use crate::verdict::{SendOutcome, asks_for_a_new_token};
pub use wechat_cloud::CloudRequest;
pub use wechat_subscribe::SubscribeRequest;

/// A claimed message with what is known of its recipient and its route.
#[derive(Debug, Clone)]
pub struct AddressedMessage {
    /// The message.
    pub message: ClaimedMessage,
    /// Who the recipient is on the platform.
    pub address: Address,
    /// How the kind goes out on the channel; `None` if the route was removed.
    pub route: Option<Arc<RouteSettings>>,
}

/// Who a recipient is in the app that messages go out from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Their identity there.
    Known(String),
    /// They have none.
    NoBinding,
    /// Nobody at all has one: rather a wrong appid than a company in which nobody uses the app.
    NobodyIsBound,
}

/// A message in the form of its channel, ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub enum PreparedRequest {
    /// To `subscribe/send`.
    Subscribe(SubscribeRequest),
    /// To a cloud function.
    Cloud(CloudRequest),
}

/// The platforms, as configured: their connections and their tokens.
pub struct Platforms {
    mini_program: Option<MiniProgramParts>,
}

struct MiniProgramParts {
    mini_program: MiniProgram,
    cloud_functions: CloudFunctions,
    token_slot: TokenSlot,
    cloud_env: String,
    cloud_function: String,
    state: wechat::mini_program::MiniProgramState,
}

impl Platforms {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// If an address or a time-out cannot be used.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        if config.wechat_appid.is_empty() {
            return Ok(Self { mini_program: None });
        }
        let client = ApiClient::new(&ApiClientConfig {
            base_url: config.wechat_api_url.clone(),
            connect_timeout: config.connect_timeout,
            request_timeout: config.request_timeout,
        })?;
        let mini_program = MiniProgram::new(
            client.clone(),
            config.wechat_appid.clone(),
            config.wechat_secret.clone(),
        );
        let state = match config.wechat_miniprogram_state.as_str() {
            "trial" => wechat::mini_program::MiniProgramState::Trial,
            "developer" => wechat::mini_program::MiniProgramState::Developer,
            _ => wechat::mini_program::MiniProgramState::Formal,
        };
        Ok(Self {
            mini_program: Some(MiniProgramParts {
                token_slot: mini_program.token_slot(),
                cloud_functions: CloudFunctions::new(client),
                mini_program,
                cloud_env: config.wechat_cloud_env.clone(),
                cloud_function: config.wechat_cloud_function.clone(),
                state,
            }),
        })
    }

    /// Sends a prepared message: once, or twice if the platform asks for a new token. Waiting for a
    /// token takes time, in which the message may have become somebody else's: `reason_not_to_send`
    /// is asked after it.
    pub async fn send(
        &self,
        request: &PreparedRequest,
        rules: &Rules,
        reason_not_to_send: impl Fn() -> Option<&'static str>,
    ) -> SendOutcome {
        let Some(platform) = &self.mini_program else {
            return SendOutcome::NotTried("the channel is not configured on this relay");
        };
        let token = match platform.token_slot.get().await {
            Ok(token) => token,
            Err(error) => return SendOutcome::NoToken(error),
        };
        if let Some(reason) = reason_not_to_send() {
            return SendOutcome::NotTried(reason);
        }
        let outcome = platform.send_with(&token, request).await;
        if !asks_for_a_new_token(&outcome, rules) {
            return outcome;
        }
        platform.token_slot.expire_if_current(&token);
        match platform.token_slot.get().await {
            Ok(token) => match reason_not_to_send() {
                None => platform.send_with(&token, request).await,
                Some(reason) => SendOutcome::NotTried(reason),
            },
            Err(error) => SendOutcome::NoToken(error),
        }
    }
}

impl MiniProgramParts {
    async fn send_with(&self, token: &AccessToken, request: &PreparedRequest) -> SendOutcome {
        match request {
            PreparedRequest::Subscribe(request) => {
                request.send(&self.mini_program, token, self.state).await
            }
            PreparedRequest::Cloud(request) => {
                request
                    .send(
                        &self.cloud_functions,
                        token,
                        &self.cloud_env,
                        &self.cloud_function,
                    )
                    .await
            }
        }
    }
}

/// Puts a message into its channel's form.
///
/// # Errors
/// The outcome, if there is nothing to send: no recipient, no route, data that cannot be read.
pub fn prepare(addressed: &AddressedMessage) -> Result<PreparedRequest, SendOutcome> {
    let route = match &addressed.route {
        Some(route) if route.enabled => route,
        _ => return Err(SendOutcome::NoRecipient("the route is switched off")),
    };
    let address = match &addressed.address {
        Address::Known(external_id) => external_id,
        Address::NoBinding => {
            return Err(SendOutcome::NoRecipient(
                "the recipient has no binding for this app",
            ));
        }
        Address::NobodyIsBound => return Err(SendOutcome::NobodyIsBound),
    };
    let message = &addressed.message;
    let data: Map<String, Value> = serde_json::from_str(&message.payload).map_err(|error| {
        SendOutcome::Unpreparable(format!("payload: not a JSON object: {error}"))
    })?;
    match message.channel {
        Channel::WechatSubscribe => SubscribeRequest::prepare(message, address, route, &data)
            .map(PreparedRequest::Subscribe),
        Channel::WechatCloud => Ok(PreparedRequest::Cloud(CloudRequest::prepare(
            message, address, &data,
        ))),
        channel @ (Channel::WecomApp | Channel::WecomRobot) => Err(SendOutcome::Unpreparable(
            format!("channel: this relay cannot send on {channel}"),
        )),
    }
}

/// Template field → text, both as the route says or as the channel's default says.
type Fields = BTreeMap<String, String>;
