use anyhow::bail;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;
use shared::db::{Database, dialect};
use shared::domain::Channel;
use shared::outbox::{
    ChannelSettings, Hold, RecipientLimit, UnknownOutcomePolicy, channel_settings,
    hold_by_operator, holds, lift_by_operator, set_channel,
};

use super::operator;
use super::table::{Format, or_dash, say, say_json, table};
use crate::Config;

/// Look at the channels, or set how relays use them.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ChannelsArguments {
    #[command(subcommand)]
    command: Option<ChannelsCommand>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum ChannelsCommand {
    /// Change the settings of a channel; relays follow within seconds
    Set(SetArguments),
}

#[derive(Debug, Args)]
struct SetArguments {
    /// Which channel
    channel: Channel,
    /// What becomes of a message that may have been delivered: resend, hold_for_operator or
    /// assume_sent
    #[arg(long)]
    unknown_outcome: Option<UnknownOutcomePolicy>,
    /// Messages in hand at once, per relay: 1 to 4096, or `default` for what the relays were started
    /// with
    #[arg(long, value_parser = number_or("default", 4_096))]
    concurrency: Option<Limit>,
    /// Messages per minute, of all relays together: 1 to 6000000, or `none`; wecom_robot has 20 unless
    /// it is set otherwise
    #[arg(long, value_parser = number_or("none", 6_000_000))]
    rate_per_minute: Option<Limit>,
}

/// A number, or the word for none.
#[derive(Debug, Clone, Copy)]
struct Limit(Option<i32>);

fn number_or(
    word: &'static str,
    most: i32,
) -> impl Fn(&str) -> Result<Limit, String> + Clone + Send + Sync + 'static {
    move |text| {
        if text == word {
            return Ok(Limit(None));
        }
        let number = text
            .parse()
            .ok()
            .filter(|number| (1..=most).contains(number));
        number
            .map(|number| Limit(Some(number)))
            .ok_or_else(|| format!("must be 1 to {most}, or {word}"))
    }
}

/// A channel and why.
#[derive(Debug, Args)]
pub struct HoldArguments {
    /// Which channel
    channel: Channel,
    /// Why, for whoever looks later
    #[arg(long)]
    reason: String,
}

/// One channel, as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChannelState {
    #[serde(flatten)]
    settings: ChannelSettings,
    /// Whether this command's own environment has what the channel needs.
    configured: bool,
    /// What the platform shows one recipient; relays keep to it.
    recipient_limit: Option<RecipientLimit>,
    hold: Option<Hold>,
}

pub(super) async fn run(
    arguments: ChannelsArguments,
    config: &Config,
    database: &Database,
) -> anyhow::Result<()> {
    match arguments.command {
        None => show(Format::of_flag(arguments.json), config, database).await,
        Some(ChannelsCommand::Set(set)) => change(set, database).await,
    }
}

async fn show(format: Format, config: &Config, database: &Database) -> anyhow::Result<()> {
    let (settings, holds) = database
        .run(|connection| {
            Ok::<_, shared::db::DbError>((channel_settings(connection)?, holds(connection)?))
        })
        .await?;
    let configured = config.configured_channels();
    let states: Vec<ChannelState> = settings
        .into_iter()
        .map(|settings| ChannelState {
            configured: configured.contains(settings.channel),
            recipient_limit: RecipientLimit::of(settings.channel),
            hold: holds
                .iter()
                .find(|hold| hold.channel == settings.channel)
                .cloned(),
            settings,
        })
        .collect();
    match format {
        Format::Json => say_json(&states),
        Format::Table => {
            say(&table(
                &[
                    "channel",
                    "configured here",
                    "unknown outcome",
                    "concurrency",
                    "per minute",
                    "per recipient",
                    "hold",
                ],
                states.iter().map(line),
            ));
            Ok(())
        }
    }
}

fn line(state: &ChannelState) -> Vec<String> {
    let set = &state.settings;
    vec![
        set.channel.to_string(),
        if state.configured { "yes" } else { "no" }.to_owned(),
        set.unknown_outcome.to_string(),
        set.concurrency
            .map_or_else(|| "default".to_owned(), |number| number.to_string()),
        or_dash(set.rate_per_minute),
        or_dash(
            state
                .recipient_limit
                .map(|limit| format!("{}/min, {}/h", limit.per_minute, limit.per_hour)),
        ),
        or_dash(state.hold.as_ref().map(|hold| {
            let until = hold.probe_at.map_or_else(
                || "somebody lifts it".to_owned(),
                |at| format!("a probe at {at}"),
            );
            format!(
                "{} ({}), since {}, until {until}: {}",
                hold.cause, hold.held_by, hold.held_since, hold.reason
            )
        })),
    ]
}

async fn change(set: SetArguments, database: &Database) -> anyhow::Result<()> {
    if set.unknown_outcome.is_none() && set.concurrency.is_none() && set.rate_per_minute.is_none() {
        bail!("nothing to set: give --unknown-outcome, --concurrency or --rate-per-minute");
    }
    let actor = operator();
    let settings = database
        .write(move |transaction| {
            let connection = transaction.connection();
            let now = dialect::database_time(connection)?;
            let present = channel_settings(connection)?
                .into_iter()
                .find(|settings| settings.channel == set.channel)
                .unwrap_or_else(|| ChannelSettings::default_of(set.channel));
            let settings = ChannelSettings {
                channel: set.channel,
                unknown_outcome: set.unknown_outcome.unwrap_or(present.unknown_outcome),
                concurrency: set.concurrency.map_or(present.concurrency, |limit| limit.0),
                rate_per_minute: set
                    .rate_per_minute
                    .map_or(present.rate_per_minute, |limit| limit.0),
            };
            set_channel(transaction, &settings, &actor, now)?;
            Ok::<_, shared::db::DbError>(settings)
        })
        .await?;
    say_json(&json!(settings))
}

pub(super) async fn hold(arguments: HoldArguments, database: &Database) -> anyhow::Result<()> {
    let HoldArguments { channel, reason } = arguments;
    let actor = operator();
    database
        .write(move |transaction| {
            let now = dialect::database_time(transaction.connection())?;
            hold_by_operator(transaction, channel, &reason, &actor, now)
        })
        .await?;
    say(&format!(
        "channel {channel} is held until somebody lifts it: outbox-relay lift {channel} --reason …"
    ));
    Ok(())
}

pub(super) async fn lift(arguments: HoldArguments, database: &Database) -> anyhow::Result<()> {
    let HoldArguments { channel, reason } = arguments;
    let actor = operator();
    let lifted = database
        .write(move |transaction| {
            let now = dialect::database_time(transaction.connection())?;
            lift_by_operator(transaction, channel, &reason, &actor, now)
        })
        .await?;
    if !lifted {
        bail!("channel {channel} is not held");
    }
    say(&format!("channel {channel} is no longer held"));
    Ok(())
}
