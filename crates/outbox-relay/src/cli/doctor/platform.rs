//! What the platforms say when they are asked without sending anything.

use secrecy::ExposeSecret;
use shared::domain::Channel;
use wechat::errcode::{self, Api};
use wechat::wecom::{Agent, AgentState};
use wechat::{ApiClient, ApiClientConfig, CallError, MiniProgram, TokenError, WecomApp};

use super::{Line, State, line};
use crate::Config;
use crate::channel::configured_app;
use crate::verdict::explained;

/// Everything that can be told of the configured platforms.
pub(super) async fn platforms(config: &Config) -> Vec<Line> {
    let mut lines = Vec::new();
    if !config.wechat_appid.is_empty() {
        lines.extend(mini_program(config).await);
    }
    let channels = config.configured_channels();
    if channels.contains(Channel::WecomApp) {
        lines.extend(wecom(config).await);
    }
    if channels.contains(Channel::WecomRobot) {
        lines.push(robot(config.wecom_robot_key.expose_secret()));
    }
    lines
}

/// Asks for a token, which tells whether the platform can be reached and knows us.
async fn mini_program(config: &Config) -> Vec<Line> {
    let client = ApiClient::new(&ApiClientConfig {
        base_url: config.wechat_api_url.clone(),
        connect_timeout: config.connect_timeout,
        request_timeout: config.request_timeout,
    });
    let client = match client {
        Ok(client) => client,
        Err(error) => return vec![line("platform", State::Bad, error.to_string())],
    };
    let mini_program = MiniProgram::new(
        client,
        config.wechat_appid.clone(),
        config.wechat_secret.clone(),
    );
    let reached = reached("platform", &config.wechat_api_url);
    match mini_program.token_slot().get().await {
        Ok(_) => vec![
            reached,
            line(
                "token",
                State::Ok,
                format!("the platform gave one for {}", config.wechat_appid),
            ),
        ],
        Err(TokenError::Rejected {
            api,
            errcode,
            errmsg,
        }) => vec![
            reached,
            line("token", State::Bad, in_words(api, errcode, &errmsg)),
        ],
        Err(TokenError::Unreachable {
            reason,
            http_status,
        }) => {
            let out_of_reach = out_of_reach(&config.wechat_api_url, &reason, http_status);
            let text =
                format!("{out_of_reach}; check WECHAT_API_URL, the network and the firewall");
            vec![line("platform", State::Bad, text)]
        }
    }
}

/// Asks for a token and for what is known of the application: which tells whether WeCom can be reached
/// from this address, and knows the corporation, the secret and the application.
async fn wecom(config: &Config) -> Vec<Line> {
    let app = match configured_app(config) {
        Ok(app) => app,
        Err(error) => return vec![line("wecom", State::Bad, error.to_string())],
    };
    let mut lines = vec![reached("wecom", &config.wecom_api_url)];
    match ask(&app).await {
        Ok(agent) => {
            let corpid = &config.wecom_corpid;
            lines.push(line("corp", State::Ok, format!("WeCom knows {corpid}")));
            lines.push(line("secret", State::Ok, "WeCom gave a token for it"));
            lines.push(application(&agent, config));
            let text = "the application trusts this host's address";
            lines.push(line("allow-list", State::Ok, text));
        }
        Err(Trouble::Refused {
            api,
            errcode,
            errmsg,
        }) => {
            let text = in_words(api, errcode, &errmsg);
            lines.push(line(concerned(errcode), State::Bad, text));
        }
        Err(Trouble::OutOfReach {
            reason,
            http_status,
        }) => {
            let out_of_reach = out_of_reach(&config.wecom_api_url, &reason, http_status);
            let text = format!("{out_of_reach}; check WECOM_API_URL, the network and the firewall");
            return vec![line("wecom", State::Bad, text)];
        }
    }
    lines
}

enum Trouble {
    Refused {
        api: Api,
        errcode: i64,
        errmsg: String,
    },
    OutOfReach {
        reason: String,
        http_status: Option<u16>,
    },
}

async fn ask(app: &WecomApp) -> Result<Agent, Trouble> {
    let token = app.token_slot().get().await.map_err(|error| match error {
        TokenError::Rejected {
            api,
            errcode,
            errmsg,
        } => Trouble::Refused {
            api,
            errcode,
            errmsg,
        },
        TokenError::Unreachable {
            reason,
            http_status,
        } => Trouble::OutOfReach {
            reason,
            http_status,
        },
    })?;
    app.agent(&token).await.map_err(|error| match error {
        CallError::Refused {
            errcode, errmsg, ..
        } => Trouble::Refused {
            api: Api::WecomAgent,
            errcode,
            errmsg,
        },
        CallError::NotSent { reason } => Trouble::OutOfReach {
            reason,
            http_status: None,
        },
        CallError::NoAnswer {
            reason,
            http_status,
        } => Trouble::OutOfReach {
            reason,
            http_status,
        },
    })
}

/// What a refusal is about.
fn concerned(errcode: i64) -> &'static str {
    match errcode {
        40_013 | 41_002 => "corp",
        40_001 | 40_091 | 41_004 => "secret",
        40_056 | 41_011 | 48_002 | 48_004 | 50_003 | 60_011 | 301_002 => "agent",
        60_020 => "allow-list",
        _ => "wecom",
    }
}

fn application(agent: &Agent, config: &Config) -> Line {
    let agentid = config.wecom_agentid.unwrap_or_default();
    let name = &agent.name;
    match agent.state {
        AgentState::On => line("agent", State::Ok, format!("{agentid} is {name}")),
        AgentState::Off => line(
            "agent",
            State::Bad,
            format!("{agentid}, {name}, is switched off: switch it on (启用) in the admin console"),
        ),
    }
}

/// Only its form can be looked at: a robot answers nothing but messages.
fn robot(key: &str) -> Line {
    let groups: Vec<&str> = key.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let is_hex = groups
        .iter()
        .all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()));
    if is_hex && lengths == [8, 4, 4, 4, 12] {
        let text = "the key has the form of one; whether it is one, `outbox-relay test-send wecom_robot` tells";
        line("robot", State::Ok, text)
    } else {
        let text = "WECOM_ROBOT_KEY has not the form of a key (8-4-4-4-12 hexadecimal digits): copy what stands after key= in the robot's address";
        line("robot", State::Bad, text)
    }
}

fn reached(what: &'static str, url: &str) -> Line {
    line(what, State::Ok, format!("{url} answers"))
}

fn out_of_reach(url: &str, reason: &str, http_status: Option<u16>) -> String {
    let status = http_status.map(|status| format!(" (HTTP {status})"));
    format!(
        "{url} gives no usable answer{}: {reason}",
        status.unwrap_or_default()
    )
}

/// The platform's words, ours, and what to do.
fn in_words(api: Api, errcode: i64, errmsg: &str) -> String {
    explained(&errcode::rule(api, errcode), errmsg)
}
