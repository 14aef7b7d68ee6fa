//! Every URL, on one screen.

pub(crate) mod assignment;
pub(crate) mod assignment_history;
pub(crate) mod auth;
pub(crate) mod bindings;
mod cause_text;
pub(crate) mod customers;
pub(crate) mod health;
pub(crate) mod members;
pub(crate) mod message_filter;
pub(crate) mod notification_routes;
pub(crate) mod notifications;
pub(crate) mod outbox;
pub(crate) mod outbox_channels;
pub(crate) mod outbox_insight;
pub(crate) mod outbox_repair;
pub(crate) mod users;
pub(crate) mod wecom;

use actix_web::Route;
use actix_web::http::Method;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, ServiceConfig};

use crate::access::Access::{self, AnyUser, Public};
use crate::access::authorize;
use crate::auth::policy::Act::{
    AssignCustomers, AssignFromPool, CreateCustomers, ManageMembers, ManageRoutes, ManageUsers,
    ReadOutbox, RepairOutbox, RevokeMembers,
};
use crate::error::ApiError;

/// One URL and method.
#[derive(Debug)]
pub struct Endpoint {
    /// With which method.
    pub method: Method,
    /// Where; names in braces stand for anything.
    pub path: &'static str,
    /// For whom. Checked before the handler runs.
    pub access: Access,
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
    Endpoint {
        method,
        path,
        access,
        handler,
    }
}

/// Literal paths stand before those with a name in the same place.
#[rustfmt::skip]
static URL_TABLE: &[Endpoint] = &[
    url(GET,    "/healthz",                                    Public,               || web::to(health::alive)),
    url(GET,    "/readyz",                                     Public,               || web::to(health::ready)),
    url(GET,    "/metrics",                                    Public,               || web::to(health::figures)),

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
    url(POST,   "/api/customers/public-pool/assign",           may(AssignFromPool),  || web::to(assignment::from_pool)),
    url(PATCH,  "/api/customers/miniprogram/{id}/assign",      may(AssignCustomers), || web::to(assignment::mini_program)),
    url(GET,    "/api/customers/{id}",                         AnyUser,              || web::to(customers::show)),
    url(PATCH,  "/api/customers/{id}/assign",                  may(AssignCustomers), || web::to(assignment::single)),
    url(GET,    "/api/customers/{id}/assignments",             AnyUser,              || web::to(assignment_history::list)),

    url(GET,    "/api/members",                                AnyUser,              || web::to(members::list)),
    url(POST,   "/api/members/create",                         may(ManageMembers),   || web::to(members::create)),
    url(GET,    "/api/members/{id}",                           AnyUser,              || web::to(members::show)),
    url(PATCH,  "/api/members/{id}",                           may(ManageMembers),   || web::to(members::change)),
    url(POST,   "/api/members/{id}/revoke",                    may(RevokeMembers),   || web::to(members::revoke)),

    url(GET,    "/api/notifications",                          AnyUser,              || web::to(notifications::list)),
    url(GET,    "/api/notifications/unread-count",             AnyUser,              || web::to(notifications::unread_count)),
    url(PUT,    "/api/notifications/mark-read",                AnyUser,              || web::to(notifications::mark_read)),
    url(PUT,    "/api/notifications/mark-all-read",            AnyUser,              || web::to(notifications::mark_all_read)),

    url(GET,    "/api/notification-routes",                    may(ManageRoutes),    || web::to(notification_routes::list)),
    url(PUT,    "/api/notification-routes/{kind}/{channel}",   may(ManageRoutes),    || web::to(notification_routes::put)),

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

    url(POST,   "/api/wecom/process-queue",                    AnyUser,              || web::to(wecom::process_queue)),
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
        for endpoint in URL_TABLE.iter().filter(|endpoint| endpoint.path == path) {
            let access = endpoint.access;
            let route = (endpoint.handler)()
                .method(endpoint.method.clone())
                .wrap(from_fn(move |request, next: Next<_>| {
                    authorize(access, request, next)
                }));
            resource = resource.route(route);
            methods.push(endpoint.method.as_str());
        }
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
                "/api/auth/login",
                "/api/customers/enums"
            ]
        );
    }
}
