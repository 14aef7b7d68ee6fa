mod platform;

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde::Serialize;
use shared::bindings::{self, BindingCount};
use shared::clock::{Clock, SystemClock};
use shared::db::{Database, DbConnection, DbError, PoolOptions, dialect, migrations};
use shared::domain::{App, Channel, UtcTimestamp};
use shared::members::{self, Capture};
use shared::notification::{Audience, Kind, MessageFormat, Route, routes};
use shared::outbox::{Hold, Relay, holds, relays};

use super::table::{Format, say, say_json};
use crate::Config;
use crate::addressing::Addressing;

/// How to show what was found.
#[derive(Debug, Args)]
pub struct DoctorArguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Less does not matter: what is due and whose lease is over is told by the database's clock.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(30);

/// One line of the examination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Line {
    /// What was looked at.
    what: &'static str,
    /// How it is.
    state: State,
    /// In words, with what to do.
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// Worth knowing; nothing is broken.
    Note,
    Bad,
}

fn line(what: &'static str, state: State, text: impl Into<String>) -> Line {
    Line {
        what,
        state,
        text: text.into(),
    }
}

pub(super) async fn run(arguments: DoctorArguments, config: &Config) -> anyhow::Result<()> {
    let mut lines = vec![settings(config)];
    lines.extend(database(config).await);
    lines.extend(platform::platforms(config).await);
    match Format::of_flag(arguments.json) {
        Format::Json => say_json(&lines)?,
        Format::Table => {
            for line in &lines {
                let state = match line.state {
                    State::Ok => "ok",
                    State::Note => "note",
                    State::Bad => "BAD",
                };
                say(&format!("{:10} {state:4} {}", line.what, line.text));
            }
        }
    }
    let bad = lines.iter().filter(|line| line.state == State::Bad).count();
    if bad > 0 {
        bail!("{bad} of {} lines are bad", lines.len());
    }
    Ok(())
}

fn settings(config: &Config) -> Line {
    if let Err(contradiction) = config.validate() {
        return line("settings", State::Bad, contradiction.to_string());
    }
    let channels: Vec<&str> = config
        .configured_channels()
        .iter()
        .map(Channel::as_str)
        .collect();
    if channels.is_empty() {
        let text = "no channel is configured here: set WECHAT_APPID and WECHAT_SECRET, or WECOM_CORPID, WECOM_AGENTID and WECOM_SECRET, or WECOM_ROBOT_KEY";
        line("settings", State::Bad, text)
    } else {
        line(
            "settings",
            State::Ok,
            format!("channels {}", channels.join(", ")),
        )
    }
}

/// What the database tells, as far as it can be asked.
async fn database(config: &Config) -> Vec<Line> {
    let database = match Database::connect(&config.database_url, PoolOptions::default()).await {
        Ok(database) => database,
        Err(error) => return vec![line("database", State::Bad, error.to_string())],
    };
    let mut lines = vec![line("database", State::Ok, config.database_url.to_string())];
    match database.run(migrations::check).await {
        Ok(()) => lines.push(line("schema", State::Ok, "current")),
        Err(error) => {
            lines.push(line("schema", State::Bad, error.to_string()));
            return lines;
        }
    }
    match facts(&database, config).await {
        Ok(facts) => lines.extend(facts.lines(config)),
        Err(error) => lines.push(line("database", State::Bad, error.to_string())),
    }
    lines
}

struct Facts {
    host_before: UtcTimestamp,
    database_time: UtcTimestamp,
    host_after: UtcTimestamp,
    relays: Vec<Relay>,
    holds: Vec<Hold>,
    routes: Vec<Route>,
    people: Vec<(App, BindingCount)>,
    capture: Capture,
}

async fn facts(database: &Database, config: &Config) -> Result<Facts, DbError> {
    let apps = [config.mini_program_app(), config.wecom_app()];
    database.run(move |connection| load(connection, apps)).await
}

fn load(
    connection: &mut DbConnection,
    apps: impl IntoIterator<Item = App>,
) -> Result<Facts, DbError> {
    let host_before = SystemClock.now();
    let database_time = dialect::database_time(connection)?;
    let host_after = SystemClock.now();
    let people = apps.into_iter().map(|app| {
        let count = bindings::count(connection, &app)?;
        Ok((app, count))
    });
    let people = people.collect::<Result<_, DbError>>()?;
    Ok(Facts {
        host_before,
        database_time,
        host_after,
        relays: relays(connection, database_time)?,
        holds: holds(connection)?,
        routes: routes(connection)?,
        people,
        capture: members::capture(connection)?,
    })
}

impl Facts {
    fn lines(&self, config: &Config) -> Vec<Line> {
        let mut lines = vec![self.clock(), self.relays()];
        lines.extend(self.holds());
        lines.extend(self.routes(config));
        lines.extend(self.bindings(config));
        lines.push(self.members());
        lines
    }

    fn clock(&self) -> Line {
        // Both clocks were read within this time; nothing finer can be told.
        let ahead = self.host_before.since(self.database_time);
        let behind = self.database_time.since(self.host_after);
        let (skew, direction) = if ahead > behind {
            (ahead, "ahead of")
        } else {
            (behind, "behind")
        };
        let text = format!(
            "this host is {:.1} s {direction} the database",
            skew.as_secs_f64()
        );
        if skew > CLOCK_SKEW_MAX {
            let advice = "synchronise the clocks (NTP): ids made here do not sort by time";
            line("clock", State::Bad, format!("{text}; {advice}"))
        } else {
            line("clock", State::Ok, text)
        }
    }

    fn relays(&self) -> Line {
        match self.relays.len() {
            0 => line(
                "relays",
                State::Bad,
                "none is alive: start one with `outbox-relay`",
            ),
            count => line("relays", State::Ok, format!("{count} alive")),
        }
    }

