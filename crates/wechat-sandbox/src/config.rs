//! What the sandbox starts with.

use crate::mini_program::{App, CloudFunction, SubscriptionKind, Template, TemplateField, User};
use crate::wecom::{Agent, Licence, Member, Robot};

/// App id of the app that [`SandboxConfig::default`] knows.
pub const DEMO_APPID: &str = "wx5a4d3b2c1f0e9d87";

/// AppSecret of the demo app.
pub const DEMO_SECRET: &str = "7c1e5f0a9b3d48264f6e8d2c0b1a9375";

/// Cloud environment in which the demo function lives.
pub const DEMO_ENVIRONMENT: &str = "demo-env";

/// Name of the function that is deployed in the demo environment.
pub const DEMO_FUNCTION: &str = "quickstartFunctions";

/// Template that the demo app owns: `thing1` customer, `thing2` source, `name3` who assigned,
/// `time4` when.
pub const DEMO_TEMPLATE_ID: &str = "Yz7Qk3tWm0pLx9sVnB2dRfG6hJcA1eTuKoXi5yZrN48";

/// Corp id of the company that [`SandboxConfig::default`] knows.
pub const DEMO_CORPID: &str = "ww6d2f81c04be95a37";

/// Agent id of the demo company's app.
pub const DEMO_AGENTID: u32 = 1_000_002;

/// Secret of the demo company's app.
pub const DEMO_AGENT_SECRET: &str = "Hq3vYtB8nKcW2rZp6LsXf0JmUe9dGaTo7iRyVbN4kQE";

/// Key of the robot in the demo company's group.
pub const DEMO_ROBOT_KEY: &str = "8c4a1f36-52e7-4d0b-9b6e-3f7d2a905c18";

/// Everything the sandbox knows when it starts and goes back to on a reset.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// Mini programs with an account on the platform.
    pub apps: Vec<App>,
    /// Subscribe-message templates of these apps.
    pub templates: Vec<Template>,
    /// Users known from the start.
    pub users: Vec<User>,
    /// Deployed cloud functions.
    pub cloud_functions: Vec<CloudFunction>,
    /// WeCom apps; a company exists by having one.
    pub agents: Vec<Agent>,
    /// The members of these companies.
    pub members: Vec<Member>,
    /// WeCom group robots.
    pub robots: Vec<Robot>,
    /// How many requests are kept for reading; older ones are dropped and counted.
    pub request_history: usize,
    /// How many accepted messages are kept for reading; older ones are dropped and counted.
    pub message_history: usize,
    /// Threads that serve requests.
    pub workers: usize,
}

impl Default for SandboxConfig {
    /// One demo mini program with one template and one cloud function; one demo company with one
    /// app, four members, the last of them without a licence, and one group robot.
    fn default() -> Self {
        Self {
            apps: vec![App::new(DEMO_APPID, DEMO_SECRET)],
            templates: vec![Template {
                template_id: DEMO_TEMPLATE_ID.to_owned(),
                appid: Some(DEMO_APPID.to_owned()),
                title: "客户分配通知".to_owned(),
                fields: vec![
                    TemplateField::new("thing1", "客户姓名"),
                    TemplateField::new("thing2", "客户来源"),
                    TemplateField::new("name3", "分配人"),
                    TemplateField::new("time4", "分配时间"),
                ],
                kind: SubscriptionKind::OneTime,
            }],
            users: Vec::new(),
            cloud_functions: vec![CloudFunction::assign_notify(
                DEMO_ENVIRONMENT,
                DEMO_FUNCTION,
            )],
            agents: vec![Agent::new(DEMO_CORPID, DEMO_AGENTID, DEMO_AGENT_SECRET)],
            members: vec![
                Member::new("zhangsan", "张三"),
                Member::new("lisi", "李四"),
                Member::new("wangwu", "王五"),
                Member {
                    licence: Licence::Missing,
                    ..Member::new("unlicensed", "无许可成员")
                },
            ],
            robots: vec![Robot::new(DEMO_ROBOT_KEY, "会员登记群")],
            request_history: 200_000,
            message_history: 200_000,
            workers: 2,
        }
    }
}
