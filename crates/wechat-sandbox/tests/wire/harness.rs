//! A running sandbox and a client that speaks to it.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]
#![expect(clippy::panic, reason = "a helper of a test fails by panicking")]

use std::net::TcpListener;
use std::time::Duration;

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use wechat_sandbox::{
    DEMO_AGENT_SECRET, DEMO_AGENTID, DEMO_APPID, DEMO_CORPID, DEMO_SECRET, DEMO_TEMPLATE_ID,
    Sandbox, SandboxConfig, SandboxControl, start,
};

pub const OPENID: &str = "oYizhan_0000000000000000aaaa";
pub const SEND: &str = "/cgi-bin/message/subscribe/send";
pub const INVOKE: &str = "/tcb/invokecloudfunction";
pub const WECOM_SEND: &str = "/cgi-bin/message/send";

pub struct Wire {
    pub sandbox: Sandbox,
    pub control: SandboxControl,
    pub client: Client,
}

impl Wire {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sandbox = start(SandboxConfig::default(), listener).await.unwrap();
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .build()
            .unwrap();
        Self {
            control: sandbox.control(),
            sandbox,
            client,
        }
    }

    pub async fn raw(&self, method: Method, path: &str, body: &str) -> reqwest::Result<Response> {
        let url = format!("{}{path}", self.sandbox.base_url());
        self.client
            .request(method, url)
            .body(body.to_owned())
            .send()
            .await
    }

    pub async fn get(&self, path: &str) -> Value {
        read(self.raw(Method::GET, path, "").await.unwrap()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        read(
            self.raw(Method::POST, path, &body.to_string())
                .await
                .unwrap(),
        )
        .await
    }

    pub async fn stable(&self, force: bool) -> Value {
        let body = json!({"grant_type": "client_credential", "appid": DEMO_APPID,
            "secret": DEMO_SECRET, "force_refresh": force});
        self.post("/cgi-bin/stable_token", body).await
    }

    pub async fn token(&self) -> String {
        self.stable(false).await["access_token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub async fn send(&self, token: &str, body: Value) -> Value {
        self.post(&format!("{SEND}?access_token={token}"), body)
            .await
    }

    pub async fn gettoken(&self, corpid: &str, secret: &str) -> Value {
        let path = format!("/cgi-bin/gettoken?corpid={corpid}&corpsecret={secret}");
        self.get(&path).await
    }

    pub async fn wecom_token(&self) -> String {
        self.gettoken(DEMO_CORPID, DEMO_AGENT_SECRET).await["access_token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub async fn wecom_send(&self, token: &str, body: Value) -> Value {
        self.post(&format!("{WECOM_SEND}?access_token={token}"), body)
            .await
    }

    pub async fn control(&self, path: &str, body: Value) -> Value {
        let answer = self.post(&format!("/control/{path}"), body).await;
        assert!(answer.get("error").is_none(), "{path}: {answer}");
        answer
    }
}

pub async fn read(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

pub fn errcode(answer: &Value) -> i64 {
    answer["errcode"].as_i64().unwrap_or_default()
}

pub fn message(openid: &str) -> Value {
    json!({
        "touser": openid,
        "template_id": DEMO_TEMPLATE_ID,
        "page": "pages/customer/detail?id=1",
        "data": {
            "thing1": {"value": "张女士"},
            "thing2": {"value": "美团"},
            "name3": {"value": "李经理"},
            "time4": {"value": "2026年11月21日 09:30"},
        },
    })
}

pub fn assign_event(message_id: &str, openid: Option<&str>) -> Value {
    json!({
        "type": "sendCustomerAssignNotify",
        "messageId": message_id,
        "notificationData": {"openid": openid, "customerName": "张女士", "source": "手动分配"},
    })
}

pub fn text_to(touser: &str, content: &str) -> Value {
    json!({
        "touser": touser,
        "msgtype": "text",
        "agentid": DEMO_AGENTID,
        "text": {"content": content},
    })
}

/// Asserts WeCom's way to word a refusal: text, hint, address, link.
pub fn assert_errmsg(answer: &Value, text: &str) {
    let errmsg = answer["errmsg"].as_str().unwrap();
    let rest = errmsg
        .strip_prefix(text)
        .unwrap_or_else(|| panic!("{answer}"));
    let (hint, link) = rest
        .strip_prefix(", hint: [")
        .and_then(|rest| rest.split_once("], from ip: 127.0.0.1, more info at "))
        .unwrap_or_else(|| panic!("{answer}"));
    assert!(
        hint.len() == 25 && hint.bytes().all(|byte| byte.is_ascii_digit()),
        "{answer}"
    );
    let errcode = errcode(answer);
    assert_eq!(
        link,
        format!("https://open.work.weixin.qq.com/devtool/query?e={errcode}")
    );
}
