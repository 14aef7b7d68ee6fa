//! Every URL, on one screen.

pub(crate) mod assignment;
pub(crate) mod assignment_history;
pub(crate) mod auth;
pub(crate) mod bindings;
mod cause_text;
pub(crate) mod customer_change;
pub(crate) mod customer_freeze;
pub(crate) mod customers;
pub(crate) mod events;
pub(crate) mod follow_ups;
pub(crate) mod health;
pub(crate) mod imports;
pub(crate) mod inbox_page;
pub(crate) mod lead_transfer_insight;
pub(crate) mod lead_transfer_records;
mod lead_transfer_rule_body;
pub(crate) mod lead_transfer_rules;
pub(crate) mod lead_transfer_runs;
pub(crate) mod members;
mod message_data;
pub(crate) mod message_filter;
pub(crate) mod named_customers;
pub(crate) mod notification_previews;
pub(crate) mod notification_routes;
pub(crate) mod notification_settings;
pub(crate) mod notification_socket;
pub(crate) mod notification_templates;
pub(crate) mod notification_test_sends;
pub(crate) mod notifications;
pub(crate) mod operation_logs;
pub(crate) mod outbox;
pub(crate) mod outbox_channels;
pub(crate) mod outbox_insight;
pub(crate) mod outbox_repair;
pub(crate) mod public_pool;
pub(crate) mod release;
pub(crate) mod schedules;
pub(crate) mod users;
pub(crate) mod website_leads;
pub(crate) mod wecom;

use actix_web::Route;
use actix_web::http::Method;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, ServiceConfig};

use crate::access::Access::{self, ActOr, AnyUser, AnyUserOr, Public, Socket};
use crate::access::authorize;
use crate::auth::policy::Act::{
    AssignCustomers, AssignFromPool, ClaimCustomers, CreateCustomers, DeleteCustomers, FollowUp,
    FreezeCustomers, ImportCustomers, ManageMembers, ManageRoutes, ManageTransferRules,
    ManageUsers, ReadOperationLogs, ReadOutbox, ReadSchedules, ReleaseCustomers, RepairOutbox,
    RevokeMembers, SendEvents,
};
use crate::auth::service_token::Scope;
use crate::error::ApiError;
use crate::extract::{BODY_BYTES_MAX, BodyLimit};

/// One URL and method.
#[derive(Debug)]
pub struct Endpoint {
    /// With which method.
    pub method: Method,
    /// Where; names in braces stand for anything.
    pub path: &'static str,
    /// For whom. Checked before the handler runs.
    pub access: Access,
    /// The largest body it takes, in bytes.
    body_bytes_max: usize,
    handler: fn() -> Route,
}

/// Every URL of the service except the documentation. The routing is built from it, so that what is
/// not here does not answer, and what is here has its access checked.
pub fn url_table() -> &'static [Endpoint] {
    URL_TABLE
}

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

const fn may(act: crate::auth::policy::Act) -> Access {
    Access::Act(act)
}

const fn url(
    method: Method,
    path: &'static str,
    access: Access,
    handler: fn() -> Route,
) -> Endpoint {
    url_taking(method, path, access, BODY_BYTES_MAX, handler)
}

/// For an endpoint whose bodies may be larger, or must be smaller, than elsewhere.
const fn url_taking(
    method: Method,
    path: &'static str,
    access: Access,
    body_bytes_max: usize,
    handler: fn() -> Route,
) -> Endpoint {
    Endpoint {
        method,
        path,
        access,
        body_bytes_max,
        handler,
    }
}

