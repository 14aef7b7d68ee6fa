use std::collections::BTreeMap;

use chrono_tz::Tz;
use serde_json::{Map, Value, json};
use shared::domain::{ChannelSet, Phone, UserId, UtcTimestamp};
use shared::notification::{Kind, Notice, Reach, Terms};
use shared::operation_log::Actor;

use super::assign::{AssignOrder, Assigned, Entrance};
use super::lead::AssignedCustomer;
use super::release::ReleaseOrder;
use crate::customers::subject_of;

/// How people are told: on which channels, and in which zone's time.
#[derive(Debug, Clone, Copy)]
pub struct Telling {
    /// The channels this installation has.
    pub channels: ChannelSet,
    /// The zone of rendered times.
    pub time_zone: Tz,
}

impl Telling {
    /// `2026年01月02日 11:04`.
    pub fn time_text(self, moment: UtcTimestamp) -> String {
        let local = moment.to_datetime().with_timezone(&self.time_zone);
        local.format("%Y年%m月%d日 %H:%M").to_string()
    }
}

/// What staff read as the source of an assignment: its reason, else the way it came.
pub fn source(entrance: Entrance, reason: Option<&str>) -> String {
    let way = match entrance {
        Entrance::Single | Entrance::MiniProgram | Entrance::Create => "手动分配",
        Entrance::Batch => "批量分配",
        Entrance::Pool => "从公海分配",
        Entrance::Import => "批量导入",
        Entrance::Claim => "公海领取",
        Entrance::AutoTransfer => "自动流转",
        Entrance::Website => "官网",
        Entrance::Release => "释放到公海",
    };
    reason.unwrap_or(way).to_owned()
}

/// What is to be told of an order: one notice to the new owner, and one to each previous owner
/// except the one who gave the order.
pub(super) fn notices(
    order: &AssignOrder,
    outcome: &Assigned,
    telling: Telling,
    now: UtcTimestamp,
) -> Vec<Notice> {
    let losses = losses(&outcome.assigned, &order.actor);
    let about = About {
        order,
        outcome,
        time: telling.time_text(now),
    };
    let gain: Vec<&AssignedCustomer> = outcome.assigned.iter().collect();
    std::iter::once(about.gain(&gain))
        .chain(
            losses
                .into_iter()
                .map(|(owner, lost)| about.loss(owner, &lost)),
        )
        .collect()
}

/// Who loses which of these customers, the actor excepted: they know.
fn losses<'a>(
    customers: &'a [AssignedCustomer],
    actor: &Actor,
) -> BTreeMap<&'a UserId, Vec<&'a AssignedCustomer>> {
    let mut losses: BTreeMap<&UserId, Vec<&AssignedCustomer>> = BTreeMap::new();
    for customer in customers {
        if let Some(owner) = &customer.previous_owner
            && Some(owner) != actor.user_id()
        {
            losses.entry(owner).or_default().push(customer);
        }
    }
    losses
}

/// What is to be told of customers that went into the public pool: one notice to each owner except
/// the one who gave the order.
pub(super) fn release_notices(
    order: &ReleaseOrder,
    released: &[AssignedCustomer],
    telling: Telling,
    now: UtcTimestamp,
) -> Vec<Notice> {
    let time = telling.time_text(now);
    losses(released, &order.actor)
        .into_iter()
        .map(|(owner, lost)| {
            let (mut data, subject) = description(&lost, &summary_of_loss(&lost));
            let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
            put("reason", json!(order.reason));
            put("source", json!("已回收到公海"));
            put("assignerName", json!(order.actor_name));
            put("operatorName", json!(order.actor_name));
            put("time", json!(time));
            put("assignTime", json!(time));
            Notice {
                kind: Kind::CustomerReclaimed,
                recipients: vec![owner.clone()],
                data,
                subject,
                reach: Reach::AllChannels,
                terms: Terms::default(),
                request_id: Some(order.request_id.clone()),
            }
        })
        .collect()
}

/// What a notice says of its customers, and what it is about: one by name, several by a summary.
fn description(
    customers: &[&AssignedCustomer],
    summary: &str,
) -> (Map<String, Value>, Option<String>) {
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
    if let [customer] = customers {
        put("customerId", json!(customer.id));
        put("customerName", json!(customer.name));
        put("phone", json!(customer.phone.as_ref().map(Phone::masked)));
        put("leadSource", json!(customer.lead_source));
        put("serviceCategory", json!(customer.service_category));
        (data, Some(subject_of(&customer.id)))
    } else {
        put("customerName", json!(summary));
        put("count", json!(customers.len()));
        put("customerCount", json!(customers.len()));
        (data, None)
    }
}

