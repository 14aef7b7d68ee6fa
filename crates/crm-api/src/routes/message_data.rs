//! The values for the placeholders of a kind, as somebody gives them.

use serde_json::{Map, Value, json};
use shared::notification::{Kind, catalogue_entry, sample_data};
use shared::outbox::PAYLOAD_BYTES_MAX;

use crate::error::ApiError;

/// These values, or the example's where none are given.
///
/// # Errors
/// [`ApiError::Unprocessable`] that names what the kind never brings, or what is no text and no number;
/// [`ApiError::Invalid`] for more than a message takes.
pub(crate) fn message_data(
    kind: Kind,
    given: Option<Map<String, Value>>,
) -> Result<Map<String, Value>, ApiError> {
    let Some(given) = given else {
        return Ok(sample_data(kind));
    };
    let known = catalogue_entry(kind).data;
    let unknown: Vec<&String> = given
        .keys()
        .filter(|name| !known.contains(&name.as_str()))
        .collect();
    if !unknown.is_empty() {
        let names: Vec<&str> = unknown.iter().map(|name| name.as_str()).collect();
        return Err(ApiError::Unprocessable {
            message: format!(
                "data 中的名称不存在：{}。可用：{}",
                names.join("、"),
                known.join("、")
            ),
            details: Some(json!({ "field": "data", "unknown": names, "placeholders": known })),
        });
    }
    if let Some((name, _)) = given.iter().find(|(_, value)| !is_shown(value)) {
        let field = format!("data.{name}");
        return Err(ApiError::Unprocessable {
            message: format!("{field} 必须是文字、数字或 true/false"),
            details: Some(json!({ "field": field })),
        });
    }
    if Value::Object(given.clone()).to_string().len() > PAYLOAD_BYTES_MAX {
        let message = format!("data 不能超过 {} KiB", PAYLOAD_BYTES_MAX / 1024);
        return Err(ApiError::invalid("data", message));
    }
    Ok(given)
}

fn is_shown(value: &Value) -> bool {
    match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => true,
        Value::Array(_) | Value::Object(_) => false,
    }
}
