use std::collections::HashSet;
use std::time::Duration;

use rendering::Draft;
use serde_json::{Map, Value};
use shared::bindings;
use shared::db::{DbConnection, DbError};
use shared::domain::{Channel, ChannelSet, OutboxMessageId, RecipientId, UserId, UtcTimestamp};
use shared::notification::{self, Audience, Kind, RouteSettings, Template};
use shared::outbox::{self, NewMessage, Priority, TEST_SEND, mark_as_test};

use super::step::{Step, StepName};
use crate::outward::Outward;
use crate::rendering_text::{unrenderable_text, warning_text};
use crate::users;

/// What is to be tested.
#[derive(Debug, Clone)]
pub(crate) struct TestOrder {
    /// Of what.
    pub(crate) kind: Kind,
    /// On which channel.
    pub(crate) channel: Channel,
    /// Who gets it.
    pub(crate) user: UserId,
    /// With which values.
    pub(crate) data: Map<String, Value>,
}

/// What can be told before the platform is asked.
#[derive(Debug)]
pub(crate) struct Checked {
    /// All that were made; the last has failed if there is no recipient.
    pub(crate) steps: Vec<Step>,
    /// As the outbox knows them, if there is nothing against sending.
    pub(crate) recipient: Option<RecipientId>,
}

/// A test that has waited so long tells nothing any more, and nobody expects it.
const POINTLESS_AFTER: Duration = Duration::from_secs(10 * 60);

/// Checks what needs no platform: configuration, template, recipient.
///
/// # Errors
/// What the database says.
pub(crate) fn check(
    connection: &mut DbConnection,
    order: &TestOrder,
    configured: ChannelSet,
    outward: &Outward,
    now: UtcTimestamp,
) -> Result<Checked, DbError> {
    let config = config(connection, order.channel, configured, now)?;
    let mut steps = Vec::new();
    let mut goes_on = |step: Result<Step, Step>| {
        let is_ok = step.is_ok();
        steps.push(step.unwrap_or_else(|failed| failed));
        is_ok
    };
    let mut recipient = None;
    if goes_on(config) {
        let (found, address) = addressee(connection, order, outward)?;
        if goes_on(template(connection, order, outward, address.as_deref())?) {
            recipient = goes_on(found).then_some(address).flatten();
        }
    }
    let recipient = recipient.and_then(|address| match order.kind.audience() {
        Audience::Staff => Some(RecipientId::from(&order.user)),
        // Such messages name their recipients as the platform knows them.
        Audience::RouteRecipients => match order.channel {
            Channel::WecomApp => address.parse().ok(),
            Channel::WechatSubscribe | Channel::WechatCloud | Channel::WecomRobot => {
                Some(RecipientId::from(&order.user))
            }
        },
    });
    Ok(Checked { steps, recipient })
}

/// The message of a test: taken first, tried once, and marked, so that whoever gets it knows.
pub(crate) fn message(order: TestOrder, recipient: RecipientId, now: UtcTimestamp) -> NewMessage {
    let mut payload = order.data;
    mark_as_test(&mut payload);
    NewMessage {
        kind: order.kind.as_str().to_owned(),
        channel: order.channel,
        recipient_id: recipient,
        subject: Some(TEST_SEND.to_owned()),
        dedup_key: None,
        payload: Value::Object(payload),
        priority: Priority::High,
        attempts_max: 1,
        due_at: now,
        expires_at: Some(now.after(POINTLESS_AFTER)),
        request_id: None,
        fallbacks: None,
    }
}

fn config(
    connection: &mut DbConnection,
    channel: Channel,
    configured: ChannelSet,
    now: UtcTimestamp,
) -> Result<Result<Step, Step>, DbError> {
    let failed = |text: String, fix: String| Ok(Err(Step::failed(StepName::Config, text, fix)));
    if !configured.contains(channel) {
        let variables = match channel {
            Channel::WechatSubscribe => "WECHAT_APPID（以及 outbox-relay 的 WECHAT_SECRET）",
            Channel::WechatCloud => {
                "WECHAT_APPID 和 WECHAT_CLOUD_ENV（以及 outbox-relay 的 WECHAT_SECRET）"
            }
            Channel::WecomApp => {
                "WECOM_CORPID 和 WECOM_AGENTID（以及 outbox-relay 的 WECOM_SECRET）"
            }
            Channel::WecomRobot => "WECOM_ROBOT=on（以及 outbox-relay 的 WECOM_ROBOT_KEY）",
        };
        return failed(
            format!("本系统未配置渠道 {channel}"),
            format!("请在 crm-api 和 outbox-relay 配置 {variables}，然后重新启动"),
        );
    }
    let holds = outbox::holds(connection)?;
    if let Some(hold) = holds.into_iter().find(|hold| hold.channel == channel) {
        return failed(
            format!("渠道已暂停：{}", hold.reason),
            format!("请先按原因处理，再解除暂停：POST /api/outbox/channels/{channel}/lift"),
        );
    }
    let relays = outbox::relays(connection, now)?.len();
    if relays == 0 {
        return failed(
            "没有正在运行的发送程序".to_owned(),
            "请启动发送程序 outbox-relay".to_owned(),
        );
    }
    let text = format!("渠道已配置，{relays} 个发送程序正在运行");
    Ok(Ok(Step::ok(StepName::Config, text)))
}

