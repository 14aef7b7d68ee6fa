//! What a relay can be told.

use std::net::SocketAddr;
use std::time::Duration;

use chrono_tz::Tz;
use clap::Parser;
use secrecy::{ExposeSecret, SecretString};
use shared::command_line::DatabaseUrlParser;
use shared::db::DatabaseUrl;
use shared::domain::{App, Channel, ChannelSet};
use shared::outbox::Retention;
use shared::telemetry::LogFormat;
use url::Url;
use wechat::mini_program::MiniProgramState;

/// Settings of a relay. Each can be given as a flag or by its environment variable; an empty
/// variable counts as not given.
#[derive(Debug, Clone, Parser)]
#[command(args_override_self = true)]
pub struct Config {
    /// The database it shares with crm-api: sqlite:<file> or postgres://user:password@host/database
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = DatabaseUrlParser)]
    pub database_url: DatabaseUrl,

    /// Connections to the database, at most
    #[arg(long, env = "DATABASE_POOL_SIZE", default_value_t = 6, value_parser = clap::value_parser!(u32).range(2..=100))]
    pub database_pool_size: u32,

    /// How long to wait at start for the database and its schema before giving up
    #[arg(long, env = "DATABASE_WAIT", default_value = "60s", value_parser = duration)]
    pub database_wait: Duration,

    /// The time zone of the hours in which staff do not want to be disturbed
    #[arg(long, env = "TIME_ZONE", default_value = "Asia/Shanghai")]
    pub time_zone: Tz,

    /// The mini program's appid; with its secret, enables the channel wechat_subscribe
    #[arg(long, env = "WECHAT_APPID", default_value = "", value_parser = trimmed)]
    pub wechat_appid: String,

    /// The mini program's secret
    #[arg(long, env = "WECHAT_SECRET", default_value = "", hide_env_values = true, value_parser = secret)]
    pub wechat_secret: SecretString,

    /// The mini program's cloud environment; enables the channel wechat_cloud
    #[arg(long, env = "WECHAT_CLOUD_ENV", default_value = "")]
    pub wechat_cloud_env: String,

    /// The cloud function that sends the message
    #[arg(
        long,
        env = "WECHAT_CLOUD_FUNCTION",
        default_value = "quickstartFunctions"
    )]
    pub wechat_cloud_function: String,

    /// Which version of the mini program a card opens: formal, trial or developer
    #[arg(long, env = "WECHAT_MINIPROGRAM_STATE", default_value = "formal", value_parser = ["formal", "trial", "developer"])]
    pub wechat_miniprogram_state: String,

    /// Where the WeChat platform is; the sandbox or a proxy in front of it
    #[arg(long, env = "WECHAT_API_URL", default_value = wechat::DEFAULT_BASE_URL)]
    pub wechat_api_url: String,

    /// The WeCom corporation's id; with the application's id and secret, enables the channel wecom_app
    #[arg(long, env = "WECOM_CORPID", default_value = "", value_parser = trimmed)]
    pub wecom_corpid: String,

    /// The WeCom application's number, such as 1000002
    #[arg(long, env = "WECOM_AGENTID", value_parser = agentid)]
    pub wecom_agentid: Option<u32>,

    /// The WeCom application's secret
    #[arg(long, env = "WECOM_SECRET", default_value = "", hide_env_values = true, value_parser = secret)]
    pub wecom_secret: SecretString,

    /// What stands after key= in the address of a WeCom group robot; enables the channel wecom_robot
    #[arg(long, env = "WECOM_ROBOT_KEY", default_value = "", hide_env_values = true, value_parser = secret)]
    pub wecom_robot_key: SecretString,

    /// Where WeCom is; the sandbox or a proxy in front of it
    #[arg(long, env = "WECOM_API_URL", default_value = wechat::WECOM_BASE_URL)]
    pub wecom_api_url: String,

    /// Where the CRM is in the web: links in WeCom messages begin with it; without it there are none
    #[arg(long, env = "CRM_URL", value_parser = web_address)]
    pub crm_url: Option<Url>,

    /// How long one connection to a platform may take
    #[arg(long, env = "CONNECT_TIMEOUT", default_value = "2s", value_parser = duration)]
    pub connect_timeout: Duration,

    /// How long one request to a platform may take, connecting included
    #[arg(long, env = "REQUEST_TIMEOUT", default_value = "6s", value_parser = duration)]
    pub request_timeout: Duration,

    /// How long a claimed message belongs to this relay; at least five request time-outs
    #[arg(long, env = "LEASE", default_value = "60s", value_parser = duration)]
    pub lease: Duration,

    /// Messages in hand at once, per channel
    #[arg(long, env = "CONCURRENCY", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub concurrency: u32,

    /// How often to look for due messages when no signal comes
    #[arg(long, env = "POLL_INTERVAL", default_value = "1s", value_parser = duration)]
    pub poll_interval: Duration,

    /// How often to try one message on a channel that is held
    #[arg(long, env = "PROBE_INTERVAL", default_value = "60s", value_parser = duration)]
    pub probe_interval: Duration,

    /// How long sent messages are kept
    #[arg(long, env = "KEEP_SENT", default_value = "7d", value_parser = duration)]
    pub keep_sent: Duration,

    /// How long failed messages are kept for a person to look at
    #[arg(long, env = "KEEP_FAILED", default_value = "30d", value_parser = duration)]
    pub keep_failed: Duration,

    /// How long skipped and cancelled messages are kept
    #[arg(long, env = "KEEP_SKIPPED", default_value = "7d", value_parser = duration)]
    pub keep_skipped: Duration,

    /// How long requests under way may take after a stop was asked for
    #[arg(long, env = "SHUTDOWN_GRACE", default_value = "8s", value_parser = duration)]
    pub shutdown_grace: Duration,

    /// Where /healthz, /readyz and /metrics are served; `none` for nowhere
    #[arg(long, env = "RELAY_LISTEN", default_value = "127.0.0.1:9090", value_parser = optional_address)]
    pub listen: OptionalAddress,

    /// What to log, in the language of RUST_LOG: info, outbox_relay=debug,info
    #[arg(long, env = "LOG", default_value = "info")]
    pub log: String,

    /// How log lines look: text or json
    #[arg(long, env = "LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// An address to listen on, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionalAddress(pub Option<SocketAddr>);

