//! Template cards: which fields which kind of card must have.
//!
//! The lengths of their texts are advice and are not checked.

use super::content::{Interaction, invalid};
use super::form::Form;
use crate::refusal::Refusal;

/// Most entries of the two lists.
const HORIZONTAL_ITEMS: usize = 6;
const JUMPS: usize = 3;
/// Most bytes of a task id.
const TASK_ID_BYTES: usize = 128;

/// Checks a card; the answer is whether it has buttons.
pub(crate) fn check(card: &Form<'_>) -> Result<Interaction, Refusal> {
    let card_type = card.text("card_type").unwrap_or_default();
    let has_buttons = match card_type {
        "text_notice" | "news_notice" => card.get("action_menu").is_some(),
        "button_interaction" | "vote_interaction" | "multiple_interaction" => true,
        _ => return Err(invalid("template_card.card_type")),
    };
    let title = card.object("main_title").text("title");
    if title.is_none() && (card_type != "text_notice" || card.text("sub_title_text").is_none()) {
        return Err(invalid("template_card.main_title missing"));
    }
    if matches!(card_type, "text_notice" | "news_notice") {
        check_action(&card.object("card_action"))?;
    }
    for (name, most) in [
        ("horizontal_content_list", HORIZONTAL_ITEMS),
        ("jump_list", JUMPS),
    ] {
        if card.objects(name).len() > most {
            return Err(invalid(&format!(
                "template_card.{name} exceed max size {most}"
            )));
        }
    }
    if !has_buttons {
        return Ok(Interaction::None);
    }
    if card.text("task_id").is_some_and(is_task_id) {
        return Ok(Interaction::Buttons);
    }
    Err(invalid("template_card.task_id"))
}

/// What a tap on the card does: 1 opens a link, 2 a mini program.
fn check_action(action: &Form<'_>) -> Result<(), Refusal> {
    let target = match action.number("type") {
        Some(1) => "url",
        Some(2) => "appid",
        Some(_) | None => return Err(invalid("template_card.card_action.type")),
    };
    if action.text(target).is_none() {
        return Err(invalid(&format!(
            "template_card.card_action.{target} missing"
        )));
    }
    Ok(())
}

fn is_task_id(text: &str) -> bool {
    text.len() <= TASK_ID_BYTES
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-@".contains(&byte))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn each_kind_of_card_needs_its_fields() {
        let notice = json!({
            "card_type": "text_notice",
            "main_title": { "title": "新会员" },
            "card_action": { "type": 1, "url": "https://x" },
        });
        let buttons = json!({
            "card_type": "button_interaction",
            "main_title": { "title": "新会员" },
            "task_id": "member-1@x_1",
        });
        let with = |card: &Value, field: &str, value: Value| {
            let mut card = card.clone();
            card[field] = value;
            card
        };
        let cases = [
            (notice.clone(), Some(Interaction::None)),
            (buttons.clone(), Some(Interaction::Buttons)),
            (with(&notice, "card_type", json!("poster")), None),
            (with(&notice, "card_action", json!({})), None),
            (with(&notice, "card_action", json!({ "type": 2 })), None),
            (with(&notice, "main_title", json!({})), None),
            (with(&notice, "jump_list", json!(vec![json!({}); 4])), None),
            (with(&notice, "action_menu", json!({})), None),
            (with(&buttons, "task_id", json!("a b")), None),
            (with(&buttons, "task_id", json!("a".repeat(129))), None),
        ];
        for (card, expected) in cases {
            assert_eq!(check(&Form::of_value(&card)).ok(), expected, "{card}");
        }
    }
}
