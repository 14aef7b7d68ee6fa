//! What strangers send by the form of the website.

mod lead;
mod limit;

pub use lead::{WebsiteLead, receive};
pub use limit::{Permission, ask};
