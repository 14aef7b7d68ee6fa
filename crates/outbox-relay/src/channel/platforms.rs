use rendering::{AppRequest, CloudRequest, PreparedRequest, SubscribeRequest};
use shared::domain::Channel;
use wechat::errcode::Rules;
use wechat::mini_program::MiniProgramState;
use wechat::{
    AccessToken, ApiClient, ApiClientConfig, CloudFunctions, ConfigError, MiniProgram, TokenSlot,
    WecomApp, WecomRobot,
};

use super::call::{send_to_app, send_to_function, send_to_robot, send_to_subscriber};
use crate::Config;
use crate::verdict::{SendOutcome, asks_for_a_new_token};

/// The platforms, as configured: their connections and their tokens.
pub struct Platforms {
    mini_program: Option<MiniProgramParts>,
    wecom_app: Option<WecomAppParts>,
    wecom_robot: Option<WecomRobot>,
}

struct MiniProgramParts {
    mini_program: MiniProgram,
    cloud_functions: CloudFunctions,
    token_slot: TokenSlot,
    cloud_env: String,
    cloud_function: String,
    state: MiniProgramState,
}

struct WecomAppParts {
    app: WecomApp,
    token_slot: TokenSlot,
}

/// A request and where it goes: everything but the token.
#[derive(Clone, Copy)]
enum Call<'a> {
    Subscribe(&'a MiniProgramParts, &'a SubscribeRequest),
    Cloud(&'a MiniProgramParts, &'a CloudRequest),
    App(&'a WecomAppParts, &'a AppRequest),
}

const NOT_CONFIGURED: SendOutcome =
    SendOutcome::NotTried("the channel is not configured on this relay");

impl Platforms {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// If an address or a time-out cannot be used.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let channels = config.configured_channels();
        let mini_program = channels
            .contains(Channel::WechatSubscribe)
            .then(|| MiniProgramParts::new(config))
            .transpose()?;
        let wecom_app = channels
            .contains(Channel::WecomApp)
            .then(|| WecomAppParts::new(config))
            .transpose()?;
        let wecom_robot = channels
            .contains(Channel::WecomRobot)
            .then(|| configured_robot(config))
            .transpose()?;
        Ok(Self {
            mini_program,
            wecom_app,
            wecom_robot,
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
        if let PreparedRequest::Robot(request) = request {
            return match &self.wecom_robot {
                Some(robot) => send_to_robot(request, robot).await,
                None => NOT_CONFIGURED,
            };
        }
        let Some(call) = self.call(request) else {
            return NOT_CONFIGURED;
        };
        let token = match call.token_slot().get().await {
            Ok(token) => token,
            Err(error) => return SendOutcome::NoToken(error),
        };
        if let Some(reason) = reason_not_to_send() {
            return SendOutcome::NotTried(reason);
        }
        let outcome = call.make(&token).await;
        if !asks_for_a_new_token(&outcome, rules) {
            return outcome;
        }
        call.token_slot().expire_if_current(&token);
        match call.token_slot().get().await {
            Ok(token) => match reason_not_to_send() {
                None => call.make(&token).await,
                Some(reason) => SendOutcome::NotTried(reason),
            },
            Err(error) => SendOutcome::NoToken(error),
        }
    }

    fn call<'a>(&'a self, request: &'a PreparedRequest) -> Option<Call<'a>> {
        let mini_program = self.mini_program.as_ref();
        match request {
            PreparedRequest::Subscribe(request) => {
                mini_program.map(|parts| Call::Subscribe(parts, request))
            }
            PreparedRequest::Cloud(request) => {
                mini_program.map(|parts| Call::Cloud(parts, request))
            }
            PreparedRequest::App(request) => {
                let wecom_app = self.wecom_app.as_ref();
                wecom_app.map(|parts| Call::App(parts, request))
            }
            PreparedRequest::Robot(_) => None,
        }
    }
}

/// The WeCom application, as configured. Connects to nothing yet.
///
/// # Errors
/// If the address or a time-out cannot be used.
pub(crate) fn configured_app(config: &Config) -> Result<WecomApp, ConfigError> {
    Ok(WecomApp::new(
        client(config, &config.wecom_api_url)?,
        config.wecom_corpid.clone(),
        config.wecom_agentid.unwrap_or_default(),
        config.wecom_secret.clone(),
    ))
}

/// The WeCom group robot, as configured. Connects to nothing yet.
///
/// # Errors
/// If the address or a time-out cannot be used.
pub(crate) fn configured_robot(config: &Config) -> Result<WecomRobot, ConfigError> {
    let client = client(config, &config.wecom_api_url)?;
    Ok(WecomRobot::new(client, config.wecom_robot_key.clone()))
}

fn client(config: &Config, base_url: &str) -> Result<ApiClient, ConfigError> {
    ApiClient::new(&ApiClientConfig {
        base_url: base_url.to_owned(),
        connect_timeout: config.connect_timeout,
        request_timeout: config.request_timeout,
    })
}

impl MiniProgramParts {
    fn new(config: &Config) -> Result<Self, ConfigError> {
        let client = client(config, &config.wechat_api_url)?;
        let mini_program = MiniProgram::new(
            client.clone(),
            config.wechat_appid.clone(),
            config.wechat_secret.clone(),
        );
        let state = config.miniprogram_state();
        Ok(Self {
            token_slot: mini_program.token_slot(),
            cloud_functions: CloudFunctions::new(client),
            mini_program,
            cloud_env: config.wechat_cloud_env.clone(),
            cloud_function: config.wechat_cloud_function.clone(),
            state,
        })
    }
}

impl WecomAppParts {
    fn new(config: &Config) -> Result<Self, ConfigError> {
        let app = configured_app(config)?;
        Ok(Self {
            token_slot: app.token_slot(),
            app,
        })
    }
}

impl<'a> Call<'a> {
    fn token_slot(self) -> &'a TokenSlot {
        match self {
            Self::Subscribe(parts, _) | Self::Cloud(parts, _) => &parts.token_slot,
            Self::App(parts, _) => &parts.token_slot,
        }
    }

    async fn make(self, token: &AccessToken) -> SendOutcome {
        match self {
            Self::Subscribe(parts, request) => {
                send_to_subscriber(request, &parts.mini_program, token, parts.state).await
            }
            Self::Cloud(parts, request) => {
                send_to_function(
                    request,
                    &parts.cloud_functions,
                    token,
                    &parts.cloud_env,
                    &parts.cloud_function,
                )
                .await
            }
            Self::App(parts, request) => send_to_app(request, &parts.app, token).await,
        }
    }
}
