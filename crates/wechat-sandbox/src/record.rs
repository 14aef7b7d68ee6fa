//! What arrived: accepted messages, all requests, and their sums.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::api::Api;
use crate::clock::Timestamp;

/// A message that the platform accepted.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// 1 for the first since the start or the last reset, without gaps.
    pub seq: u64,
    /// How it came.
    pub api: Api,
    /// App it was sent for.
    pub appid: String,
    /// Recipient.
    pub openid: String,
    /// Template, for subscribe messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_id: Option<String>,
    /// Kept as text, because a parsed tree takes ten times the memory.
    data: Box<RawValue>,
    /// Page that a tap opens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// The id in the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msgid: Option<u64>,
    /// The sender's own id, for cloud functions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Whether the same message was accepted before: the same `messageId`, or for subscribe
    /// messages the same recipient, template, data and page.
    pub repeat: bool,
    /// Arrival in sandbox time, milliseconds since the unix epoch.
    pub received_at: u64,
    /// The same in microseconds.
    pub received_at_micros: u64,
}

/// A request to the platform, accepted or not.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// 1 for the first since the start or the last reset, without gaps.
    pub seq: u64,
    /// Endpoint.
    pub api: Api,
    /// Recipient, if the request named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openid: Option<Arc<str>>,
    /// What the platform decided; absent when a fault kept it from deciding.
    pub errcode: Option<i64>,
    /// Arrival in sandbox time, milliseconds since the unix epoch.
    pub at: u64,
    /// Other requests for this recipient on this endpoint that were under way at arrival.
    pub in_flight_same_openid: u32,
    /// The scripted fault that struck.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
}

/// Sums since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Accepted messages, repeats included.
    pub accepted: u64,
    /// Requests to the two message endpoints that made no message.
    pub refused: u64,
    /// Accepted messages that repeat an earlier one.
    pub duplicates: u64,
    /// All requests to the platform.
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

/// Which messages to read; every given condition must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// Only those with a greater `seq`.
    pub since: u64,
    /// Only this recipient.
    pub openid: Option<String>,
    /// Only this template.
    pub template_id: Option<String>,
    /// Only this endpoint.
    pub api: Option<Api>,
}

impl Message {
    /// `data` of a subscribe message, `notificationData` of a cloud function's.
    pub fn data(&self) -> Value {
        serde_json::from_str(self.data.get()).unwrap_or_default()
    }

    /// Whether the recipient has seen it: a cloud function keeps repeats back, while the platform
    /// shows a subscribe message as often as it is sent.
    pub(crate) const fn is_shown(&self) -> bool {
        !(self.repeat && matches!(self.api, Api::CloudFunction))
    }
}

impl MessageFilter {
    fn takes(&self, message: &Message) -> bool {
        self.openid
            .as_deref()
            .is_none_or(|openid| message.openid == openid)
            && self
                .template_id
                .as_deref()
                .is_none_or(|id| message.template_id.as_deref() == Some(id))
            && self.api.is_none_or(|api| message.api == api)
    }
}

/// A message before it has a number.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) api: Api,
    pub(crate) appid: String,
    pub(crate) openid: String,
    pub(crate) template_id: Option<String>,
    pub(crate) data: Value,
    pub(crate) page: Option<String>,
    pub(crate) msgid: Option<u64>,
    pub(crate) message_id: Option<String>,
    pub(crate) repeat: Repetition,
}

/// How it is known whether a message repeats another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repetition {
    First,
    Repeat,
    /// By comparing its content with everything before.
    ByContent,
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
    /// Repeats that the receiving function kept back.
    suppressed: u64,
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
            suppressed: 0,
            refused: 0,
            requested: 0,
            by_errcode: BTreeMap::new(),
        }
    }

    pub(crate) fn deliver(&mut self, delivery: Delivery, now: Timestamp) {
        let data = serde_json::value::to_raw_value(&delivery.data).unwrap_or_default();
        let repeat = match delivery.repeat {
            Repetition::First => false,
            Repetition::Repeat => true,
            Repetition::ByContent => !self.contents.insert(content_hash(&delivery, &data)),
        };
        self.accepted += 1;
        self.duplicates += u64::from(repeat);
        self.suppressed += u64::from(delivery.repeat == Repetition::Repeat);
        if self.messages.len() >= self.most_messages {
            self.messages.pop_front();
        }
        self.messages.push_back(Arc::new(Message {
            seq: self.accepted,
            api: delivery.api,
            appid: delivery.appid,
            openid: delivery.openid,
            template_id: delivery.template_id,
            data,
            page: delivery.page,
            msgid: delivery.msgid,
            message_id: delivery.message_id,
            repeat,
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
        self.accepted - self.suppressed
    }

    pub(crate) const fn generation(&self) -> u32 {
        self.generation
    }

    pub(crate) const fn accepted(&self) -> u64 {
        self.accepted
    }
}

fn content_hash(delivery: &Delivery, data: &RawValue) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&delivery.openid, &delivery.template_id, &delivery.page).hash(&mut hasher);
    data.get().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(openid: &str) -> Delivery {
        Delivery {
            api: Api::SubscribeSend,
            appid: "wx1".to_owned(),
            openid: openid.to_owned(),
            template_id: Some("T".to_owned()),
            data: Value::Null,
            page: None,
            msgid: None,
            message_id: None,
            repeat: Repetition::ByContent,
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
