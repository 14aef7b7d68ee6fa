//! Time as an argument.
//!
//! Nothing below the services reads a clock: whoever compares or stores a moment is handed `now`.
//! In production `now` is the **database's** time, so that processes whose clocks differ agree on
//! what is due and whose lease is over.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;

use crate::domain::UtcTimestamp;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> UtcTimestamp;
}

/// This machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UtcTimestamp {
        Utc::now().into()
    }
}

/// The database's time, sampled now and then, plus the monotonic time since the last sample.
#[derive(Debug, Clone)]
pub struct DatabaseClock {
    sample: Arc<Mutex<Sample>>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    database_time: UtcTimestamp,
    taken_at: Instant,
}

impl DatabaseClock {
    /// A clock that starts from the database's time as read just now.
    pub fn new(database_time: UtcTimestamp) -> Self {
        let sample = Sample {
            database_time,
            taken_at: Instant::now(),
        };
        Self {
            sample: Arc::new(Mutex::new(sample)),
        }
    }

    /// Takes over the database's time as read just now.
    pub fn set(&self, database_time: UtcTimestamp) {
        *self.sample.lock().unwrap_or_else(PoisonError::into_inner) = Sample {
            database_time,
            taken_at: Instant::now(),
        };
    }
}

impl Clock for DatabaseClock {
    fn now(&self) -> UtcTimestamp {
        let sample = *self.sample.lock().unwrap_or_else(PoisonError::into_inner);
        sample.database_time.after(sample.taken_at.elapsed())
    }
}

/// A clock that stands still until it is moved. For tests.
#[derive(Debug, Clone)]
pub struct ManualClock {
    now: Arc<Mutex<UtcTimestamp>>,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: UtcTimestamp) -> Self {
        Self {
            now: Arc::new(Mutex::new(now)),
        }
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.after(by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UtcTimestamp {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
