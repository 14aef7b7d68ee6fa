//! `cargo run`: the API, a relay and the sandbox in one process, on an embedded database in
//! `./data/`. It makes one assignment itself and reports when it has arrived.

mod demo;
mod pair;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use shared::telemetry::{LogFormat, start_logging};
use tokio::signal::unix::{SignalKind, signal};

use crate::demo::Demo;
use crate::pair::Pair;

/// Starts the whole pair with demo data on this machine alone.
#[derive(Debug, Parser)]
#[command(name = "quickstart", version)]
struct Arguments {
    /// The API's port on 127.0.0.1; the relay's health page gets the next one, the sandbox the one
    /// after
    #[arg(long, default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..=65_533))]
    port: u16,

    /// Where the data is kept between starts
    #[arg(long, default_value = "data")]
    data: PathBuf,

    /// What to log, in the language of RUST_LOG
    #[arg(long, default_value = "warn")]
    log: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_logging(&arguments.log, LogFormat::Text);
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the last word to whoever started it")]
            {
                eprintln!("quickstart: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let pair = Pair::start(arguments.port, &arguments.data).await?;
    tokio::select! {
        shown = show(&pair) => match shown {
            Ok(()) => {
                say("\nCtrl-C stops everything; the data stays for the next start.");
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
            Err(error) => {
                pair.stop().await;
                return Err(error);
            }
        },
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    say("stopping …");
    pair.stop().await;
    Ok(())
}

/// Puts the demo data in place, makes an assignment, and says what can be done next.
async fn show(pair: &Pair) -> anyhow::Result<()> {
    let demo = Demo::prepare(pair).await?;
    let delivery = demo.assign_and_wait(pair).await?;
    let (api, sandbox) = (pair.api_url(), pair.sandbox_url());
    say(&format!(
        "\n驿站 Yizhan is running.\n\n  \
         phones   {sandbox}/   (what has arrived on WeChat)\n  \
         inbox    {api}/inbox   (what staff see; log in as xiaoli)\n  \
         API      {api}/docs\n  \
         relay    {}/metrics\n\n  \
         logins   admin, manager, xiaoli, xiaowang, xiaozhang; password {}\n\n\
         {delivery}\n\n\
         Assign the same lead to somebody else and watch the phone, and the inbox:\n\n  {}",
        pair.relay_url(),
        demo::PASSWORD,
        demo.curl(&api),
    ));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the quick start is for")]
fn say(text: &str) {
    println!("{text}");
}
