use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::domain::{RecipientId, UtcTimestamp};
use shared::outbox::RecipientLimit;
use wechat::wecom::EVERYBODY;

/// Keeps what each member is given below what the platform shows them, because it drops the rest
/// without a word.
///
/// It counts by member, not by recipient: a member may be reached by themselves, among others, and
/// with everybody. A message counts from its claim on, and for as long as the window lasts after its
/// answer: whatever it took to arrive, the platform never counts more in one window than is counted
/// here. The time is an argument.
///
/// Each of several relays takes an equal part. What others have sent, or this one before its last start,
/// it is told: at first, and whenever there are more relays or fewer, because then the parts change.
#[derive(Debug)]
pub(crate) struct RecipientPace {
    limit: RecipientLimit,
    counted: Arc<Mutex<Counted>>,
}

/// Whom a message reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Members {
    /// Everybody there is.
    Everybody,
    /// These, as the platform writes them.
    These(Vec<String>),
}

/// Whether a claimed message may go out.
#[derive(Debug)]
pub(crate) enum Admission {
    /// Nobody counts the messages of its channel.
    Uncounted,
    /// It may, and counts.
    Turn(Turn),
    /// Its recipient has had their share. It is given back, and nothing more is claimed for them
    /// until it could go out.
    TurnedAway,
}

/// The turn of one message. It stops counting when it is dropped, unless it was used.
#[derive(Debug)]
pub(crate) struct Turn {
    members: Members,
    counted: Arc<Mutex<Counted>>,
    used_at: Option<UtcTimestamp>,
}

#[derive(Debug, Default)]
struct Counted {
    everybody: Given,
    members: HashMap<String, Given>,
    turned_away: HashMap<RecipientId, Members>,
    tidied_at: Option<UtcTimestamp>,
    /// Among how many relays it was told last what was sent.
    told_among: Option<usize>,
}

/// What was given to a member, or to everybody.
#[derive(Debug, Default)]
struct Given {
    under_way: usize,
    /// Oldest first.
    at: VecDeque<UtcTimestamp>,
}

/// So many in so long, for one relay of several.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Window {
    most: usize,
    lasting: Duration,
}

/// How often what is too old to matter is forgotten.
const TIDIED_EVERY: Duration = RecipientLimit::MINUTE;

/// An answer is written into the outbox within this time; until then nobody else knows of it.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

impl Members {
    /// User ids joined by `|`, or everybody. The platform does not tell large letters from small.
    pub(crate) fn of(address: &str) -> Self {
        let ids = address.split('|').filter(|id| !id.is_empty());
        let ids: Vec<String> = ids.map(str::to_lowercase).collect();
        if ids.iter().any(|id| id == EVERYBODY) {
            Self::Everybody
        } else {
            Self::These(ids)
        }
    }
}

impl RecipientPace {
    pub(crate) fn new(limit: RecipientLimit) -> Self {
        Self {
            limit,
            counted: Arc::default(),
        }
    }

    /// Whether it was told what was sent, since there have been so many relays.
    pub(crate) fn knows_the_past(&self, relays: usize) -> bool {
        self.lock().told_among == Some(relays)
    }

    /// Takes note of what was sent by all relays, oldest first, in place of what was counted here.
    pub(crate) fn remember(
        &self,
        sent: impl IntoIterator<Item = (Members, UtcTimestamp)>,
        relays: usize,
        now: UtcTimestamp,
    ) {
        let mut counted = self.lock();
        // What was answered just now may not have been written down yet.
        let mut unwritten = Counted::default();
        std::mem::swap(&mut unwritten.everybody, &mut counted.everybody);
        std::mem::swap(&mut unwritten.members, &mut counted.members);
        for (members, sent_at) in sent {
            counted.for_each(&members, |given| given.add(sent_at));
        }
        let since = now.before(WRITTEN_WITHIN);
        counted.everybody.take_over(unwritten.everybody, since);
        for (id, given) in unwritten.members {
            counted
                .members
                .entry(id)
                .or_default()
                .take_over(given, since);
        }
        counted.told_among = Some(relays);
    }

