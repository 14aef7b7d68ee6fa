//! How fast urgent messages go out past a million others.

use shared::db::DatabaseUrl;
use shared::outbox::Priority;

use super::delivery::{Delivered, Until, deliver};
use super::explanation::explain;
use crate::arguments::Backlog;
use crate::crowd::{Crowd, gather};
use crate::figures::{per_second, ratio, show_rate, show_ratio};
use crate::meter;
use crate::sink::Sink;
use crate::stage::Stage;
use crate::table::{self, say};

/// Measures and prints.
///
/// # Errors
/// If the database or a program fails.
pub async fn run(url: Option<&DatabaseUrl>, arguments: &Backlog) -> anyhow::Result<()> {
    let delivery = &arguments.delivery;
    let sink = Sink::start(delivery.delay)?;

    let empty = Stage::open(url, delivery.recipients).await?;
    empty.enqueue(0..delivery.rows, Priority::High).await?;
    empty.settle().await?;
    let beside_nothing = deliver(&empty, &sink, delivery, Until::Arrived).await?;
    drop(empty);

    let mut full = Stage::open(url, delivery.recipients).await?;
    let low_priority = arguments.waiting / 2;
    gather(&full, Crowd::LowPriority, low_priority).await?;
    gather(&full, Crowd::Later, arguments.waiting - low_priority).await?;
    gather(&full, Crowd::Finished, arguments.finished).await?;
    full.enqueue(0..delivery.rows, Priority::High).await?;
    full.settle().await?;
    let beside_others = deliver(&full, &sink, delivery, Until::Arrived).await?;

    say(&full.describe()?);
    say(&format!(
        "{} urgent messages; {} others waiting and {} sent before; {} relay(s), {} in flight each",
        delivery.rows,
        arguments.waiting,
        arguments.finished,
        delivery.relays.relays,
        delivery.in_flight
    ));
    print(arguments, &beside_others, &beside_nothing);
    say(&beside_others.count.to_string());
    meter::print_for(&beside_others.used, delivery.rows);

    if delivery.explain {
        full.enqueue(0..delivery.rows, Priority::High).await?;
        explain(&mut full, &sink, delivery).await?;
    }
    Ok(())
}

fn print(arguments: &Backlog, beside_others: &Delivered, beside_nothing: &Delivered) {
    let line = |name: &str, of: fn(&Delivered) -> usize| {
        let rate = |delivered| per_second(of(delivered), delivered.on_the_wire);
        let (ours, limit) = (rate(beside_others), rate(beside_nothing));
        [
            name.to_owned(),
            show_rate(ours),
            show_rate(limit),
            show_ratio(ratio(ours, limit)),
        ]
    };
    let mut rows = vec![line("urgent ones, on the wire", |delivered| {
        delivered.count.arrived
    })];
    if arguments.waiting > 0 {
        // A share of every claim belongs to the others, so that they do not wait for ever.
        rows.push(line("all, on the wire", |delivered| delivered.requests));
    }
    table::print(["delivery", "beside them", "beside nothing", "ratio"], rows);
}
