//! The API as a program, with its administrator logged in.

use anyhow::Context;
use reqwest::Client;
use serde_json::{Value, json};
use shared::domain::UserId;

use crate::message::APPID;
use crate::program::{Program, free_address};
use crate::stage::Stage;

const PASSWORD: &str = "a password for the bench";
const SECRET: &str = "a signing secret for the bench, longer than 32 bytes";

/// The API, running, with somebody logged in.
pub struct RunningApi {
    /// The program.
    pub program: Program,
    /// Where it answers.
    pub url: String,
    /// The administrator's token.
    pub token: String,
    /// The administrator.
    pub admin: UserId,
}

/// Somebody who has logged in.
pub struct LoggedIn {
    /// Who.
    pub id: UserId,
    /// What shows it.
    pub token: String,
}

impl RunningApi {
    /// Starts it on a stage without users, of which it makes the first.
    ///
    /// # Errors
    /// If it does not start, or nobody can log in.
    pub async fn start(stage: &Stage, flags: &[String]) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut arguments = vec![
            stage.program_flag(),
            format!("--listen={address}"),
            format!("--jwt-secret={SECRET}"),
            format!("--admin-password={PASSWORD}"),
            format!("--wechat-appid={APPID}"),
            "--log=warn".to_owned(),
        ];
        arguments.extend_from_slice(flags);
        let mut program = Program::start("crm-api", &arguments, stage.folder())?;
        program.until_ready(&address).await?;
        let url = format!("http://{address}");
        let admin = log_in(&url, "admin").await?;
        Ok(Self {
            program,
            url,
            token: admin.token,
            admin: admin.id,
        })
    }

    /// A new employee, logged in.
    ///
    /// # Errors
    /// If the API refuses.
    pub async fn employee(&self, username: &str) -> anyhow::Result<LoggedIn> {
        let body = json!({
            "username": username, "password": PASSWORD, "name": "员工", "role": "employee",
        });
        let url = format!("{}/api/users", self.url);
        let request = client()?.post(url).bearer_auth(&self.token).json(&body);
        request.send().await?.error_for_status()?;
        log_in(&self.url, username).await
    }
}

/// What the API is asked with.
///
/// # Errors
/// If the system gives no client.
pub fn client() -> anyhow::Result<Client> {
    Ok(Client::builder().no_proxy().http1_only().build()?)
}

/// Hashing the password takes as long as it should: once, before anything is measured.
async fn log_in(url: &str, username: &str) -> anyhow::Result<LoggedIn> {
    let body = json!({ "username": username, "password": PASSWORD });
    let login = client()?.post(format!("{url}/api/auth/login"));
    let answer = login.json(&body).send().await?;
    let answer: Value = answer.error_for_status()?.json().await?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Ok(LoggedIn {
        token: text(&answer["data"]["access_token"]).context("no token")?,
        id: text(&answer["data"]["user"]["id"])
            .context("no user")?
            .parse()?,
    })
}
