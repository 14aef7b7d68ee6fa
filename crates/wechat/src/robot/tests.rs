use super::*;
use crate::test_peer::{Reply, TestPeer};

const KEY: &str = "693a91f6-7eac-4bc4-97a0-0ec2aaaaaaaa";

fn robot(peer: &TestPeer) -> WecomRobot {
    WecomRobot::new(peer.client(), SecretString::from(KEY))
}

#[tokio::test]
async fn a_message_has_the_platforms_form() {
    let peer = TestPeer::always(Reply::body(r#"{"errcode":0,"errmsg":"ok"}"#)).await;
    let robot = robot(&peer);
    for content in [
        RobotContent::markdown("**新会员**".to_owned()),
        RobotContent::text("新会员".to_owned()),
    ] {
        let content = content.unwrap();
        assert!(!format!("{content:?}").contains('新'));
        assert_eq!(robot.send(&content).await, Ok(()));
    }
    let seen = peer.seen();
    assert_eq!(
        seen[0].line,
        format!("POST /cgi-bin/webhook/send?key={KEY} HTTP/1.1")
    );
    assert_eq!(
        seen[0].body,
        r#"{"msgtype":"markdown","markdown":{"content":"**新会员**"}}"#
    );
    assert_eq!(
        seen[1].body,
        r#"{"msgtype":"text","text":{"content":"新会员"}}"#
    );
}

#[test]
fn what_is_too_long_is_refused_with_its_length_and_not_cut() {
    let over = |bytes: usize| "字".repeat(bytes / 3) + &"x".repeat(bytes % 3);
    assert!(RobotContent::text(over(2_048)).is_ok());
    assert!(RobotContent::markdown(over(4_096)).is_ok());
    let refused = RobotContent::text(over(2_049)).unwrap_err();
    assert_eq!(refused.to_string(), "content: 2049 bytes, at most 2048 fit");
    let refused = RobotContent::markdown(over(4_097)).unwrap_err();
    assert_eq!(refused.to_string(), "content: 4097 bytes, at most 4096 fit");
}

#[tokio::test]
async fn the_key_is_shown_nowhere() {
    let refusal =
        format!(r#"{{"errcode":93000,"errmsg":"invalid webhook url, /webhook/send?key={KEY}"}}"#);
    let peer = TestPeer::with(vec![
        Reply::body(refusal),
        Reply::Close,
        Reply::Status(502, KEY.to_owned()),
    ])
    .await;
    let robot = robot(&peer);
    let content = RobotContent::text("x".to_owned()).unwrap();
    for _ in 0..3 {
        let error = robot.send(&content).await.unwrap_err();
        let shown = format!("{error} {error:?} {robot:?}");
        assert!(!shown.contains(KEY), "{shown}");
    }
}
