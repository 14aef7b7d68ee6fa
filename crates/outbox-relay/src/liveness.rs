use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A relay that could not renew its heartbeat for this long stops sending by itself. The others
/// take it for dead after four seconds of silence; until then it has stopped.
const SENDS_WITHIN: Duration = Duration::from_secs(3);

/// Whether this relay may still believe in its leases. Measured on the monotonic clock, so that a
/// process that was frozen finds out when it wakes.
#[derive(Debug)]
pub(crate) struct Liveness {
    heartbeats: Mutex<Heartbeats>,
}

#[derive(Debug, Clone, Copy)]
struct Heartbeats {
    renewed_at: Instant,
    /// Since when none has been missing. What was claimed before may have been taken back and given
    /// to another meanwhile, however alive this relay is again.
    unbroken_since: Instant,
}

impl Liveness {
    /// Alive as of now: the relay has just been registered.
    pub(crate) fn new() -> Self {
        Self::since(Instant::now())
    }

    fn since(now: Instant) -> Self {
        let heartbeats = Heartbeats {
            renewed_at: now,
            unbroken_since: now,
        };
        Self {
            heartbeats: Mutex::new(heartbeats),
        }
    }

    /// The heartbeat that was **begun** at this instant has been written.
    pub(crate) fn renewed(&self, begun_at: Instant) {
        let mut heartbeats = self.lock();
        if begun_at.duration_since(heartbeats.renewed_at) >= SENDS_WITHIN {
            heartbeats.unbroken_since = begun_at;
        }
        heartbeats.renewed_at = begun_at;
    }

    /// Whether a claim may begin.
    pub(crate) fn may_claim(&self) -> bool {
        self.lock().renewed_at.elapsed() < SENDS_WITHIN
    }

    /// Whether the send of a message may begin whose claim began at this instant.
    pub(crate) fn may_send(&self, claimed_at: Instant) -> bool {
        self.may_claim() && claimed_at >= self.lock().unbroken_since
    }

    fn lock(&self) -> MutexGuard<'_, Heartbeats> {
        self.heartbeats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_claimed_before_a_gap_is_not_sent_after_it() {
        let now = Instant::now();
        let ago = |seconds| now.checked_sub(Duration::from_secs(seconds)).unwrap();
        let liveness = Liveness::since(ago(20));
        for beat in [19, 18, 17] {
            liveness.renewed(ago(beat));
        }
        assert!(!liveness.may_send(ago(17)), "nothing was heard for 17 s");
        liveness.renewed(ago(2));
        assert!(liveness.may_claim());
        for (claimed, sent) in [(18, false), (3, false), (2, true), (0, true)] {
            assert_eq!(liveness.may_send(ago(claimed)), sent, "{claimed} s ago");
        }
        liveness.renewed(ago(1));
        assert!(liveness.may_send(ago(2)), "no beat was missing since");
    }
}
