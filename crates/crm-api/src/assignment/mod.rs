//! Giving customers to people.
//!
//! [`assign`] is the one transaction behind every entrance: the single assignment, the mini
//! program's, the batch, the public pool, and the creation of a customer.

mod assign;
mod history;
mod telling;

pub use assign::{
    AssignError, AssignOrder, Assigned, AssignedCustomer, CUSTOMERS_MAX, Entrance, Refusal, assign,
};
pub use history::{Assignment, history};
pub use telling::{Telling, source};
