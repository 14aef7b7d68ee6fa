use std::collections::BTreeSet;

use serde_json::{Map, Value};
use shared::db::{DbConnection, DbError};
use shared::notification::{self, Kind, Template, catalogue_entry, placeholders};

use super::error::EventError;

/// What may be told through this entrance: what happens in other modules, and announcements. All else
/// this API tells of itself, and would be told twice.
pub const SENDABLE_KINDS: &[Kind] = &[
    Kind::ResumeCreated,
    Kind::ResumeAssigned,
    Kind::ResumeStatusChanged,
    Kind::ResumeOrderStatusChanged,
    Kind::ResumeFollowUpDue,
    Kind::ContractCreated,
    Kind::ContractSigned,
    Kind::ContractWorkerChanged,
    Kind::ContractExpiringSoon,
    Kind::ContractStatusChanged,
    Kind::SystemAnnouncement,
];

/// Whether a kind may be told through this entrance.
pub fn is_sendable(kind: Kind) -> bool {
    SENDABLE_KINDS.contains(&kind)
}

/// Filled in if it is not given: when it happened is when it was told of.
pub(super) const TIME: &str = "time";

/// Checks that the data fills the texts of the kind as they are now, and nothing else.
///
/// # Errors
/// [`EventError::DataMisfit`] with all names that are missing or unknown, or what the database says.
pub(super) fn check_data(
    connection: &mut DbConnection,
    kind: Kind,
    data: &Map<String, Value>,
) -> Result<(), EventError> {
    let template = template(connection, kind)?;
    let known = catalogue_entry(kind).data;
    let missing = missing(&template, data);
    let unknown: Vec<String> = data
        .keys()
        .filter(|name| !known.contains(&name.as_str()))
        .cloned()
        .collect();
    if missing.is_empty() && unknown.is_empty() {
        return Ok(());
    }
    Err(EventError::DataMisfit {
        missing,
        unknown,
        known,
    })
}

fn template(connection: &mut DbConnection, kind: Kind) -> Result<Template, DbError> {
    let stored = notification::stored_templates(connection, Some(kind))?;
    let edits = stored.into_iter().next().map(|stored| stored.edits);
    Ok(Template::new(kind, edits.unwrap_or_default()))
}

fn missing(template: &Template, data: &Map<String, Value>) -> Vec<String> {
    let texts = [&template.title, &template.content, &template.link];
    // One that cannot be read renders as it stands: it needs nothing.
    let needed: BTreeSet<&str> = texts
        .into_iter()
        .flat_map(|text| placeholders(text).unwrap_or_default())
        .filter(|name| *name != TIME)
        .collect();
    let is_missing = |name: &str| match data.get(name) {
        Some(Value::String(text)) => text.trim().is_empty(),
        Some(value) => value.is_null(),
        None => true,
    };
    let missing = needed.into_iter().filter(|name| is_missing(name));
    missing.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::notification::TemplateEdits;

    use super::*;

    #[test]
    fn what_the_texts_need_is_named_if_it_is_missing_or_blank() {
        let edits = TemplateEdits {
            title: Some("合同 {{contractNumber}}".to_owned()),
            content: Some("{{customerName}}，{{days}}，{{time}}".to_owned()),
            ..TemplateEdits::default()
        };
        let template = Template::new(Kind::ContractExpiringSoon, edits);
        let data = json!({ "days": 7, "customerName": "  ", "contractNumber": null });
        assert_eq!(
            missing(&template, data.as_object().unwrap()),
            ["contractId", "contractNumber", "customerName"]
        );
        let data = json!({
            "days": 7, "customerName": "王女士", "contractNumber": "HT1", "contractId": "1",
        });
        assert_eq!(missing(&template, data.as_object().unwrap()), [""; 0]);
    }

    #[test]
    fn what_this_api_tells_of_itself_is_no_business_of_others() {
        for &kind in Kind::ALL {
            let module = kind.as_str().split('.').next().unwrap();
            let expected =
                ["resume", "contract"].contains(&module) || kind == Kind::SystemAnnouncement;
            assert_eq!(is_sendable(kind), expected, "{kind}");
        }
    }
}
