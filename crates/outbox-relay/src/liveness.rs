use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A relay that could not renew its heartbeat for this long stops sending by itself. The others
/// take it for dead after five seconds of silence; until then it has stopped.
const SENDS_WITHIN: Duration = Duration::from_secs(3);

/// Whether this relay may still believe in its leases. Measured on the monotonic clock, so that a
/// process that was frozen finds out when it wakes.
#[derive(Debug)]
pub(crate) struct Liveness {
    renewed_at: Mutex<Instant>,
}

impl Liveness {
    /// Alive as of now: the relay has just been registered.
    pub(crate) fn new() -> Self {
        Self {
            renewed_at: Mutex::new(Instant::now()),
        }
    }

    /// The heartbeat that was **begun** at this instant has been written.
    pub(crate) fn renewed(&self, begun_at: Instant) {
        *self
            .renewed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = begun_at;
    }

    /// Whether a send may begin.
    pub(crate) fn may_send(&self) -> bool {
        self.renewed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
            < SENDS_WITHIN
    }
}