/// Literal paths stand before those with a name in the same place.
#[rustfmt::skip]
static URL_TABLE: &[Endpoint] = &[
    url(GET,    "/healthz",                                    Public,               || web::to(health::alive)),
    url(GET,    "/readyz",                                     Public,               || web::to(health::ready)),
    url(GET,    "/metrics",                                    Public,               || web::to(health::figures)),

    url(GET,    "/inbox",                                      Public,               || web::to(inbox_page::page)),
    url(GET,    "/inbox/inbox.js",                             Public,               || web::to(inbox_page::script)),
    url(GET,    "/inbox/settings.js",                          Public,               || web::to(inbox_page::settings_script)),
    url(GET,    "/inbox/inbox.css",                            Public,               || web::to(inbox_page::style)),

    url(POST,   "/api/auth/login",                             Public,               || web::to(auth::login)),
    url(POST,   "/api/auth/logout",                            AnyUser,              || web::to(auth::logout)),
    url(GET,    "/api/auth/me",                                AnyUser,              || web::to(auth::me)),

    url(GET,    "/api/users",                                  may(ManageUsers),     || web::to(users::list)),
    url(POST,   "/api/users",                                  may(ManageUsers),     || web::to(users::create)),
    url(GET,    "/api/users/{id}",                             may(ManageUsers),     || web::to(users::show)),
    url(PATCH,  "/api/users/{id}",                             may(ManageUsers),     || web::to(users::change)),
    url(GET,    "/api/users/{id}/bindings",                    may(ManageUsers),     || web::to(bindings::list)),
    url(PUT,    "/api/users/{id}/bindings/{app}",              may(ManageUsers),     || web::to(bindings::put)),
    url(DELETE, "/api/users/{id}/bindings/{app}",              may(ManageUsers),     || web::to(bindings::remove)),

    url(GET,    "/api/customers",                              AnyUser,              || web::to(customers::list)),
    url(POST,   "/api/customers",                              may(CreateCustomers), || web::to(customers::create)),
    url(GET,    "/api/customers/enums",                        Public,               || web::to(customers::enums)),
    url(GET,    "/api/customers/assignable-users",             may(AssignCustomers), || web::to(users::assignable)),
    url(POST,   "/api/customers/batch-assign",                 may(AssignCustomers), || web::to(assignment::batch)),
    url_taking(POST, "/api/customers/import",                  may(ImportCustomers), imports::FILE_BYTES_MAX, || web::to(imports::import)),
    url_taking(POST, "/api/customers/website-lead",            Public, website_leads::FORM_BYTES_MAX, || web::to(website_leads::receive)),
    url(POST,   "/api/customers/batch-release-to-pool",        may(ReleaseCustomers), || web::to(release::batch)),
    url(GET,    "/api/customers/my-customer-count",            AnyUser,              || web::to(public_pool::my_count)),
    url(GET,    "/api/customers/public-pool",                  AnyUser,              || web::to(public_pool::list)),
    url(GET,    "/api/customers/public-pool/statistics",       AnyUser,              || web::to(public_pool::statistics)),
    url(POST,   "/api/customers/public-pool/claim",            may(ClaimCustomers),  || web::to(public_pool::claim)),
    url(POST,   "/api/customers/public-pool/assign",           may(AssignFromPool),  || web::to(assignment::from_pool)),
    url(PATCH,  "/api/customers/miniprogram/{id}/assign",      may(AssignCustomers), || web::to(assignment::mini_program)),
    url(POST,   "/api/customers/miniprogram/{id}/release-to-pool", may(ReleaseCustomers), || web::to(release::mini_program)),
    url(GET,    "/api/customers/{id}",                         AnyUser,              || web::to(customers::show)),
    url(PATCH,  "/api/customers/{id}",                         AnyUser,              || web::to(customer_change::change)),
    url(DELETE, "/api/customers/{id}",                         may(DeleteCustomers), || web::to(customer_change::remove)),
    url(PATCH,  "/api/customers/{id}/assign",                  may(AssignCustomers), || web::to(assignment::single)),
    url(GET,    "/api/customers/{id}/assignments",             AnyUser,              || web::to(assignment_history::list)),
    url(POST,   "/api/customers/{id}/follow-ups",              may(FollowUp),        || web::to(follow_ups::add)),
    url(GET,    "/api/customers/{id}/follow-ups",              AnyUser,              || web::to(follow_ups::list)),
    url(PATCH,  "/api/customers/{id}/freeze",                  may(FreezeCustomers), || web::to(customer_freeze::freeze)),
    url(PATCH,  "/api/customers/{id}/unfreeze",                may(FreezeCustomers), || web::to(customer_freeze::unfreeze)),
    url(GET,    "/api/customers/{id}/operation-logs",          may(ReadOperationLogs), || web::to(operation_logs::list)),
    url(POST,   "/api/customers/{id}/release-to-pool",         may(ReleaseCustomers), || web::to(release::single)),
    url(GET,    "/api/customers/{id}/public-pool-logs",        AnyUser,              || web::to(public_pool::logs)),

    url(GET,    "/api/lead-transfer/rules",                    may(ManageTransferRules), || web::to(lead_transfer_rules::list)),
    url(POST,   "/api/lead-transfer/rules",                    may(ManageTransferRules), || web::to(lead_transfer_rules::create)),
    url(GET,    "/api/lead-transfer/rules/{id}",               may(ManageTransferRules), || web::to(lead_transfer_rules::show)),
    url(PATCH,  "/api/lead-transfer/rules/{id}",               may(ManageTransferRules), || web::to(lead_transfer_rules::change)),
    url(DELETE, "/api/lead-transfer/rules/{id}",               may(ManageTransferRules), || web::to(lead_transfer_rules::remove)),
    url(PATCH,  "/api/lead-transfer/rules/{id}/toggle",        may(ManageTransferRules), || web::to(lead_transfer_rules::toggle)),
    url(GET,    "/api/lead-transfer/rules/{id}/predict",       may(ManageTransferRules), || web::to(lead_transfer_insight::predict)),
    url(POST,   "/api/lead-transfer/execute-now",              may(ManageTransferRules), || web::to(lead_transfer_runs::execute_now)),
    url(GET,    "/api/lead-transfer/runs",                     may(ManageTransferRules), || web::to(lead_transfer_runs::list)),
    url(GET,    "/api/lead-transfer/runs/{id}",                may(ManageTransferRules), || web::to(lead_transfer_runs::show)),
    url(GET,    "/api/lead-transfer/records",                  may(ManageTransferRules), || web::to(lead_transfer_records::list)),
    url(GET,    "/api/lead-transfer/statistics",               may(ManageTransferRules), || web::to(lead_transfer_records::statistics)),
    url(GET,    "/api/lead-transfer/user-statistics/{userId}", may(ManageTransferRules), || web::to(lead_transfer_records::user_statistics)),
    url(GET,    "/api/lead-transfer/explain/{customerId}",     may(ManageTransferRules), || web::to(lead_transfer_insight::explain)),

    url(GET,    "/api/schedules",                              may(ReadSchedules),   || web::to(schedules::list)),

    url(GET,    "/api/imports/{id}",                           may(ImportCustomers), || web::to(imports::show)),

    url(GET,    "/api/members",                                AnyUser,              || web::to(members::list)),
    url(POST,   "/api/members/create",                         may(ManageMembers),   || web::to(members::create)),
    url(GET,    "/api/members/{id}",                           AnyUser,              || web::to(members::show)),
    url(PATCH,  "/api/members/{id}",                           may(ManageMembers),   || web::to(members::change)),
    url(POST,   "/api/members/{id}/revoke",                    may(RevokeMembers),   || web::to(members::revoke)),

    url(GET,    "/api/notifications",                          AnyUser,              || web::to(notifications::list)),
    url(GET,    "/api/notifications/unread-count",             AnyUser,              || web::to(notifications::unread_count)),
    url(PUT,    "/api/notifications/mark-read",                AnyUser,              || web::to(notifications::mark_read)),
    url(PUT,    "/api/notifications/mark-all-read",            AnyUser,              || web::to(notifications::mark_all_read)),
    url(GET,    "/api/notifications/settings",                 AnyUser,              || web::to(notification_settings::show)),
    url(PUT,    "/api/notifications/settings",                 AnyUser,              || web::to(notification_settings::put)),
    url(GET,    "/api/notifications/stats",                    AnyUser,              || web::to(notifications::stats)),
    url(GET,    "/api/notifications/ws",                       Socket,               || web::to(notification_socket::open)),
    url(POST,   "/api/notifications/ws-ticket",                AnyUser,              || web::to(notification_socket::issue_ticket)),
    url(DELETE, "/api/notifications/{id}",                     AnyUser,              || web::to(notifications::delete)),

    url(GET,    "/api/notification-routes",                    may(ManageRoutes),    || web::to(notification_routes::list)),
    url(PUT,    "/api/notification-routes/{kind}/{channel}",   may(ManageRoutes),    || web::to(notification_routes::put)),
    url(GET,    "/api/notification-routes/{kind}/{channel}/history", may(ManageRoutes), || web::to(notification_routes::history)),
    url(GET,    "/api/notification-templates",                 may(ManageRoutes),    || web::to(notification_templates::list)),
    url(GET,    "/api/notification-templates/{kind}",          may(ManageRoutes),    || web::to(notification_templates::show)),
    url(PUT,    "/api/notification-templates/{kind}",          may(ManageRoutes),    || web::to(notification_templates::put)),
    url(GET,    "/api/notification-templates/{kind}/history",  may(ManageRoutes),    || web::to(notification_templates::history)),
    url(POST,   "/api/notification-templates/{kind}/{channel}/preview", may(ManageRoutes), || web::to(notification_previews::show)),
    url(POST,   "/api/notification-templates/{kind}/{channel}/test-send", may(ManageRoutes), || web::to(notification_test_sends::send)),
    url(GET,    "/api/notification-test-sends/{id}",           may(ManageRoutes),    || web::to(notification_test_sends::show)),

    url_taking(POST, "/api/events",                            ActOr(SendEvents, Scope::Events), events::EVENT_BYTES_MAX, || web::to(events::send)),
    url(GET,    "/api/events/{id}",                            ActOr(SendEvents, Scope::Events), || web::to(events::show)),

    url(GET,    "/api/outbox",                                 may(ReadOutbox),      || web::to(outbox::list)),
    url(GET,    "/api/outbox/stats",                           may(ReadOutbox),      || web::to(outbox::stats)),
    url(GET,    "/api/outbox/failures",                        may(ReadOutbox),      || web::to(outbox_insight::failures)),
    url(GET,    "/api/outbox/stuck",                           may(ReadOutbox),      || web::to(outbox_insight::stuck)),
    url(GET,    "/api/outbox/relays",                          may(ReadOutbox),      || web::to(outbox_insight::relays)),
    url(GET,    "/api/outbox/channels",                        may(ReadOutbox),      || web::to(outbox_channels::list)),
    url(PUT,    "/api/outbox/channels/{channel}",              may(RepairOutbox),    || web::to(outbox_channels::put)),
    url(POST,   "/api/outbox/channels/{channel}/hold",         may(RepairOutbox),    || web::to(outbox_channels::hold)),
    url(POST,   "/api/outbox/channels/{channel}/lift",         may(RepairOutbox),    || web::to(outbox_channels::lift)),
    url(POST,   "/api/outbox/requeue",                         may(RepairOutbox),    || web::to(outbox_repair::requeue)),
    url(POST,   "/api/outbox/cancel",                          may(RepairOutbox),    || web::to(outbox_repair::cancel)),
    url(POST,   "/api/outbox/repairs/{id}/undo",               may(RepairOutbox),    || web::to(outbox_repair::undo)),
    url(GET,    "/api/outbox/{id}",                            may(ReadOutbox),      || web::to(outbox::show)),
    url(GET,    "/api/outbox/{id}/explain",                    may(ReadOutbox),      || web::to(outbox_insight::explain)),
    url(PATCH,  "/api/outbox/{id}/payload",                    may(RepairOutbox),    || web::to(outbox_repair::edit)),

    url(POST,   "/api/wecom/process-queue",                    AnyUserOr(Scope::ProcessQueue),            || web::to(wecom::process_queue)),
];

