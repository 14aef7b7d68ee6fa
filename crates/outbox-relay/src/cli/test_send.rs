use std::time::Duration;

use anyhow::bail;
use chrono::Utc;
use clap::Args;
use rendering::{AppRequest, RobotRequest, Wording};
use serde::Serialize;
use shared::domain::{Channel, OutboxMessageId};
use shared::notification::MessageFormat;
use wechat::errcode::{self, Api};
use wechat::{CallError, TokenError};

use super::table::{Format, say, say_json};
use crate::Config;
use crate::channel::{configured_app, configured_robot, send_to_app, send_to_robot};
use crate::verdict::{SendOutcome, explained};

/// Where a test goes.
#[derive(Debug, Args)]
pub struct TestSendArguments {
    /// On which channel: wecom_app or wecom_robot
    channel: Channel,
    /// To whom, for wecom_app: a WeCom user id, or several joined by |
    #[arg(long)]
    to: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One step on the way of a message.
#[derive(Debug, Serialize)]
struct Step {
    step: &'static str,
    state: State,
    /// In words, with what to do.
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Failed,
}

/// The steps so far; the next one is made only if none has failed.
#[derive(Default)]
struct Steps(Vec<Step>);

impl Steps {
    fn ok(&mut self, step: &'static str, text: impl Into<String>) {
        self.0.push(Step {
            step,
            state: State::Ok,
            text: text.into(),
        });
    }

    /// What a step brought; `None` if it failed.
    fn take<T>(&mut self, step: &'static str, brought: Result<T, String>) -> Option<T> {
        match brought {
            Ok(brought) => Some(brought),
            Err(text) => {
                self.0.push(Step {
                    step,
                    state: State::Failed,
                    text,
                });
                None
            }
        }
    }
}

pub(super) async fn run(arguments: TestSendArguments, config: &Config) -> anyhow::Result<()> {
    let mut steps = Steps::default();
    let sent = match arguments.channel {
        Channel::WecomApp => to_app(arguments.to.as_deref(), config, &mut steps).await,
        Channel::WecomRobot => to_robot(config, &mut steps).await,
        Channel::WechatSubscribe | Channel::WechatCloud => {
            bail!("test-send knows wecom_app and wecom_robot")
        }
    };
    match Format::of_flag(arguments.json) {
        Format::Json => say_json(&steps.0)?,
        Format::Table => {
            for Step { step, state, text } in &steps.0 {
                let state = match state {
                    State::Ok => "ok",
                    State::Failed => "FAILED",
                };
                say(&format!("{step:8} {state:6} {text}"));
            }
        }
    }
    match (sent, steps.0.last()) {
        (None, Some(failed)) => bail!("the test was not sent: {} failed", failed.step),
        _ => Ok(()),
    }
}

async fn to_app(to: Option<&str>, config: &Config, steps: &mut Steps) -> Option<()> {
    let configured = check(config, Channel::WecomApp).and_then(|()| {
        let to = to.ok_or_else(|| "nobody is named: give --to USERID".to_owned())?;
        let app = configured_app(config).map_err(|error| error.to_string())?;
        Ok((app, to))
    });
    let (app, to) = steps.take("config", configured)?;
    let agentid = config.wecom_agentid.unwrap_or_default();
    let corpid = &config.wecom_corpid;
    steps.ok("config", format!("application {agentid} of {corpid}"));

    let token = app.token_slot().get().await;
    let token = steps.take("token", token.map_err(|error| token_trouble(&error)))?;
    steps.ok("token", "WeCom gave one");

    let wording = wording(match config.crm_url {
        Some(_) => MessageFormat::Textcard,
        None => MessageFormat::Text,
    });
    let wording = Wording {
        url: config.crm_url.clone(),
        ..wording
    };
    let prepared = AppRequest::prepare(&OutboxMessageId::generate(), to, &wording);
    let request = steps.take("content", prepared.map_err(|error| error.to_string()))?;
    steps.ok("content", format!("a {}, 测试消息", wording.format));

    let sent = accepted(send_to_app(&request, &app, &token).await);
    steps.take("send", sent)?;
    steps.ok("send", format!("WeCom took it; {to} should see it now"));
    Some(())
}

async fn to_robot(config: &Config, steps: &mut Steps) -> Option<()> {
    let configured = check(config, Channel::WecomRobot)
        .and_then(|()| configured_robot(config).map_err(|error| error.to_string()));
    let robot = steps.take("config", configured)?;
    steps.ok("config", "the robot's key is given");

    let wording = wording(MessageFormat::Markdown);
    let prepared = RobotRequest::prepare(&wording);
    let request = steps.take("content", prepared.map_err(|error| error.to_string()))?;
    steps.ok("content", format!("a {}, 测试消息", wording.format));

    steps.take("send", accepted(send_to_robot(&request, &robot).await))?;
    steps.ok("send", "WeCom took it; the robot's group should see it now");
    Some(())
}

fn check(config: &Config, channel: Channel) -> Result<(), String> {
    config.validate().map_err(|error| error.to_string())?;
    let missing = config.lacks(channel);
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("not given: {}", missing.join(", ")))
    }
}

/// Beijing's time is so far ahead of UTC, in summer as well.
const BEIJING: Duration = Duration::from_secs(8 * 60 * 60);

fn wording(format: MessageFormat) -> Wording {
    Wording {
        format,
        title: "【测试消息】驿站".to_owned(),
        description: format!(
            "这是一条测试消息，收到它说明配置正确，无需处理。\n发送时间：{}",
            (Utc::now() + BEIJING).format("%Y年%m月%d日 %H:%M")
        ),
        content: None,
        url: None,
        button: "打开CRM".to_owned(),
    }
}

fn accepted(outcome: SendOutcome) -> Result<(), String> {
    match outcome {
        SendOutcome::Accepted { .. } => Ok(()),
        other => Err(trouble(&other)),
    }
}

/// What went wrong, and what to do.
fn trouble(outcome: &SendOutcome) -> String {
    match outcome {
        SendOutcome::AcceptedForSome { refused, .. }
        | SendOutcome::AcceptedForNobody { refused } => format!(
            "{}; check the user ids and the application's visible range in the admin console",
            refused.error
        ),
        SendOutcome::Failed {
            api,
            error: CallError::Refused {
                errcode, errmsg, ..
            },
        } => refusal(*api, *errcode, errmsg),
        SendOutcome::Failed { error, .. } => {
            format!("{error}; check WECOM_API_URL, the network and the firewall")
        }
        SendOutcome::NoToken(error) => token_trouble(error),
        SendOutcome::Unpreparable(reason) => reason.clone(),
        SendOutcome::Accepted { .. }
        | SendOutcome::FunctionAnswered(_)
        | SendOutcome::NoRecipient(_)
        | SendOutcome::DoNotDisturb { .. }
        | SendOutcome::NobodyIsBound
        | SendOutcome::NotTried(_) => "nothing was sent".to_owned(),
    }
}

fn token_trouble(error: &TokenError) -> String {
    match error {
        TokenError::Rejected {
            api,
            errcode,
            errmsg,
        } => refusal(*api, *errcode, errmsg),
        TokenError::Unreachable { .. } => {
            format!("{error}; check WECOM_API_URL, the network and the firewall")
        }
    }
}

fn refusal(api: Api, errcode: i64, errmsg: &str) -> String {
    explained(&errcode::rule(api, errcode), errmsg)
}
