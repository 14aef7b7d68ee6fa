use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Ref, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, Content, ObjectBuilder, OpenApi as Description, RefOr, Required, ResponseBuilder,
};
use utoipa::{Modify, OpenApi};

use crate::envelope::{Envelope, ErrorBody};
use crate::routes::{
    assignment, assignment_history, auth, bindings, customer_change, customer_freeze, customers,
    events, follow_ups, health, imports, inbox_page, lead_transfer_insight, lead_transfer_records,
    lead_transfer_rules, lead_transfer_runs, members, notification_previews, notification_routes,
    notification_settings, notification_socket, notification_templates, notification_test_sends,
    notifications, operation_logs, outbox, outbox_channels, outbox_insight, outbox_repair,
    public_pool, release, schedules, users, website_leads, wecom,
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
        inbox_page::page,
        inbox_page::script,
        inbox_page::settings_script,
        inbox_page::style,
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
        customer_change::change,
        customer_change::remove,
        customer_freeze::freeze,
        customer_freeze::unfreeze,
        follow_ups::add,
        follow_ups::list,
        operation_logs::list,
        website_leads::receive,
        imports::import,
        imports::show,
        assignment::single,
        assignment::mini_program,
        assignment::batch,
        assignment::from_pool,
        assignment_history::list,
        lead_transfer_rules::list,
        lead_transfer_rules::create,
        lead_transfer_rules::show,
        lead_transfer_rules::change,
        lead_transfer_rules::remove,
        lead_transfer_rules::toggle,
        lead_transfer_insight::predict,
        lead_transfer_insight::explain,
        lead_transfer_runs::execute_now,
        lead_transfer_runs::list,
        lead_transfer_runs::show,
        lead_transfer_records::list,
        lead_transfer_records::statistics,
        lead_transfer_records::user_statistics,
        schedules::list,
        public_pool::list,
        public_pool::statistics,
        public_pool::claim,
        public_pool::my_count,
        public_pool::logs,
        release::single,
        release::mini_program,
        release::batch,
        members::list,
        members::create,
        members::show,
        members::change,
        members::revoke,
        notifications::list,
        notifications::unread_count,
        notifications::mark_read,
        notifications::mark_all_read,
        notifications::delete,
        notifications::stats,
        notification_socket::open,
        notification_socket::issue_ticket,
        notification_routes::list,
        notification_routes::put,
        notification_routes::history,
        notification_settings::show,
        notification_settings::put,
        notification_templates::list,
        notification_templates::show,
        notification_templates::put,
        notification_templates::history,
        notification_previews::show,
        notification_test_sends::send,
        notification_test_sends::show,
        events::send,
        events::show,
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
    modifiers(&TokenScheme, &FailureAnswers, &IdempotencyKeys),
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
        let mut of_programs = Http::new(HttpAuthScheme::Bearer);
        of_programs.description = Some(
            "A service token, `yzs_…`, made with `crm-api service-token create`; it opens the \
             endpoints of its scopes and no others."
                .to_owned(),
        );
        components.add_security_scheme("serviceToken", SecurityScheme::Http(of_programs));
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

/// Every changing request of somebody may carry a key, except to these: docs/API.md says why.
struct IdempotencyKeys;

const WITHOUT_KEY: &[&str] = &[
    "/api/auth/logout",
    "/api/notification-templates/{kind}/{channel}/preview",
    "/api/notifications/ws-ticket",
    "/api/outbox/repairs/{id}/undo",
];

impl Modify for IdempotencyKeys {
    fn modify(&self, description: &mut Description) {
        let key = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(
                "1 to 128 visible ASCII characters. The same request under the same key is done \
                 once, and answered alike for 24 hours.",
            ))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .build();
        for (path, item) in &mut description.paths.paths {
            if WITHOUT_KEY.contains(&path.as_str()) {
                continue;
            }
            let changing = [
                &mut item.post,
                &mut item.put,
                &mut item.patch,
                &mut item.delete,
            ];
            let public = [SecurityRequirement::default()];
            let by_somebody = changing.into_iter().flatten();
            for operation in
                by_somebody.filter(|operation| operation.security.as_deref() != Some(&public))
            {
                let parameters = operation.parameters.get_or_insert_default();
                parameters.push(RefOr::T(key.clone()));
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
    fn the_description_says_truly_where_a_service_token_will_do() {
        let described = described();
        for endpoint in url_table() {
            let method = endpoint.method.as_str().to_lowercase();
            let operation = &described["paths"][endpoint.path][method.as_str()];
            let mut ways = operation["security"].as_array().into_iter().flatten();
            assert_eq!(
                ways.any(|way| way["serviceToken"].is_array()),
                endpoint.access.scope().is_some(),
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
