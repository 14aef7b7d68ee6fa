use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use secrecy::ExposeSecret;
use serde_json::json;
use shared::db::{Database, DbError, dialect};
use shared::domain::UtcTimestamp;

use super::operator;
use crate::auth::service_token::{
    self, NewServiceToken, Scope, ServiceToken, ServiceTokenError, TokenName,
};

/// The tokens with which other programs use the API.
#[derive(Debug, Subcommand)]
pub enum ServiceTokenCommand {
    /// Make a token and print it, once: only its hash is kept.
    Create(NewToken),
    /// List all tokens, without their secrets.
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a token: from now on it opens nothing.
    Revoke {
        /// Its name or id
        token: String,
    },
}

/// The token to make.
#[derive(Debug, Args)]
pub struct NewToken {
    /// What it is called: the program it is for
    #[arg(long)]
    name: TokenName,
    /// What it opens: `events` or `process-queue`; may be given several times
    #[arg(long = "scope", required = true, value_parser = Scope::from_str)]
    scopes: Vec<Scope>,
    /// How long it is good: `365d`, `12h`, or `never` for until it is revoked
    #[arg(long, default_value = "365d")]
    expires: Lifetime,
}

/// How long a token is good; `None` until it is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lifetime(Option<Duration>);

impl FromStr for Lifetime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        /// A century: beyond, somebody means never.
        const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
        if text == "never" {
            return Ok(Self(None));
        }
        let lifetime = humantime::parse_duration(text).map_err(|error| error.to_string())?;
        if lifetime.is_zero() || lifetime > LONGEST {
            return Err("must be more than nothing and at most a century; or `never`".to_owned());
        }
        Ok(Self(Some(lifetime)))
    }
}

pub(super) async fn run(command: ServiceTokenCommand, database: &Database) -> anyhow::Result<()> {
    match command {
        ServiceTokenCommand::Create(new) => create(new, database).await,
        ServiceTokenCommand::List { json } => list(json, database).await,
        ServiceTokenCommand::Revoke { token } => revoke(token, database).await,
    }
}

async fn create(new: NewToken, database: &Database) -> anyhow::Result<()> {
    let (token, secret) = database
        .write(move |transaction| {
            let now = dialect::database_time(transaction.connection())?;
            let new = NewServiceToken {
                name: new.name,
                scopes: new.scopes,
                expires_at: new.expires.0.map(|lifetime| now.after(lifetime)),
            };
            service_token::create(transaction, new, &operator(), now)
        })
        .await?;
    let end = match token.expires_at {
        Some(end) => format!("good until {end}"),
        None => "good until it is revoked".to_owned(),
    };
    tell(&format!(
        "Made the token {} for {}, {end}. It is shown this once:",
        token.name,
        scopes(&token)
    ));
    // Alone, so that a script can take it.
    say(secret.expose_secret());
    Ok(())
}

async fn list(json: bool, database: &Database) -> anyhow::Result<()> {
    let (tokens, now) = database
        .run(|connection| {
            let now = dialect::database_time(connection)?;
            Ok::<_, DbError>((service_token::list(connection)?, now))
        })
        .await?;
    if json {
        say(&serde_json::to_string_pretty(&json!({ "tokens": tokens }))?);
        return Ok(());
    }
    if tokens.is_empty() {
        say("there are no service tokens");
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header([
        "name",
        "",
        "scopes",
        "made by",
        "made",
        "expires",
        "last used",
        "id",
    ]);
    for token in &tokens {
        table.add_row(line(token, now));
    }
    say(&table.to_string());
    Ok(())
}

async fn revoke(token: String, database: &Database) -> anyhow::Result<()> {
    let revoked = database
        .write(move |transaction| {
            let now = dialect::database_time(transaction.connection())?;
            service_token::revoke(transaction, &token, &operator(), now)
        })
        .await;
    match revoked {
        Ok(token) => say(&format!(
            "revoked {}: from now on it opens nothing",
            token.name
        )),
        // It is as whoever asked wanted it.
        Err(error @ ServiceTokenError::AlreadyRevoked { .. }) => say(&error.to_string()),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn line(token: &ServiceToken, now: UtcTimestamp) -> Vec<String> {
    let state = match token.revoked_at {
        Some(_) => "revoked",
        None if token.is_good_at(now) => "good",
        None => "expired",
    };
    let moment = |moment: Option<UtcTimestamp>| {
        let minute =
            |moment: UtcTimestamp| moment.to_datetime().format("%Y-%m-%d %H:%M").to_string();
        moment.map_or_else(|| "never".to_owned(), minute)
    };
    vec![
        token.name.clone(),
        state.to_owned(),
        scopes(token),
        token.created_by.clone(),
        moment(Some(token.created_at)),
        moment(token.expires_at),
        moment(token.last_used_at),
        token.id.to_string(),
    ]
}

fn scopes(token: &ServiceToken) -> String {
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
    scopes.join(", ")
}

/// Prints for the person or program that asked.
#[expect(clippy::print_stdout, reason = "the answer of a command")]
fn say(text: &str) {
    println!("{text}");
}

/// Tells how it went, beside the answer.
#[expect(clippy::print_stderr, reason = "for the person who asked")]
fn tell(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_duration_or_for_ever() {
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!("365d".parse(), Ok(Lifetime(Some(365 * day))));
        assert_eq!("never".parse(), Ok(Lifetime(None)));
        for text in ["0s", "", "365", "soon", "101years"] {
            assert!(text.parse::<Lifetime>().is_err(), "{text:?}");
        }
    }
}
