//! The words for every kind, as they are where nobody has edited them.

mod contract;
mod customer;
mod member;
mod report;
mod resume;
mod system;

use serde_json::{Map, Value};

use super::inbox::NotificationPriority;
use super::kind::Kind;

/// The words for a kind, how urgent it is, and what is known when it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// The headline.
    pub title: &'static str,
    /// The text, with `{{placeholders}}`.
    pub content: &'static str,
    /// How urgent.
    pub priority: NotificationPriority,
    /// Where a click leads, with placeholders.
    pub link: &'static str,
    /// The words of the button that leads there.
    pub button: &'static str,
    /// The names that placeholders may have.
    pub data: &'static [&'static str],
}

/// The entry of a kind: the default Chinese texts.
pub fn catalogue_entry(kind: Kind) -> CatalogueEntry {
    match kind {
        Kind::CustomerCreated => customer::CREATED,
        Kind::CustomerAssigned => customer::ASSIGNED,
        Kind::CustomerBatchAssigned => customer::BATCH_ASSIGNED,
        Kind::CustomerAssignedFromPool => customer::ASSIGNED_FROM_POOL,
        Kind::CustomerTransferredAway => customer::TRANSFERRED_AWAY,
        Kind::CustomerReclaimed => customer::RECLAIMED,
        Kind::CustomerStatusChanged => customer::STATUS_CHANGED,
        Kind::CustomerFollowUpDue => customer::FOLLOW_UP_DUE,
        Kind::CustomerFollowUpAdded => customer::FOLLOW_UP_ADDED,
        Kind::LeadAutoTransferOut => customer::AUTO_TRANSFER_OUT,
        Kind::LeadAutoTransferIn => customer::AUTO_TRANSFER_IN,
        Kind::ResumeCreated => resume::CREATED,
        Kind::ResumeAssigned => resume::ASSIGNED,
        Kind::ResumeStatusChanged => resume::STATUS_CHANGED,
        Kind::ResumeOrderStatusChanged => resume::ORDER_STATUS_CHANGED,
        Kind::ResumeFollowUpDue => resume::FOLLOW_UP_DUE,
        Kind::ContractCreated => contract::CREATED,
        Kind::ContractSigned => contract::SIGNED,
        Kind::ContractWorkerChanged => contract::WORKER_CHANGED,
        Kind::ContractExpiringSoon => contract::EXPIRING_SOON,
        Kind::ContractStatusChanged => contract::STATUS_CHANGED,
        Kind::ReportDailyPersonal => report::DAILY_PERSONAL,
        Kind::ReportDailyTeam => report::DAILY_TEAM,
        Kind::ReportWeekly => report::WEEKLY,
        Kind::ReportMonthly => report::MONTHLY,
        Kind::MemberRegistered => member::REGISTERED,
        Kind::MemberUpdated => member::UPDATED,
        Kind::SystemAnnouncement => system::ANNOUNCEMENT,
        Kind::SystemDigest => system::DIGEST,
    }
}

/// Data of a kind as it might be, to show how a text looks.
pub fn sample_data(kind: Kind) -> Map<String, Value> {
    let names = catalogue_entry(kind).data.iter();
    names
        .map(|name| ((*name).to_owned(), Value::from(sample(name))))
        .collect()
}

fn sample(name: &str) -> &'static str {
    match name {
        "assignTime" | "time" => "2026年01月02日 11:04",
        "assignerName" | "operatorName" => "张经理",
        "birthYear" => "1990",
        "changedFields" => "身高、体重",
        "content" => "本周五 18:00 系统维护",
        "contractId" | "customerId" | "memberId" | "resumeId" => {
            "0193e5a0-6e2b-7c4d-8f10-aabbccddeeff"
        }
        "contractNumber" => "HT20260102001",
        "count" | "customerCount" => "3",
        "creatorName" => "李娜",
        "customerName" => "王女士",
        "days" => "7",
        "education" => "本科",
        "expiryDate" => "2026年02月01日",
        "followUps" => "12",
        "gender" => "女",
        "height" => "165cm",
        "jobType" | "serviceCategory" => "月嫂",
        "leadSource" => "抖音",
        "lines" => "客户分配通知：您有新的客户【王女士】，请及时跟进！",
        "location" => "浙江 杭州 西湖区",
        "memberNo" => "M20260001",
        "newCustomers" => "5",
        "newOwner" => "李四",
        "newStatus" => "已签约",
        "newWorker" | "resumeName" | "workerName" => "陈阿姨",
        "nickname" => "小明",
        "occupation" => "教师",
        "oldStatus" => "签约中",
        "oldWorker" => "刘阿姨",
        "period" => "2026年01月02日",
        "phone" => "138****8999",
        "ranking" => "1. 李娜 3 个；2. 王五 2 个",
        "reason" => "长期未跟进",
        "scope" => "团队",
        "signed" => "2",
        "source" => "手动分配",
        "summary" => "客户希望下周面试",
        "weight" => "55kg",
        _ => super::MISSING_VALUE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::{MISSING_VALUE, placeholders, render};

    #[test]
    fn every_kind_has_words_that_its_data_fills() {
        for &kind in Kind::ALL {
            let entry = catalogue_entry(kind);
            assert!(
                !entry.title.is_empty() && !entry.button.is_empty(),
                "{kind}"
            );
            assert!(entry.content.contains("{{"), "{kind}");
            for text in [entry.title, entry.content, entry.link, entry.button] {
                for name in placeholders(text).unwrap() {
                    assert!(entry.data.contains(&name), "{kind}: {name}");
                }
            }
            let shown = render(entry.content, &sample_data(kind));
            assert!(!shown.contains(MISSING_VALUE), "{kind}: {shown}");
        }
    }
}
