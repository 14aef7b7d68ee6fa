use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::kind::Kind;
use super::placeholder::render;
use super::template::Template;
use crate::outbox::{DigestMember, MembersTold};

/// A digest has a line for so many of its messages; more of them nobody reads on a phone.
pub const DIGEST_LINES_MAX: usize = 8;

/// The longest line, in characters: so many lines fit into every form of a message.
const LINE_CHARACTERS_MAX: usize = 40;

/// What is said of a message of a kind that this release does not know.
const UNKNOWN_KIND: &str = "新通知";

/// The data of a digest: how many messages it tells of, with a line for each of the first; and the same
/// in the fields of an assignment, for templates and functions that know nothing else. `time` is when
/// it was made.
pub fn digest_data(
    told: &MembersTold,
    edited: &HashMap<Kind, Template>,
    time: &str,
) -> Map<String, Value> {
    let first = told.first.iter().take(DIGEST_LINES_MAX);
    let mut lines: Vec<String> = first.map(|member| line(member, edited)).collect();
    if told.count > lines.len() {
        lines.push(format!("…等 {} 条", told.count));
    }
    let data = json!({
        "count": told.count,
        "customerCount": told.count,
        "lines": lines,
        "customerName": format!("您有 {} 条新通知", told.count),
        "source": "免打扰期间的通知",
        "assignerName": "系统",
        "time": time,
        "assignTime": time,
    });
    match data {
        Value::Object(data) => data,
        _ => Map::new(),
    }
}

/// A message in a line, in the words that it would have had.
fn line(member: &DigestMember, edited: &HashMap<Kind, Template>) -> String {
    let Ok(kind) = member.kind.parse::<Kind>() else {
        return UNKNOWN_KIND.to_owned();
    };
    let of_catalogue;
    let template = match edited.get(&kind) {
        Some(edited) => edited,
        None => {
            of_catalogue = Template::of_catalogue(kind);
            &of_catalogue
        }
    };
    // One that cannot be read is told of nevertheless.
    let data: Map<String, Value> = serde_json::from_str(&member.payload).unwrap_or_default();
    let title = render(&template.title, &data);
    let content = render(&template.content, &data);
    let whole = format!("{title}：{content}");
    let words: Vec<&str> = whole.split_whitespace().collect();
    shortened(&words.join(" "))
}

fn shortened(line: &str) -> String {
    if line.chars().count() <= LINE_CHARACTERS_MAX {
        return line.to_owned();
    }
    let kept: String = line.chars().take(LINE_CHARACTERS_MAX - 1).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(kind: &str, payload: &str) -> DigestMember {
        DigestMember {
            kind: kind.to_owned(),
            payload: payload.to_owned(),
        }
    }

    #[test]
    fn each_message_has_a_line_and_those_beyond_are_counted() {
        let payload = r#"{"customerName":"王女士","phone":"138****8999","leadSource":"抖音"}"#;
        let mut first = vec![
            member("customer.assigned", payload),
            member("customer.transferred_away", r#"{"customerName":"一\n二"}"#),
            member("tomorrow.invented", "{}"),
            member("customer.assigned", "no JSON"),
        ];
        let told = |count, first: &[DigestMember]| MembersTold {
            count,
            first: first.to_vec(),
        };
        let data = digest_data(&told(4, &first), &HashMap::new(), "2026年01月02日 11:04");
        assert_eq!(
            data["lines"],
            json!([
                "客户分配通知：您有新的客户【王女士】，电话：138****8999，来源：抖音…",
                "客户转移通知：客户 一 二 已由 - 转移给 -",
                "新通知",
                "客户分配通知：您有新的客户【-】，电话：-，来源：-，请及时跟进！",
            ])
        );
        assert_eq!(data["count"], 4);
        assert_eq!(data["customerName"], "您有 4 条新通知");
        first.extend(vec![member("customer.assigned", payload); 8]);
        let data = digest_data(&told(30, &first), &HashMap::new(), "");
        let lines = data["lines"].as_array().unwrap();
        assert_eq!(lines.len(), DIGEST_LINES_MAX + 1);
        assert_eq!(lines[DIGEST_LINES_MAX], "…等 30 条");
    }

    #[test]
    fn a_line_is_in_the_words_that_somebody_has_edited() {
        let mut template = Template::of_catalogue(Kind::CustomerAssigned);
        template.title = "新线索".into();
        template.content = "{{customerName}}".into();
        let edited = HashMap::from([(Kind::CustomerAssigned, template)]);
        let told = MembersTold {
            count: 2,
            first: vec![member("customer.assigned", r#"{"customerName":"王女士"}"#); 2],
        };
        let data = digest_data(&told, &edited, "");
        assert_eq!(data["lines"], json!(["新线索：王女士", "新线索：王女士"]));
    }
}
