//! What the bench can be told.

use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use shared::command_line::DatabaseUrlParser;
use shared::db::DatabaseUrl;

/// Measures the real programs, built for release, against limits measured in the same run: how fast
/// they are beside the fastest that this machine could do. Linux only.
#[derive(Debug, Parser)]
#[command(name = "bench")]
pub struct Arguments {
    /// The database to measure on: a PostgreSQL, in which a schema is made and dropped again, or
    /// sqlite:<file>, beside which a file is made and deleted again; without it a new SQLite file
    /// below the folder of the build
    // The variable that scripts/with-postgres sets; never DATABASE_URL, which may be a real one.
    #[arg(long, global = true, env = "TEST_POSTGRES_URL", hide_env_values = true, value_parser = DatabaseUrlParser)]
    pub database_url: Option<DatabaseUrl>,

    /// What to measure
    #[command(subcommand)]
    pub measure: Measure,
}

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum Measure {
    /// How fast waiting messages go out, beside a loop that only sends
    Drain(Drain),
    /// How long after a commit the message is on the wire, while nothing else happens
    Latency(Latency),
    /// How many assignments a second the API takes, beside the same statements without it
    Api(Api),
    /// How long the list of customers takes beside a million others
    Customers(Customers),
    /// How fast urgent messages go out past a million others, beside an empty table
    Backlog(Backlog),
    /// What a relay costs while there is nothing to do
    Idle(Idle),
    /// What becomes of speed and storage under a steady load
    Soak(Soak),
    /// How long leads take to move on by rule, and how long others wait for them meanwhile
    Transfer(Transfer),
    /// What capturing members adds to each row that another program inserts
    Trigger(Trigger),
    /// How long the questions of the notification centre take beside a million entries
    Inbox(Inbox),
    /// What open sockets cost, and how soon news of another process arrives on them
    Sockets(Sockets),
}

impl Measure {
    /// Whether the programs of this workspace take part, and not the database alone.
    pub fn runs_programs(&self) -> bool {
        match self {
            Self::Drain(_)
            | Self::Latency(_)
            | Self::Api(_)
            | Self::Customers(_)
            | Self::Backlog(_)
            | Self::Idle(_)
            | Self::Soak(_)
            | Self::Transfer(_)
            | Self::Sockets(_) => true,
            Self::Trigger(_) | Self::Inbox(_) => false,
        }
    }
}

// The structs below have no doc comments: they would take the place of those above in the help.

#[derive(Debug, Clone, Args)]
pub struct Relays {
    /// How many relays
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub relays: u32,

    /// A setting for the relays, once for each: --relay-flag=--poll-interval=5s
    #[arg(long = "relay-flag", value_name = "FLAG", allow_hyphen_values = true)]
    pub relay_flags: Vec<String>,
}

#[derive(Debug, Clone, Args)]
pub struct Delivery {
    /// How many messages
    #[arg(long, default_value_t = 20_000, value_parser = at_least_one)]
    pub rows: usize,

    /// How many messages each relay has in hand at once (its CONCURRENCY), and the loop beside it
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub in_flight: u32,

    /// To how many people, in turn: one person gets one message at a time
    #[arg(long, default_value_t = 5_000, value_parser = at_least_one)]
    pub recipients: usize,

    /// How long the platform takes for an answer: 20ms
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    pub delay: Duration,

    /// Also print what the relay's statements cost and the slowest plan of each: for a PostgreSQL
    /// that writes its log into its data folder and whose user may read it, as
    /// scripts/with-postgres starts one
    #[arg(long)]
    pub explain: bool,

    #[command(flatten)]
    pub relays: Relays,
}

#[derive(Debug, Args)]
pub struct Drain {
    #[command(flatten)]
    pub delivery: Delivery,

    /// What PostgreSQL knows of the table: its plans must not depend on luck
    #[arg(long, value_enum, default_value_t = Statistics::Fresh)]
    pub statistics: Statistics,
}

/// What a database server knows of a table when it plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Statistics {
    /// As autovacuum leaves it
    Fresh,
    /// Nothing yet: the burst came faster than autovacuum
    Missing,
}

#[derive(Debug, Args)]
pub struct Backlog {
    #[command(flatten)]
    pub delivery: Delivery,

    /// How many other messages wait: half of them for their time, tomorrow, the others for their
    /// turn, with the lowest priority
    #[arg(long, default_value_t = 1_000_000)]
    pub waiting: usize,

