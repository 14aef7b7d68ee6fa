//! WeCom over real HTTP: the token, what can be read, and how answers look.

use reqwest::Method;
use serde_json::{Value, json};
use wechat_sandbox::{Api, DEMO_AGENT_SECRET, DEMO_AGENTID, DEMO_CORPID, DEMO_ROBOT_KEY, Fault};

use crate::harness::{WECOM_SEND, Wire, assert_errmsg, errcode, read, text_to};

const OTHER_CORPID: &str = "ww0000000000000002";
const OTHER_SECRET: &str = "the-secret-of-another-company";
const SECOND_AGENTID: u32 = 1_000_003;

/// A second app of the demo company, and an app of another company.
async fn more_apps(wire: &Wire) {
    let apps = json!([
        {"agentid": SECOND_AGENTID, "secret": "second", "name": "第二个应用"},
        {"corpid": OTHER_CORPID, "agentid": 1_000_009, "secret": OTHER_SECRET},
    ]);
    wire.control("wecom/agents", apps).await;
}

#[tokio::test]
async fn gettoken_names_what_is_wrong() {
    let wire = Wire::start().await;
    more_apps(&wire).await;
    let cases = [
        (
            format!("corpid={DEMO_CORPID}&corpsecret={DEMO_AGENT_SECRET}"),
            0,
            "ok",
        ),
        (
            format!("corpid={DEMO_CORPID}&corpsecret={DEMO_AGENT_SECRET}&debug=1&x=y"),
            0,
            "ok",
        ),
        (
            format!("corpsecret={DEMO_AGENT_SECRET}"),
            41002,
            "corpid missing",
        ),
        (format!("corpid={DEMO_CORPID}"), 41004, "corpsecret missing"),
        (
            format!("corpid={DEMO_CORPID}&corpsecret="),
            41004,
            "corpsecret missing",
        ),
        (
            format!("corpid=ww0&corpsecret={DEMO_AGENT_SECRET}"),
            40013,
            "invalid corpid",
        ),
        (
            format!("corpid={DEMO_CORPID}&corpsecret=x"),
            40001,
            "invalid credential",
        ),
        (
            format!("corpid={DEMO_CORPID}&corpsecret={OTHER_SECRET}"),
            40091,
            "invalid secret",
        ),
    ];
    for (query, expected, text) in cases {
        let answer = wire.get(&format!("/cgi-bin/gettoken?{query}")).await;
        assert_eq!(errcode(&answer), expected, "{query}");
        if expected == 0 {
            assert_eq!(answer["errmsg"], "ok");
            // What is left of the same token, in whole seconds.
            let expires_in = answer["expires_in"].as_u64().unwrap();
            assert!((7_100..=7_200).contains(&expires_in), "{answer}");
            assert!(answer["access_token"].as_str().unwrap().len() <= 512);
        } else {
            assert_errmsg(&answer, text);
        }
    }
}

