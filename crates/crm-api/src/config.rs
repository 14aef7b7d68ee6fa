use std::convert::Infallible;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use chrono_tz::Tz;
use secrecy::{ExposeSecret, SecretString};
use shared::command_line::DatabaseUrlParser;
use shared::db::DatabaseUrl;
use shared::domain::{Channel, ChannelSet};
use shared::telemetry::LogFormat;
use url::Url;

use crate::client_address::TrustedProxies;

/// The shortest `JWT_SECRET`, in bytes: as long as the signature it makes (RFC 7518, section 3.2).
const JWT_SECRET_BYTES_MIN: usize = 32;

/// The shortest `KEEP_NOTIFICATIONS`: what was just told must not be gone when it is looked at.
const NOTIFICATIONS_KEPT_MIN: Duration = Duration::from_secs(60 * 60);

/// What a socket may be told to wait for.
const SOCKET_TIMES: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(60 * 60);

/// The settings of the API: each a flag and an environment variable. An optional variable that is
/// set to nothing counts as not set.
#[derive(Debug, Clone, clap::Parser)]
pub struct Config {
    /// The database, shared with the relays: `sqlite:<file>` or
    /// `postgres://user:password@host:5432/database`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = DatabaseUrlParser)]
    pub database_url: DatabaseUrl,

    /// The address and port to listen on.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// The secret that signs access tokens, at least 32 bytes; the same for every API process. Must
    /// be given, except to migrate.
    #[arg(long, env = "JWT_SECRET", hide_env_values = true, default_value = "", hide_default_value = true, value_parser = secret)]
    pub jwt_secret: SecretString,

    /// The password of the first user, `admin`; without it a random one is printed once.
    #[arg(long, env = "ADMIN_PASSWORD", hide_env_values = true, default_value = "", hide_default_value = true, value_parser = optional_secret)]
    pub admin_password: ::std::option::Option<SecretString>,

    /// The time zone of all days and rendered times.
    #[arg(long, env = "TIME_ZONE", default_value = "Asia/Shanghai")]
    pub time_zone: Tz,

    /// The appid of the WeChat mini program; enables the channel `wechat_subscribe`.
    #[arg(long, env = "WECHAT_APPID", default_value = "", hide_default_value = true, value_parser = optional::<String>)]
    pub wechat_appid: ::std::option::Option<String>,

    /// The cloud environment of the mini program; enables the channel `wechat_cloud`.
    #[arg(long, env = "WECHAT_CLOUD_ENV", default_value = "", hide_default_value = true, value_parser = optional::<String>)]
    pub wechat_cloud_env: ::std::option::Option<String>,

    /// The id of the WeCom corporation; with `WECOM_AGENTID`, enables the channel `wecom_app`.
    #[arg(long, env = "WECOM_CORPID", default_value = "", hide_default_value = true, value_parser = optional::<String>)]
    pub wecom_corpid: ::std::option::Option<String>,

    /// The id of the application in it that messages come from.
    #[arg(long, env = "WECOM_AGENTID", default_value = "", hide_default_value = true, value_parser = optional::<u32>)]
    pub wecom_agentid: ::std::option::Option<u32>,

    /// Whether the relays have the key of a WeCom group robot, the channel `wecom_robot`: `on` or
    /// `off`.
    #[arg(long, env = "WECOM_ROBOT", default_value = "off")]
    pub wecom_robot: RobotUse,

    /// Where the CRM is in the web, as the relays know it; previews of messages show their links with it.
    #[arg(long, env = "CRM_URL", default_value = "", hide_default_value = true, value_parser = web_address)]
    pub crm_url: ::std::option::Option<Url>,

    /// Whether the `notificationData` in answers carries whole phone numbers: `true` or `false`.
    #[arg(long, env = "NOTIFICATION_DATA_FULL_PHONE", default_value = "false")]
    pub notification_data_full_phone: PhoneDisplay,