    /// How many messages have been sent before
    #[arg(long, default_value_t = 1_000_000)]
    pub finished: usize,
}

#[derive(Debug, Args)]
pub struct Latency {
    /// How many messages
    #[arg(long, default_value_t = 2_000, value_parser = at_least_one)]
    pub samples: usize,

    #[command(flatten)]
    pub relays: Relays,
}

#[derive(Debug, Args)]
pub struct Api {
    /// How many clients ask at the same time
    #[arg(long, default_value_t = 64, value_parser = at_least_one)]
    pub clients: usize,

    /// How many connections have the same statements without the API, on PostgreSQL
    #[arg(long, default_value_t = 16, value_parser = at_least_one)]
    pub connections: usize,

    /// For how long each is measured
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub seconds: u64,

    /// A setting for the API, once for each: --api-flag=--workers=4
    #[arg(long = "api-flag", value_name = "FLAG", allow_hyphen_values = true)]
    pub api_flags: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Customers {
    /// How many customers there are
    #[arg(long, default_value_t = 1_000_000, value_parser = at_least_one)]
    pub customers: usize,

    /// How often each question is asked
    #[arg(long, default_value_t = 20, value_parser = at_least_one)]
    pub times: usize,

    /// Also print how the server finds the customers; as for drain
    #[arg(long)]
    pub explain: bool,
}

#[derive(Debug, Args)]
pub struct Idle {
    /// How many messages wait for their time, tomorrow
    #[arg(long, default_value_t = 0)]
    pub waiting: usize,

    /// For how long
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,

    #[command(flatten)]
    pub relays: Relays,
}

#[derive(Debug, Args)]
pub struct Soak {
    /// For how long
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub minutes: u64,

    /// How many messages a second are enqueued, each in a transaction of its own
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub rate: u64,

    /// To how many people, in turn
    #[arg(long, default_value_t = 5_000, value_parser = at_least_one)]
    pub recipients: usize,

    /// How long the platform takes for an answer
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    pub delay: Duration,

    #[command(flatten)]
    pub relays: Relays,
}

#[derive(Debug, Args)]
pub struct Transfer {
    /// How many leads
    #[arg(long, default_value_t = 100_000, value_parser = at_least_one)]
    pub leads: usize,

    /// By how many rules, each with people of its own
    #[arg(long, default_value_t = 10, value_parser = at_least_one)]
    pub rules: usize,
}

#[derive(Debug, Args)]
pub struct Trigger {
    /// How many members one statement inserts
    #[arg(long, default_value_t = 10_000, value_parser = at_least_one)]
    pub rows: usize,

    /// How many are inserted one by one, each with a commit of its own
    #[arg(long, default_value_t = 1_000, value_parser = at_least_one)]
    pub singles: usize,
}

#[derive(Debug, Args)]
pub struct Inbox {
    /// How many entries there are
    #[arg(long, default_value_t = 1_000_000, value_parser = at_least_one)]
    pub entries: usize,

    /// Of how many people, in turn
    #[arg(long, default_value_t = 1_000, value_parser = at_least_one)]
    pub people: usize,

    /// How often each question is asked, of one after the other
    #[arg(long, default_value_t = 200, value_parser = at_least_one)]
    pub samples: usize,
}

#[derive(Debug, Args)]
pub struct Sockets {
    /// How many sockets, each of somebody else
    #[arg(long, default_value_t = 5_000, value_parser = at_least_one)]
    pub sockets: usize,

    /// How many entries are written one by one, to measure how soon each arrives
    #[arg(long, default_value_t = 500, value_parser = at_least_one)]
    pub samples: usize,

    /// A setting for the API, once for each: --api-flag=--workers=4
    #[arg(long = "api-flag", value_name = "FLAG", allow_hyphen_values = true)]
    pub api_flags: Vec<String>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("must be a number above zero".to_owned()),
        Ok(number) => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
        let parsed = |arguments: &[&str]| Arguments::try_parse_from(arguments);
        assert!(parsed(&["bench", "drain", "--delay", "20ms", "--in-flight", "256"]).is_ok());
        assert!(parsed(&["bench", "drain", "--relay-flag=--poll-interval=5s"]).is_ok());
        assert!(parsed(&["bench", "drain", "--recipients", "0"]).is_err());
    }
}
