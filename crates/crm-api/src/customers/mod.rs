//! Customers (leads): what is known of them, who may see them, and how they are entered, changed and
//! removed. Who owns them is the business of [`assignment`](crate::assignment).

mod act;
mod change;
mod counted;
mod create;
mod customer;
mod delete;
mod error;
mod filter;
mod follow_up;
mod freeze;
mod lists;
mod news;
mod search;
mod signing;

pub use act::CustomerAct;
pub use change::{CustomerChanges, change};
pub use create::{CreateError, NewCustomer, create, free_number};
pub use customer::{Customer, CustomerNumber, Sight, find, names_of, subject_of};
pub use delete::{DeletedCustomer, delete, was_deleted};
pub use error::CustomerError;
pub use filter::CustomerFilter;
pub use follow_up::{FollowUp, FollowUpKind, NewFollowUp, follow_up, follow_ups};
pub use freeze::{freeze, unfreeze};
pub use lists::{ContractStatus, LeadLevel, LeadSource, ServiceCategory};
pub use news::{NewsOfCustomers, managers, tell_managers};
pub use search::{COUNTED_MAX, REACH_MAX, SearchError, SortBy, SortOrder, Total, search};
pub use signing::{Signing, record_signings};
