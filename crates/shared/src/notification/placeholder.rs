use serde_json::{Map, Value};

/// What stands for a value that is not there. Never the raw placeholder: staff would see it.
pub const MISSING_VALUE: &str = "-";

/// A template that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedTemplate {
    /// A placeholder is opened and not closed.
    #[error("{{{{ is not followed by }}}}")]
    Unclosed,
    /// Something else than a name stands between the braces: conditions, filters and the like do not
    /// exist here.
    #[error("between {{{{ and }}}} stands one name and nothing else")]
    NoName,
}

/// The names in a template's placeholders, in their order.
///
/// # Errors
/// [`MalformedTemplate`]. Such a template renders nevertheless, as it stands.
pub fn placeholders(template: &str) -> Result<Vec<&str>, MalformedTemplate> {
    let mut names = Vec::new();
    let mut rest = template;
    while let Some((_, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or(MalformedTemplate::Unclosed)?;
        let name = name.trim();
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_name {
            return Err(MalformedTemplate::NoName);
        }
        names.push(name);
        rest = after;
    }
    Ok(names)
}

/// Puts values into `{{name}}` placeholders. A list of texts renders as lines. A value that is missing,
/// null or blank renders as [`MISSING_VALUE`]; a brace that opens no placeholder stays as it is.
pub fn render(template: &str, data: &Map<String, Value>) -> String {
    let mut rendered = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        rendered.push_str(before);
        let Some((name, after)) = after.split_once("}}") else {
            rendered.push_str("{{");
            rest = after;
            break;
        };
        rendered.push_str(&value_of(name.trim(), data));
        rest = after;
    }
    rendered.push_str(rest);
    rendered
}

/// The names in a template's placeholders for which there is no value, each once.
pub fn missing<'t>(template: &'t str, data: &Map<String, Value>) -> Vec<&'t str> {
    let mut missing = Vec::new();
    for name in placeholders(template).unwrap_or_default() {
        if given(name, data).is_none() && !missing.contains(&name) {
            missing.push(name);
        }
    }
    missing
}

fn value_of(name: &str, data: &Map<String, Value>) -> String {
    given(name, data).unwrap_or_else(|| MISSING_VALUE.to_owned())
}

fn given(name: &str, data: &Map<String, Value>) -> Option<String> {
    match data.get(name)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Array(lines) => lines_of(lines),
        Value::String(_) | Value::Null | Value::Object(_) => None,
    }
}

fn lines_of(lines: &[Value]) -> Option<String> {
    let texts: Option<Vec<&str>> = lines.iter().map(Value::as_str).collect();
    texts
        .filter(|texts| !texts.is_empty())
        .map(|texts| texts.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_found_and_what_is_no_name_is_refused() {
        use MalformedTemplate::{NoName, Unclosed};
        for (template, expected) in [
            (
                "您有 {{count}} 个客户：{{ name }}",
                Ok(vec!["count", "name"]),
            ),
            ("{name} }}", Ok(vec![])),
            ("{{count", Err(Unclosed)),
            ("{{}}", Err(NoName)),
            ("{{ 名字 }}", Err(NoName)),
            ("{{#if a}}", Err(NoName)),
            ("{{a|upper}}", Err(NoName)),
            ("{{{a}}}", Err(NoName)),
        ] {
            assert_eq!(placeholders(template), expected, "{template}");
        }
    }

    #[test]
    fn values_go_in_and_nothing_raw_comes_out() {
        let data = serde_json::json!({
            "name": "王女士", "count": 3, "blank": "  ", "null": null, "list": [1], "empty": [],
            "lines": ["甲", "乙"], "tricky": "{{name}}",
        });
        let data = data.as_object().unwrap();
        for (template, expected) in [
            ("您有 {{count}} 个客户：{{ name }}", "您有 3 个客户：王女士"),
            ("{{nobody}}{{blank}}{{null}}{{list}}{{empty}}", "-----"),
            ("{{lines}}", "甲\n乙"),
            ("{{tricky}}", "{{name}}"),
            ("{{name", "{{name"),
            ("{name} }} {{name}}}", "{name} }} 王女士}"),
            ("", ""),
        ] {
            assert_eq!(render(template, data), expected, "{template}");
        }
    }

    #[test]
    fn what_has_no_value_is_named_once() {
        let data = serde_json::json!({ "name": "王女士", "blank": " " });
        let data = data.as_object().unwrap();
        let template = "{{name}}{{blank}}{{nobody}}{{ blank }}";
        assert_eq!(missing(template, data), ["blank", "nobody"]);
    }
}
