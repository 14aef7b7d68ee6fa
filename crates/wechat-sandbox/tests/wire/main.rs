//! The sandbox over real HTTP.

mod control;
mod harness;
mod mini_program;
mod page;
mod wecom;
