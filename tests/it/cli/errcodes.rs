use crate::harness::{RelayStage, TestDatabase, on_each_database};

on_each_database!(a_code_is_set_shown_and_reset);

async fn a_code_is_set_shown_and_reset(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let said = |words: &[&str]| {
        let all = [&["errcodes"][..], words].concat();
        stage.command(&all).said
    };
    assert!(said(&["show", "subscribe_send", "-1"]).contains("class retry\n"));
    let set = [
        "set",
        "subscribe_send",
        "-1",
        "dead",
        "--reason",
        "hopeless",
    ];
    assert_eq!(said(&set), "subscribe_send/-1 now means dead\n");
    let shown = said(&["show", "subscribe_send", "-1"]);
    assert!(
        shown.contains("class dead, set here (hopeless); the program says retry"),
        "{shown}"
    );
    assert!(said(&["list"]).contains("hopeless"));
    let reset = ["reset", "subscribe_send", "-1"];
    assert_eq!(said(&reset), "subscribe_send/-1 means retry again\n");
    assert!(said(&reset).contains("nothing was set here for subscribe_send/-1"));
    assert!(said(&["set", "send", "1", "dead", "--reason", "x"]).contains("is no call"));
    assert!(said(&["set", "token", "1", "shrug", "--reason", "x"]).contains("is no class"));
}
