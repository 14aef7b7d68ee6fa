use std::collections::BTreeSet;

use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::domain::Channel;
use shared::notification::{
    self, Audience, HighPriority, Kind, PreferenceProblem, Preferences, QuietWindow,
    catalogue_entry,
};
use utoipa::ToSchema;

use crate::change::Answer;
use crate::envelope::{self, Envelope};
use crate::error::ApiError;
use crate::extract::{Caller, JsonBody};
use crate::state::State;

/// More than one for every half day of the week are a mistake.
const WINDOWS_MAX: usize = 14;

/// What the caller wants to be told outside of the notification centre, and when.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SettingsView {
    /// Of what they are not told.
    #[schema(value_type = Vec<String>)]
    muted_kinds: BTreeSet<Kind>,
    /// On which channels they are told of nothing but what is mandatory.
    #[schema(value_type = Vec<String>)]
    muted_channels: BTreeSet<Channel>,
    /// When they are told later.
    #[schema(value_type = Vec<QuietWindowBody>)]
    quiet_windows: Vec<QuietWindow>,
    /// Whether what has high priority comes at once all the same.
    high_priority_breaks_through: bool,
    /// What cannot be muted.
    #[schema(value_type = Vec<String>)]
    mandatory_kinds: Vec<Kind>,
    /// What there is to be told of, module by module.
    kinds: Vec<KindView>,
    /// The channels that reach somebody in person.
    channels: Vec<ChannelView>,
    /// The zone of the windows' times.
    time_zone: String,
}

/// Something that somebody can be told of.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KindView {
    #[schema(value_type = String)]
    kind: Kind,
    title: &'static str,
    /// What it belongs to: `客户`, `线索`, `报表` …
    module: &'static str,
    /// Why it cannot be muted; null if it can.
    mandatory_because: Option<&'static str>,
}

/// A channel that reaches somebody in person.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChannelView {
    /// `wechat_subscribe`, `wechat_cloud`, `wecom_app`.
    #[schema(value_type = String)]
    channel: Channel,
    title: &'static str,
    /// Whether this installation has it.
    configured: bool,
}

impl KindView {
    fn all() -> Vec<Self> {
        let to_staff = |kind: &&Kind| kind.audience() == Audience::Staff;
        // It is made of what this list is about.
        let is_told_of = |kind: &&Kind| **kind != Kind::SystemDigest;
        let kinds = Kind::ALL.iter().filter(to_staff).filter(is_told_of);
        kinds.map(|kind| Self::of(*kind)).collect()
    }

    fn of(kind: Kind) -> Self {
        let because = match kind {
            Kind::SystemAnnouncement => "系统公告发给所有人",
            _ => "新客户需要及时跟进",
        };
        Self {
            kind,
            title: catalogue_entry(kind).title,
            module: module_of(kind),
            mandatory_because: kind.is_mandatory().then_some(because),
        }
    }
}

/// What a kind belongs to, by the first word of its name.
fn module_of(kind: Kind) -> &'static str {
    match kind.as_str().split('.').next() {
        Some("customer") => "客户",
        Some("lead") => "线索",
        Some("resume") => "简历",
        Some("contract") => "合同",
        Some("report") => "报表",
        Some("member") => "会员",
        _ => "系统",
    }
}

impl ChannelView {
    fn all(state: &State) -> Vec<Self> {
        let titled = Channel::ALL.iter().filter_map(|channel| {
            let title = match channel {
                Channel::WechatSubscribe => "微信小程序订阅消息",
                Channel::WechatCloud => "微信小程序（云函数）",
                Channel::WecomApp => "企业微信应用",
                // It speaks to a group, whoever is in it.
                Channel::WecomRobot => return None,
            };
            Some(Self {
                channel: *channel,
                title,
                configured: state.telling.channels.contains(*channel),
            })
        });
        titled.collect()
    }
}

impl SettingsView {
    fn new(preferences: Preferences, state: &State) -> Self {
        let kinds = Kind::ALL.iter().copied();
        Self {
            muted_kinds: preferences.muted_kinds,
            muted_channels: preferences.muted_channels,
            quiet_windows: preferences.quiet_windows,
            high_priority_breaks_through: preferences.high_priority == HighPriority::BreaksThrough,
            mandatory_kinds: kinds.filter(|kind| kind.is_mandatory()).collect(),
            kinds: KindView::all(),
            channels: ChannelView::all(state),
            time_zone: state.telling.time_zone.name().to_owned(),
        }
    }
}

