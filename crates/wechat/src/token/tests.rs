use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::*;
use crate::test_peer::{Reply, TestPeer};

const SECRET: &str = "the-hidden-app-secret";

fn slot(peer: &TestPeer) -> Arc<TokenSlot> {
    let secret = SecretString::from(SECRET);
    let source = TokenSource::StableToken {
        appid: "wx1".to_owned(),
        secret,
    };
    Arc::new(TokenSlot::new(peer.client(), source))
}

fn grant(token: &str, expires_in: u64) -> Reply {
    Reply::body(grant_body(token, expires_in))
}

fn grant_body(token: &str, expires_in: u64) -> String {
    format!(r#"{{"access_token":"{token}","expires_in":{expires_in}}}"#)
}

/// Moves the clock on without waiting.
async fn let_pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_hundred_callers_share_one_request() {
    let gate = Arc::new(Semaphore::new(0));
    let peer = TestPeer::always(Reply::Gated(grant_body("t1", 7200), Arc::clone(&gate))).await;
    let slot = slot(&peer);
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let slot = Arc::clone(&slot);
        callers.spawn(async move { slot.get().await });
    }
    peer.request_arrived(1).await;
    gate.add_permits(100);
    for token in callers.join_all().await {
        assert_eq!(token.unwrap().expose(), "t1");
    }
    let requests = peer.seen();
    assert_eq!(requests.len(), 1);
    assert!(
        requests[0]
            .line
            .starts_with("POST /cgi-bin/stable_token HTTP")
    );
    assert_eq!(
        requests[0].body,
        format!(r#"{{"grant_type":"client_credential","appid":"wx1","secret":"{SECRET}"}}"#)
    );
}

#[tokio::test]
async fn a_wecom_application_gets_its_own_token_by_the_same_rules() {
    let peer = TestPeer::with(vec![
        Reply::body(
            r#"{"errcode":60020,"errmsg":"not allow to access from your ip, from ip: 1.2.3.4"}"#,
        ),
        Reply::body(r#"{"errcode":0,"errmsg":"ok","access_token":"t1","expires_in":7200}"#),
        Reply::body(r#"{"errcode":0,"errmsg":"ok","access_token":"t2","expires_in":7200}"#),
    ])
    .await;
    let source = TokenSource::CorpToken {
        corpid: "ww1".to_owned(),
        secret: SecretString::from(SECRET),
    };
    let slot = TokenSlot::new(peer.client(), source);
    match slot.get().await {
        Err(TokenError::Rejected { api, errcode, .. }) => {
            assert_eq!((api, errcode), (Api::WecomToken, 60020));
        }
        other => panic!("{other:?}"),
    }
    let first = slot.get().await.unwrap();
    assert_eq!(slot.get().await.unwrap().generation(), first.generation());
    assert_eq!(slot.expire_if_current(&first), Expiry::Expired);
    assert_eq!(slot.get().await.unwrap().expose(), "t2");
    let lines: Vec<_> = peer.seen().into_iter().map(|seen| seen.line).collect();
    let asked = format!("GET /cgi-bin/gettoken?corpid=ww1&corpsecret={SECRET} HTTP/1.1");
    assert_eq!(lines, [asked.as_str(); 3]);
    assert!(!format!("{slot:?}").contains("hidden"));
}

#[tokio::test]
async fn only_the_current_token_expires() {
    let peer = TestPeer::with(vec![grant("t1", 7200), grant("t2", 7200)]).await;
    let slot = slot(&peer);
    let first = slot.get().await.unwrap();
    assert_eq!(slot.expire_if_current(&first), Expiry::Expired);
    assert_eq!(slot.expire_if_current(&first), Expiry::AlreadyReplaced);
    let second = slot.get().await.unwrap();
    assert_eq!(second.expose(), "t2");
    assert_eq!(slot.expire_if_current(&first), Expiry::AlreadyReplaced);
    assert_eq!(slot.get().await.unwrap().generation(), second.generation());
    assert_eq!(peer.seen().len(), 2);
}

#[tokio::test]
async fn a_refused_token_that_is_issued_again_is_not_fetched_in_a_loop() {
    let peer = TestPeer::always(grant("same", 7200)).await;
    let slot = slot(&peer);
    let first = slot.get().await.unwrap();
    assert_eq!(slot.expire_if_current(&first), Expiry::Expired);
    let again = slot.get().await.unwrap();
    assert_eq!(slot.expire_if_current(&again), Expiry::ReissuedJustNow);
    slot.get().await.unwrap();
    assert_eq!(peer.seen().len(), 2);

    let_pass(30).await;
    assert_eq!(slot.expire_if_current(&again), Expiry::Expired);
}

#[tokio::test]
async fn waiting_callers_share_the_error_and_the_next_one_tries_again() {
    let gate = Arc::new(Semaphore::new(0));
    let refusal = r#"{"errcode":40125,"errmsg":"invalid appsecret rid: 1"}"#.to_owned();
    let peer = TestPeer::with(vec![
        Reply::Gated(refusal, Arc::clone(&gate)),
        grant("t", 7200),
    ])
    .await;
    let slot = slot(&peer);
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let slot = Arc::clone(&slot);
        callers.spawn(async move { slot.get().await });
    }
    // All callers were spawned before this task waits, so all of them stand in line by now.
    peer.request_arrived(1).await;
    gate.add_permits(1);
    let expected = TokenError::Rejected {
        api: Api::Token,
        errcode: 40125,
        errmsg: "invalid appsecret rid: 1".to_owned(),
    };
    for outcome in callers.join_all().await {
        assert_eq!(outcome.unwrap_err(), expected);
    }
    assert_eq!(peer.seen().len(), 1);
    assert_eq!(slot.get().await.unwrap().expose(), "t");
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_the_slot_working() {
    let gate = Arc::new(Semaphore::new(0));
    let peer = TestPeer::with(vec![
        Reply::Gated(grant_body("lost", 7200), Arc::clone(&gate)),
        grant("t", 7200),
    ])
    .await;
    let slot = slot(&peer);
    let caller = || {
        let slot = Arc::clone(&slot);
        tokio::spawn(async move { slot.get().await })
    };
    let (first, second) = (caller(), caller());
    peer.request_arrived(1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(second.await.unwrap().unwrap().expose(), "t");
    assert_eq!(slot.get().await.unwrap().expose(), "t");
    assert_eq!(peer.seen().len(), 2);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_kept_when_that_fails() {
    let peer = TestPeer::with(vec![
        grant("t1", 7200),
        Reply::Status(502, String::new()),
        grant("t2", 7200),
    ])
    .await;
    let slot = slot(&peer);
    slot.get().await.unwrap();
    let_pass(6900).await;
    assert_eq!(slot.get().await.unwrap().expose(), "t1");
    assert_eq!(
        peer.seen().len(),
        1,
        "five minutes before the end it is too early"
    );

    let_pass(66).await;
    assert_eq!(
        slot.get().await.unwrap().expose(),
        "t1",
        "the renewal failed"
    );
    assert_eq!(slot.get().await.unwrap().expose(), "t1");
    assert_eq!(peer.seen().len(), 2, "and is not repeated at once");

    let_pass(30).await;
    assert_eq!(slot.get().await.unwrap().expose(), "t2");
    assert_eq!(peer.seen().len(), 3);
}

#[tokio::test]
async fn others_use_the_old_token_while_one_caller_renews_it() {
    let gate = Arc::new(Semaphore::new(0));
    let renewal = Reply::Gated(grant_body("t2", 7200), Arc::clone(&gate));
    let peer = TestPeer::with(vec![grant("t1", 7200), renewal]).await;
    let slot = slot(&peer);
    slot.get().await.unwrap();
    let_pass(6970).await;
    let renewing = {
        let slot = Arc::clone(&slot);
        tokio::spawn(async move { slot.get().await })
    };
    peer.request_arrived(2).await;
    assert_eq!(slot.get().await.unwrap().expose(), "t1");
    gate.add_permits(1);
    assert_eq!(renewing.await.unwrap().unwrap().expose(), "t2");
    assert_eq!(slot.get().await.unwrap().expose(), "t2");
}

#[tokio::test]
async fn an_ended_token_is_not_used() {
    let peer = TestPeer::with(vec![grant("t1", 7200), Reply::Close]).await;
    let slot = slot(&peer);
    slot.get().await.unwrap();
    let_pass(7190).await;
    let error = slot.get().await.unwrap_err();
    assert!(matches!(error, TokenError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn an_unusable_grant_is_an_error() {
    for body in [
        "{}",
        r#"{"access_token":"","expires_in":7200}"#,
        r#"{"access_token":"t","expires_in":0}"#,
        r#"{"access_token":"t","expires_in":-1}"#,
        r#"{"access_token":"t"}"#,
    ] {
        let peer = TestPeer::always(Reply::body(body)).await;
        let error = slot(&peer).get().await.unwrap_err();
        assert!(
            matches!(error, TokenError::Unreachable { .. }),
            "{body}: {error}"
        );
    }
}

#[tokio::test]
async fn neither_secret_nor_token_is_shown() {
    let hidden_token = "the-hidden-token";
    let echo = format!(r#"{{"errcode":40013,"errmsg":"bad secret={SECRET}"}}"#);
    let peer = TestPeer::with(vec![Reply::body(echo), grant(hidden_token, 7200)]).await;
    let slot = slot(&peer);
    let error = slot.get().await.unwrap_err();
    let token = slot.get().await.unwrap();
    let shown = format!("{error} {error:?} {slot:?} {token:?}");
    assert!(!shown.contains("hidden"), "{shown}");
}

#[test]
fn a_token_is_held_until_the_platform_hands_out_the_next() {
    let seconds = Duration::from_secs;
    let cases = [
        // lifetime, jitter → renew after, usable for
        (7200, 0, 6905, 7190),
        (7200, 60, 6965, 7190),
        (1_000_000, 0, 6905, 7190),
        (345, 0, 50, 335),
        (300, 0, 30, 290),
        (300, 60, 65, 290),
        (20, 0, 10, 10),
        (4, 0, 2, 2),
    ];
    for (lifetime, jitter, renew_after, usable_for) in cases {
        let times = HoldingTimes::of(seconds(lifetime), seconds(jitter));
        let expected = HoldingTimes {
            renew_after: seconds(renew_after),
            usable_for: seconds(usable_for),
        };
        assert_eq!(times, expected, "{lifetime} s");
    }
    assert!(random_jitter() < RENEWAL_JITTER_MAX);
}