    /// Whether nothing at all may go out, because everybody has had their share.
    pub(crate) fn is_used_up(&self, relays: usize, now: UtcTimestamp) -> bool {
        let counted = self.lock();
        let nobody_in_particular = Given::default();
        !self
            .windows(relays)
            .iter()
            .all(|window| counted.has_room(&nobody_in_particular, *window, now))
    }

    /// The recipients for whom nothing may be claimed now.
    pub(crate) fn turned_away(&self, relays: usize, now: UtcTimestamp) -> Vec<RecipientId> {
        let windows = self.windows(relays);
        let mut counted = self.lock();
        let mut turned_away = std::mem::take(&mut counted.turned_away);
        turned_away.retain(|_, members| !counted.allow(members, &windows, now));
        counted.turned_away = turned_away;
        counted.turned_away.keys().cloned().collect()
    }

    /// Gives a message to these members its turn, if they may have it.
    pub(crate) fn admit(
        &self,
        recipient: &RecipientId,
        members: Members,
        relays: usize,
        now: UtcTimestamp,
    ) -> Admission {
        let windows = self.windows(relays);
        let mut counted = self.lock();
        counted.tidy(&windows, now);
        if !counted.allow(&members, &windows, now) {
            counted.turned_away.insert(recipient.clone(), members);
            return Admission::TurnedAway;
        }
        counted.turned_away.remove(recipient);
        counted.for_each(&members, |given| given.under_way += 1);
        Admission::Turn(Turn {
            members,
            counted: Arc::clone(&self.counted),
            used_at: None,
        })
    }

    fn windows(&self, relays: usize) -> [Window; 2] {
        let RecipientLimit {
            per_minute,
            per_hour,
        } = self.limit;
        [
            Window::part_of(per_minute, RecipientLimit::MINUTE, relays),
            Window::part_of(per_hour, RecipientLimit::HOUR, relays),
        ]
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        lock(&self.counted)
    }
}

impl Turn {
    /// The message was written to the platform, which may have taken it; this is the answer's moment.
    pub(crate) fn used(mut self, now: UtcTimestamp) {
        self.used_at = Some(now);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let used_at = self.used_at;
        lock(&self.counted).for_each(&self.members, |given| {
            given.under_way = given.under_way.saturating_sub(1);
            if let Some(used_at) = used_at {
                given.add(used_at);
            }
        });
    }
}

fn lock(counted: &Mutex<Counted>) -> MutexGuard<'_, Counted> {
    counted.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Counted {
    fn for_each(&mut self, members: &Members, mut change: impl FnMut(&mut Given)) {
        match members {
            Members::Everybody => change(&mut self.everybody),
            Members::These(ids) => {
                for id in ids {
                    match self.members.get_mut(id) {
                        Some(given) => change(given),
                        None => change(self.members.entry(id.clone()).or_default()),
                    }
                }
            }
        }
    }

    fn allow(&self, members: &Members, windows: &[Window], now: UtcTimestamp) -> bool {
        let nothing = Given::default();
        windows.iter().all(|window| match members {
            Members::Everybody => {
                self.has_room(&nothing, *window, now)
                    && self
                        .members
                        .values()
                        .all(|given| self.has_room(given, *window, now))
            }
            Members::These(ids) => ids.iter().all(|id| {
                let given = self.members.get(id).unwrap_or(&nothing);
                self.has_room(given, *window, now)
            }),
        })
    }

    fn has_room(&self, given: &Given, window: Window, now: UtcTimestamp) -> bool {
        let since = now.before(window.lasting);
        given.count_since(since) + self.everybody.count_since(since) < window.most
    }

    fn tidy(&mut self, windows: &[Window], now: UtcTimestamp) {
        let is_time = self
            .tidied_at
            .is_none_or(|tidied_at| now >= tidied_at.after(TIDIED_EVERY));
        if !is_time {
            return;
        }
        self.tidied_at = Some(now);
        let longest = windows.iter().map(|window| window.lasting).max();
        let since = now.before(longest.unwrap_or_default());
        self.everybody.forget_until(since);
        self.members.retain(|_, given| {
            given.forget_until(since);
            given.under_way > 0 || !given.at.is_empty()
        });
    }
}

