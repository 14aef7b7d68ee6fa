//! The WeCom platform.

mod call;
mod robot;
mod send;