/// Builds the routing from the table.
pub(crate) fn mount(service: &mut ServiceConfig) {
    let mut paths: Vec<&str> = Vec::new();
    for endpoint in URL_TABLE {
        if !paths.contains(&endpoint.path) {
            paths.push(endpoint.path);
        }
    }
    for path in paths {
        let mut resource = web::resource(path);
        let mut methods: Vec<&str> = Vec::new();
        let mut body_bytes_max = 0;
        for endpoint in URL_TABLE.iter().filter(|endpoint| endpoint.path == path) {
            let access = endpoint.access;
            let route = (endpoint.handler)()
                .method(endpoint.method.clone())
                .wrap(from_fn(move |request, next: Next<_>| {
                    authorize(access, request, next)
                }));
            // Where a path has several methods, the largest body of any of them passes.
            body_bytes_max = body_bytes_max.max(endpoint.body_bytes_max);
            resource = resource.route(route);
            methods.push(endpoint.method.as_str());
        }
        resource = resource
            .app_data(web::PayloadConfig::new(body_bytes_max))
            .app_data(BodyLimit(body_bytes_max));
        let allow = methods.join(", ");
        service.service(resource.default_service(web::to(move || {
            let allow = allow.clone();
            async move { Err::<&str, _>(ApiError::MethodNotAllowed { allow }) }
        })));
    }
}

