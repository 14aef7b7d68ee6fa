//! One message as the page draws it.

use serde::Serialize;
use serde_json::Value;

use super::description::{Line, lines};
use crate::message::{Envelope, Message};
use crate::world::World;

/// Labels of what the demo cloud function is told.
const NOTIFICATION_LABELS: [(&str, &str); 7] = [
    ("customerName", "客户姓名"),
    ("customerPhone", "联系电话"),
    ("customerCount", "客户数量"),
    ("leadSource", "客户来源"),
    ("source", "分配方式"),
    ("assignerName", "分配人"),
    ("assignTime", "分配时间"),
];
/// What a member taps where a card has no button text of its own.
const DETAILS: &str = "查看详情";

/// A message and where it belongs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Card {
    seq: u64,
    /// The recipient among those of all platforms.
    key: String,
    recipient: String,
    /// Who it is from.
    app: String,
    #[serde(flatten)]
    face: Face,
    repeat: bool,
    received_at: u64,
}

/// How it looks. Every text in it came over the wire, and the page inserts it as text.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "look", rename_all = "camelCase")]
enum Face {
    /// A mini program's card: labelled rows, and a page that a tap opens.
    Notice {
        title: String,
        rows: Vec<Row>,
        page: Option<String>,
    },
    /// A textcard: title, lines, and a button.
    Textcard {
        title: String,
        lines: Vec<Line>,
        button: String,
        url: String,
    },
    /// A speech bubble in a chat.
    Bubble { markup: Markup, text: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Markup {
    Plain,
    Markdown,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Row {
    label: String,
    value: String,
}

impl Card {
    pub(crate) fn of(message: &Message, world: &World) -> Self {
        let data = message.data();
        let (key, recipient, app, face) = match &message.envelope {
            Envelope::MiniProgram {
                appid,
                openid,
                template_id,
                page,
                ..
            } => (
                user_key(openid),
                user_name(world, openid),
                app_name(world, appid),
                notice(world, template_id.as_deref(), &data, page.clone()),
            ),
            Envelope::WecomApp {
                corpid,
                agentid,
                userid,
                msgtype,
                ..
            } => (
                format!("member:{corpid}:{userid}"),
                member_name(world, corpid, userid),
                world
                    .wecom
                    .agent_of(corpid, *agentid)
                    .map_or_else(|| agentid.to_string(), |agent| agent.name.clone()),
                wecom_face(msgtype, &data),
            ),
            Envelope::WecomRobot { group, msgtype } => (
                format!("group:{group}"),
                group.clone(),
                "群机器人".to_owned(),
                wecom_face(msgtype, &data),
            ),
        };
        Self {
            seq: message.seq,
            key,
            recipient,
            app,
            face,
            repeat: message.repeat,
            received_at: message.received_at,
        }
    }
}

/// The key of a mini program's user.
pub(crate) fn user_key(openid: &str) -> String {
    format!("user:{openid}")
}

fn user_name(world: &World, openid: &str) -> String {
    let user = world.mini_program.users.get(openid);
    user.and_then(|user| user.name.clone())
        .unwrap_or_else(|| openid.to_owned())
}

fn app_name(world: &World, appid: &str) -> String {
    world
        .mini_program
        .accounts
        .iter()
        .find(|account| account.app.appid == appid)
        .map_or_else(|| appid.to_owned(), |account| account.app.name.clone())
}

fn member_name(world: &World, corpid: &str, userid: &str) -> String {
    let member = world.wecom.directory.get(corpid, userid);
    member
        .and_then(|member| member.name.clone())
        .unwrap_or_else(|| userid.to_owned())
}

fn notice(world: &World, template_id: Option<&str>, data: &Value, page: Option<String>) -> Face {
    let template = template_id.and_then(|id| world.mini_program.templates.get(id));
    let (title, rows) = match template {
        Some(owned) => {
            let rows = owned.template.fields.iter().map(|field| Row {
                label: field.name.clone(),
                value: shown(data.get(&field.key).and_then(|d| d.get("value"))),
            });
            (owned.template.title.clone(), rows.collect())
        }
        None => notification(data),
    };
    Face::Notice { title, rows, page }
}

fn notification(data: &Value) -> (String, Vec<Row>) {
    let rows: Vec<Row> = NOTIFICATION_LABELS
        .iter()
        .filter_map(|(key, label)| {
            let value = data.get(key).filter(|value| !value.is_null())?;
            Some(Row {
                label: (*label).to_owned(),
                value: shown(Some(value)),
            })
        })
        .collect();
    ("客户分配通知".to_owned(), rows)
}

fn wecom_face(msgtype: &str, data: &Value) -> Face {
    match msgtype {
        "textcard" => Face::Textcard {
            title: shown(data.get("title")),
            lines: lines(&shown(data.get("description"))),
            button: shown(data.get("btntxt")),
            url: shown(data.get("url")),
        },
        "news" => article(&data["articles"][0]),
        "template_card" => template_card(data),
        "miniprogram_notice" => Face::Notice {
            title: shown(data.get("title")),
            rows: rows(&data["content_item"], "key", "value"),
            page: Some(shown(data.get("page"))),
        },
        "image" => bubble(Markup::Plain, "[图片]".to_owned()),
        "file" => bubble(Markup::Plain, "[文件]".to_owned()),
        "voice" => bubble(Markup::Plain, "[语音]".to_owned()),
        "markdown" | "markdown_v2" => bubble(Markup::Markdown, shown(data.get("content"))),
        _ => bubble(Markup::Plain, with_mentions(data)),
    }
}

const fn bubble(markup: Markup, text: String) -> Face {
    Face::Bubble { markup, text }
}

/// The first article of a news message stands for all.
fn article(article: &Value) -> Face {
    Face::Textcard {
        title: shown(article.get("title")),
        lines: lines(&shown(article.get("description"))),
        button: DETAILS.to_owned(),
        url: shown(article.get("url").or_else(|| article.get("pagepath"))),
    }
}

fn template_card(card: &Value) -> Face {
    let title = &card["main_title"];
    let texts = [title.get("desc"), card.get("sub_title_text")];
    let rows = rows(&card["horizontal_content_list"], "keyname", "value");
    let action = &card["card_action"];
    Face::Textcard {
        title: shown(title.get("title")),
        lines: texts
            .into_iter()
            .flatten()
            .map(|text| Line::plain(shown(Some(text))))
            .chain(
                rows.into_iter()
                    .map(|Row { label, value }| Line::plain(format!("{label}：{value}"))),
            )
            .collect(),
        button: DETAILS.to_owned(),
        url: shown(action.get("url").or_else(|| action.get("pagepath"))),
    }
}

fn rows(list: &Value, label: &str, value: &str) -> Vec<Row> {
    let items = list.as_array();
    items
        .into_iter()
        .flatten()
        .map(|item| Row {
            label: shown(item.get(label)),
            value: shown(item.get(value)),
        })
        .collect()
}

/// A robot's text and whom it calls.
fn with_mentions(data: &Value) -> String {
    let mut text = shown(data.get("content"));
    for name in ["mentioned_list", "mentioned_mobile_list"] {
        for mentioned in data
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let mentioned = shown(Some(mentioned));
            text.push_str(" @");
            text.push_str(mentioned.trim_start_matches('@'));
        }
    }
    text
}

fn shown(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_type_of_message_has_a_face() {
        let item = json!({ "key": "会员编号", "value": "M001" });
        for (msgtype, data, look, sees) in [
            (
                "textcard",
                json!({ "title": "新会员", "description": "d", "btntxt": "查看详情", "url": "u" }),
                "textcard",
                "新会员",
            ),
            ("text", json!({ "content": "你好" }), "bubble", "你好"),
            (
                "text",
                json!({ "content": "你好", "mentioned_list": ["@all", "lisi"] }),
                "bubble",
                "你好 @all @lisi",
            ),
            (
                "markdown",
                json!({ "content": "**粗**" }),
                "bubble",
                "**粗**",
            ),
            ("image", json!({ "bytes": 3 }), "bubble", "[图片]"),
            (
                "news",
                json!({ "articles": [{ "title": "标题", "description": "", "url": "u" }] }),
                "textcard",
                "标题",
            ),
            (
                "miniprogram_notice",
                json!({ "title": "新会员登记", "page": "", "content_item": [item] }),
                "notice",
                "M001",
            ),
            (
                "template_card",
                json!({
                    "main_title": { "title": "卡片", "desc": "说明" },
                    "horizontal_content_list": [{ "keyname": "编号", "value": "M002" }],
                    "card_action": { "type": 1, "url": "u" },
                }),
                "textcard",
                "编号：M002",
            ),
        ] {
            let face = serde_json::to_value(wecom_face(msgtype, &data)).unwrap();
            assert_eq!(face["look"], look, "{msgtype}");
            assert!(face.to_string().contains(sees), "{msgtype}: {face}");
        }
    }
}