#[tokio::test]
async fn each_app_keeps_its_token_until_it_expires() {
    let wire = Wire::start().await;
    more_apps(&wire).await;
    let first = wire.wecom_token().await;
    let second = wire.gettoken(DEMO_CORPID, "second").await["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_ne!(first, second);
    wire.control("clock", json!({"advanceSeconds": 7000})).await;
    let again = wire.gettoken(DEMO_CORPID, DEMO_AGENT_SECRET).await;
    assert_eq!(again["access_token"], first.as_str());
    assert!(again["expires_in"].as_u64().unwrap() <= 200, "{again}");

    wire.control("clock", json!({"advanceSeconds": 200})).await;
    let answer = wire.wecom_send(&first, text_to("lisi", "x")).await;
    assert_eq!(errcode(&answer), 42001);
    assert_errmsg(&answer, "access_token expired");
    let renewed = wire.wecom_token().await;
    assert_ne!(renewed, first);
    assert_eq!(
        errcode(&wire.wecom_send(&renewed, text_to("lisi", "x")).await),
        0
    );

    wire.control.expire_tokens();
    assert_eq!(
        errcode(&wire.wecom_send(&renewed, text_to("lisi", "x")).await),
        42001
    );
    let issued = wire.control.tokens();
    assert!(
        [&first, &second, &renewed]
            .iter()
            .all(|token| issued.contains(token))
    );
}

#[tokio::test]
async fn a_token_is_missing_unknown_or_of_the_other_platform() {
    let wire = Wire::start().await;
    let mini_program = wire.token().await;
    for (path, expected) in [
        (WECOM_SEND.to_owned(), 41001),
        (format!("{WECOM_SEND}?access_token="), 41001),
        (format!("{WECOM_SEND}?access_token=garbage"), 40014),
        (format!("{WECOM_SEND}?access_token={mini_program}"), 40014),
    ] {
        let answer = wire.post(&path, text_to("lisi", "x")).await;
        assert_eq!(errcode(&answer), expected, "{path}");
    }
    let wecom = wire.wecom_token().await;
    assert_eq!(errcode(&wire.send(&wecom, json!({})).await), 40014);
}

#[tokio::test]
async fn answers_are_http_200_and_repeat_their_code_in_the_head() {
    let wire = Wire::start().await;
    let token = wire.wecom_token().await;
    let send = format!("{WECOM_SEND}?access_token={token}");
    for (method, path, body, expected) in [
        (
            Method::POST,
            send.as_str(),
            text_to("lisi", "x").to_string(),
            "0",
        ),
        (Method::POST, &send, String::new(), "40008"),
        (Method::POST, &send, "{".to_owned(), "40008"),
        (Method::GET, &send, String::new(), "43002"),
        (Method::POST, "/cgi-bin/gettoken", String::new(), "43001"),
        (Method::GET, "/cgi-bin/webhook/send", String::new(), "43002"),
    ] {
        let response = wire.raw(method, path, &body).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let headers = response.headers();
        assert_eq!(headers["content-type"], "application/json; charset=UTF-8");
        assert_eq!(headers["error-code"], expected, "{path} {body}");
        let errmsg = headers["error-msg"].to_str().unwrap().to_owned();
        assert_eq!(read(response).await["errmsg"], errmsg.as_str());
    }
}

#[tokio::test]
async fn no_content_type_is_asked_for_and_unknown_fields_are_ignored() {
    let wire = Wire::start().await;
    let token = wire.wecom_token().await;
    let url = format!(
        "{}{WECOM_SEND}?debug=1&access_token={token}",
        wire.sandbox.base_url()
    );
    let mut message = text_to("lisi", "x");
    message["a_field_of_tomorrow"] = json!({"deep": [1]});
    for content_type in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("application/json; charset=utf-8"),
    ] {
        let mut request = wire.client.post(&url).body(message.to_string());
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let answer = read(request.send().await.unwrap()).await;
        assert_eq!(errcode(&answer), 0, "{content_type:?}: {answer}");
    }
}

#[tokio::test]
async fn only_trusted_addresses_may_call_and_the_text_names_the_other() {
    let wire = Wire::start().await;
    let token = wire.wecom_token().await;
    let list = json!({"addresses": ["10.0.0.1"], "agentid": DEMO_AGENTID});
    wire.control("ip-allow-list", list).await;
    for answer in [
        wire.gettoken(DEMO_CORPID, DEMO_AGENT_SECRET).await,
        wire.wecom_send(&token, text_to("lisi", "x")).await,
        wire.get(&format!(
            "/cgi-bin/agent/get?access_token={token}&agentid={DEMO_AGENTID}"
        ))
        .await,
    ] {
        assert_eq!(errcode(&answer), 60020);
        assert_errmsg(&answer, "not allow to access from your ip");
    }
    let robot = json!({"msgtype": "text", "text": {"content": "x"}});
    let path = format!("/cgi-bin/webhook/send?key={DEMO_ROBOT_KEY}");
    assert_eq!(errcode(&wire.post(&path, robot).await), 0);
    let list = json!({"addresses": null, "agentid": DEMO_AGENTID});
    wire.control("ip-allow-list", list).await;
    assert_eq!(
        errcode(&wire.gettoken(DEMO_CORPID, DEMO_AGENT_SECRET).await),
        0
    );
}