    /// The proxies whose `X-Forwarded-For` is believed: addresses and networks such as `10.0.0.0/8`,
    /// separated by commas. Without them the other end of the connection is the client.
    #[arg(
        long,
        env = "TRUSTED_PROXIES",
        default_value = "",
        hide_default_value = true
    )]
    pub trusted_proxies: TrustedProxies,

    /// How many customers one person may have; nobody claims beyond it.
    #[arg(long, env = "CUSTOMERS_PER_PERSON_MAX", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub customers_per_person_max: u32,

    /// After how many days without anything done with a customer its owner is reminded, and again after
    /// as many; 0: never.
    #[arg(long, env = "FOLLOW_UP_REMINDER_DAYS", default_value_t = 7, value_parser = clap::value_parser!(u32).range(0..=365))]
    pub follow_up_reminder_days: u32,

    /// How long entries of the notification centre are kept (`90d`).
    #[arg(long, env = "KEEP_NOTIFICATIONS", default_value = "90d", value_parser = humantime::parse_duration)]
    pub keep_notifications: Duration,

    /// How many sockets one user may have open in one process: a page has one.
    #[arg(long, env = "SOCKETS_PER_USER", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub sockets_per_user: u16,

    /// How often an open socket is pinged; one that was not heard of for two and a half times as long
    /// is closed.
    #[arg(long, env = "SOCKET_PING", default_value = "30s", value_parser = humantime::parse_duration)]
    pub socket_ping: Duration,

    /// How long a client may take to receive a message before its socket is closed.
    #[arg(long, env = "SOCKET_SEND_WAIT", default_value = "10s", value_parser = humantime::parse_duration)]
    pub socket_send_wait: Duration,

    /// How many connections to the database, at most.
    #[arg(long, env = "DATABASE_POOL_SIZE", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub database_pool_size: u32,

    /// How long to wait for the database at start (`60s`, `2m`).
    #[arg(long, env = "DATABASE_WAIT", default_value = "60s", value_parser = humantime::parse_duration)]
    pub database_wait: Duration,

    /// Whether to bring the schema up to date at start: `always`, `never`, or `auto`, which does so
    /// on SQLite only.
    #[arg(long, env = "MIGRATE", default_value = "auto")]
    pub migrate: MigrateAtStart,

    /// Whether this process does what is to be done at fixed times, such as reports, reminders and
    /// moving leads by rule: `on` or `off`. Of all processes that do, one at a time does it; without any, nobody does.
    #[arg(long, env = "SCHEDULER", default_value = "on")]
    pub scheduler: SchedulerUse,

    /// What is logged: a level, or levels by module (`crm_api=debug,info`).
    #[arg(long, env = "LOG", default_value = "info")]
    pub log: String,

    /// How log lines look: `text`, or `json` for collectors.
    #[arg(long, env = "LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// How many threads answer requests; as many as there are processors if not given.
    #[arg(long, env = "WORKERS", default_value = "", hide_default_value = true, value_parser = optional::<WorkerCount>)]
    pub workers: ::std::option::Option<WorkerCount>,
}

/// Whether a phone number is shown whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PhoneDisplay {
    /// `138****8999`.
    #[default]
    Masked,
    /// All of it.
    Full,
}

impl FromStr for PhoneDisplay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "true" => Ok(Self::Full),
            "false" | "" => Ok(Self::Masked),
            other => Err(format!("{other:?} is neither true nor false")),
        }
    }
}

/// Whether messages go to a WeCom group robot. Its key is a secret that only the relays need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum RobotUse {
    /// There is none.
    #[default]
    Off,
    /// There is one.
    On,
}

/// Whether a process does what is to be done at fixed times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum SchedulerUse {
    /// Others do.
    Off,
    /// It takes its part.
    #[default]
    On,
}

/// Whether the schema is brought up to date at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum MigrateAtStart {
    /// Where the data belongs to this installation alone: on an embedded database.
    #[default]
    Auto,
    /// On any database.
    Always,
    /// Only `crm-api migrate` does.
    Never,
}

/// A number of threads: 1 to 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerCount(pub usize);

impl FromStr for WorkerCount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(count @ 1..=256) => Ok(Self(count)),
            Ok(_) | Err(_) => Err(format!("{text:?} is not a number from 1 to 256")),
        }
    }
}

/// A setting that cannot be, alone or beside the others: one sentence that names it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidConfig(String);

