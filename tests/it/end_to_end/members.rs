//! From a line of SQL to the phone: whoever writes the table of members, the notice goes out.

use serde_json::Value;
use shared::outbox::Status;
use wechat_sandbox::{DEMO_AGENTID, DEMO_CORPID};

use crate::harness::{
    PASSWORD, RelayStage, TestDatabase, TestProcess, eventually, on_each_database,
};

on_each_database!(
    what_other_programs_write_is_on_the_phone,
    a_member_deleted_while_the_message_waited_is_told_of_all_the_same,
);

/// The API and a relay, each a process of its own, beside whoever writes SQL.
struct Agency<'database> {
    stage: RelayStage<'database>,
    api: TestProcess,
    relay: TestProcess,
}

impl<'database> Agency<'database> {
    async fn open(database: &'database TestDatabase) -> Self {
        let stage = RelayStage::wecom(database).await;
        database.shell(
            "UPDATE notification_routes SET enabled = (channel = 'wecom_app'), recipients = 'zhangsan|lisi' \
             WHERE kind IN ('member.registered', 'member.updated') AND channel IN ('wecom_app', 'wecom_robot')",
        );
        let database_url = database.url().reveal();
        let agent = DEMO_AGENTID.to_string();
        let arguments = [
            "--database-url",
            &database_url,
            "--listen",
            "127.0.0.1:0",
            "--jwt-secret",
            "a signing secret for tests, longer than 32 bytes",
            "--admin-password",
            PASSWORD,
            "--wecom-corpid",
            DEMO_CORPID,
            "--wecom-agentid",
            &agent,
        ];
        let api = TestProcess::start("crm-api", &arguments.map(str::to_owned));
        let relay = TestProcess::start("outbox-relay", &stage.relay_arguments(&[]));
        eventually("the API serves", async || {
            api.said().contains("serving on http://")
        })
        .await;
        Self { stage, api, relay }
    }

    /// What a member of the company has been shown, oldest first, once so many messages are sent.
    async fn shown(&self, messages: usize) -> Vec<Value> {
        self.stage.until_status(Status::Sent, messages).await;
        let arrived = self.stage.delivered_to("zhangsan");
        assert!(arrived.iter().all(|message| message.is_shown()));
        assert_eq!(arrived.len(), messages);
        assert_eq!(self.stage.delivered_to("lisi").len(), messages);
        arrived.iter().map(|message| message.data()).collect()
    }

    fn close(self) {
        for program in [self.relay, self.api] {
            let ended = program.terminate();
            assert!(ended.status.success(), "{}", ended.said);
        }
    }
}

#[track_caller]
fn says(card: &Value, title: &str, lines: &[&str]) {
    assert_eq!(card["title"], title, "{card}");
    let description = card["description"].as_str().unwrap();
    for line in lines {
        assert!(
            description.lines().any(|said| said == *line),
            "{line}: {card}"
        );
    }
}

async fn what_other_programs_write_is_on_the_phone(database: &TestDatabase) {
    let agency = Agency::open(database).await;
    database.shell(
        "INSERT INTO members (member_no, wechat, phone, nickname, gender, birth_year, height, province, city) \
         VALUES ('M1', 'wx1', '13800138999', '小满😀', 'female', 1990, 172, '浙江', '杭州')",
    );
    let shown = agency.shown(1).await;
    says(
        &shown[0],
        "🎉 新会员登记通知",
        &[
            "会员编号：M1",
            "性别 | 出生年份：女 | 1990",
            "身高 | 体重：172cm | 未填写",
            "学历 | 职业：未填写 | 未填写",
            "所在地：浙江 杭州",
        ],
    );
    assert!(shown[0]["url"].as_str().unwrap().contains("/members/"));

    // Nobody hears of what is rolled back, nor of the inactive until they become active.
    database.shell(
        "BEGIN; INSERT INTO members (member_no) VALUES ('M2'); UPDATE members SET city = '上海'; ROLLBACK; \
         INSERT INTO members (member_no, status) VALUES ('M3', 'INACTIVE'); \
         UPDATE members SET status = 'ACTIVE' WHERE member_no = 'M3';",
    );
    let shown = agency.shown(2).await;
    says(&shown[1], "🎉 新会员登记通知", &["会员编号：M3"]);

    // Fifty changes before the relay can see one of them.
    let changes: String = (0..50)
        .map(|n| {
            format!(
                "UPDATE members SET weight = {} WHERE member_no = 'M1';",
                50 + n
            )
        })
        .collect();
    database.shell(&format!(
        "BEGIN; {changes} UPDATE members SET phone = '13900139000' WHERE member_no = 'M1'; COMMIT;"
    ));
    let shown = agency.shown(3).await;
    says(
        &shown[2],
        "用户资料更新通知",
        &["会员编号：M1", "更新内容：手机号、体重"],
    );
    assert_eq!(database.messages().await.len(), 3);
    agency.close();
}

async fn a_member_deleted_while_the_message_waited_is_told_of_all_the_same(
    database: &TestDatabase,
) {
    let agency = Agency::open(database).await;
    let held = agency
        .stage
        .command(&["hold", "wecom_app", "--reason", "a test"]);
    assert!(held.status.success(), "{}", held.said);
    database.shell("INSERT INTO members (member_no, city) VALUES ('M1', '杭州')");
    database.shell("DELETE FROM members");
    assert_eq!(database.messages().await[0].status, Status::Pending);
    let lifted = agency
        .stage
        .command(&["lift", "wecom_app", "--reason", "a test"]);
    assert!(lifted.status.success(), "{}", lifted.said);
    let shown = agency.shown(1).await;
    says(
        &shown[0],
        "🎉 新会员登记通知",
        &["会员编号：M1", "所在地：杭州"],
    );
    agency.close();
}
