//! Pages that stay open.

mod access;
mod bad_client;
mod catch_up;
mod live;