impl Config {
    /// These two given, everything else by default; nothing is read from the environment. For
    /// programs that start a server themselves.
    pub fn new(database_url: DatabaseUrl, jwt_secret: SecretString) -> Self {
        Self {
            database_url,
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            jwt_secret,
            admin_password: None,
            time_zone: Tz::Asia__Shanghai,
            wechat_appid: None,
            wechat_cloud_env: None,
            wecom_corpid: None,
            wecom_agentid: None,
            wecom_robot: RobotUse::Off,
            crm_url: None,
            notification_data_full_phone: PhoneDisplay::Masked,
            trusted_proxies: TrustedProxies::default(),
            customers_per_person_max: 50,
            follow_up_reminder_days: 7,
            keep_notifications: Duration::from_secs(90 * 24 * 60 * 60),
            sockets_per_user: 10,
            socket_ping: Duration::from_secs(30),
            socket_send_wait: Duration::from_secs(10),
            database_pool_size: 16,
            database_wait: Duration::from_secs(60),
            migrate: MigrateAtStart::Auto,
            scheduler: SchedulerUse::On,
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            workers: None,
        }
    }

    /// Checks what single values cannot tell.
    ///
    /// # Errors
    /// The first setting that is wrong, and what to do.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let invalid = |sentence: &str| Err(InvalidConfig(sentence.to_owned()));
        if self.jwt_secret.expose_secret().len() < JWT_SECRET_BYTES_MIN {
            return invalid(
                "JWT_SECRET: must be set to at least 32 bytes; make one with `openssl rand -hex 32`",
            );
        }
        if self.wechat_cloud_env.is_some() && self.wechat_appid.is_none() {
            return invalid("WECHAT_CLOUD_ENV: needs WECHAT_APPID as well");
        }
        if let Some(appid) = &self.wechat_appid
            && format!("mini_program:{appid}")
                .parse::<shared::domain::App>()
                .is_err()
        {
            return invalid("WECHAT_APPID: only letters, digits, - and _, at most 64");
        }
        match (&self.wecom_corpid, self.wecom_agentid) {
            (Some(_), None) => return invalid("WECOM_CORPID: needs WECOM_AGENTID as well"),
            (None, Some(_)) => return invalid("WECOM_AGENTID: needs WECOM_CORPID as well"),
            (Some(corpid), Some(_))
                if format!("wecom:{corpid}")
                    .parse::<shared::domain::App>()
                    .is_err() =>
            {
                return invalid("WECOM_CORPID: only letters, digits, - and _, at most 64");
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        if self.keep_notifications < NOTIFICATIONS_KEPT_MIN {
            return invalid("KEEP_NOTIFICATIONS: must be at least 1h");
        }
        if !SOCKET_TIMES.contains(&self.socket_ping) {
            return invalid("SOCKET_PING: must be from 100ms to 1h");
        }
        if !SOCKET_TIMES.contains(&self.socket_send_wait) {
            return invalid("SOCKET_SEND_WAIT: must be from 100ms to 1h");
        }
        if let Some(password) = &self.admin_password
            && let Err(refused) = crate::auth::password::check_new(password)
        {
            return Err(InvalidConfig(format!("ADMIN_PASSWORD: {refused}")));
        }
        Ok(())
    }

    /// The channels this installation has.
    pub fn channels(&self) -> ChannelSet {
        let subscribe = self.wechat_appid.as_ref().map(|_| Channel::WechatSubscribe);
        let cloud = self.wechat_cloud_env.as_ref().map(|_| Channel::WechatCloud);
        let app = self.wecom_corpid.as_ref().and(self.wecom_agentid);
        let app = app.map(|_| Channel::WecomApp);
        let robot = match self.wecom_robot {
            RobotUse::On => Some(Channel::WecomRobot),
            RobotUse::Off => None,
        };
        [subscribe, cloud, app, robot]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// Reads a setting that may be missing: set to nothing it counts as not given.
fn optional<T: FromStr>(text: &str) -> Result<Option<T>, T::Err> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some)
}

fn web_address(text: &str) -> Result<Option<Url>, &'static str> {
    const WANTED: &str = "an address that begins with https:// and has no ? and no # is wanted";
    if text.trim().is_empty() {
        return Ok(None);
    }
    let url = Url::parse(text.trim()).map_err(|_| WANTED)?;
    let is_plain = url.query().is_none() && url.fragment().is_none();
    if matches!(url.scheme(), "http" | "https") && is_plain {
        Ok(Some(url))
    } else {
        Err(WANTED)
    }
}

fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(text.into())
}

