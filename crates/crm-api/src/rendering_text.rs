//! What is wrong with the looks of a message, in the words of those who read it in the CRM.

use rendering::{Unrenderable, WECOM_FIELDS, Warning};
use wechat::TooLong;
use wechat::field::FieldProblem;

/// Why there is nothing to send: the field, and what to do.
pub(crate) fn unrenderable_text(problem: &Unrenderable) -> (&'static str, String) {
    match problem {
        Unrenderable::NoTemplateId { .. } => (
            "templateId",
            "渠道设置中没有订阅消息的模板编号，请填写小程序后台的模板 ID".to_owned(),
        ),
        Unrenderable::NoTemplateField { field, .. } => (
            "fields",
            format!("字段 {field} 不是订阅消息的字段，应为类型加编号，例如 thing1、time2、name3"),
        ),
        Unrenderable::NoWecomField { field, .. } => (
            "fields",
            format!("字段 {field} 不存在，可用：{}", WECOM_FIELDS.join("、")),
        ),
        Unrenderable::NoAddress { link } => (
            "url",
            format!("链接 {link} 不是网址，必须以 https:// 开头，或以 / 开头表示 CRM 的页面"),
        ),
        Unrenderable::NoRecipient => ("recipients", "没有接收人".to_owned()),
        Unrenderable::TooManyRecipients { count } => (
            "recipients",
            format!("接收人有 {count} 个，一条消息最多 1000 个"),
        ),
        Unrenderable::TooLong(TooLong {
            field,
            bytes,
            bytes_max,
        }) => (
            field,
            format!("{field} 有 {bytes} 字节，平台最多接受 {bytes_max} 字节，请缩短"),
        ),
    }
}

/// What a recipient will not see as it was meant.
pub(crate) fn warning_text(warning: &Warning) -> String {
    match warning {
        Warning::Missing { field, name } => {
            format!("{field} 中的 {{{{{name}}}}} 没有值，显示为 -")
        }
        Warning::Unfit { field, problem, .. } => match problem {
            Some(problem) => format!("{field} 的内容{}，已调整", problem_text(problem)),
            None => format!("{field} 的内容已整理"),
        },
        Warning::Cut { field, full, .. } => format!(
            "{field} 过长（{} 个字符），末尾被截去",
            full.chars().count()
        ),
        Warning::NoLink { page } => {
            format!("没有链接：未配置 CRM_URL，无法打开 CRM 的页面 {page}")
        }
        Warning::LinkTooLong { url } => format!("链接过长（{} 字节），已省略", url.len()),
        Warning::OtherForm { wanted, used } => {
            format!("渠道设置的格式是 {wanted}，实际以 {used} 发送")
        }
    }
}

fn problem_text(problem: &FieldProblem) -> String {
    match problem {
        FieldProblem::Blank => "为空".to_owned(),
        FieldProblem::TooLong { length, limit } => {
            format!("有 {length} 个字符，最多 {limit} 个")
        }
        FieldProblem::Forbidden { character } => format!("含有该类型不接受的字符“{character}”"),
        FieldProblem::Malformed { expected } => format!("格式不符，应形如 {expected}"),
    }
}
