//! What a process has used, as Linux tells it in `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// What the fields of `/proc/<pid>/stat` count in, on every architecture Linux knows.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// Processor time of all its threads.
    pub cpu: Duration,
    /// Memory it has now, in bytes.
    pub memory: u64,
    /// The most memory it ever had, in bytes.
    pub memory_peak: u64,
}

/// What the process of this id has used so far.
///
/// # Errors
/// If there is no such process, or no `/proc`.
pub fn usage(pid: u32) -> anyhow::Result<Usage> {
    let stat = read(pid, "stat")?;
    let status = read(pid, "status")?;
    let times = Times::of(&stat).with_context(|| format!("/proc/{pid}/stat: {stat}"))?;
    Ok(Usage {
        cpu: ticks(times.own),
        memory: kibibytes(&status, "VmRSS:").unwrap_or(0) * 1_024,
        memory_peak: kibibytes(&status, "VmHWM:").unwrap_or(0) * 1_024,
    })
}

/// Processor time of a process, of those it started, and of those of them that have ended.
///
/// # Errors
/// If there is no such process, or no `/proc`.
pub fn family_cpu(pid: u32) -> anyhow::Result<Duration> {
    let parent = Times::of(&read(pid, "stat")?).context("/proc/<pid>/stat")?;
    let mut total = parent.own + parent.ended_children;
    for entry in fs::read_dir("/proc").context("there is no /proc: the bench needs Linux")? {
        let name = entry?.file_name();
        let Some(child) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that has ended meanwhile is counted by its parent the next time.
        if let Ok(stat) = read(child, "stat")
            && let Some(times) = Times::of(&stat)
            && times.parent == pid
        {
            total += times.own + times.ended_children;
        }
    }
    Ok(ticks(total))
}

/// The process that started this one.
///
/// # Errors
/// If there is no such process, or no `/proc`.
pub fn parent(pid: u32) -> anyhow::Result<u32> {
    let stat = read(pid, "stat")?;
    Ok(Times::of(&stat).context("/proc/<pid>/stat")?.parent)
}

/// What a process calls itself; empty if there is none.
pub fn name(pid: u32) -> String {
    read(pid, "comm").map_or_else(|_| String::new(), |name| name.trim().to_owned())
}

fn read(pid: u32, file: &str) -> anyhow::Result<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).with_context(|| format!("{path}: the bench needs Linux"))
}

/// Of one line of `stat`, in ticks.
#[derive(Debug, PartialEq, Eq)]
struct Times {
    parent: u32,
    own: u64,
    ended_children: u64,
}

impl Times {
    fn of(stat: &str) -> Option<Self> {
        // The name in parentheses may have blanks and parentheses in it; what follows has none.
        let (_, after_name) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: number(11)? + number(12)?,
            ended_children: number(13)? + number(14)?,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer ticks than 2^53")]
fn ticks(count: u64) -> Duration {
    Duration::from_secs_f64(count as f64 / TICKS_PER_SECOND)
}

fn kibibytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_whatever_the_process_is_called() {
        let stat = "4242 (a (b) c) S 17 4242 4242 0 -1 4194304 880 0 0 0 250 50 7 3 20 0 5 0 99 1";
        let expected = Times {
            parent: 17,
            own: 300,
            ended_children: 10,
        };
        assert_eq!(Times::of(stat), Some(expected));
        assert_eq!(ticks(300), Duration::from_secs(3));
        assert_eq!(Times::of("4242 (short) S 1"), None);
        assert_eq!(Times::of(""), None);
    }

    #[test]
    fn memory_is_read_from_its_line() {
        let status = "Name:\tx\nVmPeak:\t  900 kB\nVmHWM:\t   12345 kB\nVmRSS:\t     678 kB\n";
        assert_eq!(kibibytes(status, "VmHWM:"), Some(12_345));
        assert_eq!(kibibytes(status, "VmRSS:"), Some(678));
        assert_eq!(kibibytes(status, "VmSwap:"), None);
    }

    #[test]
    fn this_process_has_used_something() {
        let own = std::process::id();
        let used = usage(own).unwrap();
        assert!(used.memory > 0 && used.memory_peak >= used.memory);
        assert!(family_cpu(parent(own).unwrap()).is_ok());
        assert!(!name(own).is_empty());
    }
}