fn optional_secret(text: &str) -> Result<Option<SecretString>, Infallible> {
    Ok((!text.is_empty()).then(|| text.into()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        config: Config,
    }

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn parse(arguments: &[&str]) -> Result<Config, clap::Error> {
        let all = [
            "crm-api",
            "--jwt-secret",
            SECRET,
            "--database-url",
            "sqlite:./data/yizhan.db",
        ]
        .iter()
        .chain(arguments);
        Cli::try_parse_from(all).map(|cli| cli.config)
    }

    fn config() -> Config {
        Config::new("sqlite:./data/yizhan.db".parse().unwrap(), SECRET.into())
    }

    #[test]
    fn the_defaults_of_the_command_line_and_of_programs_are_the_same() {
        assert_eq!(
            format!("{:?}", parse(&[]).unwrap()),
            format!("{:?}", config())
        );
    }

    #[test]
    fn an_empty_optional_setting_is_not_given() {
        let given = parse(&[
            "--wechat-appid",
            "",
            "--workers",
            "",
            "--admin-password",
            "",
        ]);
        let given = given.unwrap();
        assert!(given.wechat_appid.is_none() && given.workers.is_none());
        assert!(given.admin_password.is_none());
        assert_eq!(
            parse(&["--workers", "2"]).unwrap().workers,
            Some(WorkerCount(2))
        );
        assert!(parse(&["--workers", "0"]).is_err());
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_name_of_the_variable() {
        let with = |change: fn(&mut Config)| {
            let mut changed = config();
            change(&mut changed);
            changed.validate()
        };
        assert_eq!(with(|_| {}), Ok(()));
        for (change, name) in [
            (
                (|c| c.jwt_secret = "short".into()) as fn(&mut Config),
                "JWT_SECRET",
            ),
            (
                |c| c.wechat_cloud_env = Some("env".into()),
                "WECHAT_CLOUD_ENV",
            ),
            (|c| c.wechat_appid = Some("w x".into()), "WECHAT_APPID"),
            (|c| c.wecom_corpid = Some("ww1".into()), "WECOM_CORPID"),
            (|c| c.wecom_agentid = Some(1_000_002), "WECOM_AGENTID"),
            (
                |c| {
                    c.wecom_corpid = Some("w w".into());
                    c.wecom_agentid = Some(1_000_002);
                },
                "WECOM_CORPID",
            ),
            (
                |c| c.keep_notifications = Duration::from_secs(60),
                "KEEP_NOTIFICATIONS",
            ),
            (|c| c.socket_ping = Duration::ZERO, "SOCKET_PING"),
            (
                |c| c.socket_send_wait = Duration::from_secs(86_400),
                "SOCKET_SEND_WAIT",
            ),
            (
                |c| c.admin_password = Some("1234567".into()),
                "ADMIN_PASSWORD",
            ),
        ] {
            let refused = with(change).unwrap_err().to_string();
            assert!(refused.starts_with(name), "{refused}");
        }
    }

    #[test]
    fn channels_follow_from_what_is_configured() {
        let mut config = config();
        assert_eq!(config.channels(), ChannelSet::default());
        config.wechat_appid = Some("wx1".to_owned());
        assert!(config.channels().contains(Channel::WechatSubscribe));
        assert!(!config.channels().contains(Channel::WechatCloud));
        config.wechat_cloud_env = Some("env".to_owned());
        assert!(config.channels().contains(Channel::WechatCloud));
        assert!(!config.channels().contains(Channel::WecomApp));
        config.wecom_corpid = Some("ww1".to_owned());
        config.wecom_agentid = Some(1_000_002);
        assert!(config.channels().contains(Channel::WecomApp));
        assert!(!config.channels().contains(Channel::WecomRobot));
        let robot = parse(&["--wecom-robot", "on"]).unwrap();
        assert_eq!(
            robot.channels(),
            ChannelSet::default().with(Channel::WecomRobot)
        );
        assert!(parse(&["--wecom-robot", "yes"]).is_err());
        assert!(parse(&["--wecom-agentid", "app"]).is_err());
    }

    #[test]
    fn a_database_url_that_is_none_is_not_repeated() {
        let url = "postgres:user:hunter42@host/database";
        let refused = Cli::try_parse_from(["crm-api", "--database-url", url])
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(refused.contains("DATABASE_URL"), "{refused}");
        assert!(!refused.contains("hunter42"), "{refused}");
    }

    #[test]
    fn secrets_do_not_print() {
        let mut config = config();
        config.admin_password = Some("hunter42hunter".into());
        let printed = format!("{config:?}");
        assert!(!printed.contains(SECRET) && !printed.contains("hunter42"));
    }
}
