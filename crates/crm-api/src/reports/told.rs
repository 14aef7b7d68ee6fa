use serde_json::{Map, Value, json};
use shared::domain::{RequestId, UserId};
use shared::notification::{Kind, Notice, Reach, Terms};

use super::figures::Figures;

/// What is told of a report, to whom.
#[derive(Debug)]
pub(super) struct Told<'a> {
    pub(super) kind: Kind,
    /// `个人` or `团队`.
    pub(super) scope: &'static str,
    /// The time it is about.
    pub(super) period: &'a str,
    pub(super) figures: Figures,
    /// The list of places, or the place of whoever is told.
    pub(super) ranking: String,
    /// When it was written.
    pub(super) time: &'a str,
    pub(super) recipients: Vec<UserId>,
    pub(super) request_id: &'a RequestId,
}

impl Told<'_> {
    pub(super) fn notice(self) -> Notice {
        let Figures {
            new_customers,
            follow_ups,
            signed,
        } = self.figures;
        let mut data = Map::new();
        let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
        put("period", json!(self.period));
        put("scope", json!(self.scope));
        put("newCustomers", json!(new_customers));
        put("followUps", json!(follow_ups));
        put("signed", json!(signed));
        put("ranking", json!(self.ranking));
        put("time", json!(self.time));
        // What the fields of a card are called. A card has no room for a sentence.
        let source = format!("新增{new_customers} 跟进{follow_ups} 签约{signed}");
        put("customerName", json!(self.period));
        put("source", json!(source));
        put("assignerName", json!("系统"));
        put("assignTime", json!(self.time));
        Notice {
            kind: self.kind,
            recipients: self.recipients,
            data,
            subject: None,
            reach: Reach::AllChannels,
            terms: Terms::default(),
            request_id: Some(self.request_id.clone()),
        }
    }
}
