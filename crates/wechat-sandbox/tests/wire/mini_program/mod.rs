//! The mini-program platform.

mod call;
mod cloud_function;
mod fault;
mod quota;
mod send;
mod session_code;
mod template;
mod token;
