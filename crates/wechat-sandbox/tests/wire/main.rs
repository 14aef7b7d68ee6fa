//! The sandbox over real HTTP.

mod control;
mod harness;
mod mini_program;
mod page;
mod wecom_call;
mod wecom_robot;
mod wecom_send;