/// The answer where there is nothing.
pub(crate) async fn no_such_route() -> Result<&'static str, ApiError> {
    Err(ApiError::NoSuchRoute)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Whether a request for the literal path `asked` would be answered by `path`.
    fn catches(path: &str, asked: &str) -> bool {
        let (path, asked): (Vec<_>, Vec<_>) =
            (path.split('/').collect(), asked.split('/').collect());
        path.len() == asked.len()
            && path
                .iter()
                .zip(&asked)
                .all(|(part, asked)| part.starts_with('{') || part == asked)
    }

    #[test]
    fn no_path_hides_a_later_one() {
        for (position, later) in URL_TABLE.iter().enumerate() {
            for earlier in &URL_TABLE[..position] {
                assert!(
                    earlier.path == later.path || !catches(earlier.path, later.path),
                    "{} hides {}",
                    earlier.path,
                    later.path
                );
            }
        }
    }

    #[test]
    fn no_endpoint_is_there_twice() {
        let unique: BTreeSet<(&str, &str)> = URL_TABLE
            .iter()
            .map(|endpoint| (endpoint.path, endpoint.method.as_str()))
            .collect();
        assert_eq!(unique.len(), URL_TABLE.len());
    }

    #[test]
    fn only_these_are_public() {
        let public: Vec<&str> = URL_TABLE
            .iter()
            .filter(|endpoint| endpoint.access == Public)
            .map(|endpoint| endpoint.path)
            .collect();
        assert_eq!(
            public,
            [
                "/healthz",
                "/readyz",
                "/metrics",
                "/inbox",
                "/inbox/inbox.js",
                "/inbox/settings.js",
                "/inbox/inbox.css",
                "/api/auth/login",
                "/api/customers/enums",
                "/api/customers/website-lead",
            ]
        );
    }
}
