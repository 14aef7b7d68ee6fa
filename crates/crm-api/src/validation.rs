//! Texts and numbers from outside, checked before anything else sees them.
//!
//! The functions answer what is wrong as a sentence for the user with the field's name; which status
//! that becomes is not theirs to say.

use std::ops::RangeInclusive;

use serde_json::json;

use crate::error::ApiError;

/// Whether a text may have several lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lines {
    /// No control characters at all.
    One,
    /// Line breaks and tabs, no other control characters.
    Many,
}

/// A text of at most `characters_max`, without blanks at its ends; may be empty.
pub(crate) fn text(
    field: &str,
    value: &str,
    characters_max: usize,
    lines: Lines,
) -> Result<String, ApiError> {
    let refused =
        |c: char| c.is_control() && !(lines == Lines::Many && matches!(c, '\n' | '\r' | '\t'));
    if value.chars().any(refused) {
        return Err(ApiError::invalid(
            field,
            format!("字段 {field} 包含不允许的控制字符"),
        ));
    }
    let trimmed = value.trim();
    if trimmed.chars().count() > characters_max {
        return Err(ApiError::invalid(
            field,
            format!("字段 {field} 不能超过{characters_max}字"),
        ));
    }
    Ok(trimmed.to_owned())
}

/// A text that must say something.
pub(crate) fn required_text(
    field: &str,
    value: &str,
    characters_max: usize,
) -> Result<String, ApiError> {
    let text = text(field, value, characters_max, Lines::One)?;
    if text.is_empty() {
        return Err(ApiError::invalid(field, format!("字段 {field} 不能为空")));
    }
    Ok(text)
}

/// A text that a body must have: one that is missing, null or blank is answered with the same words.
pub(crate) fn indispensable_text(
    field: &str,
    value: Option<&str>,
    characters_max: usize,
) -> Result<String, ApiError> {
    let text = optional_text(field, value, characters_max, Lines::One)?;
    text.ok_or_else(|| ApiError::invalid(field, format!("{field} 不能为空")))
}

/// A number within its bounds.
pub(crate) fn number_within(
    field: &str,
    value: i32,
    bounds: RangeInclusive<i32>,
) -> Result<i32, ApiError> {
    if bounds.contains(&value) {
        return Ok(value);
    }
    Err(ApiError::invalid(
        field,
        format!("{field} 必须在 {} 到 {} 之间", bounds.start(), bounds.end()),
    ))
}

/// A text that may be missing; nothing but blanks counts as missing.
pub(crate) fn optional_text(
    field: &str,
    value: Option<&str>,
    characters_max: usize,
    lines: Lines,
) -> Result<Option<String>, ApiError> {
    let text = value
        .map(|value| text(field, value, characters_max, lines))
        .transpose()?;
    Ok(text.filter(|text| !text.is_empty()))
}

/// The most characters of a reason.
const REASON_CHARACTERS_MAX: usize = 200;

/// Why something is done with a customer, if somebody says so. `what` is what it is called: `分配原因`.
pub(crate) fn optional_reason(
    field: &str,
    value: Option<&str>,
    what: &str,
) -> Result<Option<String>, ApiError> {
    let too_long = value.is_some_and(|text| text.trim().chars().count() > REASON_CHARACTERS_MAX);
    if too_long {
        return Err(ApiError::invalid(
            field,
            format!("{what}不能超过{REASON_CHARACTERS_MAX}字"),
        ));
    }
    optional_text(field, value, REASON_CHARACTERS_MAX, Lines::One)
}

/// The same where it must be said.
pub(crate) fn required_reason(
    field: &str,
    value: Option<&str>,
    what: &str,
) -> Result<String, ApiError> {
    let reason = optional_reason(field, value, what)?;
    reason.ok_or_else(|| ApiError::invalid(field, format!("{what}不能为空")))
}

/// A phone number that may be missing.
pub(crate) fn optional_phone(
    field: &str,
    value: Option<&str>,
) -> Result<Option<shared::domain::Phone>, ApiError> {
    match value.map(str::trim).filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => value
            .parse()
            .map(Some)
            .map_err(|wrong: shared::domain::InvalidPhone| {
                ApiError::invalid(field, wrong.to_string())
            }),
    }
}

/// Why a body or a query could not be read, as serde tells it.
pub(crate) fn unreadable(path: &str, reason: &str) -> ApiError {
    let named = |sign: &str| {
        let rest = reason.split_once(sign)?.1;
        rest.split_once('`').map(|(name, _)| name)
    };
    let (field, message) = if let Some(name) = named("unknown field `") {
        (name.to_owned(), format!("不支持的字段：{name}"))
    } else if let Some(name) = named("missing field `") {
        (name.to_owned(), format!("缺少字段：{name}"))
    } else if let Some(name) = named("duplicate field `") {
        (name.to_owned(), format!("字段重复：{name}"))
    } else if path.is_empty() || path == "." {
        (String::new(), "请求格式不正确".to_owned())
    } else {
        (path.to_owned(), format!("字段 {path} 的值不正确"))
    };
    // Without the position, which means nothing to whoever reads the answer.
    let reason = reason.split(" at line ").next().unwrap_or(reason);
    ApiError::Invalid {
        message,
        details: Some(json!({ "field": field, "reason": reason })),
    }
}