/// How many settings the channel wecom_app needs.
const WECOM_APP_NEEDS: usize = 3;

/// Settings that contradict each other, with the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidConfig(String);

impl Config {
    /// Checks what no single setting can: how they go together.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let invalid = |text: String| Err(InvalidConfig(text));
        if self.lease < self.request_timeout * 5 {
            // A token, a message, a new token, the message again, and room to settle.
            return invalid(format!(
                "LEASE ({}) must be at least five times REQUEST_TIMEOUT ({})",
                humantime::format_duration(self.lease),
                humantime::format_duration(self.request_timeout)
            ));
        }
        for (name, value) in [
            ("POLL_INTERVAL", self.poll_interval),
            ("PROBE_INTERVAL", self.probe_interval),
            ("CONNECT_TIMEOUT", self.connect_timeout),
            ("REQUEST_TIMEOUT", self.request_timeout),
        ] {
            if value.is_zero() {
                return invalid(format!("{name} must be above zero"));
            }
        }
        if self.wechat_appid.is_empty() != self.wechat_secret.expose_secret().is_empty() {
            return invalid("WECHAT_APPID and WECHAT_SECRET must be given together".to_owned());
        }
        if !self.wechat_appid.is_empty() && self.mini_program_app().as_str().parse::<App>().is_err()
        {
            return invalid("WECHAT_APPID: only letters, digits, - and _, at most 64".to_owned());
        }
        if self.wechat_appid.is_empty() && !self.wechat_cloud_env.is_empty() {
            return invalid("WECHAT_CLOUD_ENV needs WECHAT_APPID and WECHAT_SECRET".to_owned());
        }
        self.validate_wecom()
    }

    fn validate_wecom(&self) -> Result<(), InvalidConfig> {
        let invalid = |text: String| Err(InvalidConfig(text));
        let missing = self.lacks(Channel::WecomApp);
        if missing.is_empty() {
            if self.wecom_app().as_str().parse::<App>().is_err() {
                let text = "WECOM_CORPID: only letters, digits, - and _, at most 64";
                return invalid(text.to_owned());
            }
        } else if missing.len() < WECOM_APP_NEEDS {
            return invalid(format!(
                "WECOM_CORPID, WECOM_AGENTID and WECOM_SECRET must be given together; missing: {}",
                missing.join(", ")
            ));
        }
        let key = self.wecom_robot_key.expose_secret();
        if !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            let text = "WECOM_ROBOT_KEY: only what stands after key= in the robot's address, letters, digits and -";
            return invalid(text.to_owned());
        }
        Ok(())
    }

    /// The variables that a channel needs and that are not given.
    pub fn lacks(&self, channel: Channel) -> Vec<&'static str> {
        let is_empty = |secret: &SecretString| secret.expose_secret().is_empty();
        let needs = match channel {
            Channel::WechatSubscribe => vec![
                ("WECHAT_APPID", self.wechat_appid.is_empty()),
                ("WECHAT_SECRET", is_empty(&self.wechat_secret)),
            ],
            Channel::WechatCloud => vec![
                ("WECHAT_APPID", self.wechat_appid.is_empty()),
                ("WECHAT_SECRET", is_empty(&self.wechat_secret)),
                ("WECHAT_CLOUD_ENV", self.wechat_cloud_env.is_empty()),
            ],
            Channel::WecomApp => vec![
                ("WECOM_CORPID", self.wecom_corpid.is_empty()),
                ("WECOM_AGENTID", self.wecom_agentid.is_none()),
                ("WECOM_SECRET", is_empty(&self.wecom_secret)),
            ],
            Channel::WecomRobot => vec![("WECOM_ROBOT_KEY", is_empty(&self.wecom_robot_key))],
        };
        let missing = needs.into_iter().filter(|(_, is_missing)| *is_missing);
        missing.map(|(variable, _)| variable).collect()
    }

    /// How long finished messages are kept.
    pub fn retention(&self) -> Retention {
        Retention {
            sent: self.keep_sent,
            failed: self.keep_failed,
            skipped_and_cancelled: self.keep_skipped,
        }
    }

    /// The channels that have what they need.
    pub fn configured_channels(&self) -> ChannelSet {
        let channels = Channel::ALL.iter().copied();
        channels
            .filter(|channel| self.lacks(*channel).is_empty())
            .collect()
    }

    /// The application in which the recipients of the mini program's channels have an identity.
    pub fn mini_program_app(&self) -> App {
        App::mini_program(&self.wechat_appid)
    }

    /// Which version of the mini program a card opens.
    pub fn miniprogram_state(&self) -> MiniProgramState {
        match self.wechat_miniprogram_state.as_str() {
            "trial" => MiniProgramState::Trial,
            "developer" => MiniProgramState::Developer,
            _ => MiniProgramState::Formal,
        }
    }

    /// The application in which users have an identity for the channel wecom_app.
    pub fn wecom_app(&self) -> App {
        App::wecom(&self.wecom_corpid)
    }
}

fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of a value parser")]
fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(SecretString::from(text.trim()))
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of a value parser")]
fn trimmed(text: &str) -> Result<String, std::convert::Infallible> {
    Ok(text.trim().to_owned())
}

fn agentid(text: &str) -> Result<u32, &'static str> {
    let number = text.trim().parse();
    number.map_err(|_| "the application's number, such as 1000002, is wanted")
}

fn web_address(text: &str) -> Result<Url, &'static str> {
    const WANTED: &str = "an address that begins with https:// and has no ? and no # is wanted";
    let url = Url::parse(text.trim()).map_err(|_| WANTED)?;
    let is_plain = url.query().is_none() && url.fragment().is_none();
    if matches!(url.scheme(), "http" | "https") && is_plain {
        Ok(url)
    } else {
        Err(WANTED)
    }
}

fn optional_address(text: &str) -> Result<OptionalAddress, std::net::AddrParseError> {
    if text.is_empty() || text == "none" {
        Ok(OptionalAddress(None))
    } else {
        text.parse().map(|address| OptionalAddress(Some(address)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(arguments: &[&str]) -> Config {
        let all = ["relay", "--database-url", "sqlite:x.db"]
            .iter()
            .chain(arguments);
        Config::try_parse_from(all).unwrap()
    }

    #[test]
    fn contradictions_are_named_with_the_way_out() {
        for (arguments, problem) in [
            (
                &["--lease", "10s"][..],
                "LEASE (10s) must be at least five times REQUEST_TIMEOUT (6s)",
            ),
            (
                &["--poll-interval", "0s"],
                "POLL_INTERVAL must be above zero",
            ),
            (&["--wechat-appid", "wx1"], "must be given together"),
            (&["--wechat-secret", "geheim"], "must be given together"),
            (
                &["--wechat-cloud-env", "prod"],
                "WECHAT_CLOUD_ENV needs WECHAT_APPID",
            ),
            (
                &["--wecom-corpid", "ww1"],
                "must be given together; missing: WECOM_AGENTID, WECOM_SECRET",
            ),
            (
                &["--wecom-corpid", "ww1", "--wecom-agentid", "1000002"],
                "missing: WECOM_SECRET",
            ),
            (
                &[
                    "--wecom-corpid",
                    "ww 1",
                    "--wecom-agentid",
                    "1",
                    "--wecom-secret",
                    "s",
                ],
                "WECOM_CORPID: only letters",
            ),
            (
                &[
                    "--wecom-robot-key",
                    "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=1",
                ],
                "WECOM_ROBOT_KEY: only what stands after key=",
            ),
        ] {
            let error = config(arguments).validate().unwrap_err().to_string();
            assert!(error.contains(problem), "{arguments:?}: {error}");
        }
        config(&[]).validate().unwrap();
    }

    #[test]
    fn what_is_no_number_or_no_address_is_refused_at_once() {
        for (arguments, wanted) in [
            (
                ["--wecom-agentid", "sales"],
                "the application's number, such as 1000002",
            ),
            (["--crm-url", "crm.example.com"], "begins with https://"),
            (["--crm-url", "https://crm.example.com/#/"], "no #"),
        ] {
            let all = ["relay", "--database-url", "sqlite:x.db"];
            let error = Config::try_parse_from(all.iter().chain(&arguments)).unwrap_err();
            assert!(error.to_string().contains(wanted), "{error}");
        }
    }

    #[test]
    fn channels_are_on_when_they_have_what_they_need() {
        assert_eq!(config(&[]).configured_channels(), ChannelSet::default());
        let mini_program = ["--wechat-appid", "wx1", "--wechat-secret", "s"];
        let all = [&mini_program[..], &["--wechat-cloud-env", "prod"]].concat();
        assert_eq!(
            config(&mini_program)
                .configured_channels()
                .iter()
                .collect::<Vec<_>>(),
            [Channel::WechatSubscribe]
        );
        assert!(
            config(&all)
                .configured_channels()
                .contains(Channel::WechatCloud)
        );
        let app = [
            "--wecom-corpid",
            "ww1",
            "--wecom-agentid",
            "1000002",
            "--wecom-secret",
            "s",
        ];
        assert_eq!(
            config(&app).configured_channels(),
            ChannelSet::default().with(Channel::WecomApp)
        );
        assert_eq!(
            config(&["--wecom-robot-key", "693a91f6"]).configured_channels(),
            ChannelSet::default().with(Channel::WecomRobot)
        );
    }

    #[test]
    fn the_secret_and_the_password_are_not_printed() {
        let shown = format!(
            "{:?}",
            config(&[
                "--database-url",
                "postgres://a:geheim@b/c",
                "--wechat-appid",
                "wx1",
                "--wechat-secret",
                "geheim",
                "--wecom-secret",
                "geheim",
                "--wecom-robot-key",
                "geheim"
            ])
        );
        assert!(!shown.contains("geheim"), "{shown}");
    }
}