/// How the caller wants it. What is not given is as if nothing had been said.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SettingsBody {
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    muted_kinds: BTreeSet<Kind>,
    /// `wechat_subscribe`, `wechat_cloud`, `wecom_app`.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    muted_channels: BTreeSet<Channel>,
    /// At most 14, and no two at the same time.
    #[serde(default)]
    #[schema(value_type = Vec<QuietWindowBody>)]
    quiet_windows: Vec<QuietWindow>,
    #[serde(default)]
    high_priority_breaks_through: bool,
}

/// A time of certain days.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only described here; `QuietWindow` is what is read"
)]
pub(crate) struct QuietWindowBody {
    /// The days on which it begins, Monday = 1 to Sunday = 7.
    days: Vec<u8>,
    /// `22:00`
    start: String,
    /// `08:00`: of the next day, if that is earlier than the beginning.
    end: String,
}

/// What the caller wants to be told, and when.
#[utoipa::path(get, path = "/api/notifications/settings", tag = "notifications",
    responses((status = 200, body = Envelope<SettingsView>)))]
pub(crate) async fn show(state: State, caller: Caller) -> Result<HttpResponse, ApiError> {
    let user = caller.user.id;
    let preferences = state
        .database
        .run(move |connection| notification::preferences(connection, &user))
        .await?;
    Ok(envelope::ok(
        "获取成功",
        SettingsView::new(preferences, &state),
    ))
}

/// Says what the caller wants to be told, and when; it applies also to what waits already.
#[utoipa::path(put, path = "/api/notifications/settings", tag = "notifications",
    request_body = SettingsBody,
    responses((status = 200, body = Envelope<SettingsView>), (status = 422)))]
pub(crate) async fn put(
    state: State,
    caller: Caller,
    JsonBody(body): JsonBody<SettingsBody>,
) -> Result<HttpResponse, ApiError> {
    let preferences = checked(body)?;
    let (user, now, stored_in) = (caller.user.id.clone(), state.now(), state.clone());
    state
        .change(&caller, move |transaction| {
            notification::put_preferences(transaction, &user, &preferences, now)?;
            Answer::ok("通知设置已保存", SettingsView::new(preferences, &stored_in))
        })
        .await
}

fn checked(body: SettingsBody) -> Result<Preferences, ApiError> {
    if body.quiet_windows.len() > WINDOWS_MAX {
        let message = format!("免打扰时段不能超过{WINDOWS_MAX}个");
        return Err(ApiError::invalid("quietWindows", message));
    }
    let preferences = Preferences {
        muted_kinds: body.muted_kinds,
        muted_channels: body.muted_channels,
        quiet_windows: body.quiet_windows,
        high_priority: if body.high_priority_breaks_through {
            HighPriority::BreaksThrough
        } else {
            HighPriority::Waits
        },
    };
    preferences.check().map_err(refusal)?;
    Ok(preferences)
}

fn refusal(problem: PreferenceProblem) -> ApiError {
    let of_window = |window: usize| format!("quietWindows[{window}]");
    let (field, message) = match problem {
        PreferenceProblem::Mandatory(kind) => {
            let title = catalogue_entry(kind).title;
            (
                "mutedKinds".to_owned(),
                format!("“{title}”（{kind}）不能屏蔽"),
            )
        }
        PreferenceProblem::NoDay { window } => (
            of_window(window),
            "免打扰时段必须选择星期，1 为星期一，7 为星期日".to_owned(),
        ),
        PreferenceProblem::NoLength { window } => (
            of_window(window),
            "免打扰时段的开始和结束时间不能相同".to_owned(),
        ),
        PreferenceProblem::Overlap { window, .. } => {
            (of_window(window), "免打扰时段之间不能重叠".to_owned())
        }
    };
    let mut details = json!({ "field": field });
    if let PreferenceProblem::Overlap { other, .. } = problem {
        details["overlapsWith"] = json!(of_window(other));
    }
    ApiError::Unprocessable {
        message,
        details: Some(details),
    }
}
