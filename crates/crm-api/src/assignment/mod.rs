//! Giving customers to people, and taking them back.
//!
//! [`assign`] is the one transaction behind every entrance: the single assignment, the mini
//! program's, the batch, the public pool, and the creation of a customer. [`claim`] is an assignment
//! to oneself, with a cap. [`release`] puts customers into the public pool. All of them write down
//! what they change in the same way.
//!
//! Locks are taken in one order: the user who gets customers, then the customers by their ids, then
//! messages by theirs. So nobody waits in a circle.

mod assign;
mod claim;
mod history;
mod lead;
mod ownership;
mod release;
mod telling;

pub use assign::{
    AssignError, AssignOrder, Assigned, CUSTOMERS_MAX, Entrance, Refusal, assign, assign_untold,
    tell,
};
pub use claim::{CLAIMED_MAX, ClaimError, ClaimOrder, claim, customer_count};
pub use history::{Assignment, history};
pub use lead::AssignedCustomer;
pub use ownership::SAY_IT_IS_YOURS;
pub use release::{ReleaseOrder, ReleaseReach, ReleaseRefusal, Released, release};
pub use telling::{Telling, source};