impl Given {
    /// A clock that was set back does not bring the moments out of their order.
    fn add(&mut self, at: UtcTimestamp) {
        let at = self.at.back().map_or(at, |last| at.max(*last));
        self.at.push_back(at);
    }

    /// What is under way, and what came since then.
    fn take_over(&mut self, given: Self, since: UtcTimestamp) {
        self.under_way += given.under_way;
        for at in given.at.into_iter().filter(|at| *at > since) {
            self.add(at);
        }
    }

    fn count_since(&self, since: UtcTimestamp) -> usize {
        self.under_way + self.at.len() - self.at.partition_point(|at| *at <= since)
    }

    fn forget_until(&mut self, since: UtcTimestamp) {
        let old = self.at.partition_point(|at| *at <= since);
        self.at.drain(..old);
    }
}

impl Window {
    /// An equal part, in whole messages. Where there are more relays than messages, one message in so
    /// much longer a time that it is right on average.
    fn part_of(most: u32, lasting: Duration, relays: usize) -> Self {
        let relays = u32::try_from(relays.max(1)).unwrap_or(u32::MAX);
        let part = (most / relays).max(1);
        let of_all = f64::from(part) * f64::from(relays);
        Self {
            most: usize::try_from(part).unwrap_or(usize::MAX),
            lasting: lasting.mul_f64((of_all / f64::from(most)).max(1.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RecipientLimit = RecipientLimit {
        per_minute: 3,
        per_hour: 5,
    };

    fn at(seconds: u64) -> UtcTimestamp {
        let start: UtcTimestamp = "2026-11-21T12:00:00Z"
            .parse::<chrono::DateTime<chrono::Utc>>()
            .unwrap()
            .into();
        start.after(Duration::from_secs(seconds))
    }

    fn recipient(address: &str) -> RecipientId {
        address.parse().unwrap()
    }

    /// Sends to an address, if it may, with an answer at once.
    fn send(pace: &RecipientPace, address: &str, seconds: u64) -> bool {
        send_beside(1, pace, address, seconds)
    }

    fn send_beside(relays: usize, pace: &RecipientPace, address: &str, seconds: u64) -> bool {
        match pace.admit(
            &recipient(address),
            Members::of(address),
            relays,
            at(seconds),
        ) {
            Admission::Turn(turn) => {
                turn.used(at(seconds));
                true
            }
            Admission::TurnedAway => false,
            Admission::Uncounted => panic!("they are counted"),
        }
    }

    #[test]
    fn nobody_is_given_more_than_the_limit_in_any_window() {
        let pace = RecipientPace::new(LIMIT);
        for second in [0, 10, 20] {
            assert!(send(&pace, "a", second));
        }
        assert!(!send(&pace, "A", 59), "the platform does not tell a from A");
        assert!(send(&pace, "b", 59), "somebody else");
        assert!(send(&pace, "a", 60));
        assert!(!send(&pace, "a", 69));
        assert!(send(&pace, "a", 70));
        assert!(!send(&pace, "a", 300), "five within the hour");
        assert!(send(&pace, "a", 3_600));
    }

    #[test]
    fn a_member_counts_alone_among_others_and_with_everybody() {
        let pace = RecipientPace::new(LIMIT);
        assert!(send(&pace, "a|b", 0) && send(&pace, "@all", 1) && send(&pace, "a", 2));
        assert!(!send(&pace, "a", 3) && !send(&pace, "a|c", 3) && !send(&pace, "@all", 3));
        assert!(send(&pace, "c", 3) && send(&pace, "b", 3));
        assert!(!send(&pace, "b", 3));
        let mut turned_away = pace.turned_away(1, at(4));
        turned_away.sort();
        assert_eq!(turned_away, ["@all", "a", "a|c", "b"].map(recipient));
        assert_eq!(pace.turned_away(1, at(61)), []);
    }

    #[test]
    fn everybody_has_had_enough_when_all_messages_went_to_everybody() {
        let pace = RecipientPace::new(LIMIT);
        for second in 0..3 {
            assert!(!pace.is_used_up(1, at(second)));
            assert!(send(&pace, "@all", second));
        }
        assert!(pace.is_used_up(1, at(3)));
        assert!(!send(&pace, "somebody", 3));
        assert!(!pace.is_used_up(1, at(60)));
    }

    #[test]
    fn a_message_counts_while_it_is_under_way_and_not_if_it_was_not_written() {
        let pace = RecipientPace::new(LIMIT);
        let turn = || pace.admit(&recipient("a"), Members::of("a"), 1, at(0));
        let under_way: Vec<Admission> = (0..3).map(|_| turn()).collect();
        assert!(matches!(turn(), Admission::TurnedAway));
        assert!(!send(&pace, "a", 600), "however long the answers take");
        drop(under_way);
        for second in 600..603 {
            assert!(send(&pace, "a", second));
        }
    }

    #[test]
    fn an_answer_counts_from_when_it_came() {
        let pace = RecipientPace::new(LIMIT);
        for _ in 0..3 {
            match pace.admit(&recipient("a"), Members::of("a"), 1, at(0)) {
                Admission::Turn(turn) => turn.used(at(30)),
                other => panic!("{other:?}"),
            }
        }
        assert!(!send(&pace, "a", 89));
        assert!(send(&pace, "a", 90));
    }

    #[test]
    fn what_was_sent_before_the_start_counts() {
        let pace = RecipientPace::new(LIMIT);
        assert!(!pace.knows_the_past(1));
        pace.remember(
            (0..3).map(|second| (Members::of("a|b"), at(second))),
            1,
            at(3),
        );
        assert!(pace.knows_the_past(1) && !pace.knows_the_past(2));
        assert!(!send(&pace, "b", 50));
        assert!(send(&pace, "b", 60));
    }

    #[test]
    fn what_others_have_sent_counts_when_they_are_gone() {
        let pace = RecipientPace::new(LIMIT);
        assert!(send_beside(2, &pace, "a", 0) && send_beside(2, &pace, "b", 10));
        let turn = pace.admit(&recipient("b"), Members::of("b"), 1, at(10));
        // The other one has sent to both; what was answered a second ago is not in the table yet.
        let sent = [("a", 0), ("a", 5), ("a", 6), ("b", 7)];
        let sent = sent.map(|(address, second)| (Members::of(address), at(second)));
        pace.remember(sent, 1, at(11));
        assert!(!send(&pace, "a", 12), "three of them");
        assert!(
            !send(&pace, "b", 12),
            "one of theirs, one just answered, one under way"
        );
        drop(turn);
        assert!(send(&pace, "b", 12));
    }

    #[test]
    fn relays_share_the_limit_however_many_they_are() {
        for relays in [1, 2, 3, 4, 7, 30, 31, 100] {
            let limit = RecipientLimit {
                per_minute: 30,
                per_hour: 1_000,
            };
            let paces: Vec<RecipientPace> =
                (0..relays).map(|_| RecipientPace::new(limit)).collect();
            let (mut sent, mut sent_in_first_minute) = (0, 0);
            for second in 0..3_600 {
                for pace in &paces {
                    while send_beside(relays, pace, "a", second) {
                        sent += 1;
                    }
                }
                if second == 59 {
                    sent_in_first_minute = sent;
                }
            }
            assert!(
                sent_in_first_minute <= relays.max(30),
                "{relays}: {sent_in_first_minute}"
            );
            assert!((900..=1_000).contains(&sent), "{relays}: {sent}");
        }
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let pace = RecipientPace::new(LIMIT);
        assert!(send(&pace, "a|b", 0) && send(&pace, "@all", 0));
        assert!(send(&pace, "c", 3_601));
        let counted = pace.lock();
        assert_eq!(counted.members.keys().collect::<Vec<_>>(), ["c"]);
        assert!(counted.everybody.at.is_empty());
    }
}
