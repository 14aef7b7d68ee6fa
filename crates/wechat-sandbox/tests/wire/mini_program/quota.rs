//! Daily quotas.

use serde_json::json;
use wechat_sandbox::{DEMO_APPID, DEMO_SECRET};

use crate::harness::{OPENID, SEND, Wire, errcode, message};

#[tokio::test]
async fn the_daily_quota_is_counted_reported_and_cleared() {
    let wire = Wire::start().await;
    let app = json!({"appid": DEMO_APPID, "secret": DEMO_SECRET, "quota": "unlimited",
        "dailyLimits": {"subscribe_send": 2}});
    wire.control("apps", app).await;
    let token = wire.token().await;
    let code = async || errcode(&wire.send(&token, message(OPENID)).await);
    assert_eq!([code().await, code().await, code().await], [0, 0, 45009]);
    let quota = async |path: &str| {
        let url = format!("/cgi-bin/openapi/quota/get?access_token={token}");
        wire.post(&url, json!({"cgi_path": path})).await
    };
    assert_eq!(
        quota(SEND).await["quota"],
        json!({"daily_limit": 2, "used": 2, "remain": 0})
    );
    assert_eq!(errcode(&quota("/no/such/path").await), 76021);
    let clear = async |appid: &str| {
        let url = format!("/cgi-bin/clear_quota?access_token={token}");
        errcode(&wire.post(&url, json!({"appid": appid})).await)
    };
    assert_eq!(clear("wx0").await, 40013);
    assert_eq!(clear(DEMO_APPID).await, 0);
    assert_eq!(code().await, 0);
    for _ in 0..9 {
        assert_eq!(clear(DEMO_APPID).await, 0);
    }
    assert_eq!(clear(DEMO_APPID).await, 48006);
}
