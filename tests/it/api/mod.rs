//! The API over HTTP: a file per resource.

mod assignment;
mod audit;
mod auth;
mod bindings;
mod customer_list;
mod customers;
mod documentation;
mod envelope;
mod first_user;
mod members;
mod notification_routes;
mod notifications;
mod office;
mod operations;
mod outbox;
mod outbox_channels;
mod outbox_insight;
mod outbox_repair;
mod request_id;
mod role_matrix;
mod token;
mod users;
mod wecom;

use office::Office;