fn template(
    connection: &mut DbConnection,
    order: &TestOrder,
    outward: &Outward,
    address: Option<&str>,
) -> Result<Result<Step, Step>, DbError> {
    let TestOrder {
        kind,
        channel,
        user,
        data,
    } = order;
    let fix = format!("请修改渠道设置：PUT /api/notification-routes/{kind}/{channel}");
    let failed = |text: String| Err(Step::failed(StepName::Template, text, fix.clone()));
    let mut routes = notification::routes(connection)?.into_iter();
    let Some(route) = routes.find(|route| route.kind == *kind && route.channel == *channel) else {
        return Ok(failed("该类通知没有此渠道的设置".to_owned()));
    };
    let stored = notification::stored_templates(connection, Some(*kind))?;
    let edits = stored.into_iter().next().map(|stored| stored.edits);
    let recipient_id = RecipientId::from(user);
    let draft = Draft {
        id: &OutboxMessageId::generate(),
        kind: *kind,
        channel: *channel,
        recipient_id: &recipient_id,
        address: address.unwrap_or(recipient_id.as_str()),
        route: &route.settings,
        template: &Template::new(*kind, edits.unwrap_or_default()),
        data,
        crm_url: outward.crm_url.as_ref(),
    };
    Ok(match draft.preview(outward.sender()) {
        Err(problem) => failed(unrenderable_text(&problem).1),
        Ok(preview) => {
            let mut text = used(&route.settings);
            for warning in &preview.warnings {
                text.push('；');
                text.push_str(&warning_text(warning));
            }
            Ok(Step::ok(StepName::Template, text))
        }
    })
}

/// What of a route an administrator looks for.
fn used(route: &RouteSettings) -> String {
    let mut text = match &route.template_id {
        Some(id) => format!("模板编号 {id}"),
        None => "模板可以发送".to_owned(),
    };
    if !route.enabled {
        text.push_str("；渠道设置未启用，仅测试消息会发送");
    }
    text
}

/// Who gets it, and who they are on the platform.
fn addressee(
    connection: &mut DbConnection,
    order: &TestOrder,
    outward: &Outward,
) -> Result<(Result<Step, Step>, Option<String>), DbError> {
    let failed = |text: String, fix: &str| {
        let step = Step::failed(StepName::Recipient, text, fix.to_owned());
        Ok((Err(step), None))
    };
    let user = match users::find(connection, &order.user)? {
        Some(user) if user.active => user,
        Some(user) => return failed(format!("{} 已停用", user.name), "请选择在职的用户"),
        None => return failed("用户不存在".to_owned(), "请选择在职的用户"),
    };
    let name = &user.name;
    let Some(app) = outward.app(order.channel) else {
        let step = Step::ok(StepName::Recipient, "发到机器人所在的群");
        return Ok((Ok(step), Some(order.user.to_string())));
    };
    let wanted = HashSet::from([order.user.clone()]);
    let found = bindings::recipients(connection, app, wanted)?.remove(order.user.as_str());
    let preferences = found.as_ref().and_then(|one| one.preferences.clone());
    let Some(external_id) = found.and_then(|one| one.external_id) else {
        return failed(
            format!("{name} 未绑定 {app}"),
            "请该用户先绑定，或由管理员绑定：PUT /api/users/{id}/bindings/{app}",
        );
    };
    let is_muted = preferences.is_some_and(|said| {
        said.muted_kinds.contains(&order.kind) || said.muted_channels.contains(&order.channel)
    });
    let mut text = format!("{name} 已绑定 {app}");
    if is_muted && !order.kind.is_mandatory() {
        text.push_str("；该用户已屏蔽此类通知或此渠道，仅测试消息会发送");
    }
    Ok((Ok(Step::ok(StepName::Recipient, text)), Some(external_id)))
}
