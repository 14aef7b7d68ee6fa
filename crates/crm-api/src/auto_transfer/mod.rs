//! Leads that move on by rule (线索自动流转).
//!
//! ```text
//! Rule ─► Criteria (which leads) ─► Planner (who gets them) ─┬─► predict: tell
//!                                                            └─► batch: write, 500 at a time
//! Run (durable) ─► Runner (one process, by a lease) ─► batches ─► summary: each user told once
//! ```
//!
//! One set of [`Condition`]s decides which leads a rule takes: in the query that selects them, again
//! under the lock before one is moved, and in the explanation of why one was not. One [`Planner`]
//! decides who gets them, for the prediction and for the run. A run that was interrupted is finished
//! by the next process, and nobody's leads move without their being told.

mod batch;
mod condition;
mod distribution;
mod explain;
mod lead;
mod plan;
mod predict;
mod record;
mod rule;
mod rule_error;
mod rule_save;
mod run;
mod runner;
mod statistics;
mod summary;
mod window;

pub use condition::{Condition, Criteria};
pub use distribution::{Distribution, Receiver};
pub use explain::{Clause, ClauseKind, RuleExplanation, explain};
pub use lead::{Lead, LeadNames, lead_names};
pub use plan::{PlannedMove, Planner};
pub use predict::{Order, Prediction, Scope, predict};
pub use record::{RecordFilter, TransferRecord, records};
pub use rule::{DayRange, Rule, RuleConditions, RuleUser, Strategy, find_rule, rules};
pub use rule_error::RuleError;
pub use rule_save::{RuleDraft, create_rule, delete_rule, replace_rule, set_enabled};
pub use run::{NewRun, Origin, Run, RunStatus, enqueue_run, find_run, runs};
pub(crate) use runner::Watch;
pub use runner::{RunError, Runner, schedule};
pub use statistics::{
    RuleCount, Statistics, UserRule, UserStatistics, statistics, user_statistics,
};
pub use window::{TimeOfDay, Window};

/// The most leads of a rule in a run that somebody starts.
pub const LEADS_MAX: i32 = 1_000;
