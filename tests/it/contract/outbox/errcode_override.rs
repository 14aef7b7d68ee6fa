use shared::operation_log::Actor;
use shared::outbox::{self, ErrcodeOverride};

use crate::harness::{TestDatabase, moment, on_each_database};

on_each_database! {
    what_was_set_last_holds_until_it_is_reset,
}

async fn what_was_set_last_holds_until_it_is_reset(database: &TestDatabase) {
    let dead = ErrcodeOverride {
        api: "subscribe_send".to_owned(),
        errcode: -1,
        class: "dead".to_owned(),
        reason: "it never works again".to_owned(),
    };
    let slow = ErrcodeOverride {
        class: "retry_slow".to_owned(),
        ..dead.clone()
    };
    for set in [dead, slow] {
        let written = set.clone();
        database
            .write(move |transaction| {
                outbox::set_errcode(transaction, &written, &Actor::System, moment())
            })
            .await;
        assert_eq!(database.read(outbox::errcode_overrides).await, [set]);
    }
    for expected in [true, false] {
        let reset = database
            .write(|transaction| {
                let actor = Actor::System;
                outbox::reset_errcode(transaction, "subscribe_send", -1, &actor, moment())
            })
            .await;
        assert_eq!(reset, expected);
    }
    assert_eq!(database.read(outbox::errcode_overrides).await, []);
}
