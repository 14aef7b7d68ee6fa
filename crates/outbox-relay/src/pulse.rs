use std::sync::Arc;
use std::time::Duration;

use shared::db::{DbError, dialect};
use shared::domain::UtcTimestamp;
use shared::outbox::{Agenda, SILENCE_MAX, agenda, heartbeat, register_relay};
use tokio::time::Instant;

use crate::claimer::CLOCK_TOLERANCE;
use crate::context::Context;
use crate::controls::Controls;
use crate::rescuer::rescue_messages;

/// How often a relay says that it is alive, and looks whether others still do. Jitter makes it
/// earlier and never later, so that a silence is seen in time.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);

/// A heartbeat that comes this late says that the database, or this process, was away.
const MISSED_BEATS: Duration = Duration::from_millis(2_500);

/// How often what operators have set is read again.
const CONTROLS_READ_EVERY: Duration = Duration::from_secs(3);

/// What a heartbeat brings back.
struct Beat {
    database_time: UtcTimestamp,
    agenda: Agenda,
}

/// Renews the heartbeat and, with it, looks for what there is to do: messages that nobody has
/// signalled, leases of relays that are gone, messages that have expired. An idle relay asks no more
/// than that. Ends when the relay has finished.
pub(crate) async fn keep_pulse(context: Arc<Context>) {
    let poll_interval = context.config.poll_interval;
    let started_at = Instant::now();
    let (mut last_beat, mut patient_until) = (started_at, started_at);
    let (mut polled_at, mut controls_read_at) = (started_at, started_at);
    loop {
        let begun_at = Instant::now();
        match beat(&context).await {
            Ok(beat) => {
                context.liveness.renewed(begun_at.into_std());
                context.take_database_time(beat.database_time);
                context.health.database_works();
                let written_at = Instant::now();
                if written_at.duration_since(last_beat) > MISSED_BEATS {
                    // Nobody could write for a while, so everybody seems silent, and many have
                    // settlements to write that they could not. They get the time for it.
                    patient_until = written_at + SILENCE_MAX;
                }
                last_beat = written_at;
                // Whichever beat is nearest to the time.
                if polled_at.elapsed() + HEARTBEAT_EVERY / 2 >= poll_interval {
                    polled_at = written_at;
                    context.point_out(beat.agenda.due);
                }
                let is_to_rescue = beat.agenda.leases_over || beat.agenda.expired;
                if is_to_rescue && written_at >= patient_until {
                    rescue_messages(&context).await;
                }
                if beat.agenda.quiet_over {
                    context.quiet_over.send_replace(());
                }
                if controls_read_at.elapsed() >= CONTROLS_READ_EVERY {
                    controls_read_at = written_at;
                    read_controls(&context).await;
                }
            }
            Err(error) => context.health.database_failed(&error),
        }
        let next_beat = begun_at + HEARTBEAT_EVERY.mul_f64(0.8 + 0.2 * rand::random::<f64>());
        tokio::select! {
            () = poll_until(&context, next_beat) => {}
            () = context.finished.cancelled() => return,
        }
    }
}

/// Renews the heartbeat and answers the database's time and what there is to do.
async fn beat(context: &Context) -> Result<Beat, DbError> {
    let name = context.name.clone();
    let in_flight = context.messages_in_hand();
    let now = context.clock.now();
    context
        .database
        .write(move |transaction| {
            if !heartbeat(transaction, &name, in_flight, now)? {
                register_relay(transaction, &name, now)?;
            }
            let connection = transaction.connection();
            Ok(Beat {
                agenda: agenda(connection, now.after(CLOCK_TOLERANCE), now)?,
                database_time: dialect::database_time(connection)?,
            })
        })
        .await
}

/// Looks for due messages between two beats, where that is asked for more often than they come.
async fn poll_until(context: &Context, next_beat: Instant) {
    let poll_interval = context.config.poll_interval;
    loop {
        let next_look = Instant::now() + context.jittered(poll_interval);
        if poll_interval >= HEARTBEAT_EVERY || next_look >= next_beat {
            return tokio::time::sleep_until(next_beat).await;
        }
        tokio::time::sleep_until(next_look).await;
        poll(context).await;
    }
}

async fn poll(context: &Context) {
    let now = context.clock.now();
    let look = context
        .database
        .run(move |connection| agenda(connection, now.after(CLOCK_TOLERANCE), now));
    let looked: Result<Agenda, DbError> = look.await;
    match looked {
        Ok(agenda) => context.point_out(agenda.due),
        Err(error) => context.health.database_failed(&error),
    }
}

async fn read_controls(context: &Context) {
    let now = context.clock.now();
    // A failure to read them must not cost the heartbeat, so it has its own transaction.
    let read = context
        .database
        .write(move |transaction| Controls::read(transaction.connection(), now));
    match read.await {
        Ok(controls) => context.set_controls(controls),
        Err(error) => context.health.database_failed(&error),
    }
}