    fn holds(&self) -> Vec<Line> {
        if self.holds.is_empty() {
            return vec![line("holds", State::Ok, "no channel is held")];
        }
        let held = self.holds.iter().map(|hold| {
            let until = hold.probe_at.map_or_else(
                || "until somebody lifts it".to_owned(),
                |at| format!("next probe {at}"),
            );
            let text = format!(
                "{} since {}, {until}: {}",
                hold.channel, hold.held_since, hold.reason
            );
            line("holds", State::Bad, text)
        });
        held.collect()
    }

    fn routes(&self, config: &Config) -> Vec<Line> {
        let configured = config.configured_channels();
        // A digest goes where other messages have waited; its routes are there from the start.
        let is_used =
            |route: &&Route| route.kind != Kind::SystemDigest || configured.contains(route.channel);
        let active: Vec<&Route> = self
            .routes
            .iter()
            .filter(|route| route.settings.enabled)
            .filter(is_used)
            .collect();
        let named = |wrong: &dyn Fn(&Route) -> bool| -> Vec<String> {
            let routes = active.iter().filter(|route| wrong(route));
            routes
                .map(|route| format!("{} on {}", route.kind, route.channel))
                .collect()
        };
        let no_template = named(&|route| {
            route.channel == Channel::WechatSubscribe
                && route
                    .settings
                    .template_id
                    .as_deref()
                    .unwrap_or_default()
                    .is_empty()
        });
        let unconfigured = named(&|route| !configured.contains(route.channel));
        let on_wecom = |route: &Route| {
            matches!(route.channel, Channel::WecomApp | Channel::WecomRobot)
                && configured.contains(route.channel)
        };
        let no_recipients = named(&|route| {
            on_wecom(route)
                && route.kind.audience() == Audience::RouteRecipients
                && route.settings.recipients.is_none()
        });
        let no_card = named(&|route| {
            let settings = &route.settings;
            let wanted = settings.format.unwrap_or(MessageFormat::Textcard);
            let leads_somewhere = config.crm_url.is_some() || settings.fields.contains_key("url");
            on_wecom(route)
                && route.channel == Channel::WecomApp
                && wanted == MessageFormat::Textcard
                && !leads_somewhere
        });
        let mut lines = Vec::new();
        if active.iter().all(|route| route.kind == Kind::SystemDigest) {
            lines.push(line(
                "routes",
                State::Bad,
                "no kind goes out on any channel: set PUT /api/notification-routes/{kind}/{channel}",
            ));
        }
        if !no_template.is_empty() {
            let text = format!(
                "no template id: {}; set it, or switch the route off",
                no_template.join(", ")
            );
            lines.push(line("routes", State::Bad, text));
        }
        if !unconfigured.is_empty() {
            let text = format!(
                "to channels that are not configured here: {}; configure them, or switch the routes off",
                unconfigured.join(", ")
            );
            lines.push(line("routes", State::Bad, text));
        }
        if !no_recipients.is_empty() {
            let text = format!(
                "no recipients: {}; set them (@all, WeCom user ids joined by |, the name of a robot's group), or switch the routes off",
                no_recipients.join(", ")
            );
            lines.push(line("routes", State::Bad, text));
        }
        if !no_card.is_empty() {
            let text = format!(
                "CRM_URL is not given, so that these go out as plain text and not as cards: {}",
                no_card.join(", ")
            );
            lines.push(line("routes", State::Note, text));
        }
        if lines.is_empty() {
            lines.push(line(
                "routes",
                State::Ok,
                format!("{} active", active.len()),
            ));
        }
        lines
    }

    fn members(&self) -> Line {
        let missing: Vec<&str> = self
            .capture
            .missing()
            .iter()
            .map(|write| write.trigger())
            .collect();
        if missing.is_empty() {
            let text = "whoever writes the table, what is to be told of it is enqueued";
            return line("members", State::Ok, text);
        }
        let text = format!(
            "plain SQL is not covered, only what crm-api writes: no trigger {}; make it as docs/ARCHITECTURE.md says under Members",
            missing.join(", ")
        );
        line("members", State::Note, text)
    }

    /// A line for every app in which people must be known to get what is routed.
    fn bindings(&self, config: &Config) -> Vec<Line> {
        let people = self.people.iter();
        people
            .filter(|(app, _)| self.is_needed(app, config))
            .map(|(app, count)| bindings_in(app, *count))
            .collect()
    }

    fn is_needed(&self, app: &App, config: &Config) -> bool {
        let configured = config.configured_channels();
        let mut routed = self
            .routes
            .iter()
            .filter(|route| route.settings.enabled && configured.contains(route.channel))
            // Who gets a digest gets other messages there.
            .filter(|route| route.kind != Kind::SystemDigest);
        routed.any(|route| {
            let addressing = Addressing::of(route.channel, config);
            addressing.app() == Some(app) && addressing.goes_to_users(route.kind.as_str())
        })
    }
}

fn bindings_in(app: &App, BindingCount { active, bound }: BindingCount) -> Line {
    match active - bound {
        0 => line(
            "bindings",
            State::Ok,
            format!("all {active} active users are bound to {app}"),
        ),
        _ if bound == 0 => {
            let variable = if app.as_str().starts_with("wecom:") {
                "WECOM_CORPID"
            } else {
                "WECHAT_APPID"
            };
            line(
                "bindings",
                State::Bad,
                format!(
                    "none of {active} active users is bound to {app}: check {variable}, or bind them"
                ),
            )
        }
        unbound => line(
            "bindings",
            State::Note,
            format!(
                "{unbound} of {active} active users are not bound to {app} and get no messages there: bind them"
            ),
        ),
    }
}
