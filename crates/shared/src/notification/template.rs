use serde_json::{Map, Value};

/// What stands for a value that is not there. Never the raw placeholder: staff would see it.
pub const MISSING_VALUE: &str = "-";

/// Puts values into `{{name}}` placeholders. A value that is missing, null or blank renders as
/// [`MISSING_VALUE`]; a brace that opens no placeholder stays as it is.
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

fn value_of(name: &str, data: &Map<String, Value>) -> String {
    match data.get(name) {
        Some(Value::String(text)) if !text.trim().is_empty() => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(truth)) => truth.to_string(),
        Some(Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_)) | None => {
            MISSING_VALUE.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_in_and_nothing_raw_comes_out() {
        let data = serde_json::json!({
            "name": "王女士", "count": 3, "blank": "  ", "null": null, "list": [1], "tricky": "{{name}}",
        });
        let data = data.as_object().unwrap();
        for (template, expected) in [
            ("您有 {{count}} 个客户：{{ name }}", "您有 3 个客户：王女士"),
            ("{{nobody}}{{blank}}{{null}}{{list}}", "----"),
            ("{{tricky}}", "{{name}}"),
            ("{{name", "{{name"),
            ("{name} }} {{name}}}", "{name} }} 王女士}"),
            ("", ""),
        ] {
            assert_eq!(render(template, data), expected, "{template}");
        }
    }
}
