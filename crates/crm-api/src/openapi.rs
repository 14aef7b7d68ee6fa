use utoipa::openapi::schema::Ref;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, Content, OpenApi as Description, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use crate::envelope::{Envelope, ErrorBody};
use crate::routes::{
    assignment, assignment_history, auth, bindings, customers, health, members,
    notification_routes, notifications, outbox, outbox_channels, outbox_insight, outbox_repair,
    users, wecom,
};

/// The description of the API, as `/api-docs/openapi.json` gives it.
pub(crate) fn description() -> Description {
    Described::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Yizhan CRM",
        description = "Every answer is an envelope: `{success, message, data, error, timestamp}`. \
            Failures have real status codes and `error.code`. `x-request-id` is taken over or made, \
            and echoed.",
    ),
    paths(
        health::alive,
        health::ready,
        health::figures,
        auth::login,
        auth::logout,
        auth::me,
        users::list,
        users::create,
        users::show,
        users::change,
        users::assignable,
        bindings::list,
        bindings::put,
        bindings::remove,
        customers::list,
        customers::create,
        customers::enums,
        customers::show,
        assignment::single,
        assignment::mini_program,
        assignment::batch,
        assignment::from_pool,
        assignment_history::list,
        members::list,
        members::create,
        members::show,
        members::change,
        members::revoke,
        notifications::list,
        notifications::unread_count,
        notifications::mark_read,
        notifications::mark_all_read,
        notification_routes::list,
        notification_routes::put,
        outbox::list,
        outbox::stats,
        outbox::show,
        outbox_channels::list,
        outbox_channels::put,
        outbox_channels::hold,
        outbox_channels::lift,
        outbox_insight::explain,
        outbox_insight::failures,
        outbox_insight::relays,
        outbox_insight::stuck,
        outbox_repair::cancel,
        outbox_repair::edit,
        outbox_repair::requeue,
        outbox_repair::undo,
        wecom::process_queue,
    ),
    components(schemas(Envelope<Option<bool>>, ErrorBody)),
    security(("token" = [])),
    modifiers(&TokenScheme, &FailureAnswers),
)]
struct Described;

/// How to show who one is.
struct TokenScheme;

impl Modify for TokenScheme {
    fn modify(&self, description: &mut Description) {
        let components = description.components.get_or_insert_with(Components::new);
        components.add_security_scheme(
            "token",
            SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        );
    }
}

/// Every endpoint fails with the same envelope.
struct FailureAnswers;

impl Modify for FailureAnswers {
    fn modify(&self, description: &mut Description) {
        let envelope = Ref::from_schema_name("Envelope_Option_bool");
        let failure = ResponseBuilder::new()
            .description("A failure: `success` is false, `error` says why")
            .content("application/json", Content::new(Some(RefOr::Ref(envelope))))
            .build();
        for item in description.paths.paths.values_mut() {
            let operations = [
                &mut item.get,
                &mut item.post,
                &mut item.put,
                &mut item.patch,
                &mut item.delete,
            ];
            for operation in operations.into_iter().flatten() {
                let responses = &mut operation.responses.responses;
                responses.insert("default".to_owned(), RefOr::T(failure.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::access::Access;
    use crate::routes::url_table;

    fn described() -> Value {
        serde_json::to_value(description()).unwrap()
    }

    #[test]
    fn every_url_is_described_and_nothing_else() {
        let described = described();
        let paths = described["paths"].as_object().unwrap();
        let described: BTreeSet<(String, String)> = paths
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().unwrap().keys();
                methods.map(move |method| (path.clone(), method.to_uppercase()))
            })
            .collect();
        let table: BTreeSet<(String, String)> = url_table()
            .iter()
            .map(|endpoint| (endpoint.path.to_owned(), endpoint.method.to_string()))
            .collect();
        assert_eq!(described, table);
    }

    #[test]
    fn the_description_says_truly_where_a_token_is_needed() {
        let described = described();
        for endpoint in url_table() {
            let method = endpoint.method.as_str().to_lowercase();
            let operation = &described["paths"][endpoint.path][method.as_str()];
            let needs_none = operation["security"] == serde_json::json!([{}]);
            assert_eq!(
                needs_none,
                endpoint.access == Access::Public,
                "{} {}: {}",
                endpoint.method,
                endpoint.path,
                operation["security"]
            );
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let described = described();
        let text = described.to_string();
        for reference in text.split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(
                described["components"]["schemas"][name].is_object(),
                "{name} is not described"
            );
        }
    }
}
