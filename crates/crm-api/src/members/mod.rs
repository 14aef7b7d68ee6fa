//! Members: how they are entered, changed and found. Who is told of it is said in
//! [`shared::members`].

mod change;
mod contact;
mod create;
mod error;
mod search;

pub use change::{MemberChanges, change, revoke};
pub use create::{NewMember, create};
pub use error::MemberError;
pub use search::{MemberFilter, search};