fn summary_of_loss(lost: &[&AssignedCustomer]) -> String {
    let first = lost.first().map_or("", |customer| customer.name.as_str());
    format!("{first}等{}个客户", lost.len())
}

struct About<'a> {
    order: &'a AssignOrder,
    outcome: &'a Assigned,
    time: String,
}

impl About<'_> {
    fn gain(&self, gained: &[&AssignedCustomer]) -> Notice {
        let order = self.order;
        let kind = match (gained, order.entrance) {
            ([_], Entrance::Pool) => Kind::CustomerAssignedFromPool,
            ([_], _) => Kind::CustomerAssigned,
            _ => Kind::CustomerBatchAssigned,
        };
        // Who enters or claims customers for themselves finds them in the centre and needs no message.
        let chosen = matches!(
            order.entrance,
            Entrance::Create | Entrance::Import | Entrance::Claim
        );
        let reach = if chosen && order.actor.user_id() == Some(&order.to) {
            Reach::InboxOnly
        } else {
            Reach::AllChannels
        };
        let summary = format!("{}个客户", gained.len());
        self.notice(kind, &order.to, gained, &summary, reach)
    }

    fn loss(&self, owner: &UserId, lost: &[&AssignedCustomer]) -> Notice {
        self.notice(
            Kind::CustomerTransferredAway,
            owner,
            lost,
            &summary_of_loss(lost),
            Reach::AllChannels,
        )
    }

    /// The line of a card that says why it came. A card has no room for a sentence, so this line
    /// alone tells a loss from a gain.
    fn source(&self, kind: Kind) -> String {
        if kind == Kind::CustomerTransferredAway {
            format!("已转移给{}", self.outcome.owner_name)
        } else {
            source(self.order.entrance, self.order.reason.as_deref())
        }
    }

    fn notice(
        &self,
        kind: Kind,
        recipient: &UserId,
        customers: &[&AssignedCustomer],
        summary: &str,
        reach: Reach,
    ) -> Notice {
        let order = self.order;
        let (mut data, subject) = description(customers, summary);
        let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
        put("source", json!(self.source(kind)));
        put("assignerName", json!(order.actor_name));
        put("operatorName", json!(order.actor_name));
        put("newOwner", json!(self.outcome.owner_name));
        put("time", json!(self.time));
        put("assignTime", json!(self.time));
        Notice {
            kind,
            recipients: vec![recipient.clone()],
            data,
            subject,
            reach,
            terms: Terms::default(),
            request_id: Some(order.request_id.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use shared::domain::{CustomerId, RequestId};
    use shared::notification::{catalogue_entry, render};

    use super::*;
    use crate::assignment::release::ReleaseReach;
    use crate::customers::LeadSource;

    const TELLING: fn() -> Telling = || Telling {
        channels: ChannelSet::default(),
        time_zone: Tz::Asia__Shanghai,
    };

    fn now() -> UtcTimestamp {
        let text = "2026-01-02T03:04:05Z";
        DateTime::parse_from_rfc3339(text).unwrap().to_utc().into()
    }

    fn customer(name: &str, owner: Option<&UserId>) -> AssignedCustomer {
        AssignedCustomer {
            id: CustomerId::generate(),
            name: name.to_owned(),
            phone: Some("13800138999".parse().unwrap()),
            lead_source: LeadSource::Douyin,
            service_category: None,
            previous_owner: owner.cloned(),
            was_in_pool: owner.is_none(),
            frozen: false,
            version: 1,
        }
    }

    fn told(entrance: Entrance, actor: &UserId, assigned: Vec<AssignedCustomer>) -> Vec<Notice> {
        told_of(&told_order(entrance, actor), assigned)
    }

    fn told_order(entrance: Entrance, actor: &UserId) -> AssignOrder {
        AssignOrder {
            customers: Vec::new(),
            to: UserId::generate(),
            reason: None,
            entrance,
            expected_version: None,
            actor: Actor::User(actor.clone()),
            actor_name: "张经理".to_owned(),
            request_id: RequestId::generate(),
        }
    }

    fn told_of(order: &AssignOrder, assigned: Vec<AssignedCustomer>) -> Vec<Notice> {
        let outcome = Assigned {
            owner_name: "李四".to_owned(),
            assigned,
            unchanged: Vec::new(),
            refused: Vec::new(),
            superseded: Vec::new(),
        };
        notices(order, &outcome, TELLING(), now())
    }

    fn text(notice: &Notice) -> String {
        render(catalogue_entry(notice.kind).content, &notice.data)
    }

    #[test]
    fn each_previous_owner_is_told_once_and_the_actor_not_at_all() {
        let (one, two, actor) = (UserId::generate(), UserId::generate(), UserId::generate());
        let notices = told(
            Entrance::Batch,
            &actor,
            vec![
                customer("王女士", Some(&one)),
                customer("赵先生", Some(&one)),
                customer("钱女士", Some(&two)),
                customer("孙先生", Some(&actor)),
                customer("周女士", None),
            ],
        );
        let texts: Vec<String> = notices.iter().map(text).collect();
        assert_eq!(
            texts,
            [
                "张经理 分配了 5 个客户给您，请及时跟进！",
                "客户 王女士等2个客户 已由 张经理 转移给 李四",
                "客户 钱女士 已由 张经理 转移给 李四",
            ]
        );
        assert_eq!(notices[0].data["customerName"], "5个客户");
        assert_eq!(notices[0].data["source"], "批量分配");
        assert_eq!(notices[0].subject, None);
        assert!(notices[2].subject.is_some());
        assert_eq!(notices[2].data["source"], "已转移给李四");
    }

    #[test]
    fn one_customer_is_named_with_a_masked_number_and_local_time() {
        let actor = UserId::generate();
        for (entrance, kind) in [
            (Entrance::Single, Kind::CustomerAssigned),
            (Entrance::MiniProgram, Kind::CustomerAssigned),
            (Entrance::Create, Kind::CustomerAssigned),
            (Entrance::Batch, Kind::CustomerAssigned),
            (Entrance::Pool, Kind::CustomerAssignedFromPool),
        ] {
            let notices = told(entrance, &actor, vec![customer("王女士", None)]);
            assert_eq!(notices.len(), 1);
            assert_eq!(notices[0].kind, kind, "{entrance}");
            assert_eq!(notices[0].data["phone"], "138****8999");
            assert_eq!(notices[0].data["time"], "2026年01月02日 11:04");
            assert_eq!(notices[0].reach, Reach::AllChannels);
        }
    }

    #[test]
    fn whoever_loses_customers_to_the_pool_is_told_once_with_the_reason() {
        let (one, two, actor) = (UserId::generate(), UserId::generate(), UserId::generate());
        let order = ReleaseOrder {
            customers: Vec::new(),
            reach: ReleaseReach::Anybodys,
            reason: "长期未跟进".to_owned(),
            expected_version: None,
            actor: Actor::User(actor.clone()),
            actor_name: "张经理".to_owned(),
            request_id: RequestId::generate(),
        };
        let released = [
            customer("王女士", Some(&one)),
            customer("赵先生", Some(&one)),
            customer("钱女士", Some(&two)),
            customer("孙先生", Some(&actor)),
        ];
        let notices = release_notices(&order, &released, TELLING(), now());
        let texts: Vec<String> = notices.iter().map(text).collect();
        assert_eq!(
            texts,
            [
                "您的客户 王女士等2个客户 已被回收到公海，原因：长期未跟进",
                "您的客户 钱女士 已被回收到公海，原因：长期未跟进",
            ]
        );
        assert_eq!(notices[0].subject, None);
        assert_eq!(notices[1].data["phone"], "138****8999");
        assert!(notices[1].subject.is_some());
    }

    #[test]
    fn whoever_claims_is_told_in_the_centre_alone() {
        let actor = UserId::generate();
        let mut order = told_order(Entrance::Claim, &actor);
        order.to = actor;
        let notices = told_of(&order, vec![customer("王女士", None)]);
        assert_eq!(notices.len(), 1);
        assert_eq!(
            (notices[0].kind, notices[0].reach),
            (Kind::CustomerAssigned, Reach::InboxOnly)
        );
    }

    #[test]
    fn the_reason_is_the_source_if_there_is_one() {
        assert_eq!(source(Entrance::Pool, None), "从公海分配");
        assert_eq!(source(Entrance::Pool, Some("老客户")), "老客户");
    }
}