/// Which page of a list, and how long a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paging {
    page: u32,
    page_size: u32,
}

impl Paging {
    /// The largest page.
    pub(crate) const PAGE_SIZE_MAX: u32 = 100;
    /// What a page has if nothing is asked.
    const PAGE_SIZE: u32 = 20;
    /// Beyond this nobody reads; it bounds the work of skipping.
    const PAGE_MAX: u32 = 100_000;

    pub(crate) fn new(page: Option<u32>, page_size: Option<u32>) -> Result<Self, ApiError> {
        let page = page.unwrap_or(1);
        if !(1..=Self::PAGE_MAX).contains(&page) {
            return Err(ApiError::invalid(
                "page",
                format!("page 必须在 1 到 {} 之间", Self::PAGE_MAX),
            ));
        }
        let page_size = page_size.unwrap_or(Self::PAGE_SIZE);
        if !(1..=Self::PAGE_SIZE_MAX).contains(&page_size) {
            return Err(ApiError::invalid(
                "pageSize",
                format!("pageSize 必须在 1 到 {} 之间", Self::PAGE_SIZE_MAX),
            ));
        }
        Ok(Self { page, page_size })
    }

    pub(crate) fn page(self) -> u32 {
        self.page
    }

    pub(crate) fn page_size(self) -> u32 {
        self.page_size
    }

    pub(crate) fn offset(self) -> i64 {
        i64::from(self.page - 1) * i64::from(self.page_size)
    }

    pub(crate) fn limit(self) -> i64 {
        i64::from(self.page_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_has_a_reason_of_two_hundred_characters_at_most() {
        let reason = |text| required_reason("reason", text, "释放原因");
        let longest = "因".repeat(200);
        assert_eq!(reason(Some(&longest)).unwrap(), longest);
        assert_eq!(reason(Some(" 联系不上 ")).unwrap(), "联系不上");
        for (text, refusal) in [
            (None, "释放原因不能为空"),
            (Some(" "), "释放原因不能为空"),
            (
                Some(format!("{longest}因").as_str()),
                "释放原因不能超过200字",
            ),
            (Some("因\n果"), "字段 reason 包含不允许的控制字符"),
        ] {
            assert_eq!(reason(text).unwrap_err().to_string(), refusal);
        }
    }

    #[test]
    fn control_characters_are_refused_and_line_breaks_only_where_lines_may_be_many() {
        for (value, one, many) in [
            ("王女士", true, true),
            ("王\n女士", false, true),
            ("王\t女士", false, true),
            ("王\u{0}女士", false, false),
            ("王\u{7f}", false, false),
            ("\u{9b}31m", false, false),
        ] {
            assert_eq!(
                text("name", value, 50, Lines::One).is_ok(),
                one,
                "{value:?}"
            );
            assert_eq!(
                text("name", value, 50, Lines::Many).is_ok(),
                many,
                "{value:?}"
            );
        }
    }

    #[test]
    fn length_is_counted_in_characters_after_trimming() {
        let name = "王".repeat(50);
        assert_eq!(
            text("name", &format!("  {name} "), 50, Lines::One).unwrap(),
            name
        );
        let refused = text("name", &"王".repeat(51), 50, Lines::One).unwrap_err();
        assert_eq!(refused.to_string(), "字段 name 不能超过50字");
        assert!(required_text("name", "   ", 50).is_err());
        assert_eq!(
            optional_text("name", Some(" "), 50, Lines::One).unwrap(),
            None
        );
    }

    #[test]
    fn what_serde_says_becomes_a_sentence_with_the_field() {
        for (path, reason, message) in [
            (".", "unknown field `x`, expected `y`", "不支持的字段：x"),
            (
                ".",
                "missing field `assignedTo` at line 1 column 2",
                "缺少字段：assignedTo",
            ),
            (
                "ids[3]",
                "invalid type: integer `5`, expected a string",
                "字段 ids[3] 的值不正确",
            ),
            (".", "EOF while parsing a value", "请求格式不正确"),
        ] {
            assert_eq!(unreadable(path, reason).to_string(), message);
        }
    }

    #[test]
    fn pages_have_bounds() {
        for (page, size, right) in [
            (None, None, true),
            (Some(0), None, false),
            (Some(100_000), Some(100), true),
            (Some(100_001), None, false),
            (None, Some(0), false),
            (None, Some(101), false),
        ] {
            assert_eq!(Paging::new(page, size).is_ok(), right, "{page:?} {size:?}");
        }
        let paging = Paging::new(Some(3), Some(20)).unwrap();
        assert_eq!((paging.offset(), paging.limit()), (40, 20));
    }
}
