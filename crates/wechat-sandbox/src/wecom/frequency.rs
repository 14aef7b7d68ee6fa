//! How often something may happen.

use std::collections::VecDeque;

use crate::clock::Timestamp;

/// At most this often in any stretch of so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) most: usize,
    pub(crate) seconds: u64,
}

/// One member gets no more than this from one app; the platform drops the rest silently.
pub(crate) const PER_MEMBER: &[Limit] = &[
    Limit {
        most: 30,
        seconds: 60,
    },
    Limit {
        most: 1_000,
        seconds: 3_600,
    },
];

/// One robot sends no more than this; the platform refuses the rest.
pub(crate) const PER_ROBOT: &[Limit] = &[Limit {
    most: 20,
    seconds: 60,
}];

/// One company makes no more than this many calls of one endpoint; sending is not counted.
pub(crate) const PER_COMPANY: &[Limit] = &[
    Limit {
        most: 10_000,
        seconds: 60,
    },
    Limit {
        most: 150_000,
        seconds: 3_600,
    },
];

/// What has happened within the longest of some limits. Stretches slide: the platform does not
/// publish where its own begin.
#[derive(Debug)]
pub(crate) struct Frequency {
    limits: &'static [Limit],
    passed: VecDeque<Timestamp>,
    blocked_until: Option<Timestamp>,
}

impl Frequency {
    pub(crate) const fn new(limits: &'static [Limit]) -> Self {
        Self {
            limits,
            passed: VecDeque::new(),
            blocked_until: None,
        }
    }

    /// Counts one more; `false`, and nothing counted, when a limit is reached.
    pub(crate) fn admit(&mut self, now: Timestamp) -> bool {
        let breached = self.breached(now);
        if breached.is_none() {
            self.passed.push_back(now);
        }
        breached.is_none()
    }

    /// The same, but whoever reaches a limit is kept out for as long as its stretch.
    pub(crate) fn admit_or_block(&mut self, now: Timestamp) -> bool {
        if self.blocked_until.is_some_and(|until| now < until) {
            return false;
        }
        self.blocked_until = self
            .breached(now)
            .map(|limit| now.plus_seconds(limit.seconds));
        if self.blocked_until.is_none() {
            self.passed.push_back(now);
        }
        self.blocked_until.is_none()
    }

    fn breached(&mut self, now: Timestamp) -> Option<Limit> {
        let longest = self.limits.iter().map(|limit| limit.seconds).max()?;
        while self
            .passed
            .front()
            .is_some_and(|at| at.plus_seconds(longest) <= now)
        {
            self.passed.pop_front();
        }
        self.limits
            .iter()
            .find(|limit| {
                let over = self
                    .passed
                    .partition_point(|at| at.plus_seconds(limit.seconds) <= now);
                self.passed.len() - over >= limit.most
            })
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_729_650_000);
    const LIMITS: &[Limit] = &[
        Limit {
            most: 2,
            seconds: 60,
        },
        Limit {
            most: 3,
            seconds: 3_600,
        },
    ];

    #[test]
    fn every_limit_holds_in_any_stretch_of_its_length() {
        let mut frequency = Frequency::new(LIMITS);
        for (after, admitted) in [
            (0, true),
            (30, true),
            (59, false),
            (60, true),
            (120, false),
            (3_599, false),
            (3_600, true),
        ] {
            let now = START.plus_seconds(after);
            assert_eq!(frequency.admit(now), admitted, "after {after} s");
        }
    }

    #[test]
    fn a_breach_blocks_for_as_long_as_the_stretch() {
        let mut frequency = Frequency::new(LIMITS);
        for (after, admitted) in [
            (0, true),
            (1, true),
            (50, false),
            (70, false),
            (109, false),
            (110, true),
        ] {
            let now = START.plus_seconds(after);
            assert_eq!(frequency.admit_or_block(now), admitted, "after {after} s");
        }
    }
}
