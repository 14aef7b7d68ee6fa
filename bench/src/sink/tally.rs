//! What has arrived at the sink.

use std::fmt;
use std::time::{Duration, Instant};

/// Counts messages by their number.
#[derive(Debug, Default)]
pub struct Tally {
    arrivals: Vec<Arrivals>,
    distinct: usize,
    requests: usize,
    strangers: usize,
    first_request: Option<Instant>,
    last_answer: Option<Instant>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Arrivals {
    count: u32,
    first: Option<Instant>,
}

/// What arrived, compared with what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Messages that arrived at least once.
    pub arrived: usize,
    /// Arrivals beyond the first of each message.
    pub duplicates: usize,
    /// Messages that did not arrive.
    pub losses: usize,
    /// Messages that nobody has sent.
    pub strangers: usize,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            arrived,
            duplicates,
            losses,
            strangers,
        } = self;
        write!(
            f,
            "at the sink: {arrived} arrived, {duplicates} duplicates, {losses} losses, {strangers} others"
        )
    }
}

impl Tally {
    /// A message has arrived.
    pub fn arrive(&mut self, number: Option<usize>, at: Instant) {
        self.requests += 1;
        self.first_request.get_or_insert(at);
        let Some(number) = number else {
            self.strangers += 1;
            return;
        };
        if number >= self.arrivals.len() {
            self.arrivals.resize(number + 1, Arrivals::default());
        }
        let arrivals = &mut self.arrivals[number];
        arrivals.count += 1;
        if arrivals.first.is_none() {
            arrivals.first = Some(at);
            self.distinct += 1;
        }
    }

    /// A message has been answered.
    pub fn answer(&mut self, at: Instant) {
        self.last_answer = Some(at);
    }

    /// How many different messages have arrived.
    pub fn distinct(&self) -> usize {
        self.distinct
    }

    /// How many messages have arrived, each as often as it came.
    pub fn requests(&self) -> usize {
        self.requests
    }

    /// When a message arrived for the first time.
    pub fn first_arrival(&self, number: usize) -> Option<Instant> {
        self.arrivals.get(number)?.first
    }

    /// When the first message arrived.
    pub fn first_request(&self) -> Option<Instant> {
        self.first_request
    }

    /// From the first message to the last answer.
    pub fn span(&self) -> Duration {
        match (self.first_request, self.last_answer) {
            (Some(first), Some(last)) => last.saturating_duration_since(first),
            _ => Duration::ZERO,
        }
    }

    /// Compares with the messages of these numbers; others are strangers.
    pub fn count(&self, sent: std::ops::Range<usize>) -> Count {
        let mut count = Count {
            arrived: 0,
            duplicates: 0,
            losses: 0,
            strangers: self.strangers,
        };
        for (number, arrivals) in self.arrivals.iter().enumerate() {
            let times = arrivals.count as usize;
            if !sent.contains(&number) {
                count.strangers += times;
            } else if times > 0 {
                count.arrived += 1;
                count.duplicates += times - 1;
            }
        }
        count.losses = sent.len() - count.arrived;
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_losses_and_strangers_are_told_apart() {
        let now = Instant::now();
        let mut tally = Tally::default();
        for number in [Some(3), Some(0), Some(3), Some(3), Some(9), None] {
            tally.arrive(number, now);
        }
        assert_eq!((tally.requests(), tally.distinct()), (6, 3));
        let expected = Count {
            arrived: 2,
            duplicates: 2,
            losses: 2,
            strangers: 2,
        };
        assert_eq!(tally.count(0..4), expected);
    }

    #[test]
    fn the_span_reaches_from_the_first_request_to_the_last_answer() {
        let began = Instant::now();
        let at = |milliseconds| began + Duration::from_millis(milliseconds);
        let mut tally = Tally::default();
        assert_eq!(tally.span(), Duration::ZERO);
        tally.arrive(Some(0), at(5));
        tally.arrive(Some(1), at(6));
        tally.answer(at(25));
        tally.answer(at(26));
        assert_eq!(tally.span(), Duration::from_millis(21));
        assert_eq!(tally.first_arrival(1), Some(at(6)));
        assert_eq!(tally.first_arrival(2), None);
    }
}
