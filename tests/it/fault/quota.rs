//! The day's quota of the platform is used up in the middle of a backlog.

use std::time::Duration;

use diesel::prelude::*;
use shared::db::dialect;
use shared::db::schema::{channel_holds, outbox_messages};
use shared::domain::Channel;
use shared::outbox::{Status, holds};
use wechat_sandbox::{Api, QuotaMode, SandboxConfig};

use crate::harness::{Drain, TestDatabase, backlog_size, eventually, on_each_database, stop_well};

on_each_database!(
    a_quota_that_is_used_up_holds_the_channel_until_midnight,
    a_quota_that_is_raised_is_used_once_an_operator_lifts_the_hold,
);

/// Messages that may be sent in one day: the backlog takes two.
fn quota() -> u64 {
    backlog_size() as u64 * 5 / 8
}

fn platform_with_a_quota() -> SandboxConfig {
    let mut config = SandboxConfig::default();
    config.apps[0].quota = QuotaMode::Unlimited;
    config.apps[0]
        .daily_limits
        .insert(Api::SubscribeSend, quota());
    config
}

async fn until_held(drain: &Drain<'_>) {
    let database = drain.stage.database;
    eventually("the channel is held and nothing is in hand", async || {
        !database.read(holds).await.is_empty()
            && database
                .messages()
                .await
                .iter()
                .all(|m| m.status != Status::Sending)
    })
    .await;
    // A request that is refused for another reason uses up the quota too.
    let accepted = drain.stage.sandbox.stats().accepted;
    assert!(
        (quota() * 9 / 10..=quota()).contains(&accepted),
        "{accepted}"
    );
    assert!(
        database
            .messages()
            .await
            .iter()
            .all(|m| m.status == Status::Sent || m.attempt == 0),
        "no message is to blame, and no attempt is used up"
    );
}

async fn a_quota_that_is_used_up_holds_the_channel_until_midnight(database: &TestDatabase) {
    let drain = Drain::before(database, platform_with_a_quota()).await;
    let relays = [(); 2].map(|()| drain.relay(&[]));
    let mut incident = drain.incident("the quota is used up, and renewed at midnight");
    until_held(&drain).await;
    drain
        .stage
        .sandbox
        .advance_clock(Duration::from_secs(24 * 60 * 60));
    let_midnight_come(database).await;
    incident.is_over();
    drain.close_books(&incident).await;
    stop_well(relays);
}

async fn a_quota_that_is_raised_is_used_once_an_operator_lifts_the_hold(database: &TestDatabase) {
    let drain = Drain::before(database, platform_with_a_quota()).await;
    let relays = [(); 2].map(|()| drain.relay(&[]));
    let mut incident = drain.incident("the quota is used up, and an operator lifts the hold");
    until_held(&drain).await;
    let mut app = platform_with_a_quota().apps.remove(0);
    app.daily_limits.insert(Api::SubscribeSend, 2 * quota());
    drain.stage.sandbox.put_app(app);
    let channel = Channel::WechatSubscribe.as_str();
    let lifted = drain
        .stage
        .command(&["lift", channel, "--reason", "the quota was raised"]);
    assert!(lifted.status.success(), "{}", lifted.said);
    incident.is_over();
    drain.close_books(&incident).await;
    stop_well(relays);
}

/// The relays go by the database's clock, which cannot be moved; what waits for midnight is moved to
/// it instead.
async fn let_midnight_come(database: &TestDatabase) {
    database
        .write(|transaction| {
            let connection = transaction.connection();
            let now = dialect::database_time(connection)?;
            diesel::update(channel_holds::table)
                .set(channel_holds::probe_at.eq(now))
                .execute(connection)?;
            diesel::update(outbox_messages::table.filter(outbox_messages::due_at.gt(now)))
                .set(outbox_messages::due_at.eq(now.after(Duration::from_secs(1))))
                .execute(connection)?;
            Ok(())
        })
        .await;
}
