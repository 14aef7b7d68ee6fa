//! What arrived: the histories of messages and requests, and their sums.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use serde::Serialize;

use crate::api::Api;
use crate::clock::Timestamp;
use crate::message::{Delivery, Message, MessageFilter, Repetition};

/// A request to a platform, accepted or not.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// 1 for the first since the start or the last reset, without gaps.
    pub seq: u64,
    /// Endpoint.
    pub api: Api,
    /// Recipient, if the request named one: an openid, the `touser` of a WeCom message, the key of
    /// a robot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Arc<str>>,
    /// What the platform decided; absent when a fault kept it from deciding.
    pub errcode: Option<i64>,
    /// Arrival in sandbox time, milliseconds since the unix epoch.
    pub at: u64,
    /// Other requests for this recipient on this endpoint that were under way at arrival.
    pub in_flight_same_recipient: u32,
    /// The scripted fault that struck.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
}

/// Sums since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Accepted messages, repeats included; one to several recipients counts once for each.
    pub accepted: u64,
    /// Requests to the message endpoints that made no message.
    pub refused: u64,
    /// Accepted messages that repeat an earlier one.
    pub duplicates: u64,
    /// Accepted messages that their recipients were not shown.
    pub kept_back: u64,
    /// All requests to the platforms.
    pub requests: u64,
    /// Requests by what the platform decided; `none` when a fault kept it from deciding.
    pub by_errcode: BTreeMap<String, u64>,
    /// Requests that have arrived and were not answered yet.
    pub in_flight: u32,
    /// Accepted messages that are no longer kept for reading.
    pub messages_dropped: u64,
    /// Requests that are no longer kept for reading.
    pub requests_dropped: u64,
}

/// Bounded histories and their sums.
#[derive(Debug)]
pub(crate) struct Journal {
    /// Tells one journal from the one after a reset.
    generation: u32,
    messages: VecDeque<Arc<Message>>,
    most_messages: usize,
    requests: VecDeque<Request>,
    most_requests: usize,
    contents: HashSet<u64>,
    accepted: u64,
    accepted_at_last_request: u64,
    duplicates: u64,
    kept_back: u64,
    refused: u64,
    requested: u64,
    by_errcode: BTreeMap<Option<i64>, u64>,
}

impl Journal {
    pub(crate) fn new(most_messages: usize, most_requests: usize) -> Self {
        Self {
            generation: rand::random(),
            messages: VecDeque::new(),
            most_messages,
            requests: VecDeque::new(),
            most_requests,
            contents: HashSet::new(),
            accepted: 0,
            accepted_at_last_request: 0,
            duplicates: 0,
            kept_back: 0,
            refused: 0,
            requested: 0,
            by_errcode: BTreeMap::new(),
        }
    }

    pub(crate) fn deliver(&mut self, delivery: Delivery, now: Timestamp) {
        let repeat = match delivery.repeat {
            Repetition::First => false,
            Repetition::Repeat => true,
            Repetition::ByContent => !self.contents.insert(delivery.content_hash()),
        };
        self.accepted += 1;
        self.duplicates += u64::from(repeat);
        self.kept_back += u64::from(delivery.kept_back.is_some());
        if self.messages.len() >= self.most_messages {
            self.messages.pop_front();
        }
        self.messages.push_back(Arc::new(Message {
            seq: self.accepted,
            api: delivery.api,
            envelope: delivery.envelope,
            data: delivery.data,
            repeat,
            kept_back: delivery.kept_back,
            received_at: now.millis(),
            received_at_micros: now.micros(),
        }));
    }

    /// Notes a request after its processing; the request gets its number here.
    pub(crate) fn note(&mut self, mut request: Request) {
        self.requested += 1;
        request.seq = self.requested;
        *self.by_errcode.entry(request.errcode).or_default() += 1;
        if request.api.is_message() && self.accepted == self.accepted_at_last_request {
            self.refused += 1;
        }
        self.accepted_at_last_request = self.accepted;
        if self.requests.len() >= self.most_requests {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
    }

    pub(crate) fn stats(&self, in_flight: u32) -> Stats {
        let kept = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let by_errcode = self
            .by_errcode
            .iter()
            .map(|(code, count)| {
                (
                    code.map_or_else(|| "none".to_owned(), |code| code.to_string()),
                    *count,
                )
            })
            .collect();
        Stats {
            accepted: self.accepted,
            refused: self.refused,
            duplicates: self.duplicates,
            kept_back: self.kept_back,
            requests: self.requested,
            by_errcode,
            in_flight,
            messages_dropped: self.accepted - kept(self.messages.len()),
            requests_dropped: self.requested - kept(self.requests.len()),
        }
    }

    /// The newest `most` of the fitting messages, oldest first.
    pub(crate) fn messages(&self, filter: &MessageFilter, most: usize) -> Vec<Arc<Message>> {
        let first_kept = self.messages.front().map_or(1, |message| message.seq);
        let passed = (filter.since + 1).saturating_sub(first_kept);
        let passed = usize::try_from(passed)
            .unwrap_or(usize::MAX)
            .min(self.messages.len());
        let mut fitting: Vec<Arc<Message>> = self
            .messages
            .range(passed..)
            .rev()
            .filter(|message| filter.takes(message))
            .take(most)
            .cloned()
            .collect();
        fitting.reverse();
        fitting
    }

    /// The requests with a greater `seq`, oldest first.
    pub(crate) fn requests(&self, since: u64) -> Vec<Request> {
        self.requests
            .iter()
            .skip_while(|request| request.seq <= since)
            .cloned()
            .collect()
    }

    /// Messages that a recipient has seen.
    pub(crate) const fn shown(&self) -> u64 {
        self.accepted - self.kept_back
    }

    pub(crate) const fn generation(&self) -> u32 {
        self.generation
    }

    pub(crate) const fn accepted(&self) -> u64 {
        self.accepted
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::message::{Envelope, raw};

    fn delivery(openid: &str) -> Delivery {
        Delivery {
            api: Api::SubscribeSend,
            envelope: Envelope::MiniProgram {
                appid: "wx1".to_owned(),
                openid: openid.to_owned(),
                template_id: Some("T".to_owned()),
                page: None,
                msgid: None,
                message_id: None,
            },
            data: raw(&Value::Null),
            repeat: Repetition::ByContent,
            kept_back: None,
        }
    }

    #[test]
    fn histories_are_bounded_and_say_what_they_dropped() {
        let mut journal = Journal::new(2, 2);
        for openid in ["a", "b", "c", "c"] {
            journal.deliver(delivery(openid), Timestamp::from_seconds(1));
        }
        let read = |since| -> Vec<u64> {
            let filter = MessageFilter {
                since,
                ..Default::default()
            };
            journal
                .messages(&filter, usize::MAX)
                .iter()
                .map(|message| message.seq)
                .collect()
        };
        assert_eq!(read(0), [3, 4]);
        assert_eq!(read(3), [4]);
        assert_eq!(read(9), Vec::<u64>::new());
        let stats = journal.stats(0);
        assert_eq!(
            (stats.accepted, stats.duplicates, stats.messages_dropped),
            (4, 1, 2)
        );
    }
}
