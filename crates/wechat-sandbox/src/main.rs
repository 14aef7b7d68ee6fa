//! `wechat-sandbox`: the imitation as a program of its own.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use wechat_sandbox::{QuotaMode, SandboxConfig, start};

/// An honest imitation of the WeChat Mini Program platform and of WeCom.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on.
    #[arg(long, env = "WECHAT_SANDBOX_LISTEN", default_value = "127.0.0.1:9100")]
    listen: SocketAddr,

    /// Let every user receive any number of messages without subscribing first.
    #[arg(long)]
    unlimited_quota: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info"))
        .filter_module("actix_server", log::LevelFilter::Warn)
        .init();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let listen = arguments.listen;
    let listener =
        TcpListener::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
    let mut config = SandboxConfig::default();
    if arguments.unlimited_quota {
        for app in &mut config.apps {
            app.quota = QuotaMode::Unlimited;
        }
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut sandbox = start(config, listener).await?;
    log::info!("the sandbox listens on {}", sandbox.base_url());
    tokio::select! {
        ended = sandbox.wait() => ended?,
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.context("no signals")?,
    }
    sandbox.stop().await;
    Ok(())
}