#[tokio::test]
async fn a_doctor_can_read_without_sending() {
    let wire = Wire::start().await;
    more_apps(&wire).await;
    let token = wire.wecom_token().await;
    let get = async |path: &str| wire.get(&format!("{path}access_token={token}")).await;
    let agent = get(&format!("/cgi-bin/agent/get?agentid={DEMO_AGENTID}&")).await;
    assert_eq!(
        (&agent["agentid"], &agent["name"], &agent["close"]),
        (&json!(DEMO_AGENTID), &json!("驿站通知"), &json!(0))
    );
    assert_eq!(
        agent["allow_userinfos"]["user"],
        json!([{"userid": "lisi"}, {"userid": "unlicensed"}, {"userid": "wangwu"},
            {"userid": "zhangsan"}])
    );
    let addresses = get("/cgi-bin/get_api_domain_ip?").await;
    assert!(addresses["ip_list"][0].is_string(), "{addresses}");
    let user = get("/cgi-bin/user/get?userid=ZhangSan&").await;
    assert_eq!(
        (&user["userid"], &user["name"]),
        (&json!("zhangsan"), &json!("张三"))
    );

    for (path, expected, text) in [
        ("/cgi-bin/agent/get?", 41011, "missing agentid"),
        ("/cgi-bin/agent/get?agentid=7&", 40056, "invalid agentid"),
        ("/cgi-bin/agent/get?agentid=x&", 40056, "invalid agentid"),
        (
            "/cgi-bin/agent/get?agentid=1000003&",
            301_002,
            "not allow operate another agent with this accesstoken.",
        ),
        ("/cgi-bin/user/get?", 41009, "userid missing"),
        (
            "/cgi-bin/user/get?userid=nobody&",
            60111,
            "userid not found",
        ),
    ] {
        let answer = get(path).await;
        assert_eq!(errcode(&answer), expected, "{path}");
        assert_errmsg(&answer, text);
    }
    assert_eq!(wire.control.stats().accepted, 0);
}

#[tokio::test]
async fn too_many_calls_are_refused_by_day_and_by_minute() {
    let wire = Wire::start().await;
    let app = json!({"agentid": DEMO_AGENTID, "secret": DEMO_AGENT_SECRET,
        "dailyLimits": {"wecom_token": 2, "wecom_send": 3}});
    wire.control("wecom/agents", app).await;
    let token = wire.wecom_token().await;
    assert_eq!(
        errcode(&wire.gettoken(DEMO_CORPID, DEMO_AGENT_SECRET).await),
        0
    );
    let answer = wire.gettoken(DEMO_CORPID, DEMO_AGENT_SECRET).await;
    assert_eq!(errcode(&answer), 45009);
    assert_errmsg(&answer, "api freq out of limit");

    // A send counts its recipients, and is taken whole or not at all.
    let send = async |touser: &str| errcode(&wire.wecom_send(&token, text_to(touser, "x")).await);
    assert_eq!(send("zhangsan|lisi").await, 0);
    assert_eq!(send("zhangsan|lisi").await, 45009);
    assert_eq!(send("zhangsan").await, 0);
    wire.control("clock", json!({"advanceSeconds": 86_400}))
        .await;
    let token = wire.wecom_token().await;
    let answer = wire.wecom_send(&token, text_to("zhangsan", "x")).await;
    assert_eq!(errcode(&answer), 0);
}

