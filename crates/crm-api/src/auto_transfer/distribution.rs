use std::cmp::Reverse;

use shared::domain::UserId;

use super::rule::Strategy;

/// Somebody who may get leads in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiver {
    /// Who.
    pub user: UserId,
    /// How many more leads they had given than got before the run.
    pub balance: i32,
    /// How many they have got in the run.
    pub received: u32,
}

/// Who gets the next lead of a run: a decision at a time, from nothing but what is handed in. The
/// same leads in the same order give the same answers, which is why a prediction comes true.
#[derive(Debug, Clone)]
pub struct Distribution {
    strategy: Strategy,
    /// For round robin in the order of their turns.
    receivers: Vec<Receiver>,
    seed: u64,
}

impl Distribution {
    /// Over these people, in the order in which the rule names them. Round robin begins behind
    /// `last_receiver`; the seed decides between people who are alike.
    pub fn new(
        strategy: Strategy,
        mut receivers: Vec<Receiver>,
        last_receiver: Option<&UserId>,
        seed: u64,
    ) -> Self {
        let last = last_receiver
            .and_then(|last| receivers.iter().position(|receiver| receiver.user == *last));
        if let Some(last) = last {
            receivers.rotate_left(last + 1);
        }
        Self {
            strategy,
            receivers,
            seed,
        }
    }

    /// Gives a lead to somebody who may have it; to nobody if there is none.
    ///
    /// Balanced: to whoever has got the fewest in this run, among these to whoever had given most
    /// before, among these by chance. So nobody who might have had a lead has got more than one lead
    /// less than whoever got it. Round robin: to whoever has waited longest.
    pub fn give(&mut self, may_have_it: impl Fn(&UserId) -> bool) -> Option<UserId> {
        let able = self
            .receivers
            .iter()
            .enumerate()
            .filter(|(_, receiver)| may_have_it(&receiver.user));
        let (chosen, _) = match self.strategy {
            Strategy::Balanced => able.min_by_key(|(_, receiver)| {
                let chance = scramble(self.seed, receiver.user.as_str());
                (receiver.received, Reverse(receiver.balance), chance)
            }),
            Strategy::RoundRobin => able.into_iter().next(),
        }?;
        self.receivers[chosen].received += 1;
        let user = self.receivers[chosen].user.clone();
        if self.strategy == Strategy::RoundRobin {
            let receiver = self.receivers.remove(chosen);
            self.receivers.push(receiver);
        }
        Some(user)
    }
}

/// A number that depends on both and on nothing else (FNV-1a, then mixed): the same in every process
/// and release.
pub(super) fn scramble(seed: u64, text: &str) -> u64 {
    let mut hash = seed ^ 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    fn receivers(balances: &[i32]) -> Vec<Receiver> {
        let receivers = balances.iter().map(|&balance| Receiver {
            user: UserId::generate(),
            balance,
            received: 0,
        });
        receivers.collect()
    }

    fn counts(given: &[UserId]) -> HashMap<&UserId, usize> {
        let mut counts = HashMap::new();
        for user in given {
            *counts.entry(user).or_default() += 1;
        }
        counts
    }

    fn distributions(people: &[Receiver], seed: u64) -> [Distribution; 2] {
        [Strategy::Balanced, Strategy::RoundRobin]
            .map(|strategy| Distribution::new(strategy, people.to_vec(), None, seed))
    }

    #[test]
    fn everybody_gets_as_many_within_one() {
        for people in 1..9 {
            for leads in 0..40 {
                let people = receivers(&(0..people).map(|n| n * 7 % 5 - 2).collect::<Vec<_>>());
                for mut distribution in distributions(&people, leads) {
                    let given: Vec<UserId> = (0..leads)
                        .map(|_| distribution.give(|_| true).unwrap())
                        .collect();
                    let counts = counts(&given);
                    let of = |person: &Receiver| counts.get(&person.user).copied().unwrap_or(0);
                    let (least, most) = (people.iter().map(of).min(), people.iter().map(of).max());
                    assert!(
                        most.unwrap() - least.unwrap() <= 1,
                        "{leads} leads: {counts:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn nobody_who_might_have_had_a_lead_has_got_less_than_one_less() {
        // Some may not have some leads: who, is spread by the same arithmetic as chance.
        for seed in 0..50 {
            let people = receivers(&[3, -1, 0, 0, 5, 2]);
            let mut distribution =
                Distribution::new(Strategy::Balanced, people.clone(), None, seed);
            let mut got: HashMap<UserId, u32> = HashMap::new();
            for lead in 0..100 {
                let barred: HashSet<&UserId> = people
                    .iter()
                    .map(|person| &person.user)
                    .filter(|user| scramble(seed * 1_000 + lead, user.as_str()).is_multiple_of(3))
                    .collect();
                let chosen = distribution.give(|user| !barred.contains(user));
                let Some(chosen) = chosen else {
                    assert_eq!(barred.len(), people.len());
                    continue;
                };
                assert!(!barred.contains(&chosen));
                let had = got.get(&chosen).copied().unwrap_or(0);
                for person in people
                    .iter()
                    .filter(|person| !barred.contains(&person.user))
                {
                    assert!(got.get(&person.user).copied().unwrap_or(0) >= had);
                }
                *got.entry(chosen).or_default() += 1;
            }
        }
    }

    #[test]
    fn who_has_given_more_gets_what_is_over() {
        let people = receivers(&[0, 4, -3]);
        let mut distribution = Distribution::new(Strategy::Balanced, people.clone(), None, 1);
        let given: Vec<UserId> = (0..4)
            .map(|_| distribution.give(|_| true).unwrap())
            .collect();
        let [even, giver, taker] = [0, 1, 2].map(|n: usize| people[n].user.clone());
        assert_eq!(given, [giver.clone(), even, taker, giver]);
    }

    #[test]
    fn chance_decides_between_equals_and_decides_the_same_again() {
        let people = receivers(&[0; 5]);
        let firsts: HashSet<UserId> = (0..40)
            .map(|seed| {
                let [mut one, _] = distributions(&people, seed);
                let [mut other, _] = distributions(&people, seed);
                let first = one.give(|_| true).unwrap();
                assert_eq!(other.give(|_| true), Some(first.clone()));
                first
            })
            .collect();
        assert_eq!(firsts.len(), people.len());
    }

    #[test]
    fn round_robin_goes_on_behind_whoever_was_last_and_waits_for_nobody() {
        let people = receivers(&[0, 0, 0]);
        let [a, b, c] = [0, 1, 2].map(|n: usize| people[n].user.clone());
        let mut distribution = Distribution::new(Strategy::RoundRobin, people, Some(&a), 0);
        assert_eq!(distribution.give(|_| true), Some(b.clone()));
        // Whoever may not have a lead keeps their turn for the next one.
        assert_eq!(distribution.give(|user| *user != c), Some(a.clone()));
        assert_eq!(distribution.give(|_| true), Some(c));
        assert_eq!(distribution.give(|_| true), Some(b));
        assert_eq!(distribution.give(|_| false), None);
        assert_eq!(distribution.give(|_| true), Some(a));
    }
}
