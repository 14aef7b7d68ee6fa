//! Whether a text with placeholders can be filled.

use serde_json::json;
use shared::notification::{Kind, catalogue_entry, placeholders};

use crate::error::ApiError;

/// Refuses a text with placeholders that are never filled when this happens: staff would read `-`.
///
/// # Errors
/// [`ApiError::Unprocessable`] that names them, and those that there are.
pub(crate) fn check_placeholders(field: &str, text: &str, kind: Kind) -> Result<(), ApiError> {
    let known = catalogue_entry(kind).data;
    let names = placeholders(text).map_err(|_| ApiError::Unprocessable {
        message: format!("字段 {field} 的占位符格式不正确，应为 {{{{名称}}}}"),
        details: Some(json!({ "field": field, "placeholders": known })),
    })?;
    let unknown: Vec<&str> = names
        .into_iter()
        .filter(|name| !known.contains(name))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(ApiError::Unprocessable {
        message: format!(
            "字段 {field} 中的占位符不存在：{}。可用：{}",
            unknown.join("、"),
            known.join("、")
        ),
        details: Some(json!({ "field": field, "unknown": unknown, "placeholders": known })),
    })
}
