//! Reports, made on schedule.

use super::CatalogueEntry;
use crate::notification::NotificationPriority;

const DAILY: &str = "/reports/daily";

/// Some are of one person, with the place they have; others of the team, with all places.
const OF_WHOMEVER: &[&str] = &[
    "period",
    "scope",
    "newCustomers",
    "followUps",
    "signed",
    "ranking",
    "time",
];

pub(super) const DAILY_PERSONAL: CatalogueEntry = CatalogueEntry {
    title: "今日工作日报",
    content: "{{period}}：新增客户 {{newCustomers}} 个，跟进 {{followUps}} 次，签约 {{signed}} 个",
    priority: NotificationPriority::Low,
    link: DAILY,
    button: "查看日报",
    data: &["period", "newCustomers", "followUps", "signed", "time"],
};

pub(super) const DAILY_TEAM: CatalogueEntry = CatalogueEntry {
    title: "团队日报",
    content: "{{period}}：团队新增客户 {{newCustomers}} 个，跟进 {{followUps}} 次，签约 {{signed}} 个。签约排名：{{ranking}}",
    priority: NotificationPriority::Low,
    link: DAILY,
    button: "查看日报",
    data: &[
        "period",
        "newCustomers",
        "followUps",
        "signed",
        "ranking",
        "time",
    ],
};

pub(super) const WEEKLY: CatalogueEntry = CatalogueEntry {
    title: "本周工作周报",
    content: "{{period}}（{{scope}}）：新增客户 {{newCustomers}} 个，跟进 {{followUps}} 次，签约 {{signed}} 个。签约排名：{{ranking}}",
    priority: NotificationPriority::Low,
    link: "/reports/weekly",
    button: "查看周报",
    data: OF_WHOMEVER,
};

pub(super) const MONTHLY: CatalogueEntry = CatalogueEntry {
    title: "本月工作月报",
    content: "{{period}}（{{scope}}）：新增客户 {{newCustomers}} 个，跟进 {{followUps}} 次，签约 {{signed}} 个。签约排名：{{ranking}}",
    priority: NotificationPriority::Low,
    link: "/reports/monthly",
    button: "查看月报",
    data: OF_WHOMEVER,
};
