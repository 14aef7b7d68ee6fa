//! Who somebody is, and what they may do.

pub mod bootstrap;
pub mod login_limit;
pub mod password;
pub mod policy;
pub mod service_token;
pub mod session;
pub mod token;
pub(crate) mod token_hash;