#[tokio::test]
async fn scripted_faults_strike_wecom_calls_as_they_do_others() {
    let wire = Wire::start().await;
    let token = wire.wecom_token().await;
    for code in [-1, 6000, 45009, 45033, 48002, 48004, 50003, 60020, 81013] {
        wire.control.add_fault(Fault::errcode(Api::WecomSend, code));
        let answer = wire.wecom_send(&token, text_to("lisi", "x")).await;
        assert_eq!(errcode(&answer), code);
        let errmsg = answer["errmsg"].as_str().unwrap();
        assert!(
            errmsg.contains(", from ip: 127.0.0.1, more info at "),
            "{errmsg}"
        );
    }
    let fault = Fault::errcode(Api::WecomSend, 60111)
        .for_recipient("lisi")
        .always();
    let id = wire.control.add_fault(fault);
    let send = async |touser: &str| errcode(&wire.wecom_send(&token, text_to(touser, "x")).await);
    assert_eq!(send("zhangsan").await, 0);
    assert_eq!(send("zhangsan|lisi").await, 60111);
    assert!(wire.control.remove_fault(id));

    let script = json!([
        {"api": "wecom_token", "action": {"rawBody": "<html>"}},
        {"api": "wecom_send", "action": {"resetBeforeAnswer": true, "processed": true}},
        {"api": "wecom_robot", "action": {"httpStatus": 502}},
        {"api": "any", "match": {"userid": "wangwu"}, "action": {"hang": true}},
        {"api": "wecom_agent", "action": {"expireTokens": true}},
    ]);
    wire.control("faults", script).await;
    let path = format!("/cgi-bin/gettoken?corpid={DEMO_CORPID}&corpsecret={DEMO_AGENT_SECRET}");
    let body = wire.raw(Method::GET, &path, "").await.unwrap();
    assert_eq!(body.text().await.unwrap(), "<html>");
    let before = wire.control.stats().accepted;
    let path = format!("{WECOM_SEND}?access_token={token}");
    let body = text_to("lisi", "once").to_string();
    wire.raw(Method::POST, &path, &body).await.unwrap_err();
    assert_eq!(wire.control.stats().accepted, before + 1);
    let path = format!("/cgi-bin/webhook/send?key={DEMO_ROBOT_KEY}");
    let answer = wire.raw(Method::POST, &path, "{}").await.unwrap();
    assert_eq!(answer.status(), 502);

    let url = format!(
        "{}{WECOM_SEND}?access_token={token}",
        wire.sandbox.base_url()
    );
    let body = text_to("wangwu", "x").to_string();
    let hanging = tokio::spawn(wire.client.post(url).body(body).send());
    wire.control.until(|stats| stats.in_flight == 1).await;
    hanging.abort();
    wire.control.until(|stats| stats.in_flight == 0).await;

    let path = format!("/cgi-bin/agent/get?access_token={token}&agentid={DEMO_AGENTID}");
    assert_eq!(errcode(&wire.get(&path).await), 42001);
}

#[tokio::test]
async fn every_wecom_call_is_recorded() {
    let wire = Wire::start().await;
    let token = wire.wecom_token().await;
    wire.wecom_send(&token, text_to("zhangsan|lisi", "x")).await;
    wire.wecom_send(&token, text_to("nobody", "x")).await;
    let robot = json!({"msgtype": "text", "text": {"content": "x"}});
    let path = format!("/cgi-bin/webhook/send?key={DEMO_ROBOT_KEY}");
    wire.post(&path, robot).await;

    let requests = wire.get("/control/requests").await;
    let seen: Vec<Value> = requests["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|request| json!([request["api"], request["recipient"], request["errcode"]]))
        .collect();
    assert_eq!(
        seen,
        [
            json!(["wecom_token", null, 0]),
            json!(["wecom_send", "zhangsan|lisi", 0]),
            json!(["wecom_send", "nobody", 81013]),
            json!(["wecom_robot", DEMO_ROBOT_KEY, 0]),
        ]
    );
    let stats = wire.control.stats();
    assert_eq!((stats.accepted, stats.refused, stats.requests), (3, 1, 4));
}

#[tokio::test]
async fn the_control_api_refuses_members_of_no_company() {
    let wire = Wire::start().await;
    for (path, body) in [
        ("/control/wecom/members", r#"{"userid":"x","corpid":"ww0"}"#),
        (
            "/control/wecom/members",
            r#"{"userid":"x","licence":"expired"}"#,
        ),
        ("/control/wecom/agents", r#"{"agentid":"x","secret":"s"}"#),
        ("/control/wecom/robots", r#"{"key":"k"}"#),
        ("/control/ip-allow-list", r#"{"addresses":[],"agentid":7}"#),
        (
            "/control/ip-allow-list",
            r#"{"addresses":[],"agentid":7,"appid":"wx1"}"#,
        ),
    ] {
        let response = wire.raw(Method::POST, path, body).await.unwrap();
        assert_eq!(response.status(), 400, "{path} {body}");
        assert!(read(response).await["error"].is_string());
    }
}
