//! What tests stand on: databases, messages, and waiting without sleeping blindly.

mod api;
mod books;
mod cluster;
mod contents;
mod database;
mod disk;
mod drain;
mod eventually;
mod gate;
mod message;
mod news;
mod outbox;
mod plan;
mod process;
mod relay;
mod shell;
mod socket;
mod staff;
mod trouble;
mod wecom;

pub use api::{Answer, PASSWORD, SECRET, Session, TestApi};
pub use cluster::{Stop, TestCluster};
pub use database::TestDatabase;
pub(crate) use database::on_each_database;
pub use disk::SmallDisk;
pub use drain::{CONCURRENCY, Drain, backlog_size, lasting, stop_well};
pub use eventually::eventually;
pub use gate::Gate;
pub use message::{
    accepted, message, moment, refused, relay, repair_order, report, retry, seconds, settlement,
};
pub use process::{Ended, TestProcess, run};
pub use relay::{Employee, RelayStage, assignment};
pub use shell::Shell;
pub use socket::{Said, notice};
pub use trouble::{keep_settlements_waiting, pool, refuse_inserts};
pub use wecom::{CRM_URL, registration};
