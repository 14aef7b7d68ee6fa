//! The people who work with the CRM, and who they are on the platforms.

mod binding;
mod user;

pub use binding::{Binding, BindingError, bindings_of, put_binding, remove_binding};
pub use user::{
    AssignableUser, NewUser, User, UserChanges, UserError, UserFilter, assignable, create, find,
    list, update,
};
