//! Customers (leads): what is known of them, who may see them, and how they are entered.

mod create;
mod customer;
mod lists;
mod search;

pub use create::{CreateError, NewCustomer, create};
pub use customer::{Customer, CustomerNumber, Sight, find, names_of};
pub use lists::{ContractStatus, LeadLevel, LeadSource, ServiceCategory};
pub use search::{CustomerFilter, SortBy, SortOrder, search};
