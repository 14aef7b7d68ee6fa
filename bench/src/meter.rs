//! What each process uses while something is measured.

use std::time::Duration;

use crate::figures::{ratio, show_bytes, show_duration, to_float};
use crate::process::{self, Usage};
use crate::program::Program;
use crate::server::Server;
use crate::stage::Stage;
use crate::table;

/// Reads what the programs, the database server and the bench itself use.
pub struct Meter {
    server: Option<Server>,
    programs_before: Vec<Duration>,
    server_before: Option<Duration>,
    bench_before: Duration,
}

/// What one of them has used.
pub struct Used {
    /// Which.
    pub name: String,
    /// Processor time since the meter was started; memory as it is now, zero where it says nothing.
    pub usage: Usage,
}

impl Meter {
    /// Begins. Programs that are started later have used nothing yet.
    ///
    /// # Errors
    /// If one of the programs does not run.
    pub fn start(stage: &Stage, running: &[Program]) -> anyhow::Result<Self> {
        let server = Server::of(stage.url())?;
        let programs_before = running
            .iter()
            .map(|program| Ok(program.usage()?.cpu))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            programs_before,
            server_before: server.as_ref().and_then(Server::cpu),
            bench_before: process::usage(std::process::id())?.cpu,
            server,
        })
    }

    /// What was used since the start; the programs in the same order.
    ///
    /// # Errors
    /// If one of the programs does not run any more.
    pub fn read(&self, programs: &[Program]) -> anyhow::Result<Vec<Used>> {
        let mut read = Vec::new();
        for (number, program) in programs.iter().enumerate() {
            let before = self.programs_before.get(number).copied();
            read.push(Used {
                name: program.name().to_owned(),
                usage: since(program.usage()?, before.unwrap_or_default()),
            });
        }
        if let Some(before) = self.server_before
            && let Some(cpu) = self.server.as_ref().and_then(Server::cpu)
        {
            // Its processes share memory; a sum would count that many times.
            let usage = Usage {
                cpu,
                ..Usage::default()
            };
            read.push(Used {
                name: "PostgreSQL, all processes".to_owned(),
                usage: since(usage, before),
            });
        }
        read.push(Used {
            name: "bench (platform, clients)".to_owned(),
            usage: since(process::usage(std::process::id())?, self.bench_before),
        });
        Ok(read)
    }
}

fn since(usage: Usage, before: Duration) -> Usage {
    Usage {
        cpu: usage.cpu.saturating_sub(before),
        ..usage
    }
}

/// Prints what each has used for so many messages.
pub fn print_for(used: &[Used], messages: usize) {
    let rows = used.iter().map(|used| {
        let cpu = used.usage.cpu;
        let each = ratio(cpu.as_secs_f64() * 1e6, to_float(messages));
        [
            used.name.clone(),
            show_duration(cpu),
            format!("{each:.1} µs"),
            memory(used.usage.memory_peak),
        ]
    });
    table::print(["process", "CPU", "CPU for each", "peak memory"], rows);
}

/// Prints what share of a core each has used in this time.
pub fn print_over(used: &[Used], time: Duration) {
    let rows = used.iter().map(|used| {
        let share = ratio(used.usage.cpu.as_secs_f64(), time.as_secs_f64());
        [
            used.name.clone(),
            format!("{:.2} % of a core", share * 100.0),
            memory(used.usage.memory),
            memory(used.usage.memory_peak),
        ]
    });
    table::print(["process", "CPU", "memory", "peak memory"], rows);
}

fn memory(bytes: u64) -> String {
    match bytes {
        0 => "-".to_owned(),
        bytes => show_bytes(bytes),
    }
}
