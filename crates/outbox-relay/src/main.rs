//! The relay, and the operators' command line.

use std::process::ExitCode;
use std::time::Duration;

use outbox_relay::cli;
use shared::command_line::settings_of_this_process;
use tokio::runtime;

/// Every message and request takes hundreds of small pieces of memory; see docs/PERFORMANCE.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long to wait, at the end, for what is still running on other threads: a connection that is
/// being tried holds nothing worth keeping.
const THREADS_WAIT_MAX: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the last word to whoever started it")]
            {
                eprintln!("outbox-relay: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let settings = settings_of_this_process();
    // One thread for everything but the database: what passes from task to task then wakes nobody.
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(cli::run(settings));
    runtime.shutdown_timeout(THREADS_WAIT_MAX);
    done
}
