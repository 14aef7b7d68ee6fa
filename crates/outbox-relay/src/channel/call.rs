use rendering::{AppRequest, CloudRequest, RobotRequest, SubscribeRequest};
use wechat::errcode::Api;
use wechat::mini_program::MiniProgramState;
use wechat::{AccessToken, CloudFunctions, MiniProgram, WecomApp, WecomRobot};

use super::acceptance::accepted;
use crate::verdict::SendOutcome;

/// Sends a subscribe message.
pub(super) async fn send_to_subscriber(
    request: &SubscribeRequest,
    mini_program: &MiniProgram,
    token: &AccessToken,
    miniprogram_state: MiniProgramState,
) -> SendOutcome {
    let message = request.message(miniprogram_state);
    match mini_program.send_subscribe_message(token, &message).await {
        Ok(accepted) => SendOutcome::Accepted {
            provider_message_id: accepted.msgid,
        },
        Err(error) => SendOutcome::Failed {
            api: Api::SubscribeSend,
            error,
        },
    }
}

/// Calls the cloud function `function` of the environment `env`.
pub(super) async fn send_to_function(
    request: &CloudRequest,
    cloud_functions: &CloudFunctions,
    token: &AccessToken,
    env: &str,
    function: &str,
) -> SendOutcome {
    let answered = cloud_functions.invoke(token, env, function, request.event());
    match answered.await {
        Ok(answer) => SendOutcome::FunctionAnswered(answer),
        Err(error) => SendOutcome::Failed {
            api: Api::CloudFunction,
            error,
        },
    }
}

/// Sends a message of a WeCom application.
pub(crate) async fn send_to_app(
    request: &AppRequest,
    app: &WecomApp,
    token: &AccessToken,
) -> SendOutcome {
    match app.send(token, request.touser(), request.content()).await {
        Ok(acceptance) => accepted(request.touser(), acceptance),
        Err(error) => SendOutcome::Failed {
            api: Api::WecomSend,
            error,
        },
    }
}

/// Writes into the group of a WeCom robot.
pub(crate) async fn send_to_robot(request: &RobotRequest, robot: &WecomRobot) -> SendOutcome {
    match robot.send(request.content()).await {
        Ok(()) => SendOutcome::Accepted {
            provider_message_id: None,
        },
        Err(error) => SendOutcome::Failed {
            api: Api::WecomRobot,
            error,
        },
    }
}
