//! The same cases for both databases.

mod constraints;
mod database;
mod database_url;
mod inbox_retention;
mod lost_connection;
mod members;
mod migrations;
mod moment;
mod notification;
mod notification_fallback;
mod outbox;
mod schedule;
mod schema;
mod statement;
mod wake;
mod writer;
