use anyhow::bail;
use clap::Subcommand;
use shared::db::{Database, dialect};
use shared::outbox::{ErrcodeOverride, errcode_overrides, reset_errcode, set_errcode};
use wechat::errcode::{Api, Class, rule};

use super::operator;
use super::table::{Format, say, say_json, table};

/// Look at what the platform's error codes mean here, or set it.
#[derive(Debug, Subcommand)]
pub enum ErrcodesCommand {
    /// List the codes whose class was set here
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what a code means now
    Show {
        /// The call it comes back from: token, subscribe_send, cloud_function, code_to_session,
        /// wecom_token, wecom_send, wecom_agent or wecom_robot
        api: Api,
        /// The platform's code
        #[arg(allow_negative_numbers = true)]
        errcode: i64,
    },
    /// Set what a code means; relays follow within seconds
    Set {
        /// The call it comes back from: token, subscribe_send, cloud_function, code_to_session,
        /// wecom_token, wecom_send, wecom_agent or wecom_robot
        api: Api,
        /// The platform's code
        #[arg(allow_negative_numbers = true)]
        errcode: i64,
        /// ok, retry, retry_soon, retry_slow, token, wait:<seconds>, wait_midnight, wait_window,
        /// dead, resubscribe or halt
        class: Class,
        /// Why, for whoever looks later
        #[arg(long)]
        reason: String,
    },
    /// Go back to what the program says
    Reset {
        /// The call it comes back from
        api: Api,
        /// The platform's code
        #[arg(allow_negative_numbers = true)]
        errcode: i64,
    },
}

pub(super) async fn run(command: ErrcodesCommand, database: &Database) -> anyhow::Result<()> {
    match command {
        ErrcodesCommand::List { json } => list(Format::of_flag(json), database).await,
        ErrcodesCommand::Show { api, errcode } => show(api, errcode, database).await,
        ErrcodesCommand::Set {
            api,
            errcode,
            class,
            reason,
        } => set(api, errcode, class, reason, database).await,
        ErrcodesCommand::Reset { api, errcode } => reset(api, errcode, database).await,
    }
}

async fn list(format: Format, database: &Database) -> anyhow::Result<()> {
    let set = database.run(errcode_overrides).await?;
    match format {
        Format::Json => say_json(&set),
        Format::Table if set.is_empty() => {
            say("no code was set here: all mean what the program says");
            Ok(())
        }
        Format::Table => {
            let rows = set.iter().map(|set| {
                vec![
                    set.api.clone(),
                    set.errcode.to_string(),
                    set.class.clone(),
                    set.reason.clone(),
                ]
            });
            say(&table(&["call", "errcode", "class", "reason"], rows));
            Ok(())
        }
    }
}

async fn show(api: Api, errcode: i64, database: &Database) -> anyhow::Result<()> {
    let set = database.run(errcode_overrides).await?;
    let here = set
        .iter()
        .find(|set| set.api == api.as_str() && set.errcode == errcode);
    let of_program = rule(api, errcode);
    say(&format!("{api}/{errcode}: {}", of_program.meaning));
    match here {
        Some(set) => say(&format!(
            "class {}, set here ({}); the program says {}",
            set.class, set.reason, of_program.class
        )),
        None => say(&format!("class {}", of_program.class)),
    }
    if !of_program.advice.is_empty() {
        say(&of_program.advice_on(""));
    }
    Ok(())
}

async fn set(
    api: Api,
    errcode: i64,
    class: Class,
    reason: String,
    database: &Database,
) -> anyhow::Result<()> {
    let actor = operator();
    let set = ErrcodeOverride {
        api: api.to_string(),
        errcode,
        class: class.to_string(),
        reason,
    };
    database
        .write(move |transaction| {
            let now = dialect::database_time(transaction.connection())?;
            set_errcode(transaction, &set, &actor, now)
        })
        .await?;
    say(&format!("{api}/{errcode} now means {class}"));
    Ok(())
}

async fn reset(api: Api, errcode: i64, database: &Database) -> anyhow::Result<()> {
    let actor = operator();
    let reset = database
        .write(move |transaction| {
            let now = dialect::database_time(transaction.connection())?;
            reset_errcode(transaction, api.as_str(), errcode, &actor, now)
        })
        .await?;
    if !reset {
        bail!("nothing was set here for {api}/{errcode}");
    }
    say(&format!(
        "{api}/{errcode} means {} again",
        rule(api, errcode).class
    ));
    Ok(())
}
