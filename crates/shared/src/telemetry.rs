//! Logs: one line a fact, readable alone, with its key facts repeated as fields.
//!
//! error = a person should look · warn = something went wrong and was mended · info = start, stop,
//! summaries, acts of operators · debug = single messages.

use std::io::Write;
use std::str::FromStr;

use env_logger::Builder;
use log::kv::{Key, Value, VisitSource};
use serde_json::{Map, json};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("{other:?} is not a log format; known: text, json")),
        }
    }
}

/// Starts logging to standard error. `filter` is in `RUST_LOG`'s language: `info`,
/// `outbox_relay=debug,info`. Does nothing if logging has started already.
pub fn start_logging(filter: &str, format: LogFormat) {
    let mut builder = Builder::new();
    builder.parse_filters(filter);
    if format == LogFormat::Json {
        builder.format(|out, record| writeln!(out, "{}", json_line(record)));
    }
    // A second start, as in the quick start and the tests, changes nothing.
    let _ = builder.try_init();
}

fn json_line(record: &log::Record<'_>) -> serde_json::Value {
    let mut fields = Fields(Map::new());
    // The visitor below never fails.
    let _ = record.key_values().visit(&mut fields);
    json!({
        "ts": crate::domain::UtcTimestamp::from(chrono::Utc::now()),
        "level": record.level().as_str(),
        "target": record.target(),
        "message": record.args().to_string(),
        "fields": fields.0,
    })
}

struct Fields(Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
        let value = serde_json::to_value(&value).unwrap_or_else(|_| json!(value.to_string()));
        self.0.insert(key.to_string(), value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_line_carries_the_text_and_the_fields() {
        let fields = [
            ("attempt", Value::from(3)),
            ("channel", Value::from("wechat_cloud")),
        ];
        let line = json_line(
            &log::Record::builder()
                .level(log::Level::Warn)
                .target("outbox_relay")
                .args(format_args!("retry \"later\"\n"))
                .key_values(&&fields[..])
                .build(),
        );
        assert_eq!(line["message"], "retry \"later\"\n");
        assert_eq!(
            line["fields"],
            json!({"attempt": 3, "channel": "wechat_cloud"})
        );
        assert_eq!(line["level"], "WARN");
        assert!(!line.to_string().contains('\n'));
    }
}
