//! Relays on a stage, delivering to a sink.

use anyhow::Context;

use crate::arguments::Relays;
use crate::message::APPID;
use crate::program::{Program, free_address};
use crate::sink::Sink;
use crate::stage::Stage;

/// Starts the relays that were asked for. `in_flight` none: as many as by default.
///
/// # Errors
/// If one cannot be started.
pub fn start(
    stage: &Stage,
    sink: &Sink,
    wanted: &Relays,
    in_flight: Option<u32>,
) -> anyhow::Result<Vec<Program>> {
    (0..wanted.relays)
        .map(|_| {
            let mut arguments = usual(stage, sink, "none");
            arguments.extend(in_flight.map(|count| format!("--concurrency={count}")));
            arguments.extend_from_slice(&wanted.relay_flags);
            Program::start("outbox-relay", &arguments, stage.folder())
        })
        .collect()
}

/// Starts the relays that were asked for and waits until each is ready.
///
/// # Errors
/// If one does not become ready.
pub async fn start_ready(
    stage: &Stage,
    sink: &Sink,
    wanted: &Relays,
) -> anyhow::Result<Vec<Program>> {
    let mut relays = Vec::new();
    for _ in 0..wanted.relays {
        let address = free_address()?;
        let mut arguments = usual(stage, sink, &address);
        arguments.extend_from_slice(&wanted.relay_flags);
        let mut relay = Program::start("outbox-relay", &arguments, stage.folder())?;
        relay.until_ready(&address).await?;
        relays.push(relay);
    }
    Ok(relays)
}

/// Stops all of them.
///
/// # Errors
/// If one does not end in good order.
pub async fn stop(relays: Vec<Program>) -> anyhow::Result<()> {
    for relay in relays {
        relay.stop().await.context("stopping")?;
    }
    Ok(())
}

fn usual(stage: &Stage, sink: &Sink, listen: &str) -> Vec<String> {
    vec![
        stage.program_flag(),
        format!("--wechat-api-url={}", sink.url()),
        format!("--wechat-appid={APPID}"),
        "--wechat-secret=bench".to_owned(),
        format!("--listen={listen}"),
        "--log=warn".to_owned(),
    ]
}
