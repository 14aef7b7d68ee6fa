//! What concerns everybody.

use super::CatalogueEntry;
use crate::notification::NotificationPriority;

pub(super) const ANNOUNCEMENT: CatalogueEntry = CatalogueEntry {
    title: "系统公告",
    content: "{{content}}",
    priority: NotificationPriority::Medium,
    link: "/notifications",
    button: "查看公告",
    data: &["content", "time"],
};

pub(super) const DIGEST: CatalogueEntry = CatalogueEntry {
    title: "免打扰期间的 {{count}} 条通知",
    content: "{{lines}}",
    priority: NotificationPriority::Medium,
    link: "/notifications",
    button: "查看通知",
    data: &[
        "count",
        "customerCount",
        "lines",
        "customerName",
        "source",
        "assignerName",
        "time",
        "assignTime",
    ],
};
