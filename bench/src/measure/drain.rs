//! How fast waiting messages go out.

use shared::db::DatabaseUrl;
use shared::outbox::Priority;

use super::delivery::{Delivered, Until, deliver};
use super::explanation::explain;
use crate::arguments::{Delivery, Drain, Statistics};
use crate::figures::{per_second, ratio, show_duration, show_rate, show_ratio};
use crate::limit::{bare_queue, raw_loop};
use crate::meter;
use crate::sink::Sink;
use crate::stage::Stage;
use crate::table::{self, say};

/// Measures and prints.
///
/// # Errors
/// If the database or a program fails.
pub async fn run(url: Option<&DatabaseUrl>, arguments: &Drain) -> anyhow::Result<()> {
    let delivery = &arguments.delivery;
    let sink = Sink::start(delivery.delay)?;
    let looped = raw_loop::fastest(&sink, delivery.rows, in_flight(delivery)).await?;
    let limit = per_second(delivery.rows, looped);

    let stage = set_up(url, arguments).await?;
    let delivered = deliver(&stage, &sink, delivery, Until::Settled).await?;
    let queued = bare_queue::run(&stage, &sink, delivery.rows, in_flight(delivery)).await?;
    let bare = per_second(delivery.rows, queued);

    say(&stage.describe()?);
    say(&format!(
        "{} messages, {} relay(s), {} in flight each, answers after {}",
        delivery.rows,
        delivery.relays.relays,
        delivery.in_flight,
        humantime::format_duration(delivery.delay)
    ));
    print_rates(delivery, &delivered, limit, bare);
    say(&delivered.count.to_string());
    meter::print_for(&delivered.used, delivery.rows);

    if delivery.explain {
        drop(stage);
        let mut stage = set_up(url, arguments).await?;
        explain(&mut stage, &sink, delivery).await?;
    }
    Ok(())
}

async fn set_up(url: Option<&DatabaseUrl>, arguments: &Drain) -> anyhow::Result<Stage> {
    let delivery = &arguments.delivery;
    let stage = Stage::open(url, delivery.recipients).await?;
    stage.enqueue(0..delivery.rows, Priority::High).await?;
    if arguments.statistics == Statistics::Fresh {
        stage.settle().await?;
    }
    Ok(stage)
}

/// Of all relays together.
fn in_flight(delivery: &Delivery) -> u32 {
    delivery.in_flight * delivery.relays.relays
}

fn print_rates(delivery: &Delivery, delivered: &Delivered, limit: f64, bare: f64) {
    let beside = |name: &str, rate: f64, limit: f64| {
        [
            name.to_owned(),
            show_rate(rate),
            show_rate(limit),
            show_ratio(ratio(rate, limit)),
        ]
    };
    let on_the_wire = per_second(delivery.rows, delivered.on_the_wire);
    let mut rows = vec![beside("on the wire", on_the_wire, limit)];
    if let Some(settled) = delivered.settled {
        let settled = per_second(delivery.rows, settled);
        rows.push(beside("until all settled", settled, limit));
        rows.push(beside("the same, beside a bare queue", settled, bare));
    }
    if !delivery.delay.is_zero() {
        let ideal = f64::from(in_flight(delivery)) / delivery.delay.as_secs_f64();
        rows.push(beside(
            "on the wire, beside in flight / delay",
            on_the_wire,
            ideal,
        ));
    }
    table::print(
        [
            "delivery",
            "ours",
            "limit (a loop that only sends)",
            "ratio",
        ],
        rows,
    );
    let statuses: Vec<String> = delivered
        .statuses
        .iter()
        .map(|(status, rows)| format!("{rows} {status}"))
        .collect();
    say(&format!(
        "in the table: {}; from the start of the program to its first request: {}",
        statuses.join(", "),
        show_duration(delivered.start_up)
    ));
}
