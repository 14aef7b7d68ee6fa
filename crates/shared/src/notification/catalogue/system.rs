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
