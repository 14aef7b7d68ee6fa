use super::{only_pending, payload, pending, route, settled_member};
use crate::harness::{Gate, Shell, TestDatabase, on_each_database};

on_each_database! {
    two_who_change_one_member_at_once_make_one_message,
    a_change_while_a_relay_takes_the_message_makes_another,
}

async fn two_who_change_one_member_at_once_make_one_message(database: &TestDatabase) {
    route(database);
    settled_member(database, "", "").await;
    let gate = Gate::before(database, "members");
    let writers = [
        "city = '杭州'",
        "phone = '13900139000'",
        "nickname = '小满'",
        "height = 172",
    ]
    .map(|change| Shell::start(database.url(), &format!("UPDATE members SET {change}")));
    gate.open_when_waiting(4).await;
    for writer in writers {
        writer.end().unwrap();
    }
    let (_, payload) = only_pending(database).await;
    assert_eq!(payload["changedFields"], "昵称、手机号、身高、城市");
    assert_eq!(
        (payload["location"].as_str(), payload["height"].as_str()),
        (Some("杭州"), Some("172cm"))
    );
}

async fn a_change_while_a_relay_takes_the_message_makes_another(database: &TestDatabase) {
    route(database);
    settled_member(database, "", "").await;
    database.shell("UPDATE members SET city = '杭州'");
    let (first, _) = only_pending(database).await;
    let gate = Gate::behind(
        database,
        "UPDATE outbox_messages SET status = 'sending', attempt = 1, fence = 1, claimed_by = 'r', \
         lease_expires_at = created_at WHERE status = 'pending'",
    );
    let writer = Shell::start(database.url(), "UPDATE members SET phone = '13900139000'");
    gate.open_when_waiting(1).await;
    writer.end().unwrap();
    let (second, told) = only_pending(database).await;
    assert_ne!(second.id, first.id);
    assert_eq!(told["changedFields"], "手机号");
    database.shell(
        "UPDATE outbox_messages SET status = 'pending', claimed_by = NULL, lease_expires_at = NULL \
         WHERE status = 'sending'",
    );
    let messages = pending(database).await;
    assert_eq!(payload(&messages[0])["changedFields"], "城市");
}
